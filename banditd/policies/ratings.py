"""Ratings from comparisons: Bradley and Terry's with ties, fitted at once, with judges weighed and intervals.

The model is that of `kernels.duel` without a context (Rao & Kupper 1967): with z = u_a - u_b + bias * order,

    p_a = s(z - eta),   p_b = s(-z - eta),   p_tie = 1 - p_a - p_b

maximised with a weak Gaussian prior on everything, so that a model that never lost has a finite rating. A judge who
says the opposite of what he sees is found by the EM algorithm of Chen et al. 2013 ("Pairwise ranking aggregation in a
crowdsourced setting"): his votes count as far as he is held to be honest, and not at all where he contradicts.

Intervals are by the sandwich, clustered by judge where there are enough of them (Huber 1967; Liang and Zeger 1986):
votes of one judge are not independent, and the model need not be true.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from banditd.domain.arrays import AnyArray, Array64, Index

# Precision of the prior of a utility, in logits; of the bias; and of the threshold's log, around its guess.
_PRIOR_UTILITY: Final = 0.05
_PRIOR_BIAS: Final = 1.0
_PRIOR_ETA: Final = 1.0
_LOG_ETA_GUESS: Final = -1.2
_NEWTON_STEPS: Final = 25
_EM_STEPS: Final = 12
_CONVERGED: Final = 1e-7
# Before anything is known, nineteen judges in twenty are honest; one of these says the truth nine times in ten.
_HONEST: Final = 0.95
# Clusters below this give a sandwich that is itself a guess.
_CLUSTERS_MIN: Final = 5
# Beyond so many judges each of them matters little, and leaving out one after another takes long.
_JACKKNIFED_MAX: Final = 500
# Points of a logit on the scale of Chatbot Arena (Elo's: 400 points are odds of ten), and its middle.
ELO_SCALE: Final = 400.0 / math.log(10.0)
ELO_MEAN: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Votes:
    """M comparisons among K models.

    Attributes:
        a: Shape (M,), int64, index of model a.
        b: Shape (M,), of model b.
        shares: Shape (M, 3), float64: what goes to a, to b and to a tie; rows sum to 1.
        order: Shape (M,), float64: 1 where a was shown first, -1 where b was, 0 where nobody knows.
        judge: Shape (M,), int64, index of the judge.
    """

    a: Index
    b: Index
    shares: Array64
    order: Array64
    judge: Index

    def __len__(self) -> int:
        return len(self.a)


@dataclass(frozen=True, slots=True)
class Ratings:
    """What the votes say. Utilities are logits around their mean.

    Attributes:
        utility: Shape (K,), float64, of mean 0.
        deviation: Shape (K,), standard deviation of each.
        covariance: Shape (K, K).
        honest: Shape (J,), probability that a judge is honest.
        bias: What the first place is worth, in logits.
        eta: Threshold for ties, in logits.
        quantile_scale: Standard deviations of an interval, relative to those of a normal distribution: few judges.
    """

    utility: Array64
    deviation: Array64
    covariance: Array64
    honest: Array64
    bias: float
    eta: float
    quantile_scale: float


def _logistic(z: AnyArray) -> Array64:
    found: Array64 = 1.0 / (1.0 + np.exp(-np.clip(z, -40.0, 40.0)))
    return found


def fit_ratings(votes: Votes, model_count: int, *, weighs_judges: bool = True, clusters_judges: bool = True) -> Ratings:
    """Return the ratings of all models; those without a vote have the prior's.

    Args:
        votes: At least one.
        model_count: K.
        weighs_judges: Whether judges are weighed; if not, every vote counts in full.
        clusters_judges: Whether votes of one judge are taken to be alike; if not, intervals hold for these judges only.
    """
    judge_count = int(votes.judge.max()) + 1
    start = np.zeros(model_count + 2)
    start[-1] = _LOG_ETA_GUESS
    honest = np.ones(judge_count)
    point = start
    for step in range(_EM_STEPS if weighs_judges else 1):
        last = point
        point = _maximum(votes, point, honest[votes.judge], model_count)
        if not weighs_judges:
            break
        honest = _honesty(votes, point, model_count, judge_count)
        if step and np.abs(point - last).max() < _CONVERGED:
            break
    if weighs_judges:
        point = _maximum(votes, point, honest[votes.judge], model_count)
    covariance, scale = _sandwich(votes, point, honest, model_count, clusters_judges)
    centring = np.eye(model_count) - 1.0 / model_count
    covariance = centring @ covariance[:model_count, :model_count] @ centring
    return Ratings(
        utility=point[:model_count] - point[:model_count].mean(),
        deviation=np.sqrt(np.maximum(np.diag(covariance), 0.0)),
        covariance=covariance,
        honest=honest,
        bias=float(point[-2]),
        eta=float(np.exp(point[-1])),
        quantile_scale=scale,
    )


def _terms(votes: Votes, point: Array64, model_count: int) -> tuple[Array64, Array64, Array64]:
    """Return z, eta's place and the probabilities: shapes (M,), (), (M, 3)."""
    eta = np.exp(point[-1])
    z = point[votes.a] - point[votes.b] + point[model_count] * votes.order
    p_a, p_b = _logistic(z - eta), _logistic(-z - eta)
    return z, eta, np.stack([p_a, p_b, np.maximum(1.0 - p_a - p_b, 1e-12)], axis=1)


