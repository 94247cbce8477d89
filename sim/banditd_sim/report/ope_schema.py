"""What ope.json holds."""

from __future__ import annotations

from msgspec import Struct


class OpeRow(Struct, frozen=True, forbid_unknown_fields=True):
    """One estimate of one target."""

    target: str
    """As asked for; `logged` is the logging policy itself."""
    estimator: str
    """Name of the estimator; `mean` for the logging policy."""
    interval: str
    """Kind of interval."""
    value: float
    """Estimated mean reward per round."""
    low: float | None
    """Lower end; null where `refusal` says why there is none."""
    high: float | None
    """Upper end."""
    level: float
    """Level of the interval, 0.95."""
    standard_error: float | None
    """Of the estimate."""
    parameter: float | None
    """Clip, switch or shrinkage that was used."""
    refusal: str
    """Why there is no interval; empty if there is one."""


class OpeTarget(Struct, frozen=True, forbid_unknown_fields=True):
    """What to know about a target on this log."""

    target: str
    refusal: str
    """Why nothing was estimated; empty if it was."""
    refusal_reason: str
    """The same in upper snake case."""
    ess: float | None
    """Effective sample size, in rounds."""
    weight_largest: float | None
    """Greatest importance weight."""
    weight_mean: float | None
    """Mean importance weight; 1 in expectation where propensities are right."""
    unsupported_mass: float | None
    """Mean probability that the target gives to what the log could not have; null where the log does not tell."""
    calibration_p_value: float | None
    """Of the test whether models were drawn as often as the log claims."""


class OpeSummary(Struct, frozen=True, forbid_unknown_fields=True):
    """An off-policy evaluation."""

    log: str
    """As asked for."""
    fingerprint: str
    """32 hexadecimal digits over what its rounds say."""
    rounds: int
    censored_rounds: int
    """Rounds without a reward."""
    missing: str
    """What was done about these: `refuse`, `drop`, `per_model` or `per_context`."""
    seed: int
    """Decides folds and resamples."""
    models: list[str]
    rows: list[OpeRow]
    targets: list[OpeTarget]
    versions: dict[str, str]
