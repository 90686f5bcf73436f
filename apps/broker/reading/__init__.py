"""Queries of administration: each proves the right, reads, and leaves its record."""
