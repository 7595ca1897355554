"""Checks with real weights and human speech: `make test-real`."""
