"""The report of a load test: one HTML page that needs nothing from elsewhere."""
