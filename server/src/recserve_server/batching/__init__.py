"""Gathers requests into batches: who waits, when a batch starts, what it becomes."""
