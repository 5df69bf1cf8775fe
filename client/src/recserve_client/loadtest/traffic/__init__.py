"""What a load test asks: drawn from a mix, or read from a recording."""
