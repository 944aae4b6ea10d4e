"""The lesson on file descriptors: processes that are joined and never closed."""
