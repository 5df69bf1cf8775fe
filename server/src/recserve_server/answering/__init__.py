"""Questions to answers inside the model process: NumPy around the calls of a model."""
