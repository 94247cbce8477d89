"""Twins of the kernels in ``terms.py``: masks, and the quantile by way of the log-normal's median."""

import numpy as np


def add_charges(values, fee_usd, switch_usd, switch_token_usd, slots, previous_slot, tokens, out_values):
    """By a mask of the models that are another than the last."""
    another = (slots.astype(int) != previous_slot) & (previous_slot >= 0)
    quality, deviation, cost_usd, latency_ms = values
    out_values[:] = [
        quality,
        deviation,
        cost_usd + fee_usd + np.where(another, switch_usd + switch_token_usd * tokens, 0.0),
        latency_ms,
    ]


def exclude_slow(values, half_variance, normal_quantile, latency_ms_max, inout_codes):
    """Expectation to median to quantile."""
    median_ms = values[3] / np.exp(half_variance)
    quantile_ms = median_ms * np.exp(normal_quantile * np.sqrt(2 * half_variance))
    inout_codes[(inout_codes == 0) & (quantile_ms > latency_ms_max)] = 6