def _scores(votes: Votes, point: Array64, model_count: int) -> tuple[Array64, Array64, Array64]:
    """Return the derivatives of each vote's log likelihood by z and log eta, and Fisher's information (M, 2, 2)."""
    _, eta, p = _terms(votes, point, model_count)
    p_a, p_b = p[:, 0], p[:, 1]
    by_z = np.stack([1.0 - p_a, p_b - 1.0, p_b - p_a], axis=1)
    tied = 2.0 / -np.expm1(-2.0 * eta) - (1.0 - p_a) - (1.0 - p_b)
    by_eta = eta * np.stack([p_a - 1.0, p_b - 1.0, tied], axis=1)
    information = np.empty((len(votes), 2, 2))
    information[:, 0, 0] = (p * by_z * by_z).sum(axis=1)
    information[:, 0, 1] = information[:, 1, 0] = (p * by_z * by_eta).sum(axis=1)
    information[:, 1, 1] = (p * by_eta * by_eta).sum(axis=1)
    return (votes.shares * by_z).sum(axis=1), (votes.shares * by_eta).sum(axis=1), information


def _design(votes: Votes, model_count: int) -> Array64:
    """Return the rows that make z of the parameters: shape (M, K + 2)."""
    rows = np.zeros((len(votes), model_count + 2))
    at = np.arange(len(votes))
    rows[at, votes.a] = 1.0
    rows[at, votes.b] = -1.0
    rows[:, model_count] = votes.order
    return rows


def _prior(model_count: int) -> tuple[Array64, Array64]:
    precision = np.full(model_count + 2, _PRIOR_UTILITY)
    precision[-2], precision[-1] = _PRIOR_BIAS, _PRIOR_ETA
    mean = np.zeros(model_count + 2)
    mean[-1] = _LOG_ETA_GUESS
    return precision, mean


def _hessian(rows: Array64, information: Array64, weight: Array64, precision: Array64) -> Array64:
    found = rows.T @ (rows * (weight * information[:, 0, 0])[:, None]) + np.diag(precision)
    cross = rows.T @ (weight * information[:, 0, 1])
    found[:, -1] += cross
    found[-1, :] += cross
    found[-1, -1] += float((weight * information[:, 1, 1]).sum())
    return found


def _maximum(votes: Votes, start: Array64, weight: Array64, model_count: int) -> Array64:
    """Return the posterior mode, by Fisher scoring; steps are bounded, so that it cannot run away."""
    rows = _design(votes, model_count)
    precision, mean = _prior(model_count)
    point = start.copy()
    for _ in range(_NEWTON_STEPS):
        by_z, by_eta, information = _scores(votes, point, model_count)
        gradient = rows.T @ (weight * by_z) - precision * (point - mean)
        gradient[-1] += float((weight * by_eta).sum())
        step = np.linalg.solve(_hessian(rows, information, weight, precision), gradient)
        point = point + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < _CONVERGED:
            break
    return point


def _honesty(votes: Votes, point: Array64, model_count: int, judge_count: int) -> Array64:
    """Return the probability that each judge is honest rather than one who says the opposite."""
    _, _, p = _terms(votes, point, model_count)
    # Both kinds slip now and then: no single vote can condemn a judge.
    p = 0.9 * p + 0.1 * p[:, [1, 0, 2]]
    log_p = np.log(p)
    favour = (votes.shares * (log_p - log_p[:, [1, 0, 2]])).sum(axis=1)
    odds = math.log(_HONEST / (1.0 - _HONEST)) + np.bincount(votes.judge, favour, judge_count)
    return _logistic(odds)


def _jackknifed(
    rows: Array64, information: Array64, weight: Array64, judge: Index, summed: Array64, hessian: Array64
) -> Array64:
    """Return the judges' scores as they would move a fit without them (Bell & McCaffrey 2002, CR3).

    A judge of many votes has pulled the fit towards himself, so that his score is smaller than it ought to be.
    """
    moved = summed.copy()
    nothing = np.zeros(rows.shape[1])
    for j in range(len(summed)):
        mine = np.flatnonzero(judge == j)
        without = hessian - _hessian(rows[mine], information[mine], weight[mine], nothing)
        moved[j] = hessian @ np.linalg.solve(without, summed[j])
    return moved


def _sandwich(
    votes: Votes, point: Array64, honest: Array64, model_count: int, clusters_judges: bool
) -> tuple[Array64, float]:
    """Return the covariance of the estimate, and what a normal interval is to be stretched by."""
    rows = _design(votes, model_count)
    precision, _ = _prior(model_count)
    weight = honest[votes.judge]
    by_z, by_eta, information = _scores(votes, point, model_count)
    bread = np.linalg.inv(_hessian(rows, information, weight, precision))
    each = rows * (weight * by_z)[:, None]
    each[:, -1] += weight * by_eta
    sizes = np.bincount(votes.judge, weight, len(honest))
    scale = 1.0
    if clusters_judges and np.count_nonzero(sizes) >= _CLUSTERS_MIN:
        summed = np.zeros((len(honest), rows.shape[1]))
        np.add.at(summed, votes.judge, each)
        if len(honest) <= _JACKKNIFED_MAX:
            summed = _jackknifed(rows, information, weight, votes.judge, summed, np.linalg.inv(bread))
        meat = summed.T @ summed
        # As many judges of equal weight as make the same sum; their number is the degrees of freedom.
        equal = max(float(sizes.sum() ** 2 / np.square(sizes).sum()), 2.0)
        scale = 1.0 + 1.0 / (equal - 1.0)
    else:
        meat = each.T @ each
    # The prior's own uncertainty stays: a model without votes is not known to be average.
    meat = meat + np.diag(precision)
    return bread @ meat @ bread, scale
