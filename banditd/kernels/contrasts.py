"""What one decision tells of two policies: the one that drew it, and one that would have drawn from another pmf."""

import math

from banditd.kernels._jit import Array32, Array64, array, f32, f64, helper, i64, kernel
from banditd.kernels.decision import SECONDS_PER_MS

# Places of a row of a contrast (X).
WEIGHT = 0
OVERLAP = 1
UNSUPPORTED = 2
EXPECTED = 3
LIVE = 4
SHADOW = 5
LOW_BASE = 6
LOW_DIRECT = 7
HIGH_BASE = 8
HIGH_DIRECT = 9
EXPECTED_COST = 10
LIVE_COST = 11
SHADOW_COST = 12
EXPECTED_LATENCY = 13
LIVE_LATENCY = 14
SHADOW_LATENCY = 15
CONTRAST_WIDTH = 16

# Places of the sums (S).
COUNT = 0
LOW_SUM = 1
LOW_SQUARE = 2
HIGH_SUM = 3
HIGH_SQUARE = 4
WEIGHT_SUM = 5
WEIGHT_SQUARE = 6
WEIGHTED_REWARD = 7
REWARD = 8
LIVE_SUM = 9
SHADOW_SUM = 10
OVERLAP_SUM = 11
UNSUPPORTED_SUM = 12
COST_COUNT = 13
LIVE_COST_SUM = 14
SHADOW_COST_SUM = 15
LATENCY_COUNT = 16
LIVE_LATENCY_SUM = 17
SHADOW_LATENCY_SUM = 18
SUMS_WIDTH = 19

# Utilities lie within [-1, 1]. With the baseline of each model cut so that weight times baseline is at most SLACK, a
# term of the difference is at least -4: -2 from the drawn model, -2 from the expectation. See `tally`.
REWARD_MIN = -1.0
REWARD_MAX = 1.0
SLACK = 2.0
# The centre of the variance process may go up to a quarter, so that no term is more than SCALE below it.
SCALE = 4.25
_CENTRE_MAX = 0.25 / SCALE
# Terms above are cut, which keeps a lower bound a lower bound. One that is far above the reciprocal of the bet that the
# bound makes (a tenth, in units of SCALE, around 10,000 decisions) would count against the difference that it shows.
TERM_MAX = 20.0 / SCALE
# Costs and latencies have no bound. Their corrections weigh at most this much, so that no single call trips a guard.
_GUARD_WEIGHT_MAX = 10.0


@helper
def _least_reward(
    usd_weight: float,  # >= 0
    second_weight: float,  # >= 0
) -> float:
    """Return the least utility of an outcome: quality alone cannot go below 0."""
    return REWARD_MIN if usd_weight > 0.0 or second_weight > 0.0 else 0.0


@helper
def _realised(
    quality: float,  # in [0, 1] where it was seen
    cost: float,  # USD; nan where unknown
    latency: float,  # ms; nan where unknown
    usd_weight: float,  # >= 0
    second_weight: float,  # >= 0
) -> float:
    """Return the utility, cut to where utilities lie; what is unknown costs nothing."""
    utility = quality
    if usd_weight > 0.0 and not math.isnan(cost):
        utility -= usd_weight * cost
    if second_weight > 0.0 and not math.isnan(latency):
        utility -= second_weight * latency * SECONDS_PER_MS
    return min(max(utility, _least_reward(usd_weight, second_weight)), REWARD_MAX)


