"""The shadow price of money: at which price per dollar the models that would be chosen cost what may be spent."""

import math

import numpy as np

from banditd.kernels._jit import Array64, Mask, array, boolean, f64, helper, kernel

# Bisections of an interval of twelve powers of ten: to within one part in 10^12.
_STEPS = 46
_LEAST_SHARE = 1e-12
_LEAST_FLOOR = 1e-6


@helper
def _cost_of_best(
    quality: Array64,  # (K,)
    cost: Array64,  # (K,)
    usd_weight: float,
) -> float:
    """Return what the model of the greatest utility costs; nan without any candidate."""
    best = -math.inf
    best_cost = math.nan
    for k in range(quality.shape[0]):
        # Not a number fails the comparison.
        utility = quality[k] - usd_weight * cost[k]
        # Of equals the dearest counts: the least price tells them apart, and is needed for that.
        if utility > best or (utility == best and cost[k] > best_cost):
            best = utility
            best_cost = cost[k]
    return best_cost


@kernel(array(f64, "BK"), array(f64, "BK"), f64, returns=(f64,))
def greedy_cost(
    quality: Array64,  # (B, K) nan where a model was no candidate
    cost: Array64,  # (B, K) USD; nan where unknown
    usd_weight: float,
) -> float:
    """Return the mean cost of the models with the greatest quality - usd_weight * cost; 0 without any candidate."""
    total = 0.0
    count = 0
    for b in range(quality.shape[0]):
        best_cost = _cost_of_best(quality[b], cost[b], usd_weight)
        if not math.isnan(best_cost):
            total += best_cost
            count += 1
    return total / count if count > 0 else 0.0


@kernel(array(f64, "BK"), array(f64, "BK"), f64, f64, f64, f64, array(f64, "V", out=True))
def shadow_price(
    quality: Array64,  # (B, K) expected quality, what latency takes from it subtracted; nan where no candidate
    cost: Array64,  # (B, K) expected cost, USD; nan where unknown
    usd_weight: float,  # what a dollar is worth without a budget, in quality per USD, >= 0
    target_usd: float,  # what a request may cost on average
    price_max: float,  # largest shadow price, > 0
    margin: float,  # the two prices are a factor of 1 + margin away from the one between them, > 0
    out: Array64,  # (4,) written: the lower price, the higher one, the share of the higher one, the cost without either
) -> None:
    """Write two shadow prices and their mix, at which the B contexts would cost the target on average.

    The Lagrange multiplier of max E[quality] s.t. E[cost] <= target. The cost falls in steps as the price rises; where
    a step skips the target, no single price meets it, but a mix of the prices on both sides does (the optimum of the
    linear program has at most one such mix). The mix is over an interval rather than at the step, for the step moves
    with every outcome that is learnt.
    """
    out[3] = greedy_cost(quality, cost, usd_weight)
    if not out[3] > target_usd:
        out[0] = 0.0
        out[1] = 0.0
        out[2] = 0.0
        return
    low = price_max * _LEAST_SHARE
    high = price_max
    # Utilities are straight lines over the price, so that whoever is best at two prices is best between them: only
    # contexts in which somebody else is at the high price than at the low one have to be looked at again.
    open_count = 0
    count = 0
    settled = 0.0
    least = 0.0
    contexts = np.empty(quality.shape[0], np.int64)
    costs = np.empty((3, quality.shape[0]), np.float64)  # at the low price, the high one, and the one between
    for b in range(quality.shape[0]):
        at_low = _cost_of_best(quality[b], cost[b], usd_weight + low)
        at_high = _cost_of_best(quality[b], cost[b], usd_weight + high)
        if math.isnan(at_high):
            continue
        count += 1
        least += at_high
        if at_low == at_high:
            settled += at_low
        else:
            contexts[open_count] = b
            costs[0, open_count] = at_low
            costs[1, open_count] = at_high
            open_count += 1
    # Something costs more than the target, so that there are contexts.
    if least / count >= target_usd:
        out[0] = price_max
        out[1] = price_max
        out[2] = 0.0
        return
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        total = settled
        for i in range(open_count):
            b = contexts[i]
            costs[2, i] = _cost_of_best(quality[b], cost[b], usd_weight + middle)
            total += costs[2, i]
        moved = 0
        if total > target_usd * count:
            low = middle
        else:
            high = middle
            moved = 1
        still = 0
        for i in range(open_count):
            costs[moved, i] = costs[2, i]
            if costs[0, i] == costs[1, i]:
                settled += costs[0, i]
            else:
                contexts[still] = contexts[i]
                costs[0, still] = costs[0, i]
                costs[1, still] = costs[1, i]
                still += 1
        open_count = still
    out[0] = low / (1.0 + margin)
    out[1] = high * (1.0 + margin)
    cost_low = greedy_cost(quality, cost, usd_weight + out[0])
    cost_high = greedy_cost(quality, cost, usd_weight + out[1])
    share = (cost_low - target_usd) / (cost_low - cost_high) if cost_low > cost_high else 0.5
    out[2] = min(max(share, 0.0), 1.0)


@kernel(array(f64, "K", inout=True), array(f64, "K"), f64)
def mix_into(
    pmf: Array64,  # (K,) changed
    other: Array64,  # (K,) another pmf
    share: float,  # of the other one, in [0, 1]
) -> None:
    """Replace pmf by (1 - share) * pmf + share * other."""
    for k in range(pmf.shape[0]):
        pmf[k] = (1.0 - share) * pmf[k] + share * other[k]


