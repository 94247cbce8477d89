"""The one path from a context to a choice, taken by live traffic and by the simulator alike."""
