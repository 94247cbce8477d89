"""The change detector: is a metric of a model still what was learnt of it?

Two-sided CUSUM (Page 1954, Biometrika 41, "Continuous inspection schemes") on one-step prediction residuals z, each
divided by the standard deviation that was predicted for it (Brown, Durbin & Evans 1975, JRSS B 37):

    rise <- max(0, rise + z - SLACK),   fall <- max(0, fall - z - SLACK),   alarm where one exceeds THRESHOLD

While nothing changes z has mean 0 and variance 1, so both sums keep returning to 0; a shift of d deviations drives one
of them up by d - SLACK per value. On independent normal residuals Siegmund's approximation (Sequential Analysis, 1985,
section 2.6) gives one false alarm in

    (exp(2 SLACK (THRESHOLD + 1.166)) - 2 SLACK (THRESHOLD + 1.166) - 1) / (4 SLACK^2)

values for both sides together: 70,000 with the numbers below, which a test measures, and a shift of 1.5 deviations is
found after about 10 values. Judges' qualities are skewed, and a policy that picks the largest of many estimates is
disappointed a little by each: the slack lets half a deviation of that pass, and one value counts for no more than
`CLIP`, so that no single outlier, nor three, can raise an alarm.
"""

import math

from banditd.kernels._jit import Array64, array, boolean, f64, helper, kernel

SLACK = 0.5
THRESHOLD = 10.0
CLIP = 3.0
# Values of a metric that go by before its residuals are believed: until then it is the guess of the noise that errs.
WARM_UP = 30

# Places in the sums of a metric; the last counts values seen since the last alarm.
RISE, FALL, SEEN = range(3)


@helper
def _watch(
    sums: Array64,  # (3,) updated
    residual: float,
) -> None:
    if not math.isfinite(residual):
        return
    sums[SEEN] += 1.0
    if sums[SEEN] <= WARM_UP:
        return
    z = min(max(residual, -CLIP), CLIP)
    sums[RISE] = max(0.0, sums[RISE] + z - SLACK)
    sums[FALL] = max(0.0, sums[FALL] - z - SLACK)


@kernel(array(f64, "TT", inout=True), f64, f64, f64, returns=(boolean,))
def watch_metrics(
    inout_sums: Array64,  # (3, 3) of each metric: rise, fall, values seen; updated
    of_quality: float,  # residual; nan or infinite for none, which changes nothing
    of_cost: float,  # likewise
    of_latency: float,  # likewise
) -> bool:
    """Sum up what one lesson's predictions missed by; return whether a metric has changed."""
    _watch(inout_sums[0], of_quality)
    _watch(inout_sums[1], of_cost)
    _watch(inout_sums[2], of_latency)
    changed = False
    for metric in range(3):
        if inout_sums[metric, RISE] > THRESHOLD or inout_sums[metric, FALL] > THRESHOLD:
            changed = True
    return changed
