"""A world of kinds of prompts: the kind alone decides, and stands in the table as the category."""

from __future__ import annotations

import numpy as np

from banditd_sim.worlds.world import World, WorldError, check_sizes, draw_world, rounded, unit_vectors

_SPREAD = 0.1
_LOW, _HIGH = 0.2, 0.9


def clustered_world(
    *,
    prompts: int = 10_000,
    models: int = 5,
    dimension: int = 16,
    clusters: int = 8,
    noise: float = 0.3,
    seed: int = 0,
) -> World:
    """Return a world of *clusters* kinds, equally likely, each with a quality per model, uniform in [0.2, 0.9].

    An embedding is the kind's direction plus a normal deviation of length 0.1, so that kinds hardly overlap; the
    category is the kind's name. The best category table is the optimum.

    Raises:
        WorldError: a setting is out of range.
    """
    check_sizes(prompts=prompts, models=models, dimension=dimension, seed=seed)
    if clusters < 1:
        raise WorldError("clusters", "at least 1", clusters)
    rng = np.random.default_rng([seed, 3])
    centres = unit_vectors(clusters, dimension, rng)
    quality = rng.uniform(_LOW, _HIGH, (clusters, models))
    kind = rng.integers(0, clusters, prompts)
    deviation = rng.standard_normal((prompts, dimension)) * (_SPREAD / np.sqrt(dimension))
    x = rounded(centres[kind] + deviation)
    category = tuple(f"kind-{c}" for c in kind.tolist())
    return draw_world("clustered", x, quality[kind], rng, noise=noise, category=category)
