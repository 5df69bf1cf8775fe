"""Where interactions and catalogues come from."""
