"""Utilities from comparisons and scores: online Bayesian logistic updates, one model's posterior apart from another's.

A model's utility in a context is theta'x; its posterior is Gaussian, with mean ``mean`` and covariance ``cov``. Judges
prefer a to b by the model of Rao & Kupper 1967 (Bradley & Terry 1952 with a threshold for ties): with

    z = theta_a'x - theta_b'x + bias * order,   p_a = s(z - eta),   p_b = s(-z - eta),   p_tie = 1 - p_a - p_b

where s is the logistic function, order is 1 where a was shown first, -1 where b was, 0 where nobody knows, and bias
and eta > 0 are shared by all. A judge of reliability r says the opposite with probability 1 - r (Chen et al. 2013,
"Pairwise ranking aggregation in a crowdsourced setting").
"""

import math

import numpy as np

from banditd.kernels._jit import Array32, Array64, array, f32, f64, helper, kernel
from banditd.kernels.decision import _halved_product, _weighted_sum
from banditd.kernels.elementary import exp_negative
from banditd.kernels.linear import _gain_direction, _predict

# Newton steps to a mode on a line: the error is below rounding after five from anywhere that data leads to.
_STEPS = 8
# A logistic function beyond this is 0 or 1 to the last digit that matters, and its logs stay finite.
_UTILITY_MAX = 30.0
# Logs of 0.01 and 5: below such a threshold ties are as good as impossible, above it nobody ever wins.
_LOG_ETA_MIN = -4.605170185988091
_LOG_ETA_MAX = 1.6094379124341003
# pi / 8 of MacKay 1992, "The evidence framework applied to classification networks".
_MODERATION = math.pi / 8.0


@helper
def _logistic(
    z: float,
) -> float:
    if z >= 0.0:
        return 1.0 / (1.0 + exp_negative(-min(z, _UTILITY_MAX)))
    e = exp_negative(max(z, -_UTILITY_MAX))
    return e / (1.0 + e)


@helper
def _exp(
    x: float,
) -> float:
    return 1.0 / exp_negative(-x) if x > 0.0 else exp_negative(x)


@helper
def _vote(
    z: float,
    eta: float,
    share_a: float,
    share_b: float,
    share_tie: float,
    reliability: float,
) -> tuple[float, float]:
    """Return the derivative of the vote's log likelihood by z, and Fisher's information about z."""
    p_a = _logistic(z - eta)
    p_b = _logistic(-z - eta)
    p_tie = 1.0 - p_a - p_b
    lie = 1.0 - reliability
    says_a = reliability * p_a + lie * p_b
    says_b = reliability * p_b + lie * p_a
    slope_a = (reliability * p_a * (1.0 - p_a) - lie * p_b * (1.0 - p_b)) / says_a
    slope_b = (lie * p_a * (1.0 - p_a) - reliability * p_b * (1.0 - p_b)) / says_b
    slope_tie = p_b - p_a
    information = says_a * slope_a * slope_a + says_b * slope_b * slope_b + p_tie * slope_tie * slope_tie
    return share_a * slope_a + share_b * slope_b + share_tie * slope_tie, information


@helper
def _learn(
    cov: Array64,  # (N, N) updated
    mean: Array64,  # (N,) updated
    direction: Array64,  # (N,) cov x; overwritten
    step: float,
    rate: float,
) -> None:
    """Move the mean by step * direction, and take rate * direction direction' off the covariance."""
    root = math.sqrt(rate)
    for j in range(mean.shape[0]):
        mean[j] += step * direction[j]
        direction[j] *= root
    for i in range(mean.shape[0]):
        row = cov[i]
        d_i = direction[i]
        for j in range(mean.shape[0]):
            row[j] -= d_i * direction[j]


@kernel(array(f64, "NN", inout=True), array(f64, "N", inout=True), array(f32, "N"), f64, f64, returns=(f64, f64))
def update_utility(
    cov: Array64,  # (N, N) posterior covariance, updated; symmetric, and stays so to the bit
    mean: Array64,  # (N,) posterior mean, updated
    x: Array32,  # (N,) encoded context
    score: float,  # in [0, 1]: as a share of votes for this model against what is just good enough
    weight: float,  # votes that the score counts for, >= 0
) -> tuple[float, float]:
    """Learn a score: E[score] = s(theta'x), by Laplace's approximation, which is exact along the one line that moves.

    Returns theta'x and x' cov x from before. If anything is not finite, nothing is changed and both are nan.
    """
    direction = np.empty(x.shape[0], np.float64)
    leverage = _gain_direction(cov, x, direction)
    utility = _predict(mean, x)
    if not (math.isfinite(leverage) and math.isfinite(utility) and math.isfinite(score) and math.isfinite(weight)):
        return math.nan, math.nan
    leverage = max(leverage, 0.0)
    at = utility
    for _ in range(_STEPS):
        p = _logistic(at)
        at -= (at - utility - leverage * weight * (score - p)) / (1.0 + leverage * weight * p * (1.0 - p))
    p = _logistic(at)
    information = weight * p * (1.0 - p)
    _learn(cov, mean, direction, weight * (score - p), information / (1.0 + information * leverage))
    return utility, leverage


