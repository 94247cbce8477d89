"""Twins of the kernels in ``contrasts.py``: whole arrays, and the formulas as the papers have them."""

import numpy as np


def _utility(quality, cost, latency, usd_weight, second_weight):
    least = -1.0 if usd_weight + second_weight > 0 else 0.0
    return np.clip(quality - usd_weight * cost - second_weight * latency / 1000, least, 1.0), least


def contrast(live, shadow, expected, usd_weight, second_weight, chosen, out_row):
    """With importance weights and masks instead of a loop."""
    expected = expected.astype(np.float64)
    utility, reward_min = _utility(*expected, usd_weight, second_weight)
    cost, latency = expected[1:]
    difference = shadow - live
    with np.errstate(divide="ignore", invalid="ignore"):
        cap = np.where(difference > 0, 2.0 / (shadow / live - 1.0), np.inf)
    low = reward_min + np.minimum(utility - reward_min, cap)
    high = 1.0 - np.minimum(1.0 - utility, cap)
    out_row[:] = [
        shadow[chosen] / live[chosen],
        np.minimum(live, shadow).sum(),
        shadow[live == 0].sum(),
        utility[chosen],
        live @ utility,
        shadow @ utility,
        low[chosen],
        difference @ low,
        high[chosen],
        difference @ high,
        cost[chosen],
        live @ cost,
        shadow @ cost,
        latency[chosen],
        live @ latency,
        shadow @ latency,
    ]


def tally(row, quality, seen_cost, seen_latency, usd_weight, second_weight, sums):
    """One vector of what is added."""
    reward, _ = _utility(quality, seen_cost, seen_latency, usd_weight, second_weight)
    weight, overlap, unsupported, expected, live, shadow, low, low_direct, high, high_direct = row[:10]
    count = sums[0] + 1
    x = np.array([(weight - 1) * (reward - low) + low_direct, (1 - weight) * (reward - high) - high_direct])
    x = np.minimum(x, 20.0) / 4.25
    centre = np.minimum(sums[[1, 3]] / count, 0.25 / 4.25)
    squares = (x - centre) ** 2
    residual = reward - expected
    guards = []
    for seen, (guess, of_live, of_shadow) in zip((seen_cost, seen_latency), (row[10:13], row[13:16]), strict=True):
        miss = seen - guess
        guards += [1.0, miss + of_live, min(weight, 10.0) * miss + of_shadow]
    sums += [
        1.0,
        *(x[0], squares[0], x[1], squares[1]),
        *(weight, weight**2, weight * reward, reward),
        *(residual + live, weight * residual + shadow, overlap, unsupported),
        *guards,
    ]
