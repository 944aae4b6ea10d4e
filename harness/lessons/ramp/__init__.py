"""Lesson: how fast the pollers of a queue grow decides how long a backlog takes."""

from harness.lessons.ramp.lesson import RampLesson

__all__ = ["RampLesson"]
