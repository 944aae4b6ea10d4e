"""Faults by rule: errors, partial failures, latency and dropped connections in front of any service of the data plane.

`rules` reads them, `decisions` decides (pure, on a clock that is given), `injection` stands before a service's
`handle` function, `process` adds it to a process. docs/chaos.md explains every key.
"""
