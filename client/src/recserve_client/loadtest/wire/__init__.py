"""gRPC calls over hand-written HTTP/2: a fraction of what a full client costs per call."""
