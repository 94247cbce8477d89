"""What one decision needs around its explorer: expectations, utilities and reasons, the floor and the draw, the ranks.

One call each, where NumPy takes a microsecond per operation on arrays this short.
"""

import math

import numpy as np

from banditd.kernels._jit import (
    Array32,
    Array64,
    Codes,
    Index,
    Mask,
    Slots,
    array,
    boolean,
    f32,
    f64,
    helper,
    i64,
    kernel,
    u8,
    u16,
)
from banditd.kernels.elementary import exp_negative
from banditd.kernels.exploration import draw, mix_floor

# exp() of what a log regression predicts stays finite and above zero.
_LOG_MAX = 60.0
# Explorers normalise to within 1e-12; anything beyond this is not a rounding error.
_PMF_TOLERANCE = 1e-9

# Values of `domain.decision.Exclusion`, which a test compares; kernels know no domain.
ELIGIBLE = 0
PRICE_UNKNOWN = 4
COST_LIMIT = 5
LATENCY_LIMIT = 6
QUALITY_FLOOR = 7
BUDGET = 11

# A latency is in milliseconds, what is worth something is a second.
SECONDS_PER_MS = 1e-3


@helper
def exp_bounded(
    x: float,
) -> float:
    """Return e^min(x, `_LOG_MAX`); 0 for -inf, nan stays nan."""
    bounded = min(x, _LOG_MAX)
    return 1.0 / exp_negative(-bounded) if bounded > 0.0 else exp_negative(bounded)


@helper
def _weighted_sum(
    rows: Array32,  # (N, W)
    x: Array32,  # (N,)
    out: Array64,  # (W,) written
) -> None:
    """Write x' rows in float64, each sum from the first row to the last; four rows at a time, as rows are short."""
    n = x.shape[0]
    n_by_four = n - n % 4
    for j in range(out.shape[0]):
        out[j] = 0.0
    for i in range(0, n_by_four, 4):
        x_0 = np.float64(x[i])
        x_1 = np.float64(x[i + 1])
        x_2 = np.float64(x[i + 2])
        x_3 = np.float64(x[i + 3])
        row_0 = rows[i]
        row_1 = rows[i + 1]
        row_2 = rows[i + 2]
        row_3 = rows[i + 3]
        for j in range(out.shape[0]):
            two = (out[j] + x_0 * np.float64(row_0[j])) + x_1 * np.float64(row_1[j])
            out[j] = (two + x_2 * np.float64(row_2[j])) + x_3 * np.float64(row_3[j])
    for i in range(n_by_four, n):
        row_0 = rows[i]
        x_0 = np.float64(x[i])
        for j in range(out.shape[0]):
            out[j] += x_0 * np.float64(row_0[j])


@helper
def _halved_product(
    matrix: Array32,  # (N, N * K) symmetric in its first axis and the N of its second; models innermost
    x: Array32,  # (N,)
    out: Array32,  # (N * K,) written
) -> None:
    """Write numbers whose product with x is x' matrix x for each model, reading one triangle only.

    Four rows at a time: their 4 x 4 block on the diagonal counts once, what is right of it twice. With the models
    innermost the rows are long, so that vectors are full; a triangle of each model's own matrix has short, odd rows and
    is no faster than the whole. Measured for N = 66, K = 10 on a shared Xeon core: 3.2 us, whole matrices 6.0 us; for
    N = 194, 25 us and 60 us.
    """
    n = x.shape[0]
    models = out.shape[0] // n
    n_by_four = n - n % 4
    for j in range(out.shape[0]):
        out[j] = np.float32(0.0)
    for i in range(0, n_by_four, 4):
        x_0 = x[i]
        x_1 = x[i + 1]
        x_2 = x[i + 2]
        x_3 = x[i + 3]
        left = i * models
        right = left + 4 * models
        # Slices, since a loop that starts at 0 is known not to index from the end, and becomes vector code.
        part = out[left:right]
        row_0 = matrix[i, left:right]
        row_1 = matrix[i + 1, left:right]
        row_2 = matrix[i + 2, left:right]
        row_3 = matrix[i + 3, left:right]
        for j in range(part.shape[0]):
            part[j] = (((part[j] + x_0 * row_0[j]) + x_1 * row_1[j]) + x_2 * row_2[j]) + x_3 * row_3[j]
        x_0 += x_0
        x_1 += x_1
        x_2 += x_2
        x_3 += x_3
        part = out[right:]
        row_0 = matrix[i, right:]
        row_1 = matrix[i + 1, right:]
        row_2 = matrix[i + 2, right:]
        row_3 = matrix[i + 3, right:]
        for j in range(part.shape[0]):
            part[j] = (((part[j] + x_0 * row_0[j]) + x_1 * row_1[j]) + x_2 * row_2[j]) + x_3 * row_3[j]
    part = out[n_by_four * models :]
    for i in range(n_by_four, n):
        row_0 = matrix[i, n_by_four * models :]
        x_0 = x[i]
        for j in range(part.shape[0]):
            part[j] += x_0 * row_0[j]


