"""The harness: generates, deploys, uploads, watches and audits; see `harness --help`."""