@helper
def _mean_of(
    pmf: Array64,  # (K,)
    values: Array64,  # (K,) anything where pmf is 0
) -> float:
    total = 0.0
    for k in range(pmf.shape[0]):
        if pmf[k] > 0.0:
            total += pmf[k] * values[k]
    return total


@helper
def _share_within(
    allowance: float,
    extra: float,
) -> float:
    return allowance / extra if extra > allowance else 1.0


@kernel(array(f64, "K"), array(f64, "K"), array(boolean, "K"), f64, returns=(f64,))
def stake_of(
    utility: Array64,  # (K,) at the shadow price
    cost: Array64,  # (K,) expected cost
    eligible: Mask,  # (K,)
    price: float,  # the shadow price, >= 0
) -> float:
    """Return what a choice can win or lose: by how much the greatest utility exceeds the least; 0 without models.

    Without the shadow price, which rises with the budget's need and makes a dear model as bad as one likes.
    """
    best = -math.inf
    worst = math.inf
    for k in range(utility.shape[0]):
        if eligible[k]:
            own = utility[k] + price * cost[k]
            best = max(best, own)
            worst = min(worst, own)
    return best - worst if best > worst else 0.0


@kernel(
    array(f64, "K"),
    array(f64, "K"),
    array(f64, "K"),
    array(boolean, "K"),
    f64,
    f64,
    array(f64, "K"),
    array(f64, "K", inout=True),
)
def try_within(
    utility: Array64,  # (K,)
    deviation: Array64,  # (K,) of the utility
    cost: Array64,  # (K,) expected cost
    eligible: Mask,  # (K,)
    alpha: float,  # deviations of optimism
    allowance_usd: float,  # what trying may cost more than pmf does, >= 0
    allowance_utility: Array64,  # (K,) what trying a model that costs no more may lose of the expected utility, >= 0
    pmf: Array64,  # (K,) changed
) -> None:
    """Give the largest share that the allowances pay for to the model with which that gains most by optimism.

    With utility + alpha * deviation as value, share_k is min(1, allowance_usd / (cost_k - cost of pmf)) where k costs
    more than pmf and min(1, allowance_utility_k / (utility of pmf - utility_k)) where it does not, for then it is paid
    for in quality; the gain is share_k * (value_k - value of pmf). Where the allowances pay for everybody this is
    upper confidence bounds.
    """
    base_cost = _mean_of(pmf, cost)
    base_utility = _mean_of(pmf, utility)
    base_value = _mean_of(pmf, utility + alpha * deviation)
    if not (math.isfinite(base_value) and math.isfinite(alpha)):
        pmf[:] = math.nan
        return
    best_gain = 0.0
    best_share = 0.0
    best = -1
    for k in range(pmf.shape[0]):
        if eligible[k]:
            value = utility[k] + alpha * deviation[k]
            if math.isnan(value):
                pmf[:] = math.nan
                return
            extra = cost[k] - base_cost
            if extra > 0.0:
                share = _share_within(allowance_usd, extra)
            else:
                share = _share_within(allowance_utility[k], base_utility - utility[k])
            if share * (value - base_value) > best_gain:
                best_gain = share * (value - base_value)
                best_share = share
                best = k
    if best >= 0:
        for k in range(pmf.shape[0]):
            pmf[k] *= 1.0 - best_share
        pmf[best] += best_share


@kernel(array(f64, "K"), array(f64, "K"), f64, array(f64, "K", inout=True))
def hold_within(
    base: Array64,  # (K,) a pmf
    cost: Array64,  # (K,) expected cost
    allowance_usd: float,  # what pmf may cost more than base, >= 0
    pmf: Array64,  # (K,) changed
) -> None:
    """Mix pmf with as much of base as it takes to keep within the allowance."""
    share = _share_within(allowance_usd, _mean_of(pmf, cost) - _mean_of(base, cost))
    if share < 1.0:
        for k in range(pmf.shape[0]):
            pmf[k] = share * pmf[k] + (1.0 - share) * base[k]


@kernel(array(f64, "K", inout=True), array(boolean, "K"), array(f64, "VK"), f64, f64)
def mix_floor_within(
    pmf: Array64,  # (K,) changed; 0 where not eligible
    eligible: Mask,  # (K,)
    values: Array64,  # (4, K) expected quality, its deviation, expected cost, expected latency
    floor: float,  # share that is spread evenly where money allows, in [0, 1]
    spend_share: float,  # what the floor may add to the expected spend, as a share of it, > 0
) -> None:
    """Give each of the K eligible models min(floor, spend_share * spend / its cost) / K, and the rest to pmf.

    spend is the expected cost under pmf. So the floor adds at most spend_share of it, however dear a model is. Every
    eligible model keeps a known probability above 0: a millionth of the floor at least, also where the others are free.
    """
    count = 0
    spend = 0.0
    for k in range(pmf.shape[0]):
        if eligible[k]:
            count += 1
        if pmf[k] > 0.0:
            spend += pmf[k] * values[2, k]
    given = 0.0
    floors = np.empty(pmf.shape[0], np.float64)
    for k in range(pmf.shape[0]):
        floors[k] = 0.0
        if eligible[k]:
            share = floor
            # Not a number fails the comparison, and a model that costs nothing is no expense.
            if values[2, k] * floor > spend_share * spend:
                share = max(spend_share * spend / values[2, k], _LEAST_FLOOR * floor)
            floors[k] = share / count
            given += floors[k]
    for k in range(pmf.shape[0]):
        pmf[k] = (1.0 - given) * pmf[k] + floors[k]
