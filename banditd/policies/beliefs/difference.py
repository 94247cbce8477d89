"""What a comparison says of the difference of two qualities."""

import math
from dataclasses import dataclass
from typing import Final

from banditd.domain.arrays import Array32
from banditd.domain.comparison import Comparison
from banditd.policies.beliefs.judges import Judges
from banditd.policies.beliefs.regression import Regression


@dataclass(frozen=True, slots=True)
class Difference:
    """What a comparison says of the difference of two qualities.

    Attributes:
        value: The vote, with bias and reliability taken out.
        variance: Of that, > 0.
        qualities: As they were expected: quality and variance of a, quality and variance of b.
    """

    value: float
    variance: float
    qualities: tuple[float, float, float, float]


# A vote is 1, 0 or -1, so that it varies by 1 - difference^2; what is nearly certain still varies a little.
_VOTE_VARIANCE_MIN: Final = 0.1
# A judge who says as often the opposite as what he sees says nothing; one who does so more often than that would be
# believed in reverse, for which his name had to be known very well.
_TRUTH_MIN: Final = 0.05


def difference(a: Regression, b: Regression, row: Array32, comparison: Comparison, judges: Judges) -> Difference | None:
    """Return what a comparison says, and let *judges* learn from it; None where it says nothing."""
    quality_a, variance_a = a.expect(row)
    quality_b, variance_b = b.expect(row)
    shares, order = comparison.shares, comparison.order
    shared = judges.shared
    expected = min(max(quality_a - quality_b + shared[0] * order, -0.98), 0.98)
    spread = variance_a + variance_b
    if not math.isfinite(expected) or not math.isfinite(spread):
        return None
    truth = 2.0 * judges.reliability(comparison.judge) - 1.0
    judges.learn(comparison.judge, shares, 0.5 + 0.5 * expected, 0.5 - 0.5 * expected)
    if truth < _TRUTH_MIN:
        return None
    vote = (shares[0] - shares[1]) / truth
    noise = max(1.0 / (truth * truth) - expected * expected, _VOTE_VARIANCE_MIN) / comparison.weight
    if order != 0.0:
        rate = shared[1] / (noise + spread + shared[1])
        shared[0] += rate * order * (vote - expected)
        shared[1] -= rate * shared[1]
    value = vote - float(shared[0]) * order
    return Difference(value, noise, (quality_a, variance_a, quality_b, variance_b))
