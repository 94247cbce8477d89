"""Means over seeds, with t intervals, and paired differences between policies run on the same seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from banditd_sim.metrics.arrays import finite_vector, same_length
from banditd_sim.metrics.errors import MetricError
from banditd_sim.ope.quantiles import student_t_quantile


@dataclass(frozen=True, slots=True)
class SeedMean:
    """A mean over seeds.

    Attributes:
        seeds_count: Number of seeds, >= 1.
        mean: Their mean.
        low, high: mean ± t s / sqrt(seeds), t Student's quantile on seeds - 1 degrees; infinite for one seed.
    """

    seeds_count: int
    mean: float
    low: float
    high: float


def seed_mean(values: npt.ArrayLike, *, alpha: float = 0.05) -> SeedMean:
    """Return the mean over seeds with its two-sided t interval at level 1 - alpha (Student, Biometrika 6 (1908)).

    It covers the mean over *further seeds on the same rounds*: what the policy's own randomness and the order of the
    rounds do. It says nothing of other prompts.

    Args:
        values: (seeds,), one figure per seed.
        alpha: In (0, 1).
    """
    v = finite_vector("values", values)
    if not 0.0 < alpha < 1.0:
        raise MetricError("alpha", "in (0, 1)", alpha)
    mean = float(v.mean())
    if v.size == 1:
        return SeedMean(1, mean, -math.inf, math.inf)
    half = student_t_quantile(1.0 - 0.5 * alpha, v.size - 1) * float(v.std(ddof=1)) / math.sqrt(v.size)
    return SeedMean(int(v.size), mean, mean - half, mean + half)


def paired_difference(values: npt.ArrayLike, baseline: npt.ArrayLike, *, alpha: float = 0.05) -> SeedMean:
    """Return the mean of values - baseline over seeds that both were run on, in the same order, with its t interval.

    Pairing takes out what the seeds have in common, and is often far narrower than two intervals side by side.
    """
    v, b = finite_vector("values", values), finite_vector("baseline", baseline)
    same_length(values=v, baseline=b)
    return seed_mean(np.subtract(v, b), alpha=alpha)
