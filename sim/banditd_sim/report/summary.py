"""summary: figures of seeds to rows of tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from banditd_sim.environments.baselines import is_baseline
from banditd_sim.experiments.config import Experiment
from banditd_sim.experiments.keep import Folder
from banditd_sim.experiments.plan import Subject, Task
from banditd_sim.metrics import paired_difference, seed_mean
from banditd_sim.report.frontiers import frontiers
from banditd_sim.report.schema import Ci, Dataset, Difference, Frontier, Phase, Row, Summary

_Figures = list[dict[str, Any]]
# What makes a row: data set, scenario, policy, budget.
_Key = tuple[int, int, str, float | None]

_MEANS: Final = (
    "quality",
    "cost_usd",
    "utility",
    "failed_share",
    "hull_quality",
    "gain_over_hull",
    "oracle_quality_at_cost",
    "best_constant_quality",
    "best_constant_cost_usd",
    "regret_oracle",
    "routerarena_score",
)
_OPTIONAL_MEANS: Final = (
    "latency_ms",
    "gain_over_chosen_mix",
    "hull_to_oracle_share",
    "budget_ratio",
    "regret_oracle_at_budget",
    "regret_constant",
    "regret_category",
)


def summarise(experiment: Experiment, folder: Folder, tasks: Sequence[Task], subjects: Sequence[Subject]) -> Summary:
    """Return the summary of a finished experiment."""
    figures: dict[_Key, _Figures] = {}
    for task in tasks:
        key = (task.dataset, task.scenario, task.policy, task.budget_usd)
        figures.setdefault(key, []).extend(folder.figures(task))
    names = {key: _names(key, experiment, subjects) for key in figures}
    return Summary(
        rows=[_row(names[key], key, found) for key, found in figures.items()],
        phases=[phase for key, found in figures.items() for phase in _phases(names[key], key, found)],
        frontiers=_frontiers(figures, names),
        differences=_differences(figures, names),
        datasets=[Dataset(**about) for about in folder.about["datasets"]],
        usd_weight=experiment.usd_weight,
        second_weight=experiment.second_weight,
        versions=folder.about["versions"],
    )


def _names(key: _Key, experiment: Experiment, subjects: Sequence[Subject]) -> dict[str, Any]:
    return {"dataset": subjects[key[0]].arena.name, "scenario": experiment.scenarios[key[1]].name}


def _row(names: dict[str, Any], key: _Key, figures: _Figures) -> Row:
    means: dict[str, Any] = {name: _mean(_column(figures, name)) for name in _MEANS}
    means |= {name: _mean_or_none(_column(figures, name)) for name in _OPTIONAL_MEANS}
    # The order of the prompts may decide between equal constants; most seeds' word counts, then the alphabet's.
    best = [one["best_constant_model"] for one in figures]
    seconds = [one["seconds"] for one in figures]
    played = sum(one["played_rounds"] for one in figures)
    return Row(
        **names,
        policy=key[2],
        budget_usd=key[3],
        seeds=len(figures),
        rounds=figures[0]["rounds"],
        quality_ci=_ci(_column(figures, "quality")),
        gain_over_hull_ci=_ci(_column(figures, "gain_over_hull")),
        gain_over_chosen_mix_ci=_ci(_column(figures, "gain_over_chosen_mix")),
        utility_ci=_ci(_column(figures, "utility")),
        best_constant_model=max(sorted(set(best)), key=best.count),
        rounds_per_second=None if None in seconds else played / max(sum(seconds), 1e-9),
        kind="baseline" if is_baseline(key[2]) else "policy",
        shares=_mean_shares([one["shares"] for one in figures]),
        **means,
    )


def _phases(names: dict[str, Any], key: _Key, figures: _Figures) -> list[Phase]:
    return [
        Phase(
            **names,
            policy=key[2],
            budget_usd=key[3],
            start=parts[0]["start"],
            stop=parts[0]["stop"],
            quality=_mean(_column(parts, "quality")),
            cost_usd=_mean(_column(parts, "cost_usd")),
            utility=_mean(_column(parts, "utility")),
            best_constant_utility=_mean(_column(parts, "best_constant_utility")),
            phase_budget_usd=_mean_or_none(_column(parts, "budget_usd")),
            budget_ratio=_mean_or_none(_column(parts, "budget_ratio")),
            recovery_rounds=_median_or_none(_column(parts, "recovery_rounds")),
            adoption_rounds=_median_or_none(_column(parts, "adoption_rounds")),
            shares=_mean_shares([part["shares"] for part in parts]),
        )
        for parts in zip(*(one["phases"] for one in figures), strict=True)
    ]


def _frontiers(figures: dict[_Key, _Figures], names: dict[_Key, dict[str, Any]]) -> list[Frontier]:
    """Return the frontiers of every scenario on every data set."""
    places: dict[tuple[int, int], dict[str, list[_Figures]]] = {}
    for key, found in figures.items():
        places.setdefault(key[:2], {}).setdefault(key[2], []).append(found)
    of_place = {key[:2]: about for key, about in names.items()}
    return [one for place, policies in places.items() for one in frontiers(of_place[place], policies)]


def _differences(figures: dict[_Key, _Figures], names: dict[_Key, dict[str, Any]]) -> list[Difference]:
    """Return all pairs of learning policies on equal terms."""
    found = []
    keys = list(figures)
    for place, first in enumerate(keys):
        if is_baseline(first[2]):
            continue
        for second in keys[place + 1 :]:
            same_terms = first[:2] == second[:2] and first[3] == second[3]
            if same_terms and not is_baseline(second[2]):
                a, b = figures[first], figures[second]
                found.append(_difference({**names[first], "budget_usd": first[3]}, (first[2], second[2]), a, b))
    return found


def _difference(names: dict[str, Any], pair: tuple[str, str], a: _Figures, b: _Figures) -> Difference:
    values: dict[str, Any] = {}
    for name in ("quality", "cost_usd", "utility"):
        mean = paired_difference(_column(a, name), _column(b, name))
        values[name] = mean.mean
        values[f"{name}_ci"] = (mean.low, mean.high) if mean.seeds_count > 1 else None
    return Difference(**names, first=pair[0], second=pair[1], **values)


def _column(figures: Sequence[dict[str, Any]], name: str) -> list[Any]:
    return [one[name] for one in figures]


def _mean(values: list[float]) -> float:
    return float(np.mean(values))


def _mean_or_none(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if len(known) == len(values) else None


def _median_or_none(rounds: list[int | None]) -> float | None:
    """Return the (upper) median, None counting as later than any round; None if it is that."""
    middle = sorted(math.inf if one is None else float(one) for one in rounds)[len(rounds) // 2]
    return middle if math.isfinite(middle) else None


def _ci(values: list[float | None]) -> Ci:
    known = [value for value in values if value is not None]
    if len(known) < len(values) or len(known) < 2:
        return None
    interval = seed_mean(known)
    return interval.low, interval.high


def _mean_shares(shares: Sequence[dict[str, float]]) -> dict[str, float]:
    return {model: _mean([one[model] for one in shares]) for model in shares[0]}
