"""Twins of the kernels in ``choice.py``: the steps one after the other, on NumPy's arrays."""

import numpy as np

from tests.reference import decision, exploration, pacing, thompson


def _explored(explorer, parameter, utility, deviation, eligible, given):
    pmf = np.zeros(len(utility))
    if explorer == 5:
        pmf[:] = given
    elif explorer == 2:
        thompson.probability_best(utility, parameter * deviation, eligible, pmf)
    elif explorer == 1:
        exploration.ucb(utility, deviation, eligible, parameter, pmf)
    else:
        name = {0: "greedy", 3: "inverse_gap", 4: "softmax"}[explorer]
        getattr(exploration, name)(utility, eligible, *(() if name == "greedy" else (parameter,)), pmf)
    return pmf


def _bounded(explorer, parameter, utility, deviation, eligible, caps, floor, given):
    pmf = _explored(explorer, parameter, utility, deviation, eligible, given[0])
    free = eligible & (caps >= 1)
    if free.any() and (free != eligible).any():
        without = _explored(explorer, parameter, utility, deviation, free, given[1])
        exploration.bound_shares(caps, eligible, without, floor, pmf)
    return pmf


def decide(
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
):
    """One price after the other, mixed."""
    mixed, base = np.zeros(len(inout_codes)), np.zeros(len(inout_codes))
    for price, share in ((price_low, 1 - share_high), (price_high, share_high)):
        if share == 0.0:
            continue
        eligible, utility = np.zeros(len(inout_codes), bool), np.zeros(len(inout_codes))
        limits = (cost_usd_max, latency_ms_max, quality_min)
        weights = (left_usd, usd_weight + price, second_weight)
        if not decision.weigh(values, *weights, *limits, inout_codes, eligible, utility):
            return -2
        deviation = values[1].copy()
        if explorer == 1:
            exploration.widen_unknown(values[1], evidence, eligible, deviation)
        mixed += share * _bounded(explorer, parameter, utility, deviation, eligible, caps, floor, given)
        base += share * _bounded(0, 0.0, utility - 0.5 * values[1], values[1], eligible, caps, floor, given)
    if explorer != 5 and np.isfinite(allowance_usd):
        if explorer == 1 and (caps[eligible] >= 1).all():
            mixed[:] = base
            bounded = (evidence >= max(known_from, 1)) & (price_high > 0)
            losses = np.where(bounded, spend_share * pacing.stake_of(utility, values[2], eligible, price), np.inf)
            pacing.try_within(utility, deviation, values[2], eligible, parameter, allowance_usd, losses, mixed)
        else:
            pacing.hold_within(base, values[2], allowance_usd, mixed)
    out_pmf[:] = mixed
    if spend_share > 0:
        part = 0.25 if np.isfinite(allowance_usd) else 1.0
        pacing.mix_floor_within(out_pmf, eligible, values, floor, part * spend_share)
        floor = 0.0
    return decision.settle(values, eligible, floor, uniform, out_pmf, out_expected)


def decide_rows(
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
    out_index,
):
    """Row by row."""
    weights = (left_usd, usd_weight, second_weight, cost_usd_max, latency_ms_max, quality_min)
    rule = (
        *weights,
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
    )
    for b in range(len(values)):
        out_index[b] = decide(values[b], *rule, uniform[b], inout_codes[b], out_pmf[b], out_expected[b])
