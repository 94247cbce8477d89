"""Choosing clip, switch and shrinkage parameters from the log alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from banditd_sim.ope.arrays import Float64
from banditd_sim.ope.errors import LogError
from banditd_sim.ope.quantiles import student_t_quantile
from banditd_sim.ope.terms import RoundTerms, round_values

Rule = Literal["mse", "slope"]

# Su et al. 2020 (SLOPE), section 4: the interval intersection test holds with this constant.
_SLOPE_CONSTANT = math.sqrt(6.0) - 1.0


def choose_by_mse(
    candidates: Sequence[float],
    make_terms: Callable[[float], RoundTerms],
    modified_weight: Callable[[float], Float64],
    *,
    weight: Float64,
    residual: Float64,
    delta: float = 0.05,
) -> float:
    """Return the candidate with the least estimated mean squared error, its bias bounded from above.

    MSE(s) = var(terms) / n + (|mean((w - w_s) e)| + sqrt(2 mean(w^2) ln(2/delta) / n) + 2 max(w) ln(2/delta) / (3n))^2
    (Su et al. 2020, arXiv:1907.09623, section 5 and appendix; the form of Open Bandit Pipeline 0.5.7).
    Note that the two deviation terms do not depend on s: they weigh bias against variance.

    Args:
        candidates: At least one parameter value. The first of equally good ones wins.
        make_terms: The estimator at a parameter.
        modified_weight: The estimator's weights w_s (n,) at a parameter.
        weight: (n,), w.
        residual: (n,), e = r - q, or r where there is no reward model.
        delta: In (0, 1), chance that the bound on the bias fails.
    """
    _check_candidates(candidates)
    n = weight.shape[0]
    tail = math.log(2.0 / delta)
    deviation = math.sqrt(2.0 * float((weight * weight).mean()) * tail / n) + 2.0 * float(weight.max()) * tail / (3 * n)
    scores = []
    for candidate in candidates:
        variance = float(np.var(round_values(make_terms(candidate)))) / n
        bias = abs(float(((weight - modified_weight(candidate)) * residual).mean())) + deviation
        scores.append(variance + bias * bias)
    return float(candidates[int(np.argmin(scores))])


def choose_by_slope(
    candidates: Sequence[float], make_terms: Callable[[float], RoundTerms], *, delta: float = 0.1
) -> float:
    """Return the candidate with the narrowest interval that still agrees with every wider one (SLOPE).

    In order of falling width, candidate i is accepted while |v_i - v_j| <= width_i + (sqrt(6) - 1) width_j for all
    j accepted before it; the last accepted one is returned. Widths are Student t deviations of the mean, one-sided at
    *delta*. Su, Srinath and Krishnamurthy, ICML 2020, arXiv:2002.07729; Tucker and Lee 2021 (SLOPE++).
    """
    _check_candidates(candidates)
    values, widths = [], []
    for candidate in candidates:
        terms = round_values(make_terms(candidate))
        n = terms.shape[0]
        values.append(float(terms.mean()))
        widths.append(math.sqrt(float(np.var(terms)) / (n - 1)) * student_t_quantile(1.0 - delta, n - 1))
    # Stable, so that of equal ones (all clips above the largest weight, say) the last given is returned.
    order = np.argsort(-np.array(widths), kind="stable")
    accepted: list[int] = []
    for i in order:
        if any(abs(values[j] - values[i]) > widths[i] + _SLOPE_CONSTANT * widths[j] for j in accepted):
            break
        accepted.append(int(i))
    return float(candidates[accepted[-1]])


def default_candidates(weight: Float64, *, squared: bool = False) -> tuple[float, ...]:
    """Return seven parameters from 1 to the largest weight, evenly spaced on a log scale, and infinity (no change).

    Args:
        weight: (n,).
        squared: For shrinkage, whose parameter is compared with w^2: the values squared.
    """
    largest = max(float(weight.max()), 1.0)
    grid = np.geomspace(1.0, largest, num=7) if largest > 1.0 else np.ones(1)
    return (*(float(g * g if squared else g) for g in grid), math.inf)


def _check_candidates(candidates: Sequence[float]) -> None:
    if not candidates:
        raise LogError("candidates", "at least one parameter", "none", reason="PARAMETER_OUT_OF_RANGE")
