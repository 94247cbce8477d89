"""What summary.json holds. `summary.schema.json` beside this file is made of these types (`python -m` this module).

Intervals are (low, high) at 95 %, over seeds; null where there is one seed only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

Ci: TypeAlias = tuple[float, float] | None


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    """One policy, or baseline, at one budget in one scenario on one data set: means over seeds."""

    dataset: str
    """Name of the data set."""
    scenario: str
    """Name of the scenario."""
    policy: str
    """As in the experiment; baselines are constant:MODEL, uniform, category_table, prompt_length, fixed_mix, oracle."""
    budget_usd: float | None
    """Mean USD per request that it may spend; null if none."""
    seeds: int
    """Number of seeds."""
    rounds: int
    """Measured rounds per seed."""
    quality: float
    """Mean quality per prompt, in [0, 1]."""
    quality_ci: Ci
    """Its interval."""
    cost_usd: float
    """Mean USD per prompt."""
    hull_quality: float
    """Quality of the fixed mix of constant models at that cost, in hindsight. Where a scenario takes a model out of the
    catalogue, the cheapest one stands in for it."""
    gain_over_hull: float
    """Quality minus that."""
    gain_over_hull_ci: Ci
    """Its interval."""
    gain_over_chosen_mix: float | None
    """Quality minus that of the mixes which the history would have chosen; null without a history."""
    gain_over_chosen_mix_ci: Ci
    """Its interval."""
    oracle_quality_at_cost: float
    """The best that any choice per prompt could have had at that cost."""
    best_constant_model: str
    """The constant of best utility within the budget."""
    best_constant_quality: float
    """Its mean quality."""
    best_constant_cost_usd: float
    """Its mean cost."""
    budget_ratio: float | None
    """Cost over budget; null without a budget."""
    rounds_per_second: float | None
    """Rounds per second of process time in the replay loop; null for baselines, which have none. Varies from run to
    run, unlike all other figures."""
    kind: str
    """`policy` or `baseline`."""
    utility: float
    """Mean of quality - usd_weight * cost - second_weight * seconds."""
    utility_ci: Ci
    """Its interval."""
    latency_ms: float | None
    """Mean latency; null where unknown."""
    failed_share: float
    """Share of the calls that failed."""
    hull_to_oracle_share: float | None
    """Way from hull to oracle at equal cost that was gone; null where there is no way."""
    regret_oracle: float
    """Utility lost against the best model of each prompt, summed over a seed's rounds."""
    regret_oracle_at_budget: float | None
    """Quality lost against the best choice per prompt that the budget could pay (the Lagrangian oracle at the budget),
    summed likewise; null without a budget."""
    regret_constant: float | None
    """The same against the best constant in hindsight."""
    regret_category: float | None
    """The same against the best category table in hindsight; null where the data has gaps."""
    routerarena_score: float
    """RouterArena's score of quality and cost in one number, in [0, 1] (`metrics.routerarena`)."""
    shares: dict[str, float]
    """Share of the prompts that each model got."""


class Phase(Struct, frozen=True, forbid_unknown_fields=True):
    """A row's figures between two events of a scenario."""

    dataset: str
    scenario: str
    policy: str
    budget_usd: float | None
    start: int
    """First measured round."""
    stop: int
    """Round after the last."""
    quality: float
    cost_usd: float
    utility: float
    best_constant_utility: float
    """Of the model that was best in the phase, in hindsight, among those within the budget."""
    phase_budget_usd: float | None
    """Budget in force."""
    budget_ratio: float | None
    recovery_rounds: float | None
    """Rounds until the smoothed utility came within 3 % of `best_constant_utility` and stayed: median over seeds; null
    if half of them or more never did."""
    adoption_rounds: float | None
    """Rounds until the models that come with the phase had a quarter of the last 100 prompts, and kept it: median over
    seeds; null if half of them or more never did, which is right where the newcomer is not worth it, or if none comes.
    """
    shares: dict[str, float]


class Frontier(Struct, frozen=True, forbid_unknown_fields=True):
    """What a policy offers over all its budgets, and with all prompts sent to the cheapest model (`report.frontiers`).

    Means over seeds, each with its interval.
    """

    dataset: str
    scenario: str
    policy: str
    settings: int
    """Number of budgets, none being one."""
    cost_min_usd: float
    """Mean USD per prompt of the cheapest constant: where areas begin."""
    cost_max_usd: float
    """Of the dearest constant or policy of the scenario: where areas end, for all policies alike."""
    quality_ref: float
    """Quality of the cheapest constant: the hypervolume counts what is above it."""
    aiq_paper: float | None
    """Average improvement in quality as in the RouterBench paper: mean height of the settings' non-decreasing hull from
    `cost_min_usd` to `cost_max_usd`; null where these are equal."""
    aiq_paper_ci: Ci
    aiq_code: float | None
    """The same as RouterBench's code has it, which divides by `cost_max_usd`; null for fewer than 3 distinct costs."""
    aiq_code_ci: Ci
    hypervolume: float
    """USD x quality that the settings dominate, up to `cost_max_usd` and above `quality_ref`."""
    hypervolume_ci: Ci
    quality_at_best_constant_cost: float | None
    """Quality of the settings, or their mixes, at no more than the cost of the constant of best quality."""
    quality_at_best_constant_cost_ci: Ci
    cost_saving: dict[str, float | None]
    """By share of the best constant's quality (0.9, 0.95, 1): 1 - the settings' least cost of reaching it, over that
    constant's; null where they do not in every seed."""
    apgr: float | None
    """RouteLLM's average performance gap recovered, with budgets for thresholds; null unless there are two models."""
    apgr_ci: Ci
    cpt: dict[str, float | None]
    """RouteLLM's share of calls to the strong model that recovers this share of the gap (0.5, 0.8); null likewise."""


class Difference(Struct, frozen=True, forbid_unknown_fields=True):
    """Two policies on the same seeds: means of the differences, first minus second."""

    dataset: str
    scenario: str
    budget_usd: float | None
    first: str
    second: str
    quality: float
    quality_ci: Ci
    cost_usd: float
    cost_usd_ci: Ci
    utility: float
    utility_ci: Ci


class Dataset(Struct, frozen=True, forbid_unknown_fields=True):
    """What was played on."""

    name: str
    fingerprint: str
    models: list[str]
    warm_prompts: int
    warm_log_rounds: int
    """Rounds of the log that went in first; 0 if there was none."""
    warm_log_fingerprint: str
    learn_prompts: int
    measured_prompts: int
    left_out_prompts: int
    revealed: str
    """What a policy saw of a prompt: the `outcome` of the model it chose, or, where the data has nothing but
    comparisons, one `comparison` of the pair it named. Quality then is the share of its duels on the prompt that the
    first of the pair won, ties being half."""
    costs: str
    """Where costs are from: `measured`, or for comparisons the list prices; without these they are unknown, and 0."""


class Summary(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole result of an experiment."""

    rows: list[Row]
    phases: list[Phase]
    frontiers: list[Frontier]
    differences: list[Difference]
    datasets: list[Dataset]
    usd_weight: float
    second_weight: float
    versions: dict[str, str]


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of summary.json."""
    schema: dict[str, Any] = msgspec.json.schema(Summary)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "banditd-sim summary", **schema}


SCHEMA_FILE = Path(__file__).with_name("summary.schema.json")


def schema_bytes() -> bytes:
    """Return the content of the published schema."""
    return json.dumps(json_schema(), indent=1).encode() + b"\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_bytes(schema_bytes())
