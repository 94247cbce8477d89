"""Beliefs: mean and spread of quality, cost and latency per model."""
