"""What can be seen of a pipeline through its engine's public API: progress, rest, what its processes use, its clock."""
