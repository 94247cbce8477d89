"""Twins of the kernels in ``accounts.py``: the accounts under their names, in NumPy's terms."""

import math

import numpy as np

from .pacing import greedy_cost, shadow_price

NAMES = (
    *("count", "decided", "account", "idle", "target", "low", "high", "share", "start", "end"),
    *("spent", "window_count", "last_rate", "before", "due", "recalled", "doubted"),
)


def price_at(worth, cost, usd_weight, target_usd, out):
    """Free where nothing costs anything or anything may be spent, else the shadow price."""
    positive = cost[cost > 0]
    out[:] = 0.0, 0.0, 0.0, target_usd
    if positive.size and math.isfinite(target_usd):
        shadow_price(worth, cost, usd_weight, target_usd, 1e4 / positive.min(), 0.05, out)
        out[3] = target_usd - out[3] if out[1] == 0 else 0.0


def account_price(worth, cost, answers, usd_weight, budget_usd, time_ms, inout_accounts):
    """What may be spent on each of those who will come; a debt at leisure where haste is dear."""
    at = dict(zip(NAMES, inout_accounts.tolist(), strict=True))
    if at["end"] > 0:
        length = at["end"] - at["start"]
        weight = 0.05 * length * (at["last_rate"] > 0)
        rate = np.average(
            [at["window_count"] / (time_ms - at["start"] + 1), at["last_rate"]],
            weights=[time_ms - at["start"] + 1, weight],
        )
        targets = [max(0.0, budget_usd - at["spent"]) / max(1.0, rate * (at["end"] - time_ms))]
    else:
        waiting = np.clip(at["account"], -60 * budget_usd, 0.0)
        targets = [max(0.0, budget_usd + at["account"] / 120)]
        if at["account"] < 0:
            targets.append(max(0.0, budget_usd + waiting / 480 + (at["account"] - waiting) / 120))
    drawn, greedy = answers.sum(axis=1) + 16 * targets[0]
    answer = drawn / greedy if drawn > 0 and 0 < greedy < math.inf else 1.0
    found = np.empty((len(targets), 4))
    for target, out in zip(targets, found, strict=True):
        price_at(worth, cost, usd_weight, target / answer, out)
    chosen = len(targets) - 1 if found[0, 0] > 2 * found[-1, 0] else 0
    low, high, share, idle = found[chosen]
    at.update(target=targets[chosen], low=low, high=high, share=share, idle=idle)
    inout_accounts[:] = list(at.values())


def account_decision(
    expected,
    codes,
    pmf,
    index,
    rival_usd,
    rival_weighed_usd,
    price_low,
    price_high,
    share_high,
    usd_weight,
    second_weight,
    budget_usd,
    time_ms,
    inout_contexts,
    inout_answers,
    inout_accounts,
):
    """Remember, count, pay in and out, and price anew at each of the first eight decisions and each eighth one."""
    at = dict(zip(NAMES, inout_accounts.tolist(), strict=True))
    places = inout_contexts.shape[1]
    row = int(at["count"]) % places
    quality, cost, latency = expected.astype(float)
    inout_contexts[:, row] = np.where(codes == 0, quality - second_weight / 1e3 * latency, np.nan), cost
    mean = np.nansum(pmf * cost)
    usd = np.nan_to_num(cost[index])
    inout_answers[:, row] = 0.0
    if not math.isnan(rival_usd):
        usd, mean = usd + rival_usd, mean + rival_weighed_usd
    elif price_high > 0:
        greedy = [greedy_cost(*inout_contexts[:, row, None], usd_weight + price) for price in (price_low, price_high)]
        inout_answers[:, row] = mean, np.average(greedy, weights=[1 - share_high, share_high])
    at["decided"] += usd
    at["spent"] += usd
    at["count"] += 1
    at["window_count"] += 1
    at["doubted"] = max(0, at["doubted"] - 1)
    is_free = at["high"] == 0 and at["account"] + budget_usd > usd
    at["account"] += (min(mean, budget_usd) if is_free else budget_usd) - usd
    is_due = at["due"] or at["count"] <= 8 or at["count"] % 8 == 0
    at["due"] = at["due"] * (not is_due)
    inout_accounts[:] = list(at.values())
    if is_due:
        filled = slice(int(max(at["recalled"], min(at["count"], places))))
        worth, cost = inout_contexts[:, filled]
        account_price(worth, cost, inout_answers, usd_weight, budget_usd, time_ms, inout_accounts)


def account_cost(expected_usd, actual_usd, inout_accounts):
    """What came unexpected is spent, and no longer there."""
    more = actual_usd - (expected_usd if math.isfinite(expected_usd) else 0)
    inout_accounts += [more * ((name == "spent") - float(name == "account")) for name in NAMES]
