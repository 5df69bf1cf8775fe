"""Reads CSV and Parquet tables of any shape."""
