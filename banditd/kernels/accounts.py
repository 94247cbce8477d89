"""A budget's accounts: what a decision and its cost do to them, and the shadow price that follows.

One array of numbers holds them, in the order in which they are named here; `objective.pacer` tells what they mean.
"""

import math

import numpy as np

from banditd.kernels._jit import Array32, Array64, Codes, array, f32, f64, helper, i64, kernel, u8
from banditd.kernels.decision import SECONDS_PER_MS
from banditd.kernels.pacing import greedy_cost, shadow_price

NUMBERS = 17
(
    COUNT,  # decisions
    DECIDED_USD,  # expected costs of all of them
    ACCOUNT_USD,  # saved, or owed where it is below 0
    IDLE_USD,  # of the target, left where no price is needed
    TARGET_USD,  # what a request is meant to cost now
    PRICE_LOW,
    PRICE_HIGH,  # 0 where no price is needed
    SHARE_HIGH,
    WINDOW_START_MS,
    WINDOW_END_MS,  # 0 where the budget is a mean per request
    SPENT_USD,  # in the window
    WINDOW_COUNT,  # decisions in the window
    LAST_RATE,  # decisions per millisecond in the window before
    COUNT_BEFORE,  # decisions under budgets before this one
    IS_DUE,  # whether the price is to be computed at the next decision
    RECALLED_COUNT,  # contexts of before the first decision
    DOUBTED_COUNT,  # decisions to be made until the price follows from what decisions expected
) = range(NUMBERS)

# Decisions between two computations of the price.
_EVERY = 8
# Decisions over which what was over- or underspent is made good. Where a dear call costs what fifty requests may, a
# price that answered it sooner would have the next requests served worse than need be.
_HORIZON = 120.0
# The same for a debt, where making it good sooner would cost more than `_STEEP` times as much quality per dollar: where
# few dear calls are all that is paid for above one model's price, two of them more would have the next ones served by
# a worse one.
_PATIENT_HORIZON = 480.0
_STEEP = 2.0
# Requests' budgets up to which a debt may wait. A larger one is no bad luck: expectations are too low.
_PATIENCE = 60.0
# Requests at what they are meant to cost that the guess counts for that exploration costs nothing.
_ANSWER_GUESS = 16.0
# The two prices of a mix lie a factor of 1 + this on either side of the one between them.
_SPREAD = 0.05
# Where even an infinite price would not do, one at which quality no longer counts.
_QUALITY_RANGE = 1e4
# How much of a window the rate of the one before counts for, when what is left is divided among who will still come.
_RATE_MEMORY = 0.05


@kernel(array(f64, "BK"), array(f64, "BK"), f64, f64, array(f64, "V", out=True))
def price_at(
    worth: Array64,  # (B, K) expected quality, what latency takes from it subtracted; nan where no candidate
    cost: Array64,  # (B, K) expected cost, USD; nan where unknown
    usd_weight: float,  # what a dollar is worth without a budget, in quality per USD, >= 0
    target_usd: float,  # what a request may cost on average
    out: Array64,  # (4,) written: lower price, higher price, share of the higher one, what is left of the target
) -> None:
    """Write the shadow prices at which the B contexts cost a target; 0 where no price is needed.

    Something of the target is left only where none is.
    """
    least = math.inf
    for b in range(cost.shape[0]):
        for k in range(cost.shape[1]):
            # Not a number fails the comparison.
            if cost[b, k] > 0.0 and cost[b, k] < least:
                least = cost[b, k]
    if least == math.inf or not math.isfinite(target_usd):
        out[0] = 0.0
        out[1] = 0.0
        out[2] = 0.0
        out[3] = target_usd
        return
    shadow_price(worth, cost, usd_weight, target_usd, _QUALITY_RANGE / least, _SPREAD, out)
    out[3] = target_usd - out[3] if out[1] == 0.0 else 0.0


