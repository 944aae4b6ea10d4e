"""Tests that need Docker: `make test-docker`."""
