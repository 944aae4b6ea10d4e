"""The lesson `ramp`: how fast the pollers of a queue grow decides how long a backlog takes."""
