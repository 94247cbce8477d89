"""evaluate: one log, one target policy, any estimators and intervals, with diagnostics or a refusal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy.typing as npt

from banditd_sim.ope.diagnostics import Diagnostics, diagnose, require_support
from banditd_sim.ope.errors import LogError, SupportError
from banditd_sim.ope.intervals import (
    Interval,
    bootstrap_intervals,
    normal_interval,
    skew_corrected_interval,
    standard_error,
)
from banditd_sim.ope.log import LoggedRounds
from banditd_sim.ope.problem import (
    ESTIMATORS,
    NEEDS_REWARD_MODEL,
    Problem,
    empirical_bernstein_by_name,
    pose,
    sequence_by_name,
    terms_by_name,
)
from banditd_sim.ope.settings import Settings
from banditd_sim.ope.terms import RoundTerms, estimate
from banditd_sim.ope.weights import as_target, weighted

INTERVALS = ("none", "normal", "skew_corrected", "bootstrap", "empirical_bernstein", "confidence_sequence")
# What is put around estimates unasked: as narrow as a normal interval where that is right.
DEFAULT_INTERVALS = ("skew_corrected",)
DEFAULT_ESTIMATORS = ("dm", "ips", "clipped_ips", "snips", "dr", "sndr", "switch_dr", "dr_os")


@dataclass(frozen=True, slots=True)
class Estimate:
    """One row of an evaluation.

    Attributes:
        estimator: One of `ESTIMATORS`.
        interval: One of `INTERVALS`.
        value: The estimate. Not clipped to the range of rewards: an IPS estimate of 1.2 is a warning, not an error.
        low, high: The interval; nan where *refusal* says why there is none.
        level: 1 - alpha.
        standard_error: s / sqrt(n), by the delta method for ratios.
        parameter: The clip, switch, shrinkage, mixing or acceptance bound that was used, or None.
        diagnostics: Shared by all rows of one call.
        refusal: Why this interval cannot be put around this estimator, or "".
    """

    estimator: str
    interval: str
    value: float
    low: float
    high: float
    level: float
    standard_error: float
    parameter: float | None
    diagnostics: Diagnostics
    refusal: str = ""


def evaluate(
    log: LoggedRounds,
    target_pmf: npt.ArrayLike,
    estimators: Sequence[str] = DEFAULT_ESTIMATORS,
    intervals: Sequence[str] = DEFAULT_INTERVALS,
    seed: int = 0,
    settings: Settings | None = None,
) -> list[Estimate]:
    """Estimate the value of a target policy from a log: one row per estimator and interval, in that order.

    The value is the mean reward that the target would have received in these rounds. Intervals cover it in 1 - alpha
    of logs: "normal" and "bootstrap" for large n, "skew_corrected" for smaller n and rarer large weights,
    "empirical_bernstein" always, but for independent rounds and only usefully with a floor, "confidence_sequence"
    always, also if the logging policy was learning or the length of the log was decided by looking at it. They account
    for chance, not for the bias of clipping, switching or shrinking; and since all error of "dm" is bias, it gets no
    interval. Such rows carry a *refusal*.

    The confidence sequence goes around "ips" and "dr" only; the latter's row has an estimate cross-fitted as always,
    and bounds from pseudo-outcomes of its own whose reward model saw earlier rounds only.

    Args:
        log: n rounds, in order of time.
        target_pmf: (n, K), the target's distribution in each round; 0 on ineligible models.
        estimators: Of `ESTIMATORS`.
        intervals: Of `INTERVALS`.
        seed: Decides folds, resamples and acceptances; the same seed gives the same rows.
        settings: See `Settings`.

    Raises:
        LogError: A malformed target, or an unknown name.
        SupportError: The log cannot answer (see `diagnostics.require_support`), or an estimator does not apply.
    """
    settings = Settings() if settings is None else settings
    _check_names("estimators", estimators, ESTIMATORS)
    _check_names("intervals", intervals, INTERVALS)
    if not 0.0 < settings.alpha < 1.0:
        raise LogError("alpha", "in (0, 1)", settings.alpha, reason="PARAMETER_OUT_OF_RANGE")
    target = as_target(log, target_pmf)
    weights = weighted(log, target, missing=settings.missing)
    diagnostics = diagnose(log, target, weights)
    if settings.limits is not None:
        require_support(diagnostics, settings.limits)

    needs_model = not NEEDS_REWARD_MODEL.isdisjoint(estimators)
    problem = pose(log, target, weights, settings=settings, seed=seed, with_reward_model=needs_model)
    made = {name: terms_by_name(problem, name) for name in estimators}
    resampled = (
        _resample(problem, {name: terms for name, (terms, _) in made.items()}) if "bootstrap" in intervals else {}
    )
    rows = []
    for name in estimators:
        terms, parameter = made[name]
        for interval in intervals:
            ends, refusal = None, ""
            try:
                ends = resampled.get(name) if interval == "bootstrap" else None
                ends = _interval(problem, interval, name, terms) if ends is None else ends
            except SupportError as error:
                refusal = str(error)
            rows.append(
                Estimate(
                    estimator=name,
                    interval=interval,
                    value=estimate(terms),
                    low=math.nan if ends is None else ends.low,
                    high=math.nan if ends is None else ends.high,
                    level=1.0 - settings.alpha,
                    standard_error=standard_error(terms),
                    parameter=parameter,
                    diagnostics=diagnostics,
                    refusal=refusal,
                )
            )
    return rows


def _check_names(field: str, names: Sequence[str], known: Sequence[str]) -> None:
    for row, name in enumerate(names):
        if name not in known:
            raise LogError(field, f"one of {', '.join(known)}", repr(name), row=row, reason="UNKNOWN_NAME")


def _resample(problem: Problem, terms: dict[str, RoundTerms]) -> dict[str, Interval]:
    """Return every estimator's bootstrap interval from one set of resamples; "dm" is left to be refused."""
    terms = {name: t for name, t in terms.items() if name != "dm" and len(t) > 1}
    settings = problem.settings
    intervals = bootstrap_intervals(
        list(terms.values()), alpha=settings.alpha, resamples=settings.resamples, seed=problem.seed
    )
    return dict(zip(terms, intervals, strict=True))


def _interval(problem: Problem, interval: str, name: str, terms: RoundTerms) -> Interval | None:
    if interval == "none":
        return None
    if name == "dm":
        message = f"{interval}: the direct method's error is its reward model's, which its rounds' spread does not show"
        raise SupportError(message, reason="NO_BOUND")
    if interval == "empirical_bernstein":
        return empirical_bernstein_by_name(problem, name, terms)
    if interval == "confidence_sequence":
        return sequence_by_name(problem, name)
    if interval == "skew_corrected":
        return skew_corrected_interval(terms, alpha=problem.settings.alpha)
    # A bootstrap that comes here had a single round, and is refused for the reason that a normal interval is.
    return normal_interval(terms, alpha=problem.settings.alpha)
