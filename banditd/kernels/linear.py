"""Ridge regression per model: scores with their spread, and exact recursive updates.

Written A for the regularised Gram matrix sum w x x' + prior precision, theta for the estimate A^-1 (sum w y x + ...),
and ``a_inv`` for A^-1, which is what is stored: scoring needs it and a rank-one change keeps it current.
"""

import math

import numpy as np

from banditd.kernels._jit import Array32, Array64, array, f32, f64, helper, i64, kernel

# Contexts scored against one matrix before the next: 64 rows of N = 66 are 17 kB, which leaves the matrix room in the
# cache.
_CONTEXTS_PER_BLOCK = 64


@helper
def _dot(
    a: Array32,  # (N,)
    b: Array32,  # (N,)
) -> float:
    """Return a.b summed in float64 from the first element to the last."""
    total = 0.0
    for j in range(a.shape[0]):
        total += np.float64(a[j]) * np.float64(b[j])
    return total


@helper
def _dots(
    rows: Array32,  # (K, N)
    x: Array32,  # (N,)
    out: Array64,  # (K,) written
) -> None:
    """Write `_dot` of each row with x.

    A strict sum waits four cycles for each addition; four models at once fill the wait, without changing any one sum.
    """
    k_by_four = rows.shape[0] - rows.shape[0] % 4
    for k in range(0, k_by_four, 4):
        row_0 = rows[k]
        row_1 = rows[k + 1]
        row_2 = rows[k + 2]
        row_3 = rows[k + 3]
        total_0 = 0.0
        total_1 = 0.0
        total_2 = 0.0
        total_3 = 0.0
        for j in range(x.shape[0]):
            x_j = np.float64(x[j])
            total_0 += np.float64(row_0[j]) * x_j
            total_1 += np.float64(row_1[j]) * x_j
            total_2 += np.float64(row_2[j]) * x_j
            total_3 += np.float64(row_3[j]) * x_j
        out[k] = total_0
        out[k + 1] = total_1
        out[k + 2] = total_2
        out[k + 3] = total_3
    for k in range(k_by_four, rows.shape[0]):
        out[k] = _dot(rows[k], x)


@helper
def _paired_dots(
    a: Array32,  # (B, N)
    b: Array32,  # (B, N)
    out: Array64,  # (B,) or longer, written
) -> None:
    """Write `_dot` of each row of a with the same row of b, four at once like `_dots`."""
    by_four = a.shape[0] - a.shape[0] % 4
    for r in range(0, by_four, 4):
        a_0 = a[r]
        a_1 = a[r + 1]
        a_2 = a[r + 2]
        a_3 = a[r + 3]
        b_0 = b[r]
        b_1 = b[r + 1]
        b_2 = b[r + 2]
        b_3 = b[r + 3]
        total_0 = 0.0
        total_1 = 0.0
        total_2 = 0.0
        total_3 = 0.0
        for j in range(a.shape[1]):
            total_0 += np.float64(a_0[j]) * np.float64(b_0[j])
            total_1 += np.float64(a_1[j]) * np.float64(b_1[j])
            total_2 += np.float64(a_2[j]) * np.float64(b_2[j])
            total_3 += np.float64(a_3[j]) * np.float64(b_3[j])
        out[r] = total_0
        out[r + 1] = total_1
        out[r + 2] = total_2
        out[r + 3] = total_3
    for r in range(by_four, a.shape[0]):
        out[r] = _dot(a[r], b[r])


@helper
def _product(
    matrix: Array32,  # (N, N)
    x: Array32,  # (N,)
    out: Array32,  # (N,) written
) -> None:
    """Write x' matrix in float32, each sum from the first row to the last.

    Four rows at once only save loads and stores of the sums. Reading one triangle of a symmetric matrix instead was
    tried and is slower below N = 130: its rows have odd lengths, which vectors do not like.
    """
    n = x.shape[0]
    n_by_four = n - n % 4
    for j in range(n):
        out[j] = np.float32(0.0)
    for i in range(0, n_by_four, 4):
        row_0 = matrix[i]
        row_1 = matrix[i + 1]
        row_2 = matrix[i + 2]
        row_3 = matrix[i + 3]
        x_0 = x[i]
        x_1 = x[i + 1]
        x_2 = x[i + 2]
        x_3 = x[i + 3]
        for j in range(n):
            out[j] = (((out[j] + x_0 * row_0[j]) + x_1 * row_1[j]) + x_2 * row_2[j]) + x_3 * row_3[j]
    for i in range(n_by_four, n):
        row_0 = matrix[i]
        x_0 = x[i]
        for j in range(n):
            out[j] += x_0 * row_0[j]


