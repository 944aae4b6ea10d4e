"""Lesson: a table with too little provisioned capacity, and a function that takes a partial success for a whole one."""

from harness.lessons.capacity.lesson import CapacityLesson

__all__ = ["CapacityLesson"]
