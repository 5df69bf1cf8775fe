"""gRPC server for recommender models; start it with `recserve-serve` (see __main__)."""
