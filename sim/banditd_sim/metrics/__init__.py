"""Metrics of a routing policy, each with its formula and source in its docstring."""

from banditd_sim.metrics.adaptation import adoption_rounds, exponential_mean, recovery_ratio, recovery_rounds
from banditd_sim.metrics.aiq import aiq_code, aiq_paper
from banditd_sim.metrics.budget import Compliance, budget_compliance, trailing_mean
from banditd_sim.metrics.errors import MetricError
from banditd_sim.metrics.hull import (
    Hull,
    Mix,
    chosen_mix,
    constant_points,
    fixed_mix_hull,
    gain_over_chosen_mix,
    gain_over_hull,
    hull_quality,
    hull_to_oracle_share,
    mix_point,
)
from banditd_sim.metrics.hypervolume import hypervolume
from banditd_sim.metrics.oracle import Frontier, lagrangian_frontier, oracle_quality
from banditd_sim.metrics.regret import (
    best_category_table,
    best_constant,
    category_regret,
    constant_regret,
    oracle_regret,
)
from banditd_sim.metrics.routellm import Curve, apgr, cpt, pgr, threshold_curve
from banditd_sim.metrics.routerarena import routerarena_score
from banditd_sim.metrics.savings import cost_saving_at_quality, quality_at_cost
from banditd_sim.metrics.seeds import SeedMean, paired_difference, seed_mean

__all__ = [
    "Compliance",
    "Curve",
    "Frontier",
    "Hull",
    "MetricError",
    "Mix",
    "SeedMean",
    "adoption_rounds",
    "aiq_code",
    "aiq_paper",
    "apgr",
    "best_category_table",
    "best_constant",
    "budget_compliance",
    "category_regret",
    "chosen_mix",
    "constant_points",
    "constant_regret",
    "cost_saving_at_quality",
    "cpt",
    "exponential_mean",
    "fixed_mix_hull",
    "gain_over_chosen_mix",
    "gain_over_hull",
    "hull_quality",
    "hull_to_oracle_share",
    "hypervolume",
    "lagrangian_frontier",
    "mix_point",
    "oracle_quality",
    "oracle_regret",
    "paired_difference",
    "pgr",
    "quality_at_cost",
    "recovery_ratio",
    "recovery_rounds",
    "routerarena_score",
    "seed_mean",
    "threshold_curve",
    "trailing_mean",
]
