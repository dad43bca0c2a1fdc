"""What a variant answers over HTTP: predictions, pages, and the description of both."""
