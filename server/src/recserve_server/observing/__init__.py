"""What is seen of a running server besides its counts: traces, the request log, its pulse."""
