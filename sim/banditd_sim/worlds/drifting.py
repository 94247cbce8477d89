"""A linear world that changes while it is learnt: row i is round i."""

from __future__ import annotations

import numpy as np

from banditd_sim.ope.arrays import Float64
from banditd_sim.worlds.linear import linear_mean, offsets
from banditd_sim.worlds.world import World, WorldError, check_sizes, draw_world, unit_rows, unit_vectors


def drifting_world(
    *,
    prompts: int = 10_000,
    models: int = 5,
    dimension: int = 16,
    turns: float = 0.5,
    noise: float = 0.3,
    seed: int = 0,
) -> World:
    """Return a linear world where each model's direction theta_k turns steadily in a plane of its own.

    Args:
        prompts: N.
        models: K.
        dimension: D.
        turns: >= 0, full turns from the first to the last round. 0 is a linear world; with 0.5 each model ends good
            where it began bad.
        noise: See `draw_world`.
        seed: Another seed gives another world.

    Raises:
        WorldError: a setting is out of range.
    """
    check_sizes(prompts=prompts, models=models, dimension=dimension, seed=seed)
    if not 0.0 <= turns < np.inf:
        raise WorldError("turns", "a finite number >= 0", turns)
    rng = np.random.default_rng([seed, 4])
    x = unit_rows(prompts, dimension, rng)
    start, other = _plane(models, dimension, rng)
    offset = offsets(models, rng)
    # x·theta_k(t) = cos(a_t) x·u_k + sin(a_t) x·v_k, with no (N, K, D) in between.
    angle = 2.0 * np.pi * turns * np.linspace(0.0, 1.0, prompts)[:, None]
    none = np.zeros(models)
    u, v = linear_mean(x, start, none) - 0.5, linear_mean(x, other, none) - 0.5
    return draw_world("drifting", x, 0.5 + np.cos(angle) * u + np.sin(angle) * v + offset, rng, noise=noise)


def _plane(models: int, dimension: int, rng: np.random.Generator) -> tuple[Float64, Float64]:
    """Return two orthogonal directions per model, each (K, D)."""
    u, w = unit_vectors(models, dimension, rng), unit_vectors(models, dimension, rng)
    v = w - (w * u).sum(axis=1, keepdims=True) * u
    return u, v / np.linalg.norm(v, axis=1, keepdims=True)
