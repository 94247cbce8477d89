"""A world where expected quality is linear in the embedding: what a linear belief can learn to the end."""

from __future__ import annotations

import numpy as np

from banditd_sim.ope.arrays import Float64
from banditd_sim.worlds.world import World, check_sizes, draw_world, unit_rows, unit_vectors

# Greatest slope and offset: 0.5 +- 0.3 +- 0.1 stays within [0.05, 0.95] for rows of length 1, whatever float16 rounds.
SLOPE = 0.3
_OFFSET = 0.1


def linear_world(
    *, prompts: int = 10_000, models: int = 5, dimension: int = 16, noise: float = 0.3, seed: int = 0
) -> World:
    """Return a world with quality 0.5 + 0.3 x·theta_k + b_k, where x and theta_k have length 1 and |b_k| <= 0.1.

    Raises:
        WorldError: a setting is out of range.
    """
    check_sizes(prompts=prompts, models=models, dimension=dimension, seed=seed)
    rng = np.random.default_rng([seed, 1])
    x = unit_rows(prompts, dimension, rng)
    theta = unit_vectors(models, dimension, rng)
    mean = linear_mean(x, theta, offsets(models, rng))
    return draw_world("linear", x, mean, rng, noise=noise)


def linear_mean(x: Float64, theta: Float64, offset: Float64) -> Float64:
    """Return (N, K) of 0.5 + 0.3 x·theta_k + offset_k."""
    mean: Float64 = 0.5 + SLOPE * (x @ theta.T) + offset
    return mean


def offsets(models: int, rng: np.random.Generator) -> Float64:
    """Return (K,), uniform in [-0.1, 0.1], ascending: dearer models tend to be better."""
    return np.sort(rng.uniform(-_OFFSET, _OFFSET, models))
