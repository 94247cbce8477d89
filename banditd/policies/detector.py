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
from typing import Final

SLACK: Final = 0.5
THRESHOLD: Final = 10.0
CLIP: Final = 3.0
# Values of a metric that go by before its residuals are believed: until then it is the guess of the noise that errs.
WARM_UP: Final = 30

# What is kept of one metric: rise, fall, values seen since the last alarm.
Sums = tuple[float, float, int]
START: Final[Sums] = (0.0, 0.0, 0)


def watch(sums: Sums, residual: float) -> Sums:
    """Return the sums after one residual; NaN stands for none and changes nothing."""
    rise, fall, count = sums
    if not math.isfinite(residual):
        return sums
    if count < WARM_UP:
        return rise, fall, count + 1
    # Comparisons, which take a quarter of the time of min() and max(): this is asked per metric of every outcome.
    z = -CLIP if residual < -CLIP else min(residual, CLIP)
    rise, fall = rise + z - SLACK, fall - z - SLACK
    return max(0.0, rise), max(0.0, fall), count + 1


def alarms(sums: Sums) -> bool:
    """Return whether the metric has changed."""
    return sums[0] > THRESHOLD or sums[1] > THRESHOLD
