"""Fixed-mix hulls of tables with gaps: models that were never measured are no points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from banditd_sim.metrics.hull import Hull, constant_points, fixed_mix_hull
from banditd_sim.ope.arrays import Bool, Float64


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
