"""A Lambda service: event sources, concurrency, execution environments, the Invoke API."""
