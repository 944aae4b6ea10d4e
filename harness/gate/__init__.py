"""The regression gate: paired, alternating trials of two versions, and a verdict."""
