"""The process that holds a model version, and the way to it."""
