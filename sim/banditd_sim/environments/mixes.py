"""Fixed-mix hulls where not every model is always there: in tables with gaps, and in catalogues that change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from banditd_sim.environments.world import World
from banditd_sim.metrics.hull import Hull, constant_points, fixed_mix_hull
from banditd_sim.ope.arrays import Bool, Float64


def constant_outcomes(world: World, at: slice) -> tuple[Float64, Float64]:
    """Return quality and cost (n, K) of always choosing each model, in the rounds *at*.

    Where a model is not in the catalogue, the cheapest one that is stands in for it, as in the baseline of that name:
    a mix of models can be kept up whatever comes and goes.
    """
    quality, cost = (values[at] for values in world.outcomes)
    present = world.scenario.present[world.segment[at]]
    if present.all():
        return quality, cost
    cheapest = np.argmin(np.where(present & np.isfinite(cost), cost, np.inf), axis=1)
    rows = np.arange(len(cost))
    quality, cost = (np.where(present, values, values[rows, cheapest][:, None]) for values in (quality, cost))
    return quality, cost


def measured_hull(quality: Float64, cost: Float64, among: Bool | None = None) -> Hull:
    """Return the hull of the models' mean points; `model` counts the table's columns.

    Args:
        quality: (n, K), NaN where not measured; at least one model is measured somewhere.
        cost: (n, K), NaN in the same places.
        among: (K,), models to look at; None for all.
    """
    kept = np.isfinite(quality).any(axis=0)
    columns = np.flatnonzero(kept if among is None else kept & among)
    hull = fixed_mix_hull(*constant_points(quality[:, columns], cost[:, columns]))
    return replace(hull, model=columns[hull.model])
