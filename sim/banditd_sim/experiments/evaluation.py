"""evaluation: target policies on one log, estimated or refused."""

from __future__ import annotations

import math
from collections.abc import Sequence

from banditd_sim.datasets import log_fingerprint
from banditd_sim.experiments.rejection import REPLAY_PREFIX, replayed
from banditd_sim.experiments.targets import target_pmf
from banditd_sim.experiments.versions import versions
from banditd_sim.ope import (
    DEFAULT_ESTIMATORS,
    DEFAULT_INTERVALS,
    Diagnostics,
    Estimate,
    LoggedRounds,
    Settings,
    SupportError,
    diagnose,
    estimate,
    evaluate,
    normal_interval,
    standard_error,
    weighted,
)
from banditd_sim.ope import estimators as est
from banditd_sim.ope.arrays import Float64
from banditd_sim.ope.weights import as_target
from banditd_sim.report.ope_schema import OpeRow, OpeSummary, OpeTarget

LOGGED = "logged"


def evaluate_targets(
    name: str,
    log: LoggedRounds,
    targets: Sequence[str],
    *,
    estimators: Sequence[str] = DEFAULT_ESTIMATORS,
    intervals: Sequence[str] = DEFAULT_INTERVALS,
    seed: int = 0,
    settings: Settings | None = None,
) -> OpeSummary:
    """Evaluate each target; one that the log cannot support is refused, with its reason, and the others go on.

    Args:
        name: Of the log, for the report.
        log: The rounds.
        targets: See `targets.FORMS`, or as `rejection.replayed` takes them.
        estimators: Of `banditd_sim.ope.ESTIMATORS`.
        intervals: Of `banditd_sim.ope.INTERVALS`.
        seed: Decides folds and resamples.
        settings: See `Settings`.

    Raises:
        SimError: A target that cannot be made.
        LogError: A malformed log, target or setting.
    """
    settings = Settings() if settings is None else settings
    rows: list[OpeRow] = [_logged(log)] if bool(log.observed.any()) else []
    about = []
    for spec in targets:
        if spec.startswith(REPLAY_PREFIX):
            of_target, told = replayed(spec, log, seed=seed, alpha=settings.alpha)
            rows += of_target
            about.append(told)
            continue
        target = as_target(log, target_pmf(spec, log))
        try:
            found = evaluate(log, target, estimators, intervals, seed, settings)
        except SupportError as error:
            about.append(_refused(spec, error, _diagnostics(log, target, settings)))
            continue
        rows += [_row(spec, one) for one in found]
        about.append(_target(spec, found[0].diagnostics))
    return OpeSummary(
        log=name,
        fingerprint=log_fingerprint(log),
        rounds=len(log),
        censored_rounds=int((~log.observed).sum()),
        missing=settings.missing,
        seed=seed,
        models=list(log.model_ids),
        rows=rows,
        targets=about,
        versions=versions(),
    )


def _logged(log: LoggedRounds) -> OpeRow:
    """Return what the logging policy itself received, which needs no weights."""
    reward = log.reward[log.observed]
    terms = est.ips(reward, reward * 0.0 + 1.0)
    ends = normal_interval(terms, alpha=0.05) if len(reward) > 1 else None
    return OpeRow(
        target=LOGGED,
        estimator="mean",
        interval="normal",
        value=estimate(terms),
        low=None if ends is None else ends.low,
        high=None if ends is None else ends.high,
        level=0.95,
        standard_error=_finite(standard_error(terms)) if len(reward) > 1 else None,
        parameter=None,
        refusal="" if ends is not None else "a single observed round",
    )


def _row(spec: str, one: Estimate) -> OpeRow:
    return OpeRow(
        target=spec,
        estimator=one.estimator,
        interval=one.interval,
        value=one.value,
        low=_finite(one.low),
        high=_finite(one.high),
        level=one.level,
        standard_error=_finite(one.standard_error),
        parameter=None if one.parameter is None else _finite(one.parameter),
        refusal=one.refusal,
    )


def _diagnostics(log: LoggedRounds, target: Float64, settings: Settings) -> Diagnostics | None:
    try:
        return diagnose(log, target, weighted(log, target, missing=settings.missing))
    except SupportError:
        return None


def _target(spec: str, found: Diagnostics) -> OpeTarget:
    return OpeTarget(
        target=spec,
        refusal="",
        refusal_reason="",
        ess=_finite(found.ess),
        weight_largest=_finite(found.weight_largest),
        weight_mean=_finite(found.weight_mean),
        unsupported_mass=_finite(found.unsupported_mass),
        calibration_p_value=None if found.calibration is None else found.calibration.p_value,
    )


def _refused(spec: str, error: SupportError, found: Diagnostics | None) -> OpeTarget:
    if found is None:
        return OpeTarget(spec, str(error), error.reason, None, None, None, None, None)
    known = _target(spec, found)
    return OpeTarget(
        spec,
        str(error),
        error.reason,
        known.ess,
        known.weight_largest,
        known.weight_mean,
        known.unsupported_mass,
        known.calibration_p_value,
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
