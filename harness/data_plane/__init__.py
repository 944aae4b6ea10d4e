"""The data plane: AWS data services of our own, each a process on loopback, used through the public AWS API alone."""
