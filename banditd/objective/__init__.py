"""From quality, cost and latency to one number, and hard limits."""
