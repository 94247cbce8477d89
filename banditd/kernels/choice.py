"""A whole decision in one call, from what is expected of the models to the drawn one.

Between kernels an array's way into Python and back takes longer than most of them.
"""

import math

import numpy as np

from banditd.kernels._jit import Array32, Array64, Codes, Index, Mask, array, f32, f64, helper, i64, kernel, u8
from banditd.kernels.decision import settle, weigh
from banditd.kernels.exploration import bound_shares, greedy, inverse_gap, softmax, ucb, widen_unknown
from banditd.kernels.pacing import hold_within, mix_floor_within, mix_into, stake_of, try_within
from banditd.kernels.thompson import probability_best

# Explorers. The last has its pmf from elsewhere.
GREEDY, UCB, THOMPSON, INVERSE_GAP, SOFTMAX, GIVEN = range(6)
# Deviations by which what is drawn without exploring is held down where exploring is paid for apart, within a budget.
_CAUTION = 0.5
# Of what an explorer may add to the spend within a budget, how much the floor may beside it: the explorer knows what is
# worth trying, and one draw of a model of 500 budgets cannot be made good.
_FLOOR_PART = 0.25
# Results that are no model.
NO_PMF, NOBODY = -1, -2


@helper
def _fill(
    explorer: int,
    parameter: float,
    utility: Array64,  # (K,)
    deviation: Array64,  # (K,)
    eligible: Mask,  # (K,)
    given: Array64,  # (K,) read where the explorer is `GIVEN`
    out_pmf: Array64,  # (K,) written
) -> None:
    if explorer == UCB:
        ucb(utility, deviation, eligible, parameter, out_pmf)
    elif explorer == GREEDY:
        greedy(utility, eligible, out_pmf)
    elif explorer == INVERSE_GAP:
        inverse_gap(utility, eligible, parameter, out_pmf)
    elif explorer == SOFTMAX:
        softmax(utility, eligible, parameter, out_pmf)
    elif explorer == THOMPSON:
        probability_best(utility, deviation * parameter, eligible, out_pmf)
    else:
        for k in range(out_pmf.shape[0]):
            out_pmf[k] = given[k]


@helper
def _explore(
    explorer: int,
    parameter: float,
    utility: Array64,  # (K,)
    deviation: Array64,  # (K,)
    eligible: Mask,  # (K,)
    caps: Array64,  # (K,)
    floor: float,
    given: Array64,  # (2, K)
    out_pmf: Array64,  # (K,) written
) -> None:
    """Write the explorer's pmf, mixed with what it would be without bounded models until they keep their bounds."""
    _fill(explorer, parameter, utility, deviation, eligible, given[0], out_pmf)
    bounded = False
    free = False
    for k in range(caps.shape[0]):
        if eligible[k]:
            if caps[k] < 1.0:
                bounded = True
            else:
                free = True
    # Where all are bounded, somebody has to serve.
    if bounded and free:
        others = eligible & (caps >= 1.0)
        without = np.empty_like(out_pmf)
        _fill(explorer, parameter, utility, deviation, others, given[1], without)
        bound_shares(caps, eligible, without, floor, out_pmf)


@helper
def _is_anyone_capped(
    eligible: Mask,  # (K,)
    caps: Array64,  # (K,)
) -> bool:
    capped = False
    for k in range(caps.shape[0]):
        if eligible[k] and caps[k] < 1.0:
            capped = True
    return capped


@helper
def _decide(
    values: Array64,
    left_usd: float,
    usd_weight: float,
    second_weight: float,
    cost_usd_max: float,
    latency_ms_max: float,
    quality_min: float,
    price_low: float,
    price_high: float,
    share_high: float,
    explorer: int,
    parameter: float,
    evidence: Array64,
    known_from: float,
    caps: Array64,
    floor: float,
    spend_share: float,
    allowance_usd: float,
    given: Array64,
    uniform: float,
    inout_codes: Codes,
    out_pmf: Array64,
    out_expected: Array32,
) -> int:
    models = inout_codes.shape[0]
    eligible = np.empty(models, np.bool_)
    utility = np.empty(models, np.float64)
    deviation = values[1].copy()
    is_bounded = allowance_usd < math.inf and explorer != GIVEN
    # At the high price, and what would be drawn without exploring.
    dear = np.empty_like(out_pmf) if share_high > 0.0 else out_pmf
    base = np.empty_like(out_pmf) if is_bounded else out_pmf
    sure = np.empty_like(out_pmf) if is_bounded else out_pmf
    for turn in range(2 if share_high > 0.0 else 1):
        count = weigh(
            values,
            left_usd,
            usd_weight + (price_high if turn else price_low),
            second_weight,
            cost_usd_max,
            latency_ms_max,
            quality_min,
            inout_codes,
            eligible,
            utility,
        )
        if count == 0:
            return NOBODY
        if explorer == UCB:
            # By a fixed number of deviations nobody would come back to a model of bad luck.
            widen_unknown(values[1], evidence, eligible, deviation)
        _explore(explorer, parameter, utility, deviation, eligible, caps, floor, given, dear if turn else out_pmf)
        if turn:
            mix_into(out_pmf, dear, share_high)
        if is_bounded:
            # The greatest of many estimates is the luckiest, and of little known models the most; what they may be
            # worth is found out within the allowance (pessimism: Jin, Yang and Wang 2021, arXiv:2012.15085). A model
            # that costs less and is expected to be better may be drawn all the same: trying it loses nothing.
            for k in range(models):
                sure[k] = utility[k] - _CAUTION * values[1, k]
            _explore(GREEDY, 0.0, sure, deviation, eligible, caps, floor, given, dear if turn else base)
            if turn:
                mix_into(base, dear, share_high)
    if is_bounded:
        if explorer == UCB and not _is_anyone_capped(eligible, caps):
            price = price_high if share_high > 0.0 else price_low
            # Of whom little is known nobody can say what trying him loses; nor is a budget that needs no price a
            # reason to learn less.
            stake = stake_of(utility, values[2], eligible, price)
            losses = np.full(models, math.inf)
            for k in range(models):
                if price_high > 0.0 and evidence[k] >= max(known_from, 1.0):
                    losses[k] = spend_share * stake
            try_within(utility, deviation, values[2], eligible, parameter, allowance_usd, losses, base)
            out_pmf[:] = base
        else:
            hold_within(base, values[2], allowance_usd, out_pmf)
    if spend_share > 0.0:
        part = _FLOOR_PART if allowance_usd < math.inf else 1.0
        mix_floor_within(out_pmf, eligible, values, floor, part * spend_share)
        return settle(values, eligible, 0.0, uniform, out_pmf, out_expected)
    return settle(values, eligible, floor, uniform, out_pmf, out_expected)


