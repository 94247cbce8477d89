"""Off-policy evaluation: what another policy would have achieved on a log, with an interval that can be trusted."""

from banditd_sim.ope.diagnostics import (
    Calibration,
    Diagnostics,
    SupportLimits,
    diagnose,
    propensity_calibration,
    require_support,
)
from banditd_sim.ope.errors import LogError, OpeError, SupportError
from banditd_sim.ope.evaluate import DEFAULT_ESTIMATORS, DEFAULT_INTERVALS, INTERVALS, Estimate, evaluate
from banditd_sim.ope.intervals import (
    Interval,
    bootstrap_interval,
    empirical_bernstein_interval,
    normal_interval,
    skew_corrected_interval,
    standard_error,
)
from banditd_sim.ope.log import LoggedRounds, take, with_reward
from banditd_sim.ope.problem import ESTIMATORS
from banditd_sim.ope.reward_model import cross_fitted_boosting, cross_fitted_ridge, direct_values, predictable_ridge
from banditd_sim.ope.sequence import (
    ConfidenceSequence,
    PseudoOutcomes,
    StreamingSequence,
    confidence_sequence,
    dr_outcomes,
    ips_outcomes,
    running,
)
from banditd_sim.ope.settings import Settings
from banditd_sim.ope.targets import category_target, constant_target, uniform_target
from banditd_sim.ope.terms import RoundTerms, estimate, round_values
from banditd_sim.ope.weights import as_target, cluster_weights, weight_bound, weighted

__all__ = [
    "DEFAULT_ESTIMATORS",
    "DEFAULT_INTERVALS",
    "ESTIMATORS",
    "INTERVALS",
    "Calibration",
    "ConfidenceSequence",
    "Diagnostics",
    "Estimate",
    "Interval",
    "LogError",
    "LoggedRounds",
    "OpeError",
    "PseudoOutcomes",
    "RoundTerms",
    "Settings",
    "StreamingSequence",
    "SupportError",
    "SupportLimits",
    "as_target",
    "bootstrap_interval",
    "category_target",
    "cluster_weights",
    "confidence_sequence",
    "constant_target",
    "cross_fitted_boosting",
    "cross_fitted_ridge",
    "diagnose",
    "direct_values",
    "dr_outcomes",
    "empirical_bernstein_interval",
    "estimate",
    "evaluate",
    "ips_outcomes",
    "normal_interval",
    "predictable_ridge",
    "propensity_calibration",
    "require_support",
    "round_values",
    "running",
    "skew_corrected_interval",
    "standard_error",
    "take",
    "uniform_target",
    "weight_bound",
    "weighted",
    "with_reward",
]
