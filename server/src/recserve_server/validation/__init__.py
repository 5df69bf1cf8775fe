"""Requests to queries, by service; pure. Limits are those of the proto comments."""
