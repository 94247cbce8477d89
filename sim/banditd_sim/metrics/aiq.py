"""AIQ, average improvement in quality: the area under a router's cost-quality hull, in two readings.

Hu et al., RouterBench, 2024, arXiv:2403.12031, section 3.3, and the repository withmartian/routerbench,
`evaluation/AIQ.py`. The two differ in what they divide by, so their numbers cannot be compared.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from banditd_sim.metrics.arrays import Float64, finite_vector, same_length
from banditd_sim.metrics.errors import MetricError
from banditd_sim.metrics.hull import fixed_mix_hull, hull_quality


def aiq_paper(
    cost: npt.ArrayLike, quality: npt.ArrayLike, *, cost_min: float | None = None, cost_max: float | None = None
) -> float:
    """Return 1 / (c_max - c_min) * integral over [c_min, c_max] of the non-decreasing convex hull.

    The hull joins the router's points by straight lines (two settings mixed at random) and stays level to their
    right. It is exact: a sum of trapezoids between vertices.

    Args:
        cost: (m,), mean cost of each of the router's settings, >= 0.
        quality: (m,).
        cost_min: Start of the range; the cheapest setting's cost if None. Routers are compared on one range.
        cost_max: End of the range; the dearest setting's cost if None.

    Raises:
        MetricError: An empty range, or one that begins below the cheapest setting, where the router has no quality.
    """
    c, q = finite_vector("cost", cost), finite_vector("quality", quality)
    hull = fixed_mix_hull(c, q)
    low = float(c.min()) if cost_min is None else cost_min
    high = float(c.max()) if cost_max is None else cost_max
    if not low < high:
        raise MetricError("cost_max", f"above cost_min = {low:.6g}", high)
    if low < float(hull.cost[0]):
        raise MetricError("cost_min", f"at least the cheapest setting's cost, {hull.cost[0]:.6g}", low)
    inside = hull.cost[(hull.cost > low) & (hull.cost < high)]
    x = np.concatenate([[low], inside, [high]])
    y = np.array([hull_quality(hull, float(at)) for at in x])
    return float(np.trapezoid(y, x)) / (high - low)


def aiq_code(cost: npt.ArrayLike, quality: npt.ArrayLike, *, cost_max: float | None = None) -> float:
    """Return the AIQ as RouterBench's code computes it.

    The hull of the points, cut after its peak, drawn level to *cost_max*, the greatest cost of all routers compared;
    trapezoids from the router's own cheapest setting; divided by *cost_max* and not by the range. What lies left of
    the cheapest setting counts as 0, so a router that has no cheap setting is punished for it.

    Args:
        cost: (m,), of one router's settings, >= 0; the code needs at least 3 distinct costs, and so does this.
        quality: (m,).
        cost_max: Greatest cost among all routers compared, >= this router's; its own if None.

    Raises:
        MetricError: Fewer than 3 distinct costs, or *cost_max* below the router's own peak.
    """
    c, q = finite_vector("cost", cost), finite_vector("quality", quality)
    same_length(cost=c, quality=q)
    if np.unique(c).size < 3:
        raise MetricError("cost", "at least 3 distinct costs", np.unique(c).tolist())
    x, y = _hull_at_costs(c, q)
    # A hull is concave: after its peak it only falls, and the code removes what falls.
    peak = int(np.argmax(y)) + 1
    while peak < y.size and y[peak] >= y[peak - 1]:
        peak += 1
    x, y = x[:peak], y[:peak]
    end = float(x[-1]) if cost_max is None else cost_max
    if end < x[-1]:
        raise MetricError("cost_max", f"at least the cost at the hull's peak, {x[-1]:.6g}", end)
    area = float(np.trapezoid(np.append(y, y[-1]), np.append(x, end)))
    return area / end


def _hull_at_costs(c: Float64, q: Float64) -> tuple[Float64, Float64]:
    """Return the distinct costs and the upper concave hull (which may fall) at each."""
    x = np.unique(c)
    top = np.array([q[c == at].max() for at in x])
    chain: list[int] = []
    for k in range(x.size):
        while len(chain) > 1:
            i, j = chain[-2], chain[-1]
            if (top[j] - top[i]) * (x[k] - x[i]) > (top[k] - top[i]) * (x[j] - x[i]):
                break
            chain.pop()
        chain.append(k)
    return x, np.interp(x, x[chain], top[chain])
