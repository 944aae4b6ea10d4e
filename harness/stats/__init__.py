"""Statistics that decide something: latencies, spread of repetitions, paired comparisons. Pure."""
