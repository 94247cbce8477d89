"""The fixed-mix hull: what random mixtures of constant models achieve, with nothing learned.

Z(c) is the upper concave hull of the models' points (mean cost, mean quality), with free disposal: the best quality of
a mixture that costs at most c. A router below it loses to a coin (the "zero router" of RouterBench, Hu et al. 2024,
arXiv:2403.12031, section 3). Gain over the hull is R(c) - Z(c) at the router's own mean cost c.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from banditd_sim.metrics.arrays import Float64, Int64, finite_vector, same_length, table
from banditd_sim.metrics.errors import MetricError

# A cost below the cheapest model's by less than this share is that cost, up to the rounding of sums.
_COST_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Hull:
    """Vertices of the fixed-mix hull.

    Attributes:
        cost: (m,), increasing; the first is the cheapest model's.
        quality: (m,), increasing.
        model: (m,), which model each vertex is.
    """

    cost: Float64
    quality: Float64
    model: Int64


@dataclass(frozen=True, slots=True)
class Mix:
    """A mixture of constant models.

    Attributes:
        weight: (K,), non-negative, sums to 1; at most two are positive.
    """

    weight: Float64


def constant_points(quality: npt.ArrayLike, cost: npt.ArrayLike) -> tuple[Float64, Float64]:
    """Return mean cost and mean quality (K,) of each model over the rounds in which it was measured.

    Raises:
        MetricError: A model that was never measured.
    """
    q, c = table("quality", quality), table("cost", cost)
    same_length(quality=q, cost=c)
    never = np.isnan(q).all(axis=0) | np.isnan(c).all(axis=0)
    if never.any():
        raise MetricError(f"quality[:, {int(np.argmax(never))}]", "at least one measured round", "only nan")
    return np.nanmean(c, axis=0), np.nanmean(q, axis=0)


def fixed_mix_hull(cost: npt.ArrayLike, quality: npt.ArrayLike) -> Hull:
    """Return the upper concave, non-decreasing hull of K points (Andrew's monotone chain, 1979).

    Points on an edge are not vertices. Of equal points the first model is kept.

    Args:
        cost: (K,), mean cost of each model, >= 0.
        quality: (K,).
    """
    c, q = finite_vector("cost", cost), finite_vector("quality", quality)
    same_length(cost=c, quality=q)
    if float(c.min()) < 0.0:
        raise MetricError("cost", ">= 0", float(c.min()))
    kept: list[int] = []
    for k in np.lexsort((np.arange(c.size), -q, c)):
        # No better than a cheaper (or equally cheap) one: disposed of.
        if kept and q[k] <= q[kept[-1]]:
            continue
        while len(kept) > 1 and _not_above(c, q, kept[-2], kept[-1], int(k)):
            kept.pop()
        kept.append(int(k))
    index = np.array(kept, dtype=np.int64)
    return Hull(c[index], q[index], index)


def hull_quality(hull: Hull, cost: float) -> float:
    """Return Z(cost): linear between vertices, constant beyond the last, nan below the first (no mix is so cheap)."""
    if not cost >= hull.cost[0] * (1.0 - _COST_ROUNDING):
        return float("nan")
    return float(np.interp(cost, hull.cost, hull.quality))


def gain_over_hull(hull: Hull, *, cost: float, quality: float) -> float:
    """Return quality - Z(cost): the gain over the best mix at equal cost, chosen in hindsight on the same rounds."""
    return quality - hull_quality(hull, cost)


def hull_to_oracle_share(hull: Hull, *, cost: float, quality: float, oracle_quality: float) -> float:
    """Return (quality - Z(cost)) / (oracle_quality - Z(cost)): 0 on the hull, 1 at the Lagrangian oracle.

    nan where the oracle is no better than the hull by more than 1e-12: there is no way to go.
    """
    base = hull_quality(hull, cost)
    way = oracle_quality - base
    return (quality - base) / way if way > 1e-12 else float("nan")


def chosen_mix(history: Hull, *, budget: float, models_count: int) -> Mix:
    """Return the mix that the history's hull recommends for a mean cost of at most *budget*.

    Raises:
        MetricError: A budget below the cheapest model's mean cost.
    """
    if not budget >= history.cost[0] * (1.0 - _COST_ROUNDING):
        raise MetricError("budget", f"at least the cheapest model's mean cost, {history.cost[0]:.6g}", budget)
    weight = np.zeros(models_count)
    j = int(np.searchsorted(history.cost, budget, side="right"))
    if j in {0, history.cost.size}:
        weight[history.model[min(j, history.cost.size - 1)]] = 1.0
        return Mix(weight)
    share = (budget - history.cost[j - 1]) / (history.cost[j] - history.cost[j - 1])
    weight[history.model[j]] = share
    weight[history.model[j - 1]] = 1.0 - share
    return Mix(weight)


def mix_point(mix: Mix, cost: npt.ArrayLike, quality: npt.ArrayLike) -> tuple[float, float]:
    """Return the mean cost and quality of a mix whose models have mean *cost* (K,) and *quality* (K,)."""
    c, q = finite_vector("cost", cost), finite_vector("quality", quality)
    same_length(cost=c, quality=q, weight=mix.weight)
    return float(mix.weight @ c), float(mix.weight @ q)


def gain_over_chosen_mix(
    history: Hull, measured_cost: npt.ArrayLike, measured_quality: npt.ArrayLike, *, cost: float, quality: float
) -> float:
    """Return a router's quality minus that of the mixes that the history would have chosen, at equal measured cost.

    The history's hull gives a path of mixes, from its cheapest model to its best. On the measured rounds each has
    another cost and quality than promised. Compared is the best of the path that costs at most *cost* there: the
    baseline may choose how far to go on the path in hindsight, not which models to mix.

    Args:
        history: Hull of the history (`fixed_mix_hull`).
        measured_cost: (K,), the models' mean cost on the measured rounds.
        measured_quality: (K,).
        cost: The router's mean cost on the measured rounds.
        quality: The router's mean quality there.

    Returns:
        The gain; nan if no mix of the path is so cheap.
    """
    c = finite_vector("measured_cost", measured_cost)[history.model]
    q = finite_vector("measured_quality", measured_quality)[history.model]
    limit = cost * (1.0 + _COST_ROUNDING)
    best = float(q[c <= limit].max(initial=-np.inf))
    for i in range(c.size - 1):
        if (c[i] <= limit) != (c[i + 1] <= limit):
            share = (cost - c[i]) / (c[i + 1] - c[i])
            best = max(best, float(q[i] + share * (q[i + 1] - q[i])))
    return quality - best if np.isfinite(best) else float("nan")


def _not_above(c: Float64, q: Float64, i: int, j: int, k: int) -> bool:
    """Whether point j is on or below the line from i to k (c[i] < c[j] < c[k])."""
    return bool((q[j] - q[i]) * (c[k] - c[i]) <= (q[k] - q[i]) * (c[j] - c[i]))
