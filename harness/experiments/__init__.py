"""Experiments: one life cycle, and what each kind drives into a deployment: one upload, a load, a search, inserting alone."""
