"""Whether a judgement arrives: a logistic regression with common and own slopes, learnt one case at a time.

The log odds of an arrival are (c + d_k)'x, with c common to all models and d_k a model's own. All coefficients have
independent Gaussian posteriors (an assumed density, as in Herbrich et al. 2006), moved by one step of an extended
Kalman filter.
"""

import math

import numpy as np

from banditd.kernels._jit import Array32, Array64, array, f32, f64, helper, kernel
from banditd.kernels.duel import _MODERATION, _logistic


@helper
def _log_odds(
    common: Array64,  # (N,)
    common_spread: Array64,  # (N,)
    own: Array64,  # (N,)
    own_spread: Array64,  # (N,)
    x: Array32,  # (N,)
) -> tuple[float, float]:
    """Return mean and variance of the log odds."""
    mean = 0.0
    variance = 0.0
    for j in range(x.shape[0]):
        x_j = np.float64(x[j])
        mean += (common[j] + own[j]) * x_j
        variance += (common_spread[j] + own_spread[j]) * (x_j * x_j)
    return mean, variance


@kernel(array(f64, "N"), array(f64, "N"), array(f64, "N"), array(f64, "N"), array(f32, "N"), returns=(f64,))
def expect_arrival(
    common: Array64,  # (N,) posterior means of the common coefficients
    common_spread: Array64,  # (N,) their variances, >= 0
    own: Array64,  # (N,) of the model's own
    own_spread: Array64,  # (N,) >= 0
    x: Array32,  # (N,) what is known of the prompt
) -> float:
    """Return the expected probability of an arrival (MacKay 1992)."""
    mean, variance = _log_odds(common, common_spread, own, own_spread, x)
    return _logistic(mean / math.sqrt(1.0 + _MODERATION * variance))


@kernel(
    array(f64, "N", inout=True),
    array(f64, "N", inout=True),
    array(f64, "N", inout=True),
    array(f64, "N", inout=True),
    array(f32, "N"),
    f64,
)
def update_arrival(
    common: Array64,  # (N,) as in `expect_arrival`, updated
    common_spread: Array64,  # (N,) updated
    own: Array64,  # (N,) updated
    own_spread: Array64,  # (N,) updated
    x: Array32,  # (N,) what is known of the prompt; finite
    arrived: float,  # 1 where it did, 0 where it did not
) -> None:
    """Learn one case: a Newton step from the prior mean, of which covariances are dropped."""
    mean, variance = _log_odds(common, common_spread, own, own_spread, x)
    p = _logistic(mean)
    information = p * (1.0 - p)
    rate = 1.0 / (1.0 + information * variance)
    step = (arrived - p) * rate
    shrink = information * rate
    for j in range(x.shape[0]):
        x_j = np.float64(x[j])
        common[j] += common_spread[j] * x_j * step
        own[j] += own_spread[j] * x_j * step
        common_spread[j] -= common_spread[j] * common_spread[j] * (x_j * x_j) * shrink
        own_spread[j] -= own_spread[j] * own_spread[j] * (x_j * x_j) * shrink
