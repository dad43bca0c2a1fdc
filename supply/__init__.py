"""What the project is made of: every package by its hash, every base by its digest, and what is known against them."""