@kernel(
    array(f64, "NN", inout=True),
    array(f64, "N", inout=True),
    array(f64, "NN", inout=True),
    array(f64, "N", inout=True),
    array(f64, "V", inout=True),
    array(f32, "N"),
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    returns=(f64, f64),
)
def update_duel(
    cov_a: Array64,  # (N, N) posterior covariance of model a, updated; symmetric, and stays so to the bit
    mean_a: Array64,  # (N,) its mean, updated
    cov_b: Array64,  # (N, N) of model b, updated
    mean_b: Array64,  # (N,) updated
    shared: Array64,  # (4,) updated: bias of the place, its variance, log of the threshold for ties, its variance
    x: Array32,  # (N,) encoded context
    share_a: float,  # of the vote, what goes to a
    share_b: float,  # to b
    share_tie: float,  # and to neither; they sum to 1
    order: float,  # 1 where a was shown first, -1 where b was, 0 where nobody knows
    reliability: float,  # of the judge, in (0, 1]
    weight: float,  # comparisons that it counts for, >= 0
) -> tuple[float, float]:
    """Learn one comparison: a Laplace step for the difference, shared out by the variances that make it up.

    The posteriors of the models stay apart (an assumed density, as in Herbrich et al. 2006, "TrueSkill"): what the
    comparison says of their covariance is dropped. The curvature is Fisher's, so that it is never negative.

    Returns the probabilities of a and of b as they were expected, uncertainty included, from an honest judge. If
    anything is not finite, nothing is changed and both are nan.
    """
    n = x.shape[0]
    direction_a = np.empty(n, np.float64)
    direction_b = np.empty(n, np.float64)
    leverage_a = _gain_direction(cov_a, x, direction_a)
    leverage_b = _gain_direction(cov_b, x, direction_b)
    before = _predict(mean_a, x) - _predict(mean_b, x) + shared[0] * order
    spread = max(leverage_a, 0.0) + max(leverage_b, 0.0) + shared[1] * order * order
    given = share_a + share_b + share_tie + reliability + weight
    if not (math.isfinite(before) and math.isfinite(spread) and math.isfinite(given)):
        return math.nan, math.nan
    eta = _exp(shared[2])
    moderate = 1.0 / math.sqrt(1.0 + _MODERATION * spread)
    expected_a = _logistic((before - eta) * moderate)
    expected_b = _logistic((-before - eta) * moderate)
    z = before
    weighed = spread * weight
    slope, information = _vote(z, eta, share_a, share_b, share_tie, reliability)
    for _ in range(_STEPS):
        z -= (z - before - weighed * slope) / (1.0 + weighed * information)
        slope, information = _vote(z, eta, share_a, share_b, share_tie, reliability)
    information *= weight
    # What is moved is the exact step to z, whatever the slope has become there.
    step = (z - before) / spread if spread > 0.0 else 0.0
    rate = information / (1.0 + information * spread)
    _learn(cov_a, mean_a, direction_a, step, rate)
    _learn(cov_b, mean_b, direction_b, -step, rate)
    variance = shared[1]
    shared[0] += variance * order * step
    shared[1] = variance - variance * variance * order * order * rate
    # The threshold: one natural-gradient step for its log, where the comparison has put z.
    p_a = _logistic(z - eta)
    p_b = _logistic(-z - eta)
    tied = 2.0 / (1.0 - exp_negative(-2.0 * eta)) - (1.0 - p_a) - (1.0 - p_b)
    slope_a = -eta * (1.0 - p_a)
    slope_b = -eta * (1.0 - p_b)
    slope_tie = eta * tied
    p_tie = 1.0 - p_a - p_b
    information = p_a * slope_a * slope_a + p_b * slope_b * slope_b + p_tie * slope_tie * slope_tie
    information *= weight
    variance = shared[3] / (1.0 + shared[3] * information)
    moved = shared[2] + variance * weight * (share_a * slope_a + share_b * slope_b + share_tie * slope_tie)
    shared[2] = min(max(moved, _LOG_ETA_MIN), _LOG_ETA_MAX)
    shared[3] = variance
    return expected_a, expected_b


@helper
def _expect(
    mean: Array32,  # (N, K)
    cov: Array32,  # (N, N * K)
    x: Array32,  # (N,)
    scratch_product: Array32,  # (N * K,) overwritten
    inout_values: Array64,  # (4, K)
) -> None:
    models = mean.shape[1]
    _weighted_sum(mean, x, inout_values[0])
    _halved_product(cov, x, scratch_product)
    _weighted_sum(scratch_product.reshape((x.shape[0], models)), x, inout_values[1])
    for k in range(models):
        variance = max(inout_values[1, k], 0.0)
        p = _logistic(inout_values[0, k] / math.sqrt(1.0 + _MODERATION * variance))
        inout_values[0, k] = p
        inout_values[1, k] = p * (1.0 - p) * math.sqrt(variance)


@kernel(array(f32, "NK"), array(f32, "NNK"), array(f32, "N"), array(f64, "VK", inout=True))
def predict_duel(
    mean: Array32,  # (N, K) posterior means, models innermost
    cov: Array32,  # (N, N, K) posterior covariances, symmetric, models innermost
    x: Array32,  # (N,) encoded context
    inout_values: Array64,  # (4, K) written in its first two rows: expected quality and its standard deviation
) -> None:
    """Write the quality of each model: the expected s(theta'x) (MacKay 1992), and its deviation to first order."""
    n = x.shape[0]
    product = np.empty(mean.shape[1] * n, np.float32)
    _expect(mean, cov.reshape((n, n * mean.shape[1])), x, product, inout_values)


@kernel(array(f32, "NK"), array(f32, "NNK"), array(f32, "BN"), array(f64, "BVK", inout=True))
def predict_duel_rows(
    mean: Array32,  # (N, K) as in `predict_duel`
    cov: Array32,  # (N, N, K)
    x: Array32,  # (B, N) encoded contexts
    inout_values: Array64,  # (B, 4, K)
) -> None:
    """Write `predict_duel` of each context, bit for bit."""
    n = x.shape[1]
    matrix = cov.reshape((n, n * mean.shape[1]))
    product = np.empty(mean.shape[1] * n, np.float32)
    for b in range(x.shape[0]):
        _expect(mean, matrix, x[b], product, inout_values[b])
