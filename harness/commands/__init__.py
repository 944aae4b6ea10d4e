"""The command line's commands, a module for each group; `application` puts them together."""
