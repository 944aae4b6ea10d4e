"""Lesson: a visibility timeout that ends before the function does, and rows that are in the table twice."""

from harness.lessons.visibility.lesson import VisibilityLesson

__all__ = ["VisibilityLesson"]
