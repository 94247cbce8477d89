"""A world of bumps: each model is good in some places of a low-dimensional space that the embedding shows obliquely."""

from __future__ import annotations

import numpy as np

from banditd_sim.worlds.world import World, check_sizes, draw_world, rounded, unit_vectors

_LATENT = 2
_BUMPS = 3
_WIDTH = 0.5
_LOW, _HEIGHT = 0.2, 0.7


def nonlinear_world(
    *, prompts: int = 10_000, models: int = 5, dimension: int = 16, noise: float = 0.3, seed: int = 0
) -> World:
    """Return a world with quality 0.2 + 0.7 max_j exp(-|z - c_kj|^2 / (2 0.5^2)) over three centres per model.

    z is uniform in the square [-1, 1]^2 and can be read from the embedding, which is z times an orthogonal matrix, so
    that nothing but the form of the function stands between a belief and the truth.

    Raises:
        WorldError: a setting is out of range.
    """
    check_sizes(prompts=prompts, models=models, dimension=dimension, seed=seed)
    rng = np.random.default_rng([seed, 2])
    axes, _ = np.linalg.qr(unit_vectors(dimension, _LATENT, rng))
    x = rounded(rng.uniform(-1.0, 1.0, (prompts, _LATENT)) @ axes.T)
    z = x @ axes
    centres = rng.uniform(-1.0, 1.0, (models, _BUMPS, _LATENT))
    mean = np.empty((prompts, models))
    for k in range(models):
        distance_sq = ((z[:, None, :] - centres[k]) ** 2).sum(axis=2).min(axis=1)
        mean[:, k] = _LOW + _HEIGHT * np.exp(-distance_sq / (2.0 * _WIDTH**2))
    return draw_world("nonlinear", x, mean, rng, noise=noise)
