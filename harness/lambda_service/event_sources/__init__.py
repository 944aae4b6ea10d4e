"""Event sources: SQS queues, DynamoDB streams, S3 notifications. Each talks only through the public AWS API."""
