"""The command line's commands, a module for each group; `harness.cli` puts them together."""
