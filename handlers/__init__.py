"""The pipeline's Lambda functions: clean, insert, capture, process, update, and the pure modules they share."""
