"""Which model versions there are, which of them serve, and for whom."""