@helper
def _answer(
    answers: Array64,  # (2, M)
    target_usd: float,
) -> float:
    """Return how many times what the greatest utilities would cost is expected to be spent.

    The price is computed for those; exploration buys what they would not, or makes do with less. Left to the account
    alone, that would be a lasting debt or saving in it. Compared are the same decisions, so that which prompts came
    makes no difference.
    """
    drawn = 0.0
    greedy = 0.0
    for row in range(answers.shape[1]):
        drawn += answers[0, row]
        greedy += answers[1, row]
    guess = _ANSWER_GUESS * target_usd
    known = drawn + guess > 0.0 and greedy + guess > 0.0 and greedy + guess < math.inf
    return (drawn + guess) / (greedy + guess) if known else 1.0


@kernel(
    array(f64, "BK"),
    array(f64, "BK"),
    array(f64, "HM"),
    f64,
    f64,
    f64,
    array(f64, "P", inout=True),
)
def account_price(
    worth: Array64,  # (B, K) as `price_at` has it
    cost: Array64,  # (B, K)
    answers: Array64,  # (2, M) as `account_decision` has them
    usd_weight: float,
    budget_usd: float,
    time_ms: float,
    inout_accounts: Array64,  # (17,) of which target and prices are written
) -> None:
    """Compute what a request is meant to cost now, and the prices at which B contexts would."""
    per_request = inout_accounts[WINDOW_END_MS] == 0.0
    account = inout_accounts[ACCOUNT_USD]
    if per_request:
        target = max(budget_usd + account / _HORIZON, 0.0)
    else:
        start = inout_accounts[WINDOW_START_MS]
        end = inout_accounts[WINDOW_END_MS]
        memory = _RATE_MEMORY * (end - start) if inout_accounts[LAST_RATE] > 0.0 else 0.0
        rate = (inout_accounts[WINDOW_COUNT] + inout_accounts[LAST_RATE] * memory) / (time_ms - start + 1.0 + memory)
        coming = max(rate * (end - time_ms), 1.0)
        target = max((budget_usd - inout_accounts[SPENT_USD]) / coming, 0.0)
    answer = _answer(answers, target)
    found = np.empty(4, np.float64)
    price_at(worth, cost, usd_weight, target / answer, found)
    if per_request and account < 0.0:
        # A debt has no date: it is made good where that is cheap.
        waiting = max(account, -_PATIENCE * budget_usd)
        patient = max(budget_usd + (waiting / _PATIENT_HORIZON + (account - waiting) / _HORIZON), 0.0)
        # At so low a price contexts would have to cost less than that already: mostly they do not.
        gentle = found[0] * (1.0 + _SPREAD) / _STEEP
        if found[0] > 0.0 and greedy_cost(worth, cost, usd_weight + gentle) <= patient / answer:
            later = np.empty(4, np.float64)
            price_at(worth, cost, usd_weight, patient / answer, later)
            if found[0] > _STEEP * later[0]:
                target = patient
                found[:] = later
    inout_accounts[TARGET_USD] = target
    inout_accounts[PRICE_LOW] = found[0]
    inout_accounts[PRICE_HIGH] = found[1]
    inout_accounts[SHARE_HIGH] = found[2]
    inout_accounts[IDLE_USD] = found[3]


@helper
def _remember(
    expected: Array32,  # (3, K)
    codes: Codes,  # (K,)
    pmf: Array64,  # (K,)
    second_weight: float,
    row: int,
    contexts: Array64,  # (2, M, K) of which one row is written
) -> float:
    """Put what a decision expected in its row, and return its cost expected under its pmf."""
    weighed = 0.0
    for k in range(pmf.shape[0]):
        quality = np.float64(expected[0, k])
        cost = np.float64(expected[1, k])
        latency = np.float64(expected[2, k])
        contexts[0, row, k] = quality - second_weight * SECONDS_PER_MS * latency if codes[k] == 0 else math.nan
        contexts[1, row, k] = cost
        share = pmf[k] * cost
        if not math.isnan(share):
            weighed += share
    return weighed


