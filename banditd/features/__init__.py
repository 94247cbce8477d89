"""From a context to the row of numbers that beliefs are linear in."""
