"""What operators can have a running server do, over a socket that only they can reach."""
