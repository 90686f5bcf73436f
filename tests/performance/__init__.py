"""Counted, never timed: what a token call costs. The timed measurements are `make bench`."""