@helper
def _predict(
    theta: Array32,  # (N, 3 * K)
    a_inv: Array32,  # (N, N * K)
    offsets: Array64,  # (3, K)
    x: Array32,  # (N,)
    scratch_means: Array64,  # (3 * K,) overwritten
    scratch_product: Array32,  # (N * K,) overwritten
    out_values: Array64,  # (4, K) written
) -> None:
    models = offsets.shape[1]
    _weighted_sum(theta, x, scratch_means)
    _halved_product(a_inv, x, scratch_product)
    _weighted_sum(scratch_product.reshape((x.shape[0], models)), x, out_values[1])
    for k in range(models):
        # Rounding can leave a small negative value, whose root is nan. Not max(): a nan in x must stay nan.
        width_sq = max(out_values[1, k], 0.0)
        out_values[0, k] = scratch_means[k]
        out_values[1, k] = math.sqrt(width_sq) * offsets[0, k]
        out_values[2, k] = exp_bounded(scratch_means[models + k] + offsets[1, k])
        out_values[3, k] = exp_bounded(scratch_means[2 * models + k] + offsets[2, k])


@kernel(
    array(f32, "NTK"),
    array(f32, "NNK"),
    array(f64, "TK"),
    array(f32, "N"),
    array(f64, "VK", out=True),
)
def predict_models(
    theta: Array32,  # (N, 3, K) ridge estimates of quality, log cost and log latency, models innermost
    a_inv: Array32,  # (N, N, K) inverse regularised Gram matrix of each model's quality, symmetric, models innermost
    offsets: Array64,  # (3, K) standard deviation of a quality around its expectation; what is added to the log cost,
    # -inf for a free model, nan where no cost is known; what is added to the log latency
    x: Array32,  # (N,) encoded context
    out_values: Array64,  # (4, K) written: expected quality, its standard deviation, expected cost, expected latency
) -> None:
    """Write what a linear belief expects of each model in one context: all that one decision needs, in one call.

    The deviation is noise * sqrt(x' A^-1 x) (Li et al. 2010, arXiv:1003.0146, Algorithm 1); cost and latency are
    exponentials of regressed logs.
    """
    n = x.shape[0]
    models = offsets.shape[1]
    means = np.empty(3 * models, np.float64)
    product = np.empty(n * models, np.float32)
    _predict(
        theta.reshape((n, 3 * models)),
        a_inv.reshape((n, n * models)),
        offsets,
        x,
        means,
        product,
        out_values,
    )


@kernel(
    array(f32, "NTK"),
    array(f32, "NNK"),
    array(f64, "TK"),
    array(f32, "BN"),
    array(f64, "BVK", out=True),
)
def predict_models_rows(
    theta: Array32,  # (N, 3, K) as in `predict_models`
    a_inv: Array32,  # (N, N, K)
    offsets: Array64,  # (3, K)
    x: Array32,  # (B, N) encoded contexts
    out_values: Array64,  # (B, 4, K) written
) -> None:
    """Write `predict_models` of each context, bit for bit."""
    n = x.shape[1]
    models = offsets.shape[1]
    means = np.empty(3 * models, np.float64)
    product = np.empty(n * models, np.float32)
    rows = theta.reshape((n, 3 * models))
    matrix = a_inv.reshape((n, n * models))
    for b in range(x.shape[0]):
        _predict(rows, matrix, offsets, x[b], means, product, out_values[b])


@helper
def _utility(
    quality: float,
    cost_usd: float,
    latency_ms: float,
    usd_weight: float,
    second_weight: float,
) -> float:
    value = quality
    if usd_weight > 0.0:
        value -= usd_weight * cost_usd
    if second_weight > 0.0:
        value -= (second_weight * SECONDS_PER_MS) * latency_ms
    return value


@kernel(
    array(f64, "VK"),
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    array(u8, "K", inout=True),
    array(boolean, "K", out=True),
    array(f64, "K", out=True),
    returns=(i64,),
)
def weigh(
    values: Array64,  # (4, K) expected quality, its deviation, expected cost (nan where unknown), expected latency
    left_usd: float,  # what a hard budget leaves; inf for none
    usd_weight: float,  # what a dollar is worth in quality, >= 0
    second_weight: float,  # what a second is worth in quality, >= 0
    cost_usd_max: float,  # inf for no limit
    latency_ms_max: float,  # inf for no limit, or where a quantile is limited (`exclude_slow`)
    quality_min: float,  # -inf for no limit; with one, the cheapest of the eligible wins
    inout_codes: Codes,  # (K,) reasons; one that is there already stays
    out_eligible: Mask,  # (K,) written
    out_utility: Array64,  # (K,) written; anything where not eligible
) -> int:
    """Write who breaks a limit, who is left, and quality - usd_weight * cost - second_weight * seconds; count the left.

    Under a least quality the utility is -cost. Where a dollar matters, a model of unknown cost cannot be compared with
    the others; elsewhere its cost is not read.
    """
    cheapest = quality_min > -math.inf
    money_matters = usd_weight > 0.0 or cost_usd_max < math.inf or cheapest
    eligible_count = 0
    for k in range(inout_codes.shape[0]):
        quality = values[0, k]
        cost_usd = values[2, k]
        latency_ms = values[3, k]
        if inout_codes[k] == ELIGIBLE:
            if cost_usd > left_usd:
                inout_codes[k] = BUDGET
            elif money_matters and math.isnan(cost_usd):
                inout_codes[k] = PRICE_UNKNOWN
            elif cost_usd > cost_usd_max:
                inout_codes[k] = COST_LIMIT
            elif latency_ms > latency_ms_max:
                inout_codes[k] = LATENCY_LIMIT
            elif quality < quality_min:
                inout_codes[k] = QUALITY_FLOOR
            else:
                eligible_count += 1
        out_eligible[k] = inout_codes[k] == ELIGIBLE
        out_utility[k] = -cost_usd if cheapest else _utility(quality, cost_usd, latency_ms, usd_weight, second_weight)
    return eligible_count


