"""The published design's pitfalls, each as an experiment that anyone can run."""
