"""Explorers by name. What they do stands in `kernels.exploration` and `kernels.thompson`, and `routing.choose` asks."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from banditd.kernels import choice

EXPLORERS: Final[Mapping[str, int]] = MappingProxyType(
    {
        # The largest utility; ties share. With a floor this is epsilon-greedy.
        "greedy": choice.GREEDY,
        # The largest utility + alpha * deviation (Li et al. 2010, arXiv:1003.0146).
        "ucb": choice.UCB,
        # Each model with the probability that it is the best (Agrawal and Goyal 2013, arXiv:1209.3352), computed by
        # quadrature and then drawn from, so that the propensity is exact. The parameter scales the deviations.
        "thompson": choice.THOMPSON,
        # By inverse gaps (SquareCB; Foster and Rakhlin 2020, arXiv:2002.04926).
        "inverse_gap": choice.INVERSE_GAP,
        # By exp(utility / temperature).
        "softmax": choice.SOFTMAX,
    }
)


def gamma_now(gamma: float, learnt_count: int) -> float:
    """Return the gamma of inverse gaps after so many qualities: it grows with their root."""
    return gamma * math.sqrt(learnt_count + 1.0)
