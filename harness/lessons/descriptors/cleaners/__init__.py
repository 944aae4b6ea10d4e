"""Two functions that clean the same file with a process for each chunk. Deployed by the lesson on descriptors."""
