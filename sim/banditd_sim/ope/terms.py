"""RoundTerms: an estimate kept as one term per round, so that every interval can be put around every estimator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from banditd_sim.ope.arrays import Float64


@dataclass(frozen=True, slots=True)
class RoundTerms:
    """What each of n rounds adds to an estimate.

    The estimate is mean(addend) + mean(numerator) when *denominator* is None, and otherwise
    mean(addend) + sum(numerator) / sum(denominator). IPS is a numerator w r alone; SNIPS adds the denominator w;
    DR is an addend (the direct method) and a numerator w (r - q); replay is a ratio of matches.

    Attributes:
        addend: (n,), or None for all zeros.
        numerator: (n,), or None for all zeros.
        denominator: (n,), >= 0 with a positive sum, or None where nothing is normalised.
    """

    addend: Float64 | None
    numerator: Float64 | None
    denominator: Float64 | None = None

    def __post_init__(self) -> None:
        assert self.addend is not None or self.numerator is not None
        assert self.denominator is None or self.numerator is not None

    def __len__(self) -> int:
        array = self.numerator if self.numerator is not None else self.addend
        assert array is not None
        return int(array.shape[0])


def estimate(terms: RoundTerms) -> float:
    """Return the estimate: mean(addend) + mean(numerator), or + sum(numerator) / sum(denominator).

    nan when no round has weight (the denominator sums to 0): there is nothing to average.
    """
    value = 0.0 if terms.addend is None else float(terms.addend.mean())
    if terms.numerator is None:
        return value
    if terms.denominator is None:
        return value + float(terms.numerator.mean())
    total = float(terms.denominator.sum())
    return value + float(terms.numerator.sum()) / total if total > 0.0 else float("nan")


def round_values(terms: RoundTerms) -> Float64:
    """Return one value per round (n,) whose mean is the estimate and whose spread is its sampling error.

    Without a denominator these are the terms themselves. For a ratio R = sum(a) / sum(b) they are the linearised
    (delta method) values R + (a_i - R b_i) / mean(b), so that var / n is the ratio's asymptotic variance
    (Owen, Monte Carlo theory, 2013, section 9.2, eq. 9.8).
    """
    if terms.numerator is None:
        assert terms.addend is not None
        return terms.addend
    if terms.denominator is None:
        return terms.numerator if terms.addend is None else terms.addend + terms.numerator
    total = float(terms.denominator.sum())
    if total <= 0.0:
        return np.full(len(terms), np.nan)
    ratio = float(terms.numerator.sum()) / total
    values = terms.numerator - ratio * terms.denominator
    values *= len(terms) / total
    values += ratio
    if terms.addend is not None:
        values += terms.addend
    return values
