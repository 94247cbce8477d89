"""Policies: a belief about each model, and an explorer that turns utilities into probabilities."""
