"""Learning: the pure machine that folds the log into a state, and the one thread that drives it."""
