"""The model families: each learns from one split and comes to a retrieval model."""
