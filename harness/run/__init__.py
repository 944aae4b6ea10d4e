"""One run: generate, deploy, upload, watch, audit, report."""
