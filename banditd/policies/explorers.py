"""Explorers: utilities to probabilities, each a few lines over a kernel. `routing.choose` mixes in the floor."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from banditd.domain.arrays import Array64, Mask
from banditd.kernels import exploration, thompson
from banditd.policies.base import Explorer


def greedy(
    utility: Array64, deviation: Array64, eligible: Mask, parameter: float, learnt_count: int, out_pmf: Array64
) -> None:
    """Choose the largest utility; ties share. With a floor this is epsilon-greedy."""
    exploration.greedy(utility, eligible, out_pmf)


def ucb(
    utility: Array64, deviation: Array64, eligible: Mask, parameter: float, learnt_count: int, out_pmf: Array64
) -> None:
    """Choose the largest utility + alpha * deviation (Li et al. 2010, arXiv:1003.0146)."""
    exploration.ucb(utility, deviation, eligible, parameter, out_pmf)


def thompson_sampling(
    utility: Array64, deviation: Array64, eligible: Mask, parameter: float, learnt_count: int, out_pmf: Array64
) -> None:
    """Choose each model with the probability that it is the best (Agrawal and Goyal 2013, arXiv:1209.3352).

    Computed by quadrature and then drawn from, so that the propensity is exact. *parameter* scales the deviations.
    """
    thompson.probability_best(utility, deviation * parameter, eligible, out_pmf)


def inverse_gap(
    utility: Array64, deviation: Array64, eligible: Mask, parameter: float, learnt_count: int, out_pmf: Array64
) -> None:
    """Weigh by inverse gaps (SquareCB; Foster and Rakhlin 2020, arXiv:2002.04926) with gamma = parameter * sqrt(t)."""
    exploration.inverse_gap(utility, eligible, parameter * math.sqrt(learnt_count + 1.0), out_pmf)


def softmax(
    utility: Array64, deviation: Array64, eligible: Mask, parameter: float, learnt_count: int, out_pmf: Array64
) -> None:
    """Weigh by exp(utility / temperature)."""
    exploration.softmax(utility, eligible, parameter, out_pmf)


EXPLORERS: Final[Mapping[str, Explorer]] = MappingProxyType(
    {
        "greedy": greedy,
        "ucb": ucb,
        "thompson": thompson_sampling,
        "inverse_gap": inverse_gap,
        "softmax": softmax,
    }
)
