"""Settings: everything that `evaluate` can be told beyond log, target, names and seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from banditd_sim.ope.arrays import Float64, Int64
from banditd_sim.ope.diagnostics import SupportLimits
from banditd_sim.ope.tuning import Rule
from banditd_sim.ope.weights import Missing


@dataclass(frozen=True, slots=True)
class Settings:
    """How to evaluate. The defaults are what `evaluate` does unasked.

    Attributes:
        alpha: In (0, 1), one minus the intervals' level.
        limits: When to refuse; None never refuses (diagnostics are still reported).
        missing: What to do about unobserved rewards, see `weights.weighted`.
        reward_model: "ridge", "boosting", or q (n, K), finite, made elsewhere from other data.
        folds: At least 2, for cross-fitting.
        tuning: Rule that chooses clip, switch and shrinkage parameters, see `tuning.py`.
        parameters: Pairs of estimator name and parameter, used instead of tuning.
        model_cluster: (K,), for mips.
        resamples: Of the bootstrap, at least 1 / alpha.
        slack: Of the doubly robust confidence sequence, >= 0, see `sequence.dr_outcomes`.
        rho: Of the confidence sequences, > 0, see `sequence.confidence_sequence`.
    """

    alpha: float = 0.05
    limits: SupportLimits | None = field(default_factory=SupportLimits)
    missing: Missing = "refuse"
    reward_model: Literal["ridge", "boosting"] | Float64 = "ridge"
    folds: int = 5
    tuning: Rule = "mse"
    parameters: tuple[tuple[str, float], ...] = ()
    model_cluster: Int64 | None = None
    resamples: int = 1000
    slack: float = 4.0
    rho: float = 1.0
