"""Frontiers: what a policy offers over all its budgets, seed by seed, in the measures of the papers on routers.

A policy's *settings* are its points in the plane of cost and quality, one per budget. Whoever has a router can also
send everything to the cheapest model, so that this is one setting more; without it a policy with a single budget would
have no area. Constants are no routers and have no frontier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from banditd_sim.environments.baselines import CONSTANT_PREFIX
from banditd_sim.metrics import (
    Curve,
    aiq_code,
    aiq_paper,
    apgr,
    cost_saving_at_quality,
    cpt,
    hypervolume,
    quality_at_cost,
    seed_mean,
)
from banditd_sim.ope.arrays import Float64
from banditd_sim.report.schema import Ci, Frontier

# Shares of the best constant's quality at which savings are told: RouterBench's and RouteLLM's.
_QUALITY_SHARES: Final = (0.9, 0.95, 1.0)
# Shares of the gap between weak and strong model at which strong calls are told: RouteLLM's.
_GAP_SHARES: Final = (0.5, 0.8)
# RouterBench's code refuses fewer.
_AIQ_CODE_COSTS_MIN: Final = 3

_Figures = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Reference:
    """What one seed's settings are held against.

    Attributes:
        cost: Mean USD of each constant.
        quality: Likewise.
        model: Their names.
        cost_max: The greatest mean cost of any constant or policy: where every area ends.
    """

    cost: Float64
    quality: Float64
    model: tuple[str, ...]
    cost_max: float

    @property
    def cheapest(self) -> int:
        """The cheapest constant; the better one of equals."""
        return int(np.lexsort((-self.quality, self.cost))[0])

    @property
    def best(self) -> int:
        """The best constant; the cheaper one of equals."""
        return int(np.lexsort((self.cost, -self.quality))[0])


def frontiers(names: Mapping[str, Any], policies: Mapping[str, Sequence[_Figures]]) -> list[Frontier]:
    """Return the frontier of each policy in one scenario on one data set.

    Args:
        names: Data set and scenario.
        policies: Per policy and budget the figures of the seeds, in the order of the seeds. All policies of the
            scenario belong in here, since all areas end at the dearest of them.
    """
    everyone = [figures for settings in policies.values() for figures in settings]
    if not everyone or not everyone[0][0]["constants"]:
        return []
    references = [
        _reference([figures[s] for figures in everyone], everyone[0][s]["constants"]) for s in range(len(everyone[0]))
    ]
    return [
        _frontier(dict(names), policy, settings, references)
        for policy, settings in policies.items()
        if not policy.startswith(CONSTANT_PREFIX)
    ]


def _reference(figures: _Figures, constants: Mapping[str, Sequence[float]]) -> _Reference:
    cost, quality = (np.array([point[i] for point in constants.values()]) for i in (0, 1))
    dearest = max(float(cost.max()), *(float(one["cost_usd"]) for one in figures))
    return _Reference(cost, quality, tuple(constants), dearest)


def _frontier(
    names: dict[str, Any], policy: str, settings: Sequence[_Figures], references: Sequence[_Reference]
) -> Frontier:
    per_seed = [_one([figures[s] for figures in settings], reference) for s, reference in enumerate(references)]
    values: dict[str, Any] = {}
    for name in ("aiq_paper", "aiq_code", "hypervolume", "apgr", "quality_at_best_constant_cost"):
        values[name], values[f"{name}_ci"] = _mean([one[name] for one in per_seed])
    for name, shares in (("cost_saving", _QUALITY_SHARES), ("cpt", _GAP_SHARES)):
        values[name] = {f"{share:g}": _mean([one[f"{name}_{share:g}"] for one in per_seed])[0] for share in shares}
    return Frontier(
        **names,
        policy=policy,
        settings=len(settings),
        cost_min_usd=float(np.mean([one.cost[one.cheapest] for one in references])),
        cost_max_usd=float(np.mean([one.cost_max for one in references])),
        quality_ref=float(np.mean([one.quality[one.cheapest] for one in references])),
        **values,
    )


def _one(settings: _Figures, reference: _Reference) -> dict[str, float | None]:
    """Return one seed's figures; None where one does not apply."""
    cheapest, best = reference.cheapest, reference.best
    start = float(reference.cost[cheapest])
    cost = np.array([start, *(float(one["cost_usd"]) for one in settings)])
    quality = np.array([reference.quality[cheapest], *(float(one["quality"]) for one in settings)])
    wide = start < reference.cost_max
    # Outages can make a policy cheaper than the cheapest constant; all ranges begin there all the same.
    inside = np.maximum(cost, start)
    saving = {
        f"cost_saving_{share:g}": _finite(
            cost_saving_at_quality(
                cost,
                quality,
                reference_cost=float(reference.cost[best]),
                reference_quality=float(reference.quality[best]),
                share=share,
                mixed=True,
            )
        )
        if reference.cost[best] > 0.0
        else None
        for share in _QUALITY_SHARES
    }
    return {
        "aiq_paper": aiq_paper(inside, quality, cost_min=start, cost_max=reference.cost_max) if wide else None,
        "aiq_code": aiq_code(cost, quality, cost_max=reference.cost_max)
        if np.unique(cost).size >= _AIQ_CODE_COSTS_MIN
        else None,
        "hypervolume": hypervolume(
            inside, quality, cost_ref=reference.cost_max, quality_ref=float(reference.quality[cheapest])
        ),
        "quality_at_best_constant_cost": _finite(
            quality_at_cost(cost, quality, limit=float(reference.cost[best]), mixed=True)
        ),
        **saving,
        **_routellm(settings, reference),
    }


def _routellm(settings: _Figures, reference: _Reference) -> dict[str, float | None]:
    """Return APGR and CPT, which are about a strong and a weak model; None where there are not just these two.

    The thresholds of RouteLLM's routers run from no strong calls to strong calls only; budgets are the thresholds here,
    so both ends are added.
    """
    cpts = {f"cpt_{share:g}": None for share in _GAP_SHARES}
    if len(reference.model) != 2 or reference.quality[0] == reference.quality[1]:
        return {"apgr": None, **cpts}
    strong = reference.best
    model = reference.model[strong]
    share = np.array([0.0, *(float(one["shares"][model]) for one in settings), 1.0])
    quality = np.array(
        [reference.quality[1 - strong], *(float(one["quality"]) for one in settings), reference.quality[strong]]
    )
    order = np.lexsort((quality, share))
    curve = Curve(
        share[order], quality[order], weak=float(reference.quality[1 - strong]), strong=float(reference.quality[strong])
    )
    return {"apgr": apgr(curve), **{f"cpt_{x:g}": cpt(curve, x, monotone=True) for x in _GAP_SHARES}}


def _mean(values: Sequence[float | None]) -> tuple[float | None, Ci]:
    """Return the mean over seeds and its interval; None if a seed has no value."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None, None
    if len(known) < 2:
        return float(known[0]), None
    mean = seed_mean(known)
    return mean.mean, (mean.low, mean.high)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
