"""Hypervolume: the area of the cost-quality plane that a set of points dominates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from banditd_sim.metrics.arrays import finite_vector, same_length
from banditd_sim.metrics.errors import MetricError


def hypervolume(
    cost: npt.ArrayLike, quality: npt.ArrayLike, *, cost_ref: float, quality_ref: float, log_cost: bool = False
) -> float:
    """Return the area dominated by the points, up to the reference (cost_ref, quality_ref).

    Sum over the non-dominated points by falling cost of (q_i - q_{i-1}) (c_ref - c_i), points beyond the reference
    left out (Zitzler and Thiele, IEEE TEC 3 (1999)). The value means something only beside its reference.

    Args:
        cost: (m,), >= 0; > 0 with *log_cost*.
        quality: (m,).
        cost_ref: Greatest cost that counts.
        quality_ref: Least quality that counts.
        log_cost: Whether to take the natural logarithm of the costs: for spreads above a factor of 100.
    """
    c, q = finite_vector("cost", cost), finite_vector("quality", quality)
    same_length(cost=c, quality=q)
    reference = cost_ref
    if log_cost:
        if float(c.min()) <= 0.0 or cost_ref <= 0.0:
            raise MetricError("cost", "> 0, for log_cost", min(float(c.min()), cost_ref))
        c, reference = np.log(c), float(np.log(cost_ref))
    area, floor = 0.0, quality_ref
    # From cheap to dear, the best of equal costs first: each point adds what it rises above all cheaper ones.
    for i in np.lexsort((-q, c)):
        if c[i] < reference and q[i] > floor:
            area += (float(q[i]) - floor) * (reference - float(c[i]))
            floor = float(q[i])
    return area
