"""What a router saves at equal quality, and what it gains at equal cost, against a named reference.

The reference should be the best constant model, or a hull; "the most expensive model" alone flatters.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from banditd_sim.metrics.arrays import finite_vector, same_length
from banditd_sim.metrics.errors import MetricError
from banditd_sim.metrics.hull import fixed_mix_hull, hull_quality

# Below any difference in quality that means something, above the rounding of a mean of a million values.
_QUALITY_ROUNDING = 1e-9


def cost_saving_at_quality(
    cost: npt.ArrayLike,
    quality: npt.ArrayLike,
    *,
    reference_cost: float,
    reference_quality: float,
    share: float = 1.0,
    mixed: bool = False,
) -> float:
    """Return 1 - min { C : Q >= share * Q_ref } / C_ref over a router's settings; 0.3 means 30 % cheaper.

    (CostSave of LLMRouterBench at share 1; RouterBench and RouteLLM report shares 0.90, 0.95, 0.99.)

    Args:
        cost: (m,), mean cost of each setting, >= 0.
        quality: (m,).
        reference_cost: > 0.
        reference_quality: Mean quality of the reference.
        share: > 0, of the reference's quality to be kept.
        mixed: Whether settings may be mixed at random, which interpolates between them.

    Returns:
        The saving, negative if the quality costs more than the reference; nan if no setting reaches it.
    """
    c, q = finite_vector("cost", cost), finite_vector("quality", quality)
    same_length(cost=c, quality=q)
    if not reference_cost > 0.0:
        raise MetricError("reference_cost", "> 0", reference_cost)
    if not share > 0.0:
        raise MetricError("share", "> 0", share)
    # A product of two decimals can round up past the quality that it names (0.75 x 0.8 > 0.6).
    wanted = share * reference_quality - _QUALITY_ROUNDING
    if mixed:
        hull = fixed_mix_hull(c, q)
        if wanted > hull.quality[-1]:
            return float("nan")
        return 1.0 - float(np.interp(wanted, hull.quality, hull.cost)) / reference_cost
    reached = c[q >= wanted]
    return 1.0 - float(reached.min()) / reference_cost if reached.size else float("nan")


def quality_at_cost(cost: npt.ArrayLike, quality: npt.ArrayLike, *, limit: float, mixed: bool = False) -> float:
    """Return max { Q : C <= limit } over a router's settings, with *mixed* over their random mixtures; nan if none."""
    c, q = finite_vector("cost", cost), finite_vector("quality", quality)
    same_length(cost=c, quality=q)
    if mixed:
        return hull_quality(fixed_mix_hull(c, q), limit)
    affordable = q[c <= limit]
    return float(affordable.max()) if affordable.size else float("nan")
