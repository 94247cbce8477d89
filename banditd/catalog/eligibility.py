"""Who is eligible, and why not: what can be said before anything is scored."""

import numpy as np

from banditd.domain.arrays import Codes
from banditd.domain.decision import Exclusion, Limits, Objective
from banditd.domain.model import ModelSpec


def money_matters(objective: Objective, limits: Limits) -> bool:
    """Return whether a model without any known cost cannot be compared with the others."""
    return objective.usd_weight > 0.0 or limits.cost_usd_max is not None or limits.minimises_cost


def exclusion_of(model: ModelSpec, *, limits: Limits, input_tokens: int) -> Exclusion:
    """Return why *model* cannot be chosen, or `ELIGIBLE`.

    Args:
        model: The model.
        limits: Limits of the request; only its tags are looked at here.
        input_tokens: Length of the prompt; negative means unknown, which fits every window.
    """
    if not model.enabled:
        return Exclusion.DISABLED
    if any(tag not in model.tags for tag in limits.required_tags):
        return Exclusion.TAG_MISSING
    if 0 < model.context_window_tokens < input_tokens:
        return Exclusion.CONTEXT_WINDOW
    return Exclusion.ELIGIBLE


def exclusions_of(models: tuple[ModelSpec, ...], *, limits: Limits, input_tokens: int) -> Codes:
    """Return `exclusion_of` for each of *models*: shape (K,), uint8."""
    return np.array([exclusion_of(model, limits=limits, input_tokens=input_tokens) for model in models], np.uint8)
