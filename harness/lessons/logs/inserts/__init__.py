"""Insert as it is first written, printing what it gets. Deployed by the lesson on logs."""
