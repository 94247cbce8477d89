"""What the terms of a request make of an expectation: charges beside the tokens, and a percentile of the latency.

One call each, where NumPy takes a microsecond per operation on arrays this short. Both leave what a belief said as it
is: it may be frozen.
"""

from banditd.kernels._jit import Array64, Slots, array, f64, i64, kernel, u16
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
    """Write the expectations with what a call costs beside its tokens."""
    for row in range(values.shape[0]):
        for k in range(values.shape[1]):
            out_values[row, k] = values[row, k]
    for k in range(values.shape[1]):
        out_values[COST, k] += fee_usd[k]
        if previous_slot >= 0 and slots[k] != previous_slot:
            out_values[COST, k] += switch_usd[k] + switch_token_usd[k] * tokens


@kernel(array(f64, "VK"), array(f64, "K"), f64, array(f64, "VK", out=True))
def to_quantiles(
    values: Array64,  # (4, K) as above
    deviation: Array64,  # (K,) standard deviation of the log of the latency, >= 0
    normal_quantile: float,  # quantile of the standard normal distribution
    out_values: Array64,  # (4, K) written: the same with the quantile of the latency in the place of its expectation
) -> None:
    """Write the expectations with quantiles of log-normal latencies: exp(mu + z s) = E exp(z s - s^2 / 2)."""
    for row in range(values.shape[0]):
        for k in range(values.shape[1]):
            out_values[row, k] = values[row, k]
    for k in range(values.shape[1]):
        exponent = (normal_quantile - 0.5 * deviation[k]) * deviation[k]
        ratio = 1.0 / exp_negative(-exponent) if exponent > 0.0 else exp_negative(exponent)
        out_values[LATENCY, k] *= ratio
