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


@helper
def _update(
    a_inv: Array64,  # (N, N) updated
    theta: Array64,  # (N,) updated
    x: Array32,  # (N,)
    y: float,
    weight: float,
) -> tuple[float, float]:
    """Do what `update_ridge` says."""
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
    return _update(a_inv, theta, x, y, weight)


@helper
def _update_forgetting(
    a_inv: Array64,  # (N, N) updated
    theta: Array64,  # (N,) updated
    x: Array32,  # (N,)
    y: float,
    weight: float,
    prior_precision: Array64,  # (N,)
    prior_theta: Array64,  # (N,)
    gamma: float,
    cursor: int,
) -> tuple[float, float]:
    """Do what `update_ridge_forgetting` says."""
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
    return _update_forgetting(a_inv, theta, x, y, weight, prior_precision, prior_theta, gamma, cursor)


# Places in the numbers that are kept of a regression.
COUNT, ERRORS, WEIGHT, CURSOR = range(4)


@helper
def _learn_metric(
    a_inv: Array64,  # (N, N) updated
    theta: Array64,  # (N,) updated
    numbers: Array64,  # (5,) updated
    prior_theta: Array64,  # (N,)
    prior_precision: Array64,  # (N,)
    gamma: float,
    x: Array32,  # (N,)
    value: float,
    weight: float,
) -> float:
    if math.isnan(value):
        return math.nan
    if gamma == 1.0:
        predicted, leverage = _update(a_inv, theta, x, value, weight)
    else:
        cursor = int(numbers[CURSOR])
        predicted, leverage = _update_forgetting(
            a_inv, theta, x, value, weight, prior_precision, prior_theta, gamma, cursor
        )
    error = value - predicted
    if not math.isfinite(error):
        return math.nan
    residual = error / math.sqrt(numbers[ERRORS] / numbers[WEIGHT] * (1.0 + leverage))
    numbers[COUNT] += 1.0
    numbers[ERRORS] = numbers[ERRORS] * gamma + weight * error * error / (1.0 + leverage)
    numbers[WEIGHT] = numbers[WEIGHT] * gamma + weight
    numbers[CURSOR] = (numbers[CURSOR] + 1.0) % theta.shape[0]
    return residual


@kernel(
    array(f64, "TNN", inout=True),
    array(f64, "TN", inout=True),
    array(f64, "TY", inout=True),
    array(f64, "TN"),
    array(f64, "TN"),
    f64,
    array(f32, "N"),
    f64,
    f64,
    f64,
    f64,
    returns=(f64, f64, f64),
)
def learn_metrics(
    a_inv: Array64,  # (3, N, N) of the regressions of quality, log cost and log latency, updated
    theta: Array64,  # (3, N) updated
    numbers: Array64,  # (3, 5) values learnt, sum of squared errors, their weight, cursor, and one that stays; updated
    prior_theta: Array64,  # (3, N) the priors' means
    prior_precision: Array64,  # (3, N) the priors' precisions
    gamma: float,  # share kept of what was known, in (0, 1]
    x: Array32,  # (N,) encoded context
    quality: float,  # what was seen; nan for nothing
    log_cost: float,  # likewise
    log_latency: float,  # likewise
    weight: float,  # observations that each counts for, > 0
) -> tuple[float, float, float]:
    """Learn what was seen of one model: `update_ridge` or `update_ridge_forgetting` of each metric, and of its noise.

    The noise variance is the mean of e^2 / (1 + x' A^-1 x) over the errors e of the predictions made before. Returns
    each error in standard deviations of its prediction; nan where nothing was seen, or nothing finite, which is not
    learnt.
    """
    return (
        _learn_metric(a_inv[0], theta[0], numbers[0], prior_theta[0], prior_precision[0], gamma, x, quality, weight),
        _learn_metric(a_inv[1], theta[1], numbers[1], prior_theta[1], prior_precision[1], gamma, x, log_cost, weight),
        _learn_metric(
            a_inv[2], theta[2], numbers[2], prior_theta[2], prior_precision[2], gamma, x, log_latency, weight
        ),
    )


@kernel(
    array(f64, "TNN", inout=True),
    array(f64, "TN", inout=True),
    array(f64, "TY", inout=True),
    array(f64, "TN"),
    array(f64, "TN"),
    f64,
    array(f32, "BN"),
    array(f64, "BT"),
    array(f64, "B"),
)
def learn_metrics_rows(
    a_inv: Array64,  # (3, N, N) as in `learn_metrics`, updated
    theta: Array64,  # (3, N) updated
    numbers: Array64,  # (3, 5) updated
    prior_theta: Array64,  # (3, N)
    prior_precision: Array64,  # (3, N)
    gamma: float,
    x: Array32,  # (B, N)
    measured: Array64,  # (B, 3) quality, log cost and log latency; nan for nothing
    weights: Array64,  # (B,)
) -> None:
    """Do `learn_metrics` for each of B lessons about one model, bit for bit."""
    for b in range(x.shape[0]):
        for m in range(3):
            _learn_metric(
                a_inv[m],
                theta[m],
                numbers[m],
                prior_theta[m],
                prior_precision[m],
                gamma,
                x[b],
                measured[b, m],
                weights[b],
            )


@kernel(
    array(f64, "TNN"),
    array(f64, "TN"),
    array(f64, "TY"),
    array(f64, "K"),
    f64,
    i64,
    array(f32, "NTK", inout=True),
    array(f32, "NNK", inout=True),
    array(f64, "TK", inout=True),
    array(f64, "K", inout=True),
)
def mirror_model(
    a_inv: Array64,  # (3, N, N) as `learn_metrics` keeps it
    theta: Array64,  # (3, N)
    numbers: Array64,  # (3, 5)
    log_prices: Array64,  # (K,) -inf for a free model, nan without a price, where costs are known once they were seen
    guess_count: float,  # what the guess of the noise counts for in the weights
    chosen: int,  # the model's place among the K
    theta_of_all: Array32,  # (N, 3, K) its part is written, as `predict_models` reads it
    a_inv_of_all: Array32,  # (N, N, K) of quality, likewise
    offsets_of_all: Array64,  # (3, K) likewise: the standard deviation of its quality's noise, the log price plus half
    # the variance of the log cost's noise, half the variance of the log latency's
    evidence_of_all: Array64,  # (K,) likewise: qualities learnt, as far as they are not forgotten
) -> None:
    """Write one model's part of what decisions read."""
    log_price = log_prices[chosen]
    if math.isnan(log_price) and numbers[1, COUNT] > 0.0:
        log_price = 0.0
    for i in range(theta.shape[1]):
        row = a_inv[0, i]
        out = a_inv_of_all[i]
        for j in range(row.shape[0]):
            out[j, chosen] = np.float32(row[j])
        for metric in range(3):
            theta_of_all[i, metric, chosen] = np.float32(theta[metric, i])
    offsets_of_all[0, chosen] = math.sqrt(numbers[0, ERRORS] / numbers[0, WEIGHT])
    offsets_of_all[1, chosen] = log_price + 0.5 * (numbers[1, ERRORS] / numbers[1, WEIGHT])
    offsets_of_all[2, chosen] = 0.5 * (numbers[2, ERRORS] / numbers[2, WEIGHT])
    evidence_of_all[chosen] = max(numbers[0, WEIGHT] - guess_count, 0.0)
