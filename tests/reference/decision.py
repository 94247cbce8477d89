"""Twins of the kernels in ``decision.py``: einsum, masks, sorting and a cumulative sum, in float64."""

import numpy as np


def predict_models(theta, a_inv, offsets, x, out_values):
    """By einsum and NumPy's exponential."""
    x = x.astype(float)
    quality, log_cost, log_latency = np.einsum("nmk,n->mk", theta.astype(float), x)
    width_sq = np.maximum(np.einsum("ijk,i,j->k", a_inv.astype(float), x, x), 0.0)
    out_values[:] = [
        quality,
        offsets[0] * np.sqrt(width_sq),
        np.exp(np.minimum(log_cost + offsets[1], 60.0)),
        np.exp(np.minimum(log_latency + offsets[2], 60.0)),
    ]


def predict_models_rows(theta, a_inv, offsets, x, out_values):
    """Row by row."""
    for row, values in zip(x, out_values, strict=True):
        predict_models(theta, a_inv, offsets, row, values)


def _utility(quality, cost_usd, latency_ms, usd_weight, second_weight):
    dollars = usd_weight * cost_usd if usd_weight > 0 else 0.0
    return quality - dollars - second_weight * 1e-3 * latency_ms


def weigh(
    values,
    left_usd,
    usd_weight,
    second_weight,
    cost_usd_max,
    latency_ms_max,
    quality_min,
    inout_codes,
    out_eligible,
    out_utility,
):
    """By masks, the strongest reason last."""
    quality, _, cost_usd, latency_ms = values
    free = inout_codes == 0
    found = np.zeros_like(inout_codes)
    found[quality < quality_min] = 7
    found[values[3] > latency_ms_max] = 6
    found[cost_usd > cost_usd_max] = 5
    if usd_weight > 0 or np.isfinite(cost_usd_max) or np.isfinite(quality_min):
        found[np.isnan(cost_usd)] = 4
    found[cost_usd > left_usd] = 11
    inout_codes[free] = found[free]
    out_eligible[:] = inout_codes == 0
    utility = _utility(quality, cost_usd, latency_ms, usd_weight, second_weight)
    out_utility[:] = np.where(np.isfinite(quality_min), -cost_usd, utility)
    return int(out_eligible.sum())


def settle(values, eligible, floor, uniform, inout_pmf, out_expected):
    """By a cumulative sum."""
    out_expected[:] = values[[0, 2, 3]]
    inout_pmf[:] = np.where(eligible, (1 - floor) * inout_pmf + floor / eligible.sum(), 0.0)
    if not abs(inout_pmf.sum() - 1) < 1e-9:
        return -1
    return int(np.searchsorted(np.cumsum(inout_pmf), uniform * inout_pmf.sum(), side="right"))


def _order(expected, codes, usd_weight, second_weight, chosen, out_order):
    """By a stable sort."""
    keys = np.where(codes == 0, -_utility(*expected.astype(float), usd_weight, second_weight), np.inf)
    keys[chosen] = -np.inf
    out_order[:] = np.argsort(keys, kind="stable")


def rank_models_rows(expected, codes, usd_weights, second_weight, drawn, out_order):
    """Row by row."""
    for row, order in enumerate(out_order):
        _order(expected[row], codes[row], usd_weights[row], second_weight, drawn[row], order)


def count_support(slots, pmf, inout_support):
    """By fancy indices, each number standing once."""
    if slots.max() >= len(inout_support):
        return False
    drawn = pmf > 0
    inout_support[slots[drawn], 0] += pmf[drawn]
    inout_support[slots[drawn], 1] = np.minimum(inout_support[slots[drawn], 1], pmf[drawn])
    return True
