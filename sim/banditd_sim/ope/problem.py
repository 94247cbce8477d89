"""Problem: one log weighed by one target, and the estimators and bounds by name on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from banditd_sim.ope import estimators as est
from banditd_sim.ope.arrays import Float64
from banditd_sim.ope.errors import LogError, SupportError
from banditd_sim.ope.intervals import Interval, empirical_bernstein_interval
from banditd_sim.ope.log import LoggedRounds
from banditd_sim.ope.reward_model import cross_fitted_boosting, cross_fitted_ridge, direct_values, predictable_ridge
from banditd_sim.ope.sequence import confidence_sequence, dr_outcomes, ips_outcomes
from banditd_sim.ope.settings import Settings
from banditd_sim.ope.terms import RoundTerms
from banditd_sim.ope.tuning import choose_by_mse, choose_by_slope, default_candidates
from banditd_sim.ope.weights import Weighted, cluster_weights

ESTIMATORS = (
    "dm",
    "ips",
    "clipped_ips",
    "snips",
    "dr",
    "sndr",
    "switch_dr",
    "dr_os",
    "sub_gaussian_ips",
    "sub_gaussian_dr",
    "mips",
    "replay",
    "rejection_sampling",
)
NEEDS_REWARD_MODEL = frozenset({"dm", "dr", "sndr", "switch_dr", "dr_os", "sub_gaussian_dr"})

# ln(1 / delta) in the sub-Gaussian estimators' mixing parameter; 2 is delta = 0.135, a compromise between the bias of
# more mixing and the variance of less.
_MIXING_LOG_TERM = 2.0


@dataclass(frozen=True, slots=True)
class Problem:
    """What every estimator and interval of one evaluation shares.

    Attributes:
        log: n rounds.
        target: (n, K), checked.
        weights: Of *log* by *target*.
        q_drawn: (n,), the reward model at the drawn model, or None if no estimator needs it.
        model_value: (n,), the direct values, or None likewise.
        settings: See `Settings`.
        seed: Decides acceptances.
    """

    log: LoggedRounds
    target: Float64
    weights: Weighted
    q_drawn: Float64 | None
    model_value: Float64 | None
    settings: Settings
    seed: int


def pose(
    log: LoggedRounds, target: Float64, weights: Weighted, *, settings: Settings, seed: int, with_reward_model: bool
) -> Problem:
    """Make a problem, fitting the reward model if asked to."""
    if not with_reward_model:
        return Problem(log, target, weights, None, None, settings, seed)
    q = _reward_model(log, settings, seed)
    return Problem(log, target, weights, q[np.arange(len(log)), log.action], direct_values(q, target), settings, seed)


def terms_by_name(problem: Problem, name: str) -> tuple[RoundTerms, float | None]:
    """Return an estimator's terms and the parameter that was given or chosen for it, None if it has none.

    Raises:
        SupportError: The estimator does not apply to this log.
        LogError: Something that it needs was not given.
    """
    reward, weight = problem.weights.reward, problem.weights.weight
    match name:
        case "ips":
            return est.ips(reward, weight), None
        case "snips":
            return est.snips(reward, weight), None
        case "mips":
            return est.mips(reward, _cluster_weight(problem)), None
        case "replay":
            target_drawn, log = problem.weights.target_drawn, problem.log
            return est.replay(reward, target_drawn, log.propensity, _eligible_count(log)), None
        case "rejection_sampling":
            bound = _given(problem, name) or problem.weights.weight_bound
            return est.rejection_sampling(reward, weight, weight_bound=bound, seed=problem.seed), bound
        case "clipped_ips":
            return _tuned(
                problem,
                name,
                make=lambda m: est.clipped_ips(reward, weight, weight_max=m),
                modified=lambda m: np.minimum(weight, m),
                residual=reward,
            )
        case "sub_gaussian_ips":
            mixing = _mixing(problem, name)
            return est.sub_gaussian_ips(reward, weight, mixing=mixing), mixing
    return _terms_with_model(problem, name)


def _terms_with_model(problem: Problem, name: str) -> tuple[RoundTerms, float | None]:
    assert problem.q_drawn is not None
    assert problem.model_value is not None
    reward, weight = problem.weights.reward, problem.weights.weight
    arrays = (reward, weight, problem.q_drawn, problem.model_value)
    match name:
        case "dm":
            return est.dm(problem.model_value), None
        case "dr":
            return est.dr(*arrays), None
        case "sndr":
            return est.sndr(*arrays), None
        case "sub_gaussian_dr":
            mixing = _mixing(problem, name)
            return est.sub_gaussian_dr(*arrays, mixing=mixing), mixing
        case "switch_dr":
            return _tuned(
                problem,
                name,
                make=lambda m: est.switch_dr(*arrays, weight_max=m),
                modified=lambda m: np.where(weight <= m, weight, 0.0),
                residual=reward - problem.q_drawn,
            )
    assert name == "dr_os", name
    return _tuned(
        problem,
        name,
        make=lambda s: est.dr_os(*arrays, shrinkage=s),
        modified=lambda s: est.shrunk_weight(weight, s),
        residual=reward - problem.q_drawn,
        squared=True,
    )


def empirical_bernstein_by_name(problem: Problem, name: str, terms: RoundTerms) -> Interval:
    """Return the empirical Bernstein interval with the range that this estimator's terms can have.

    Raises:
        SupportError: `NO_BOUND` where the weights are not bounded by a floor or the logged pmf, for ratios, and where a
            parameter was chosen by looking at the same rounds, which voids the bound.
    """
    low, high = problem.log.reward_min, problem.log.reward_max
    if problem.log.floor is None and problem.log.pmf is None:
        message = "empirical Bernstein: expected a floor or the logged pmf, which bound the weights, got neither"
        raise SupportError(message, reason="NO_BOUND")
    bound = problem.weights.weight_bound
    if name in {"clipped_ips", "switch_dr", "dr_os", "sub_gaussian_ips", "sub_gaussian_dr"}:
        bound = _modified_bound(name, bound, _given(problem, name))
    elif name == "mips":
        message = "empirical Bernstein: expected ips or dr, got mips, whose weights have another bound"
        raise SupportError(message, reason="NO_BOUND")
    if name in NEEDS_REWARD_MODEL:
        # DM lies in [low, high] and the rest within the bound times the range of rewards.
        term_min, term_max = low - bound * (high - low), high + bound * (high - low)
    else:
        term_min, term_max = min(0.0, bound * low), max(0.0, bound * high)
    return empirical_bernstein_interval(terms, term_min=term_min, term_max=term_max, alpha=problem.settings.alpha)


def sequence_by_name(problem: Problem, name: str) -> Interval:
    """Return the confidence sequence at its last round, for ips or dr.

    Raises:
        SupportError: `NO_BOUND` for other estimators, estimated chances of being observed, or dr without a logged pmf;
            `BOUNDS_CROSS` if nothing is left between the bounds, which wrong propensities bring about.
    """
    log, settings, weights = problem.log, problem.settings, problem.weights
    if name not in {"ips", "dr"}:
        message = f"confidence sequence: expected ips or dr, whose rounds are unbiased one by one, got {name}"
        raise SupportError(message, reason="NO_BOUND")
    if not log.observed.all():
        message = "confidence sequence: expected every reward to be observed; the chance of it is only estimated"
        raise SupportError(message, reason="NO_BOUND")
    scale = log.reward_max - log.reward_min
    reward = (weights.reward - log.reward_min) / scale
    if name == "ips":
        outcomes = ips_outcomes(reward, weights.weight)
    elif log.pmf is None:
        message = "confidence sequence: expected the whole logged pmf, for dr; ips does without"
        raise SupportError(message, reason="NO_BOUND")
    else:
        q = (predictable_ridge(log) - log.reward_min) / scale
        outcomes = dr_outcomes(reward, log.action, problem.target, log.pmf, q, slack=settings.slack)
    bounds = confidence_sequence(outcomes, alpha=settings.alpha, rho=settings.rho, looks=[len(log)])
    low, high = float(bounds.low[0]), float(bounds.high[0])
    if low > high:
        message = f"confidence sequence: the bounds cross ({low:.4g} > {high:.4g}): propensities must be wrong"
        raise SupportError(message, reason="BOUNDS_CROSS")
    return Interval(log.reward_min + scale * low, log.reward_min + scale * high)


def _reward_model(log: LoggedRounds, settings: Settings, seed: int) -> Float64:
    model = settings.reward_model
    if isinstance(model, str):
        if model == "ridge":
            return cross_fitted_ridge(log, folds=settings.folds, seed=seed)
        if model == "boosting":
            return cross_fitted_boosting(log, folds=settings.folds, seed=seed)
        raise LogError("reward_model", "ridge, boosting or an array", repr(model), reason="UNKNOWN_NAME")
    q = np.asarray(model, dtype=np.float64)
    shape = (len(log), log.models_count)
    if q.shape != shape:
        raise LogError("reward_model", f"shape {shape}", f"{q.shape}", reason="WRONG_SHAPE")
    bad = ~np.isfinite(q).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise LogError("reward_model", "finite predictions", q[row].tolist(), row=row, reason="NOT_FINITE")
    return q


def _given(problem: Problem, name: str) -> float | None:
    return dict(problem.settings.parameters).get(name)


def _tuned(
    problem: Problem,
    name: str,
    *,
    make: Callable[[float], RoundTerms],
    modified: Callable[[float], Float64],
    residual: Float64,
    squared: bool = False,
) -> tuple[RoundTerms, float]:
    parameter = _given(problem, name)
    if parameter is None:
        weight = problem.weights.weight
        candidates = default_candidates(weight, squared=squared)
        if problem.settings.tuning == "slope":
            parameter = choose_by_slope(candidates, make)
        else:
            parameter = choose_by_mse(candidates, make, modified, weight=weight, residual=residual)
    return make(parameter), parameter


def _mixing(problem: Problem, name: str) -> float:
    """Return the given mixing, or sqrt(2 ln(1/delta) / (3 n mean(w^2))), at most 1 (Metelli et al., NeurIPS 2021)."""
    given = _given(problem, name)
    if given is not None:
        return given
    weight = problem.weights.weight
    squares = float(weight @ weight)
    return min(1.0, math.sqrt(2.0 * _MIXING_LOG_TERM / (3.0 * squares))) if squares > 0.0 else 1.0


def _cluster_weight(problem: Problem) -> Float64:
    log, cluster = problem.log, problem.settings.model_cluster
    if cluster is None:
        raise LogError("model_cluster", "a cluster per model, for mips", None, reason="NO_CLUSTERS")
    # One over the chance of being observed, which `weighted` has put into its propensities.
    observed = np.where(log.observed, log.propensity / problem.weights.propensity, 0.0)
    return cluster_weights(log, problem.target, np.asarray(cluster)) * observed


def _eligible_count(log: LoggedRounds) -> Float64:
    if log.eligible is None:
        return np.full(len(log), float(log.models_count))
    return np.asarray(log.eligible.sum(axis=1), dtype=np.float64)


def _modified_bound(name: str, bound: float, parameter: float | None) -> float:
    if parameter is None:
        message = f"empirical Bernstein: expected a parameter fixed in advance for {name}, got one tuned on this log"
        raise SupportError(message, reason="NO_BOUND")
    if name in {"clipped_ips", "switch_dr"}:
        return min(bound, parameter)
    if name == "dr_os":
        # s w / (w^2 + s) peaks at w = sqrt(s), where it is sqrt(s) / 2.
        return min(bound, 0.5 * math.sqrt(parameter))
    return bound / (1.0 - parameter + parameter * bound)