@kernel(
    array(f32, "TK"),
    array(u8, "K"),
    array(f64, "K"),
    i64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    array(f64, "HMK", inout=True),
    array(f64, "HM", inout=True),
    array(f64, "P", inout=True),
)
def account_decision(
    expected: Array32,  # (3, K) quality, cost and latency as they are logged
    codes: Codes,  # (K,) 0 for the eligible models
    pmf: Array64,  # (K,)
    index: int,  # the drawn model
    rival_usd: float,  # expected cost of a second one; nan for none
    rival_weighed_usd: float,  # its cost expected under its own pmf
    price_low: float,  # shadow prices by which it was decided
    price_high: float,
    share_high: float,
    usd_weight: float,  # the request's own
    second_weight: float,
    budget_usd: float,
    time_ms: float,  # within the window of the numbers
    inout_contexts: Array64,  # (2, M, K) what models are worth but for their cost, and cost, in the newest M decisions
    inout_answers: Array64,  # (2, M) what those were expected to cost as drawn, and by the greatest utilities; or 0
    inout_accounts: Array64,  # (17,)
) -> None:
    """Take in a decision: what it is expected to cost counts from now on; now and then compute the price anew."""
    row = int(inout_accounts[COUNT]) % inout_contexts.shape[1]
    weighed = _remember(expected, codes, pmf, second_weight, row, inout_contexts)
    usd = np.float64(expected[1, index]) if math.isfinite(expected[1, index]) else 0.0
    is_alone = math.isnan(rival_usd)
    inout_answers[0, row] = 0.0
    inout_answers[1, row] = 0.0
    if not is_alone:
        usd += rival_usd
        weighed += rival_weighed_usd
    elif price_high > 0.0:
        worth = inout_contexts[0, row : row + 1]
        cost = inout_contexts[1, row : row + 1]
        low = greedy_cost(worth, cost, usd_weight + price_low)
        high = greedy_cost(worth, cost, usd_weight + price_high) if share_high > 0.0 else low
        inout_answers[0, row] = weighed
        inout_answers[1, row] = low + share_high * (high - low)
    inout_accounts[DECIDED_USD] += usd
    inout_accounts[COUNT] += 1.0
    inout_accounts[DOUBTED_COUNT] = max(inout_accounts[DOUBTED_COUNT] - 1.0, 0.0)
    inout_accounts[WINDOW_COUNT] += 1.0
    inout_accounts[SPENT_USD] += usd
    deposit = budget_usd
    if inout_accounts[PRICE_HIGH] == 0.0 and inout_accounts[ACCOUNT_USD] + deposit > usd:
        # Nothing holds the spend back, so what was not meant to be spent is not saved either; what the draw saved is,
        # for another draw costs as much more.
        deposit = min(deposit, weighed)
    inout_accounts[ACCOUNT_USD] += deposit - usd
    count = inout_accounts[COUNT]
    if inout_accounts[IS_DUE] > 0.0 or count % _EVERY == 0.0 or count <= _EVERY:
        inout_accounts[IS_DUE] = 0.0
        filled = int(max(inout_accounts[RECALLED_COUNT], min(count, np.float64(inout_contexts.shape[1]))))
        worth = inout_contexts[0, :filled]
        cost = inout_contexts[1, :filled]
        account_price(worth, cost, inout_answers, usd_weight, budget_usd, time_ms, inout_accounts)


@kernel(f64, f64, array(f64, "P", inout=True))
def account_cost(
    expected_usd: float,  # what was counted when it was decided; counted as 0 where not finite
    actual_usd: float,
    inout_accounts: Array64,  # (17,)
) -> None:
    """Take in what a decision that was counted before really cost."""
    unexpected = actual_usd - (expected_usd if math.isfinite(expected_usd) else 0.0)
    inout_accounts[SPENT_USD] += unexpected
    inout_accounts[ACCOUNT_USD] -= unexpected
