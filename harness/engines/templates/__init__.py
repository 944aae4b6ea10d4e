"""CloudFormation templates: read, resolved, and split between data services, queues, tables and the Lambda service."""