@kernel(
    array(f64, "K"),
    array(f64, "K"),
    array(f32, "TK"),
    f64,
    f64,
    i64,
    array(f64, "X", out=True),
)
def contrast(
    live: Array64,  # (K,) pmf that the model was drawn from
    shadow: Array64,  # (K,) the other policy's pmf over the same candidates
    expected: Array32,  # (3, K) quality, cost in USD, latency in ms, from what was learnt before; nan where unknown
    usd_weight: float,  # what a dollar is worth in quality, >= 0
    second_weight: float,  # what a second is worth, >= 0
    chosen: int,  # index of the drawn model, live[chosen] > 0
    out_row: Array64,  # (X,) written: see the places above
) -> None:
    """Write all that a difference of two policies needs of a decision but its outcome.

    With d = shadow - live, the doubly robust term of the difference is d_a / live_a (r - b_a) + sum_k d_k b_k: of a
    prompt where both have the same pmf it is 0, whatever the outcome. Its mean is exact for every baseline b that does
    not depend on a and r. For the lower bound b is cut to reward_min + SLACK live_k / d_k where d_k > 0, for the
    upper one it is cut from above alike, after the pseudo-outcomes of Waudby-Smith et al. 2022, arXiv:2210.10768,
    section 2.1. Where live_k is 0 the cut leaves the worst (best) utility there is: what the log cannot show is
    counted against the claim.
    """
    reward_min = _least_reward(usd_weight, second_weight)
    out_row[WEIGHT] = shadow[chosen] / live[chosen]
    out_row[EXPECTED_COST] = expected[1, chosen]
    out_row[EXPECTED_LATENCY] = expected[2, chosen]
    overlap = 0.0
    unsupported = 0.0
    direct_live = 0.0
    direct_shadow = 0.0
    low_direct = 0.0
    high_direct = 0.0
    live_cost = 0.0
    shadow_cost = 0.0
    live_latency = 0.0
    shadow_latency = 0.0
    for k in range(live.shape[0]):
        p = live[k]
        s = shadow[k]
        overlap += min(p, s)
        if p == 0.0:
            unsupported += s
        utility = _realised(
            float(expected[0, k]), float(expected[1, k]), float(expected[2, k]), usd_weight, second_weight
        )
        direct_live += p * utility
        direct_shadow += s * utility
        difference = s - p
        low = utility - reward_min
        high = REWARD_MAX - utility
        if difference > 0.0:
            cap = SLACK * p / difference
            low = min(low, cap)
            high = min(high, cap)
        low_direct += difference * (reward_min + low)
        high_direct += difference * (REWARD_MAX - high)
        if k == chosen:
            out_row[EXPECTED] = utility
            out_row[LOW_BASE] = reward_min + low
            out_row[HIGH_BASE] = REWARD_MAX - high
        # An unknown cost is no matter where neither policy goes.
        if p > 0.0:
            live_cost += p * expected[1, k]
            live_latency += p * expected[2, k]
        if s > 0.0:
            shadow_cost += s * expected[1, k]
            shadow_latency += s * expected[2, k]
    out_row[OVERLAP] = overlap
    out_row[UNSUPPORTED] = unsupported
    out_row[LIVE] = direct_live
    out_row[SHADOW] = direct_shadow
    out_row[LOW_DIRECT] = low_direct
    out_row[HIGH_DIRECT] = high_direct
    out_row[LIVE_COST] = live_cost
    out_row[SHADOW_COST] = shadow_cost
    out_row[LIVE_LATENCY] = live_latency
    out_row[SHADOW_LATENCY] = shadow_latency


@kernel(array(f64, "X"), f64, f64, f64, f64, f64, array(f64, "S", inout=True))
def tally(
    row: Array64,  # (X,) of `contrast`
    quality: float,  # as seen, in [0, 1]
    seen_cost: float,  # USD; nan where not seen: then it is as expected
    seen_latency: float,  # ms; nan where not seen
    usd_weight: float,  # as in `contrast`
    second_weight: float,  # as in `contrast`
    sums: Array64,  # (S,) changed: see the places above
) -> None:
    """Add what came of a decision to the sums of two policies' values, costs and latencies.

    For either side's confidence sequence, with X the term in units of SCALE and C the mean of those before, the sums
    of X and of (X - C)^2 are kept: the sub-exponential supermartingale of Howard et al. 2021, arXiv:1810.08240, needs
    no more. X >= -4 / SCALE and C <= 1/4 / SCALE, so X - C >= -1, which its proof asks for.
    """
    cost = row[EXPECTED_COST] if math.isnan(seen_cost) else seen_cost
    latency = row[EXPECTED_LATENCY] if math.isnan(seen_latency) else seen_latency
    reward = _realised(quality, cost, latency, usd_weight, second_weight)
    weight = row[WEIGHT]
    gain = weight - 1.0
    sums[COUNT] += 1.0
    count = sums[COUNT]

    term = min((gain * (reward - row[LOW_BASE]) + row[LOW_DIRECT]) / SCALE, TERM_MAX)
    distance = term - min(sums[LOW_SUM] / count, _CENTRE_MAX)
    sums[LOW_SUM] += term
    sums[LOW_SQUARE] += distance * distance

    term = min(-(gain * (reward - row[HIGH_BASE]) + row[HIGH_DIRECT]) / SCALE, TERM_MAX)
    distance = term - min(sums[HIGH_SUM] / count, _CENTRE_MAX)
    sums[HIGH_SUM] += term
    sums[HIGH_SQUARE] += distance * distance

    residual = reward - row[EXPECTED]
    sums[WEIGHT_SUM] += weight
    sums[WEIGHT_SQUARE] += weight * weight
    sums[WEIGHTED_REWARD] += weight * reward
    sums[REWARD] += reward
    sums[LIVE_SUM] += residual + row[LIVE]
    sums[SHADOW_SUM] += weight * residual + row[SHADOW]
    sums[OVERLAP_SUM] += row[OVERLAP]
    sums[UNSUPPORTED_SUM] += row[UNSUPPORTED]

    cut = min(weight, _GUARD_WEIGHT_MAX)
    if not math.isnan(row[LIVE_COST] + row[SHADOW_COST]):
        residual = cost - row[EXPECTED_COST]
        sums[COST_COUNT] += 1.0
        sums[LIVE_COST_SUM] += residual + row[LIVE_COST]
        sums[SHADOW_COST_SUM] += cut * residual + row[SHADOW_COST]
    if not math.isnan(row[LIVE_LATENCY] + row[SHADOW_LATENCY]):
        residual = latency - row[EXPECTED_LATENCY]
        sums[LATENCY_COUNT] += 1.0
        sums[LIVE_LATENCY_SUM] += residual + row[LIVE_LATENCY]
        sums[SHADOW_LATENCY_SUM] += cut * residual + row[SHADOW_LATENCY]