@kernel(
    array(f64, "VK"),
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    i64,
    f64,
    array(f64, "K"),
    f64,
    array(f64, "K"),
    f64,
    f64,
    f64,
    array(f64, "HK"),
    f64,
    array(u8, "K", inout=True),
    array(f64, "K", out=True),
    array(f32, "TK", out=True),
    returns=(i64,),
)
def decide(
    values: Array64,  # (4, K) expected quality, its deviation, expected cost (nan where unknown), expected latency
    left_usd: float,  # what a hard budget leaves; inf for none
    usd_weight: float,  # what a dollar is worth in quality, >= 0
    second_weight: float,  # what a second is worth in quality, >= 0
    cost_usd_max: float,  # inf for no limit
    latency_ms_max: float,  # inf for no limit
    quality_min: float,  # -inf for no limit; with one, the cheapest of the eligible wins
    price_low: float,  # what the budget adds to a dollar's worth, >= 0
    price_high: float,  # the same for a share of the decisions
    share_high: float,  # that share, in [0, 1]
    explorer: int,  # one of those above
    parameter: float,  # the explorer's
    evidence: Array64,  # (K,) qualities learnt of each model, by which optimism widens; zeros where nobody can tell
    known_from: float,  # so many of them, and at least one, make a model known
    caps: Array64,  # (K,) largest share of each model; 1 for no bound
    floor: float,  # share of uniform exploration, in [0, 1]
    spend_share: float,  # what the floor may add to the expected spend, as a share of it, of which it has a quarter
    # within an allowance; 0 for no such bound; and what trying a known model that costs no more may lose within the
    # allowance, as a share of the stake
    allowance_usd: float,  # what the explorer may cost more than not exploring does; inf for no such bound
    given: Array64,  # (2, K) a pmf, and one without the bounded models; read where the explorer is `GIVEN`
    uniform: float,  # in [0, 1): the caller owns the randomness
    inout_codes: Codes,  # (K,) reasons; one that is there already stays
    out_pmf: Array64,  # (K,) written
    out_expected: Array32,  # (3, K) written: quality, cost and latency as they are logged
) -> int:
    """Weigh, explore at one or two prices, mix in the floor and draw.

    Returns the drawn model; `NOBODY` where none is eligible, when only reasons are written; `NO_PMF`
    where the pmf does not sum to 1 within 1e-9.
    """
    return _decide(
        values,
        left_usd,
        usd_weight,
        second_weight,
        cost_usd_max,
        latency_ms_max,
        quality_min,
        price_low,
        price_high,
        share_high,
        explorer,
        parameter,
        evidence,
        known_from,
        caps,
        floor,
        spend_share,
        allowance_usd,
        given,
        uniform,
        inout_codes,
        out_pmf,
        out_expected,
    )


@kernel(
    array(f64, "BVK"),
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    i64,
    f64,
    array(f64, "K"),
    f64,
    array(f64, "K"),
    f64,
    f64,
    f64,
    array(f64, "HK"),
    array(f64, "B"),
    array(u8, "BK", inout=True),
    array(f64, "BK", out=True),
    array(f32, "BTK", out=True),
    array(i64, "B", out=True),
)
def decide_rows(
    values: Array64,  # (B, 4, K) as in `decide`
    left_usd: float,
    usd_weight: float,
    second_weight: float,
    cost_usd_max: float,
    latency_ms_max: float,
    quality_min: float,
    price_low: float,
    price_high: float,
    share_high: float,
    explorer: int,
    parameter: float,
    evidence: Array64,  # (K,)
    known_from: float,
    caps: Array64,  # (K,)
    floor: float,
    spend_share: float,
    allowance_usd: float,
    given: Array64,  # (2, K)
    uniform: Array64,  # (B,)
    inout_codes: Codes,  # (B, K)
    out_pmf: Array64,  # (B, K) written
    out_expected: Array32,  # (B, 3, K) written
    out_index: Index,  # (B,) written: what `decide` returns
) -> None:
    """Do `decide` for each of B contexts, bit for bit."""
    for b in range(values.shape[0]):
        out_index[b] = _decide(
            values[b],
            left_usd,
            usd_weight,
            second_weight,
            cost_usd_max,
            latency_ms_max,
            quality_min,
            price_low,
            price_high,
            share_high,
            explorer,
            parameter,
            evidence,
            known_from,
            caps,
            floor,
            spend_share,
            allowance_usd,
            given,
            uniform[b],
            inout_codes[b],
            out_pmf[b],
            out_expected[b],
        )
