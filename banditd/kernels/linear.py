"""Ridge regression per model: exact recursive updates. `decision` holds what scores with them.

Written A for the regularised Gram matrix sum w x x' + prior precision, theta for the estimate A^-1 (sum w y x + ...),
and ``a_inv`` for A^-1, which is what is stored: scoring needs it and a rank-one change keeps it current.
"""

import math

import numpy as np

from banditd.kernels._jit import Array32, Array64, array, f32, f64, helper, i64, kernel


@helper
def _gain_direction(
    a_inv: Array64,  # (N, N)
    x: Array32,  # (N,)
    out: Array64,  # (N,) written
) -> float:
    """Write A^-1 x and return x' A^-1 x, in float64."""
    n = x.shape[0]
    n_by_four = n - n % 4
    for j in range(n):
        out[j] = 0.0
    for i in range(0, n_by_four, 4):
        row_0 = a_inv[i]
        row_1 = a_inv[i + 1]
        row_2 = a_inv[i + 2]
        row_3 = a_inv[i + 3]
        x_0 = np.float64(x[i])
        x_1 = np.float64(x[i + 1])
        x_2 = np.float64(x[i + 2])
        x_3 = np.float64(x[i + 3])
        for j in range(n):
            out[j] = (((out[j] + x_0 * row_0[j]) + x_1 * row_1[j]) + x_2 * row_2[j]) + x_3 * row_3[j]
    for i in range(n_by_four, n):
        row_0 = a_inv[i]
        x_0 = np.float64(x[i])
        for j in range(n):
            out[j] += x_0 * row_0[j]
    leverage = 0.0
    for j in range(n):
        leverage += out[j] * np.float64(x[j])
    return leverage


@helper
def _predict(
    theta: Array64,  # (N,)
    x: Array32,  # (N,)
) -> float:
    prediction = 0.0
    for j in range(theta.shape[0]):
        prediction += theta[j] * np.float64(x[j])
    return prediction


@kernel(array(f64, "NN", inout=True), array(f64, "N", inout=True), array(f32, "N"), f64, f64, returns=(f64, f64))
def update_ridge(
    a_inv: Array64,  # (N, N) inverse regularised Gram matrix, updated; symmetric, and stays so to the bit
    theta: Array64,  # (N,) ridge estimate, updated
    x: Array32,  # (N,) encoded context
    y: float,  # observed value
    weight: float,  # of this observation, >= 0; 2 equals the same update twice
) -> tuple[float, float]:
    """Learn one observation: A += weight x x', and theta stays A^-1 b.

    Recursive least squares by the formula of Sherman & Morrison 1950.

    Returns theta.x and x' A^-1 x from before the update: the error of that prediction is what the noise is learnt from.
    If x, y or weight is not finite, or weight is negative, nothing is changed and both are nan.

    A^-1 loses digits when one step shrinks it very much: keep weight * x' A^-1 x below 1e12.
    """
    n = x.shape[0]
    direction = np.empty(n, np.float64)
    leverage = _gain_direction(a_inv, x, direction)
    prediction = _predict(theta, x)
    rate = weight / (1.0 + weight * leverage)
    root = np.sqrt(rate)
    step = rate * (y - prediction)
    # All that can go wrong shows in these two: a negative weight in the root, the rest in the step.
    if not (math.isfinite(step) and math.isfinite(root) and math.isfinite(leverage) and math.isfinite(weight)):
        return math.nan, math.nan
    for j in range(n):
        theta[j] += step * direction[j]
        # The root goes to both factors so that entries (i, j) and (j, i) are the same product.
        direction[j] *= root
    for i in range(n):
        row = a_inv[i]
        d_i = direction[i]
        for j in range(n):
            row[j] -= d_i * direction[j]
    return prediction, leverage


@kernel(
    array(f64, "NN", inout=True),
    array(f64, "N", inout=True),
    array(f32, "N"),
    f64,
    f64,
    array(f64, "N"),
    array(f64, "N"),
    f64,
    i64,
    returns=(f64, f64),
)
def update_ridge_forgetting(
    a_inv: Array64,  # (N, N) inverse regularised Gram matrix, updated; symmetric, and stays so to the bit
    theta: Array64,  # (N,) ridge estimate, updated
    x: Array32,  # (N,) encoded context
    y: float,  # observed value
    weight: float,  # of this observation, >= 0; 0 only lets time pass
    prior_precision: Array64,  # (N,) diagonal of the prior's precision, > 0
    prior_theta: Array64,  # (N,) the prior's mean
    gamma: float,  # share kept of what was known, in (0, 1]
    cursor: int,  # counts the calls, >= 0
) -> tuple[float, float]:
    """Learn one observation and forget a little of the data, but never of the prior.

    A <- gamma A + weight x x' (exponentially weighted least squares), which alone would also forget the prior:
    directions that no recent context shows would lose all precision ("wind-up"), and A^-1 would grow without limit. So
    the prior's share is put back, one coordinate a call: coordinate i = cursor mod N gets precision (1 - gamma) N
    prior_precision[i] towards prior_theta[i], as if observed. Over a round of N calls that restores what forgetting
    took, for the cost of one more rank-one change. In the long run A = discounted Gram matrix + prior.

    Bound: from a start at the prior, and for ever, A >= gamma^N diag(prior_precision), for a coordinate is at least its
    prior at each top-up and waits at most N calls for the next. So no direction's variance exceeds the prior's by more
    than the factor gamma^-N: 1.22 for gamma = 0.997 and N = 66. It tells how small gamma can sensibly be: 1 - gamma of
    1 / N gives 2.7.

    Returns theta.x and x' A^-1 x from before, like `update_ridge`, and refuses the same inputs. With gamma = 1 it does
    the same to the bit.
    """
    n = x.shape[0]
    direction = np.empty(n, np.float64)
    top_up = np.zeros(n, np.float64)
    leverage = _gain_direction(a_inv, x, direction)
    prediction = _predict(theta, x)
    growth = 1.0 / gamma
    rate = weight / (1.0 + weight * (leverage * growth))
    root = np.sqrt(rate)
    step = rate * (y - prediction)
    if not (math.isfinite(step) and math.isfinite(root) and math.isfinite(leverage) and math.isfinite(weight)):
        return math.nan, math.nan
    for j in range(n):
        direction[j] *= growth
        theta[j] += step * direction[j]
        direction[j] *= root
    # At gamma = 1 this would add zeros, which can still turn -0.0 into 0.0.
    if gamma < 1.0:
        c = cursor % n
        row = a_inv[c]
        for j in range(n):
            top_up[j] = row[j] * growth - direction[c] * direction[j]
        precision = (1.0 - gamma) * n * prior_precision[c]
        rate = precision / (1.0 + precision * top_up[c])
        root = np.sqrt(rate)
        step = rate * (prior_theta[c] - theta[c])
        for j in range(n):
            theta[j] += step * top_up[j]
            top_up[j] *= root
    for i in range(n):
        row = a_inv[i]
        d_i = direction[i]
        t_i = top_up[i]
        for j in range(n):
            row[j] = (row[j] * growth - d_i * direction[j]) - t_i * top_up[j]
    return prediction, leverage
