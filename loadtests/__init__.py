"""The load test: Locust's file, and what it is made of. `python -m loadtests` is Locust with that file."""
