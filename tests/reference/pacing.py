"""Twins of the kernels in ``pacing.py``: a scan of breakpoints, and masks."""

import numpy as np


def greedy_cost(quality, cost, usd_weight):
    """The mean over rows of the cost of NumPy's argmax."""
    with np.errstate(invalid="ignore", over="ignore"):
        utility = quality - usd_weight * cost
    utility = np.where(np.isnan(utility), -np.inf, utility)
    tied = utility == utility.max(axis=1, keepdims=True)
    best = np.where(tied, cost, -np.inf).argmax(axis=1)
    rows = np.arange(len(cost))
    usable = np.isfinite(utility[rows, best])
    return float(cost[rows, best][usable].mean()) if usable.any() else 0.0


def shadow_price(quality, cost, usd_weight, target_usd, price_max, margin, out):
    """By bisection of logarithms over NumPy's argmax."""
    out[3] = greedy_cost(quality, cost, usd_weight)
    if not out[3] > target_usd:
        out[:3] = 0.0
        return
    if greedy_cost(quality, cost, usd_weight + price_max) >= target_usd:
        out[:3] = [price_max, price_max, 0.0]
        return
    low, high = np.log(price_max * 1e-12), np.log(price_max)
    for _ in range(46):
        middle = (low + high) / 2
        if greedy_cost(quality, cost, usd_weight + np.exp(middle)) > target_usd:
            low = middle
        else:
            high = middle
    out[0], out[1] = np.exp(low) / (1 + margin), np.exp(high) * (1 + margin)
    costs = [greedy_cost(quality, cost, usd_weight + price) for price in out[:2]]
    out[2] = np.clip((costs[0] - target_usd) / (costs[0] - costs[1]), 0, 1) if costs[0] > costs[1] else 0.5


def mix_into(pmf, other, share):
    """A weighted sum."""
    pmf[:] = (1 - share) * pmf + share * other


def _mean(pmf, values):
    return np.where(pmf > 0, pmf * values, 0.0).sum()


def stake_of(utility, cost, eligible, price):
    """The range of what can be chosen, the price taken out again."""
    return float(np.ptp((utility + price * cost)[eligible])) if eligible.any() else 0.0


def try_within(utility, deviation, cost, eligible, alpha, allowance_usd, allowance_utility, pmf):
    """Every model's share and gain in arrays, and the first of the largest gains."""
    value = utility + alpha * deviation
    extra = cost - _mean(pmf, cost)
    loss = _mean(pmf, utility) - utility
    with np.errstate(divide="ignore", invalid="ignore"):
        in_money = np.where(extra > allowance_usd, allowance_usd / extra, 1.0)
        in_quality = np.where(loss > allowance_utility, allowance_utility / loss, 1.0)
    share = np.where(extra > 0, in_money, in_quality)
    gain = np.where(eligible, share * (value - _mean(pmf, value)), -np.inf)
    best = gain.argmax()
    if gain[best] > 0:
        pmf[:] = (1 - share[best]) * pmf + share[best] * np.eye(len(pmf))[best]


def hold_within(base, cost, allowance_usd, pmf):
    """The weighted sum whose cost is at most the allowance more than that of the base."""
    extra = _mean(pmf, cost) - _mean(base, cost)
    share = allowance_usd / extra if extra > allowance_usd else 1.0
    pmf[:] = base + share * (pmf - base)


def mix_floor_within(pmf, eligible, values, floor, spend_share):
    """Masks instead of a loop."""
    count = eligible.sum()
    cost = values[2]
    spend = (pmf[pmf > 0] * cost[pmf > 0]).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        bounded = np.maximum(spend_share * spend / cost, 1e-6 * floor)
        share = np.where(cost * floor > spend_share * spend, bounded, floor)
    floors = np.where(eligible, share, 0.0) / max(count, 1)
    pmf[:] = (1 - floors.sum()) * pmf + floors