@helper
def _spread(
    a_inv: Array32,  # (K, N, N)
    x: Array32,  # (N,)
    out_width_sq: Array64,  # (K,) written
) -> None:
    products = np.empty((a_inv.shape[0], x.shape[0]), np.float32)
    for k in range(a_inv.shape[0]):
        _product(a_inv[k], x, products[k])
    _dots(products, x, out_width_sq)
    for k in range(a_inv.shape[0]):
        # Rounding can leave a small negative value, whose root is nan. Not max(): a nan in x must stay nan.
        if out_width_sq[k] < 0.0:  # noqa: PLR1730
            out_width_sq[k] = 0.0


@kernel(array(f32, "KN"), array(f32, "N"), array(f64, "K", out=True))
def score_mean(
    theta: Array32,  # (K, N) ridge estimate of each model
    x: Array32,  # (N,) encoded context
    out_mean: Array64,  # (K,) written
) -> None:
    """Write theta.x per model."""
    _dots(theta, x, out_mean)


@kernel(array(f32, "KN"), array(f32, "KNN"), array(f32, "N"), array(f64, "K", out=True), array(f64, "K", out=True))
def score_linear(
    theta: Array32,  # (K, N) ridge estimate of each model
    a_inv: Array32,  # (K, N, N) inverse regularised Gram matrix of each model, symmetric
    x: Array32,  # (N,) encoded context
    out_mean: Array64,  # (K,) written
    out_width_sq: Array64,  # (K,) written, >= 0
) -> None:
    """Write theta.x and x' A^-1 x per model (Li et al. 2010, arXiv:1003.0146, Algorithm 1).

    The caller multiplies: variance = noise variance * width_sq, and LinUCB's bonus is alpha * sqrt(width_sq).
    """
    _dots(theta, x, out_mean)
    _spread(a_inv, x, out_width_sq)


@kernel(array(f32, "MKN"), array(f32, "KNN"), array(f32, "N"), array(f64, "MK", out=True), array(f64, "K", out=True))
def score_models(
    theta: Array32,  # (M, K, N) ridge estimates of each metric and model
    a_inv: Array32,  # (K, N, N) inverse regularised Gram matrix of each model, symmetric
    x: Array32,  # (N,) encoded context
    out_mean: Array64,  # (M, K) written
    out_width_sq: Array64,  # (K,) written, >= 0
) -> None:
    """Write theta.x per metric and model, and x' A^-1 x per model: all that one decision needs, in one call.

    The same bits as `score_linear` and `score_mean` give; it saves their calls, which cost 1 us each.
    """
    for m in range(theta.shape[0]):
        _dots(theta[m], x, out_mean[m])
    _spread(a_inv, x, out_width_sq)


@kernel(array(f32, "KN"), array(f32, "BN"), array(f64, "BK", out=True))
def score_mean_rows(
    theta: Array32,  # (K, N) ridge estimate of each model
    x: Array32,  # (B, N) encoded contexts
    out_mean: Array64,  # (B, K) written
) -> None:
    """Write `score_mean` of each context, bit for bit."""
    for b in range(x.shape[0]):
        _dots(theta, x[b], out_mean[b])


@kernel(array(f32, "KN"), array(f32, "KNN"), array(f32, "BN"), array(f64, "BK", out=True), array(f64, "BK", out=True))
def score_linear_rows(
    theta: Array32,  # (K, N) ridge estimate of each model
    a_inv: Array32,  # (K, N, N) inverse regularised Gram matrix of each model, symmetric
    x: Array32,  # (B, N) encoded contexts
    out_mean: Array64,  # (B, K) written
    out_width_sq: Array64,  # (B, K) written, >= 0
) -> None:
    """Write `score_linear` of each context, bit for bit.

    Model by model, so that one matrix (17 kB for N = 66) stays in the first-level cache for the whole batch.
    """
    for b in range(x.shape[0]):
        _dots(theta, x[b], out_mean[b])
    products = np.empty((min(_CONTEXTS_PER_BLOCK, x.shape[0]), x.shape[1]), np.float32)
    width_sq = np.empty(products.shape[0], np.float64)
    for start in range(0, x.shape[0], _CONTEXTS_PER_BLOCK):
        block = x[start : start + _CONTEXTS_PER_BLOCK]
        for k in range(theta.shape[0]):
            for b in range(block.shape[0]):
                _product(a_inv[k], block[b], products[b])
            _paired_dots(products[: block.shape[0]], block, width_sq)
            for b in range(block.shape[0]):
                # As in _spread.
                out_width_sq[start + b, k] = 0.0 if width_sq[b] < 0.0 else width_sq[b]  # noqa: FURB136


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
