"""Writes a model version and holds it against the trainer before it is published."""
