"""What the terms of a request make of an expectation: charges beside the tokens, and a percentile of the latency.

One call each, where NumPy takes a microsecond per operation on arrays this short.
"""

import math

from banditd.kernels._jit import Array64, Codes, Slots, array, f64, i64, kernel, u8, u16
from banditd.kernels.decision import ELIGIBLE, LATENCY_LIMIT
from banditd.kernels.elementary import exp_negative

# Rows of what is expected.
COST = 2
LATENCY = 3


@kernel(
    array(f64, "VK"),
    array(f64, "K"),
    array(f64, "K"),
    array(f64, "K"),
    array(u16, "K"),
    i64,
    f64,
    array(f64, "VK", out=True),
)
def add_charges(
    values: Array64,  # (4, K) expected quality, its deviation, expected cost, expected latency
    fee_usd: Array64,  # (K,) per call
    switch_usd: Array64,  # (K,) where another model answered last in the session
    switch_token_usd: Array64,  # (K,) the same, per input token
    slots: Slots,  # (K,) numbers of the models
    previous_slot: int,  # of the model that answered last; negative for none, which makes no model a switch
    tokens: float,  # length of the prompt, >= 0
    out_values: Array64,  # (4, K) written: the same with the charges in the cost
) -> None:
    """Write the expectations with what a call costs beside its tokens; what a belief said may be frozen."""
    for row in range(values.shape[0]):
        for k in range(values.shape[1]):
            out_values[row, k] = values[row, k]
    for k in range(values.shape[1]):
        out_values[COST, k] += fee_usd[k]
        if previous_slot >= 0 and slots[k] != previous_slot:
            out_values[COST, k] += switch_usd[k] + switch_token_usd[k] * tokens


@kernel(array(f64, "VK"), array(f64, "K"), f64, f64, array(u8, "K", inout=True))
def exclude_slow(
    values: Array64,  # (4, K) as above
    half_variance: Array64,  # (K,) half the variance of the log of the latency, >= 0
    normal_quantile: float,  # quantile of the standard normal distribution
    latency_ms_max: float,  # what a quantile may be
    inout_codes: Codes,  # (K,) reasons; one that is there already stays
) -> None:
    """Leave out whose latency's quantile is too large; of a log-normal it is exp(mu + z s) = E exp(z s - s^2 / 2)."""
    for k in range(values.shape[1]):
        exponent = normal_quantile * math.sqrt(2.0 * half_variance[k]) - half_variance[k]
        ratio = 1.0 / exp_negative(-exponent) if exponent > 0.0 else exp_negative(exponent)
        if inout_codes[k] == ELIGIBLE and values[LATENCY, k] * ratio > latency_ms_max:
            inout_codes[k] = LATENCY_LIMIT
