"""Chaos: real replicas, real clients, faults at random times, and an oracle for every answer."""
