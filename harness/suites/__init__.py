"""Named benchmarks: what they run is data (`*.toml` in this folder), how they are run is here."""
