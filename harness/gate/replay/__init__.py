"""Replays events through the handlers of two versions, against services that answer at once: a sharper gate for CPU."""
