"""Tables: DynamoDB and DynamoDB Streams as one process on loopback, log-structured. See docs/data-plane-tables.md."""
