"""What the pages of all services share: frame, style and header, and how numbers are written."""