@kernel(
    array(f64, "VK"),
    array(boolean, "K"),
    f64,
    f64,
    array(f64, "K", inout=True),
    array(f32, "TK", out=True),
    returns=(i64,),
)
def settle(
    values: Array64,  # (4, K) expected quality, its deviation, expected cost, expected latency
    eligible: Mask,  # (K,)
    floor: float,  # share that is spread evenly, in [0, 1]
    uniform: float,  # in [0, 1): the caller owns the randomness
    inout_pmf: Array64,  # (K,) an explorer's; the floor is mixed in
    out_expected: Array32,  # (3, K) written: quality, cost and latency as they are logged
) -> int:
    """Mix in the floor and draw: return the drawn model, or -1 where the pmf does not sum to 1 within 1e-9."""
    mix_floor(inout_pmf, eligible, floor)
    total = 0.0
    for k in range(inout_pmf.shape[0]):
        out_expected[0, k] = np.float32(values[0, k])
        out_expected[1, k] = np.float32(values[2, k])
        out_expected[2, k] = np.float32(values[3, k])
        total += inout_pmf[k]
    # Not `>=`: the comparison must fail for a nan.
    return draw(inout_pmf, uniform) if math.fabs(total - 1.0) < _PMF_TOLERANCE else -1


@helper
def _order(
    expected: Array32,  # (3, K)
    codes: Codes,  # (K,)
    usd_weight: float,
    second_weight: float,
    chosen: int,
    out_order: Index,  # (K,) written
) -> None:
    keys = np.empty(codes.shape[0], np.float64)
    for k in range(codes.shape[0]):
        value = _utility(
            np.float64(expected[0, k]),
            np.float64(expected[1, k]),
            np.float64(expected[2, k]),
            usd_weight,
            second_weight,
        )
        # An eligible model of unknown utility, which only a broken belief has, goes behind those of known utility.
        key = math.inf if codes[k] != ELIGIBLE else 1.7e308 if math.isnan(value) else -value
        keys[k] = -math.inf if k == chosen else key
        # Insertion: the models before k are in order, and there are few.
        at = k
        while at > 0 and keys[out_order[at - 1]] > keys[k]:
            out_order[at] = out_order[at - 1]
            at -= 1
        out_order[at] = k


@kernel(array(f32, "BTK"), array(u8, "BK"), array(f64, "B"), f64, array(i64, "B"), array(i64, "BK", out=True))
def rank_models_rows(
    expected: Array32,  # (B, 3, K) quality, cost and latency as they are logged
    codes: Codes,  # (B, K) reasons of exclusion
    usd_weights: Array64,  # (B,) what a dollar is worth in quality, >= 0
    second_weight: float,  # what a second is worth in quality, >= 0
    drawn: Index,  # (B,) the drawn model
    out_order: Index,  # (B, K) written: a permutation of the models in each row
) -> None:
    """Order the models of each row: the drawn one, the other eligible ones by falling utility, the excluded.

    Equal ones keep their order.
    """
    for row in range(codes.shape[0]):
        _order(expected[row], codes[row], usd_weights[row], second_weight, drawn[row], out_order[row])


@kernel(array(u16, "K"), array(f64, "K"), array(f64, "LH", inout=True), returns=(boolean,))
def count_support(
    slots: Slots,  # (K,) numbers of the models, each once
    pmf: Array64,  # (K,)
    inout_support: Array64,  # (L, 2) by number: sum and least of the probabilities above 0
) -> bool:
    """Take note of the probabilities of a decision; returns False, and does nothing, where a number is not below L."""
    for k in range(slots.shape[0]):
        if slots[k] >= inout_support.shape[0]:
            return False
    for k in range(slots.shape[0]):
        if pmf[k] > 0.0:
            of_model = inout_support[slots[k]]
            of_model[0] += pmf[k]
            of_model[1] = min(of_model[1], pmf[k])
    return True
