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
    return Exclusion(_code_of(model, limits.required_tags, input_tokens))


def exclusions_of(models: tuple[ModelSpec, ...], *, limits: Limits, input_tokens: int) -> Codes:
    """Return `exclusion_of` for each of *models*: shape (K,), uint8."""
    required = limits.required_tags
    # Through bytes: an array of a list asks each member of the enumeration for its type, which takes as long as a
    # kernel.
    codes = bytearray(_code_of(model, required, input_tokens) for model in models)
    return np.frombuffer(codes, np.uint8)


def _code_of(model: ModelSpec, required_tags: tuple[str, ...], input_tokens: int) -> int:
    if not model.enabled:
        return _DISABLED
    for tag in required_tags:
        if tag not in model.tags:
            return _TAG_MISSING
    if 0 < model.context_window_tokens < input_tokens:
        return _CONTEXT_WINDOW
    return _ELIGIBLE


# Looking up a member of an enumeration takes as long as everything else here.
_ELIGIBLE, _DISABLED = int(Exclusion.ELIGIBLE), int(Exclusion.DISABLED)
_TAG_MISSING, _CONTEXT_WINDOW = int(Exclusion.TAG_MISSING), int(Exclusion.CONTEXT_WINDOW)
