"""Load tests: an open-model schedule of uploads, driven by Locust, each file followed to its last durable row."""
