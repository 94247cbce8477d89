"""Hard limits on what is expected of a model."""

import numpy as np

from banditd.catalog.eligibility import money_matters
from banditd.domain.arrays import Codes
from banditd.domain.decision import Exclusion, Limits, Objective
from banditd.policies.base import Prediction


def exclude_beyond_limits(prediction: Prediction, objective: Objective, limits: Limits, inout_codes: Codes) -> None:
    """Write a reason into *inout_codes* for each still eligible model that breaks a limit.

    Args:
        prediction: Of one context, arrays of shape (K,).
        objective: The trade-off: where a dollar is worth something, a model of unknown cost cannot be compared.
        limits: The limits.
        inout_codes: Shape (K,), uint8, values of `Exclusion`; a reason that is there already stays.
    """

    def exclude(broken: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]", reason: Exclusion) -> None:
        inout_codes[broken & (inout_codes == Exclusion.ELIGIBLE)] = reason

    if money_matters(objective, limits):
        exclude(np.isnan(prediction.cost_usd), Exclusion.PRICE_UNKNOWN)
    if limits.cost_usd_max is not None:
        exclude(prediction.cost_usd > limits.cost_usd_max, Exclusion.COST_LIMIT)
    if limits.latency_ms_max is not None:
        exclude(prediction.latency_ms > limits.latency_ms_max, Exclusion.LATENCY_LIMIT)
    if limits.quality_min is not None:
        exclude(prediction.quality < limits.quality_min, Exclusion.QUALITY_FLOOR)
