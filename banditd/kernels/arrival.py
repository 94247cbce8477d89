"""Whether a judgement arrives: a logistic regression with common and own slopes, learnt one case at a time.

The log odds of an arrival are (c + d_k)'x, with c common to all models and d_k a model's own. All coefficients have
independent Gaussian posteriors (an assumed density, as in Herbrich et al. 2006), moved by one step of an extended
Kalman filter.
"""

import math

import numpy as np

from banditd.kernels._jit import Array32, Array64, Bits16, Index, array, f64, helper, i64, kernel, u16
from banditd.kernels.duel import _MODERATION, _logistic
from banditd.kernels.half import from_half

# Values of a prompt's sketch, the last of its row; 1 and the length come before.
SKETCH = 32
ARRIVAL_WIDTH_MIN = 2 + SKETCH


@helper
def _describe(
    embedding: Bits16,  # (E,)
    places: Index,  # (E,)
    length: float,
    column: int,
    out_x: Array32,  # (A,) written
) -> None:
    """Write what is known of a prompt: 1, its length, its category, and a sketch of its embedding, at length 1.

    A count sketch (Charikar, Chen and Farach-Colton 2002): unlike a projection it needs no stored matrix.
    """
    sums = np.zeros(SKETCH, np.float64)
    for i in range(embedding.shape[0]):
        value = np.float64(from_half(embedding[i]))
        sums[places[i] >> 1] += -value if places[i] & 1 else value
    square = 0.0
    for j in range(SKETCH):
        square += sums[j] * sums[j]
    scale = math.sqrt(square) if square > 0.0 else 1.0
    for j in range(out_x.shape[0]):
        out_x[j] = np.float32(0.0)
    out_x[0] = np.float32(1.0)
    out_x[1] = np.float32(length)
    if column >= 0:
        out_x[column] = np.float32(1.0)
    sketch = out_x[out_x.shape[0] - SKETCH :]
    for j in range(SKETCH):
        sketch[j] = np.float32(sums[j] / scale)


@helper
def _log_odds(
    common: Array64,  # (2, A)
    own: Array64,  # (2, A)
    x: Array32,  # (A,)
) -> tuple[float, float]:
    """Return mean and variance of the log odds."""
    mean = 0.0
    variance = 0.0
    for j in range(x.shape[0]):
        x_j = np.float64(x[j])
        mean += (common[0, j] + own[0, j]) * x_j
        variance += (common[1, j] + own[1, j]) * (x_j * x_j)
    return mean, variance


@kernel(array(f64, "HA"), array(f64, "HA"), array(u16, "E"), array(i64, "E"), f64, i64, returns=(f64,))
def expect_arrival(
    common: Array64,  # (2, A) posterior means of the common coefficients, and their variances, >= 0
    own: Array64,  # (2, A) likewise of the model's own
    embedding: Bits16,  # (E,) float16, finite
    places: Index,  # (E,) twice the place of each value in the sketch, and one more where it is subtracted
    length: float,  # of the prompt, scaled
    column: int,  # of its category, from 2 on; -1 for none
) -> float:
    """Return the expected probability of an arrival (MacKay 1992)."""
    x = np.empty(common.shape[1], np.float32)
    _describe(embedding, places, length, column, x)
    mean, variance = _log_odds(common, own, x)
    return _logistic(mean / math.sqrt(1.0 + _MODERATION * variance))


@kernel(
    array(f64, "HA", inout=True),
    array(f64, "KHA", inout=True),
    array(i64, "B"),
    array(u16, "BE"),
    array(i64, "E"),
    array(f64, "B"),
    array(i64, "B"),
    array(f64, "B"),
)
def update_arrivals(
    common: Array64,  # (2, A) as in `expect_arrival`, updated
    owns: Array64,  # (K, 2, A) each model's own, updated
    models: Index,  # (B,) whose case it is, 0..K-1
    embeddings: Bits16,  # (B, E) as in `expect_arrival`
    places: Index,  # (E,)
    lengths: Array64,  # (B,)
    columns: Index,  # (B,)
    arrived: Array64,  # (B,) 1 where it did, 0 where it did not
) -> None:
    """Learn cases one after the other: each is a Newton step from the prior mean, of which covariances are dropped."""
    x = np.empty(common.shape[1], np.float32)
    for b in range(models.shape[0]):
        own = owns[models[b]]
        _describe(embeddings[b], places, lengths[b], columns[b], x)
        mean, variance = _log_odds(common, own, x)
        p = _logistic(mean)
        information = p * (1.0 - p)
        rate = 1.0 / (1.0 + information * variance)
        step = (arrived[b] - p) * rate
        shrink = information * rate
        for j in range(x.shape[0]):
            x_j = np.float64(x[j])
            common[0, j] += common[1, j] * x_j * step
            own[0, j] += own[1, j] * x_j * step
            common[1, j] -= common[1, j] * common[1, j] * (x_j * x_j) * shrink
            own[1, j] -= own[1, j] * own[1, j] * (x_j * x_j) * shrink
