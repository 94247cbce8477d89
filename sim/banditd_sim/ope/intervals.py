"""Fixed-sample intervals around any estimator's terms: normal, skewness-corrected, bootstrap, empirical Bernstein."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from banditd_sim.ope.arrays import Float64
from banditd_sim.ope.errors import LogError, SupportError
from banditd_sim.ope.products import combine
from banditd_sim.ope.quantiles import normal_quantile, student_t_quantile
from banditd_sim.ope.terms import RoundTerms, estimate, round_values

# Above this many rounds the bootstrap resamples random groups of rounds instead of rounds. Mean, variance and skewness
# of the resampled estimate stay those of the pairs bootstrap, and a million rounds cost what 20,000 do.
BOOTSTRAP_UNITS_MAX = 20_000
# Resamples drawn at a time: 64 x 20,000 counts of 8 bytes are 10 MB.
_RESAMPLES_PER_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval [low, high] at some level; either end may be infinite, neither is nan."""

    low: float
    high: float

    def __post_init__(self) -> None:
        assert self.low <= self.high

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    @property
    def width(self) -> float:
        """Length of the interval, high - low."""
        return self.high - self.low


def standard_error(terms: RoundTerms) -> float:
    """Return s / sqrt(n), with s the sample deviation (n - 1) of `round_values`; infinite for n = 1."""
    n = len(terms)
    return float(round_values(terms).std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf


def normal_interval(terms: RoundTerms, *, alpha: float = 0.05) -> Interval:
    """Return mean ± z s / sqrt(n); for ratios by the delta method.

    Right for large n with weights that are not too heavy-tailed. The rounds must be independent, or at least a
    martingale with settled variance: under a log whose policy was still learning, prefer a confidence sequence.

    Args:
        terms: n >= 2 rounds.
        alpha: In (0, 1), one minus the level.
    """
    _check_alpha(alpha)
    value = _finite_estimate(terms)
    half = normal_quantile(1.0 - 0.5 * alpha) * standard_error(terms)
    return Interval(value - half, value + half)


def skew_corrected_interval(terms: RoundTerms, *, alpha: float = 0.05) -> Interval:
    """Return the interval of Hall's transformed Student statistic; for ratios on linearised values.

    Few rounds with large weights make terms skewed and heavy-tailed: a good policy's are mostly small gains, and rarely
    a great loss. Then estimate and deviation err together, and mean ± z s / sqrt(n) misses on one side. With
    t = (mean - truth) sqrt(n) / s and a = m3 / m2^1.5 / sqrt(n), the cubic

        g(t) = t + a t^2 / 3 + a^2 t^3 / 27 + a / 6

    is symmetric up to O(1/n) and increasing (Hall, On the removal of skewness by transformation, JRSS B 54, 1992),
    so |g(t)| <= q is solved for the truth. q is Student's quantile on f = 2 / (2 / (n - 1) + k / n) degrees of freedom,
    k >= 0 the excess kurtosis: the f of the chi-square that has the variance of s^2 (Satterthwaite 1946). Light-tailed
    terms give the normal interval.

    Args:
        terms: n >= 2 rounds, independent as for `normal_interval`.
        alpha: In (0, 1), one minus the level.
    """
    _check_alpha(alpha)
    value = _finite_estimate(terms)
    n, error = len(terms), standard_error(terms)
    off = round_values(terms)
    off = off - off.mean()
    m2 = float((off**2).mean())
    if m2 == 0.0:
        return Interval(value, value)
    a = float((off**3).mean()) / m2**1.5 / math.sqrt(n)
    excess = max(float((off**4).mean()) / m2**2 - 3.0, 0.0)
    q = student_t_quantile(1.0 - 0.5 * alpha, 2.0 / (2.0 / (n - 1) + excess / n))
    return Interval(value - error * _untransformed(q, a), value - error * _untransformed(-q, a))


def _untransformed(x: float, a: float) -> float:
    """Return the t of which Hall's g is *x*; for small skewness by its series, where the formula cancels."""
    if abs(a) < 1e-6:
        return x - a * (2.0 * x * x + 1.0) / 6.0
    return 3.0 / a * (math.cbrt(1.0 + a * (x - a / 6.0)) - 1.0)


def bootstrap_interval(terms: RoundTerms, *, alpha: float = 0.05, resamples: int = 1000, seed: int = 0) -> Interval:
    """Return the percentile bootstrap interval: whole rounds are drawn with replacement, ratios are formed anew.

    (Efron and Tibshirani, An introduction to the bootstrap, 1993, chapter 13.) Keeping a ratio's denominator fixed
    while resampling its numerator, as some packages do, gives a wrong width. Above 20,000 rounds, random groups of
    rounds are drawn instead of rounds. Memory is linear in n; the same seed gives the same interval.

    Args:
        terms: n >= 2 rounds.
        alpha: In (0, 1), one minus the level.
        resamples: At least 1 / alpha; 1,000 leave about 3 % noise in the width.
        seed: Decides the resamples.

    Raises:
        SupportError: `NO_INTERVAL` for fewer than 2 rounds or an estimate that is not finite.
    """
    return bootstrap_intervals([terms], alpha=alpha, resamples=resamples, seed=seed)[0]


def bootstrap_intervals(
    many_terms: Sequence[RoundTerms], *, alpha: float = 0.05, resamples: int = 1000, seed: int = 0
) -> list[Interval]:
    """Return `bootstrap_interval` of several estimators on the same n rounds, from the same resamples, at once."""
    _check_alpha(alpha)
    if resamples * alpha < 1.0:
        raise LogError("resamples", f"at least {math.ceil(1.0 / alpha)}", resamples, reason="PARAMETER_OUT_OF_RANGE")
    for terms in many_terms:
        _finite_estimate(terms)
    if not many_terms:
        return []
    ends = (0.5 * alpha, 1.0 - 0.5 * alpha)
    values = resampled_estimates(many_terms, resamples=resamples, seed=seed)
    intervals = []
    for column in values.T:
        # A resample without any weight has no ratio; it can only occur where the estimate is worthless anyway.
        low, high = np.quantile(column[~np.isnan(column)], ends)
        intervals.append(Interval(float(low), float(high)))
    return intervals


def resampled_estimates(many_terms: Sequence[RoundTerms], *, resamples: int, seed: int) -> Float64:
    """Return the estimates on each of *resamples* pairs-bootstrap samples, shape (resamples, estimators)."""
    rng = np.random.default_rng(seed)
    sums = _unit_sums(many_terms, rng)
    units = sums.shape[0]
    counts = np.empty((_RESAMPLES_PER_BLOCK, units))
    values = np.empty((resamples, len(many_terms)))
    for start in range(0, resamples, _RESAMPLES_PER_BLOCK):
        stop = min(start + _RESAMPLES_PER_BLOCK, resamples)
        drawn = rng.integers(0, units, size=(stop - start, units), dtype=np.int32)
        for i in range(stop - start):
            counts[i] = np.bincount(drawn[i], minlength=units)
        totals = combine(counts[: stop - start], sums)
        rounds = totals[:, -1]
        for j, terms in enumerate(many_terms):
            addend, numerator, denominator = totals[:, 3 * j : 3 * j + 3].T
            bottom = rounds if terms.denominator is None else denominator
            ratio = np.divide(numerator, bottom, out=np.full(stop - start, np.nan), where=bottom > 0.0)
            values[start:stop, j] = addend / rounds + ratio
    return values


def _unit_sums(many_terms: Sequence[RoundTerms], rng: np.random.Generator) -> Float64:
    """Return sums over the units that are resampled, shape (units, 3 E + 1).

    The columns are addend, numerator and denominator of each of the E estimators, and the number of rounds.
    """
    n = len(many_terms[0])
    columns: list[Float64 | None] = []
    for terms in many_terms:
        assert len(terms) == n
        columns += [terms.addend, terms.numerator, terms.denominator]
    columns.append(np.ones(n))
    units = min(n, BOOTSTRAP_UNITS_MAX)
    sums = np.zeros((units, len(columns)))
    unit = rng.permutation(np.arange(n, dtype=np.int64) % units) if units < n else None
    for j, column in enumerate(columns):
        if column is not None:
            sums[:, j] = column if unit is None else np.bincount(unit, weights=column, minlength=units)
    return sums


def empirical_bernstein_interval(
    terms: RoundTerms, *, term_min: float, term_max: float, alpha: float = 0.05
) -> Interval:
    """Return the two-sided empirical Bernstein interval, which holds at every n and for any distribution.

    mean ± sqrt(2 s^2 ln(4/alpha) / n) + 7 B ln(4/alpha) / (3 (n - 1)) with B = term_max - term_min and s^2 the sample
    variance (Maurer and Pontil, COLT 2009, arXiv:0907.3740, theorem 4 at alpha/2 on either side).

    The range must be what a term *can* be, from the structural bound on the weights. The largest term that happened
    to be seen is no bound: with it the interval loses its guarantee exactly where it is needed.

    Args:
        terms: n >= 2 independent rounds; no ratio.
        term_min: No term can be less.
        term_max: No term can be more; finite.
        alpha: In (0, 1), one minus the level.

    Raises:
        SupportError: `NO_BOUND` for a ratio (its terms are not independent) or n < 2.
        LogError: `TERM_OUT_OF_RANGE` if a term lies outside the range.
    """
    _check_alpha(alpha)
    if terms.denominator is not None:
        raise SupportError("empirical Bernstein: expected an unnormalised estimator, got a ratio", reason="NO_BOUND")
    values = round_values(terms)
    n = len(terms)
    if n < 2:
        raise SupportError(f"empirical Bernstein: expected at least 2 rounds, got {n}", reason="NO_BOUND")
    # Terms are sums of rounded products; an ulp beyond the range is not a caller's error.
    slack = 1e-9 * max(1.0, abs(term_min), abs(term_max))
    for value in (float(values.min()), float(values.max())):
        if not term_min - slack <= value <= term_max + slack:
            raise LogError("term", f"in [{term_min:.6g}, {term_max:.6g}]", value, reason="TERM_OUT_OF_RANGE")
    tail = math.log(4.0 / alpha)
    half = math.sqrt(2.0 * float(values.var(ddof=1)) * tail / n) + 7.0 * (term_max - term_min) * tail / (3.0 * (n - 1))
    mean = float(values.mean())
    return Interval(mean - half, mean + half)


def _finite_estimate(terms: RoundTerms) -> float:
    value = estimate(terms)
    if len(terms) < 2 or not math.isfinite(value):
        message = f"interval: expected at least 2 rounds and a finite estimate, got {len(terms)} and {value}"
        raise SupportError(message, reason="NO_INTERVAL")
    return value


def _check_alpha(alpha: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise LogError("alpha", "in (0, 1)", alpha, reason="PARAMETER_OUT_OF_RANGE")
