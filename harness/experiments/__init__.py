"""Experiments: one life cycle; one upload, a load, a search and inserting alone are what is driven through it."""
