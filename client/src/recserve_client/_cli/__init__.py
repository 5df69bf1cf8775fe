"""What the command line is made of; `__main__.py` puts it together."""
