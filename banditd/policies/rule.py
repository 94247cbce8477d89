"""The numbers by which a router decides, whatever the context."""

from typing import Final, NamedTuple

import numpy as np

from banditd.domain.arrays import Array64


class Rule(NamedTuple):
    """What `decide` takes between the expectations and the given pmf, in that order."""

    left_usd: float
    usd_weight: float
    second_weight: float
    cost_usd_max: float
    latency_ms_max: float
    quality_min: float
    price_low: float
    price_high: float
    share_high: float
    explorer: int
    parameter: float
    evidence: Array64
    known_from: float
    caps: Array64
    floor: float
    spend_share: float
    allowance_usd: float


# The same without names.
Numbers = tuple[
    float,
    float,
    float,
    float,
    float,
    float,
    float,
    float,
    float,
    int,
    float,
    Array64,
    float,
    Array64,
    float,
    float,
    float,
]

# The given pmf, which follows them, where the explorer is another.
NONE_GIVEN: Final = np.zeros((2, 0))
