"""Thompson sampling without sampling: the probability that each of K independent Gaussians is the largest.

    P(a is largest) = integral of  phi((z - m_a) / s_a) / s_a * product over b != a of Phi((z - m_b) / s_b)  dz

Writing F for the product of all Phi, the distribution function of the maximum, the integrand is F * phi_a / Phi_a, so
one grid with K evaluations of (phi, Phi) a node serves all models. The grid is laid from the top down:

* Model b matters in m_b +- 7 s_b. Let z_0 be the largest m_b - 7 s_b: the maximum lies below it with probability 1e-12.
  Models that reach no higher than z_0 are dropped. The zone of every one that is left holds z_0, so going down from the
  top, models only ever join, and next to z_0, the origin of all differences, even tiny spreads keep their digits.
* A panel is 15 Gauss-Legendre nodes over at most `_REACH` spreads of the narrowest model that has joined, or down to
  where a narrower one joins. Spreads of many orders of magnitude thus take panels in geometric progression.
* The shares found in a panel must add up to the change of F across it, which is known from its ends: an error estimate
  that is free. If it is off by more than 1e-8, this and all further panels are halved.
* It ends at z_0, or where F falls below 1e-11. A model without spread is a point mass: if the best of them is not
  dropped, it is z_0 itself, and it takes the rest, F(z_0), sharing with others equal to it.

Measured against brute force (the twin in tests/reference) on 6000 random problems with K = 2 to 64, equal spreads,
spreads over six orders of magnitude, equal means and point masses: largest absolute error 8e-9, median 1e-12. Without
the error estimate, K = 64 goes up to 8e-8. Three or four panels are typical.
"""

import math

import numpy as np

from banditd.kernels._jit import Array64, Mask, array, boolean, f64, helper, kernel
from banditd.kernels.elementary import normal

# Half-width of the zone in standard deviations: the normal tail beyond is 1.3e-12.
_ZONE = 7.0
# Widest panel, in spreads of its narrowest model. With 4, ten equal models need a halving; with 3, most need one panel
# more.
_REACH = 3.6
_ERROR_MAX = 1e-8
_CDF_MIN = 1e-11
# 64 equal models pass after one halving. A bound all the same, so that the number of panels has one too.
_HALVINGS_MAX = 6

# Gauss-Legendre nodes and weights on [0, 1], from the top down, and last the lower end of the panel with weight 0:
# sixteen lanes are whole vectors.
_LANES = 16
_NODES = np.array(
    [
        0.9939962590102427,
        0.968636696200353,
        0.9241032917052137,
        0.862208865680085,
        0.7854860863042694,
        0.6970756735387817,
        0.6005970469987173,
        0.5,
        0.39940295300128276,
        0.3029243264612183,
        0.21451391369573058,
        0.13779113431991497,
        0.0758967082947864,
        0.03136330379964708,
        0.006003740989757311,
        0.0,
    ]
)
_WEIGHTS = np.array(
    [
        0.015376620998058602,
        0.0351830237440542,
        0.053579610233585706,
        0.06978533896307722,
        0.08313460290849699,
        0.0930805000077811,
        0.0992157426635558,
        0.10128912096278064,
        0.0992157426635558,
        0.0930805000077811,
        0.08313460290849699,
        0.06978533896307722,
        0.053579610233585706,
        0.0351830237440542,
        0.015376620998058602,
        0.0,
    ]
)

# Scaling by powers of two loses nothing. Values above the first could overflow when 7 spreads are added to them, and
# spreads that are all below the second would overflow when divided by.
_HUGE = 1e300
_HUGE_SCALE = 2.0**-64
_TINY = 1e-250
_TINY_SCALE = 2.0**600
# Next to others of 1e-143 or more, a spread below this is none: its inverse would be infinite.
_SPREAD_MIN = 1e-300


@helper
def _select(
    mean: Array64,  # (K,)
    sd: Array64,  # (K,)
    eligible: Mask,  # (K,)
    out_k: "np.ndarray[tuple[int], np.dtype[np.int64]]",  # (K,) written: the models that are left, first ones only
    out_shift: Array64,  # (K,) written: their mean - z_0
    out_sd: Array64,  # (K,) written: their spread, in the same unit
) -> int:
    """Drop the models without a chance; return how many are left, or -1 if an eligible number is not finite."""
    magnitude = 0.0
    for k in range(mean.shape[0]):
        if eligible[k]:
            # A negative spread is as wrong as a nan; the comparison is false for both.
            if not (math.isfinite(mean[k]) and math.isfinite(sd[k]) and sd[k] >= 0.0):
                return -1
            magnitude = max(magnitude, math.fabs(mean[k]), sd[k])
    unit = _HUGE_SCALE if magnitude > _HUGE else 1.0
    reference = -1
    for k in range(mean.shape[0]):
        # Differences first: mean - 7 sd would lose the digits in which two large means differ.
        if eligible[k] and (
            reference < 0 or (mean[k] * unit - mean[reference] * unit) > _ZONE * (sd[k] * unit - sd[reference] * unit)
        ):
            reference = k
    count = 0
    sd_max = 0.0
    for k in range(mean.shape[0]):
        if eligible[k]:
            spread = sd[k] * unit
            shift = (mean[k] * unit - mean[reference] * unit) + _ZONE * (sd[reference] * unit)
            if shift + _ZONE * spread >= 0.0:
                out_k[count] = k
                out_shift[count] = shift
                out_sd[count] = spread
                sd_max = max(sd_max, spread)
                count += 1
    if sd_max < _TINY:
        for i in range(count):
            out_shift[i] *= _TINY_SCALE
            out_sd[i] *= _TINY_SCALE
    for i in range(count):
        if out_sd[i] < _SPREAD_MIN:
            out_sd[i] = 0.0
    return count


@helper
def _panel(
    low: float,  # lower end
    width: float,
    shift: Array64,  # (n,) mean - z_0
    sd: Array64,  # (n,) spread
    out_density: Array64,  # (16,) written: density of the maximum / F, times the width
    out_cdf: Array64,  # (16,) written: F
    out_hazard: Array64,  # (n, 16) written: phi / Phi of each model, times the width; 0 for those that have not joined
) -> float:
    """Evaluate one panel; return the probability that the maximum lies in it."""
    for lane in range(_LANES):
        out_density[lane] = 0.0
        out_cdf[lane] = 1.0
    for i in range(shift.shape[0]):
        hazard = out_hazard[i]
        if sd[i] > 0.0 and shift[i] + _ZONE * sd[i] > low:
            inverse = 1.0 / sd[i]
            start = (low - shift[i]) * inverse
            length = width * inverse
            for lane in range(_LANES):
                density, cdf = normal(start + length * _NODES[lane])
                value = length * (density / cdf)
                hazard[lane] = value
                out_density[lane] += value
                out_cdf[lane] *= cdf
        else:
            for lane in range(_LANES):
                hazard[lane] = 0.0
    found = 0.0
    for lane in range(_LANES):
        found += _WEIGHTS[lane] * (out_cdf[lane] * out_density[lane])
    return found


@helper
def _integrate(
    shift: Array64,  # (n,) mean - z_0
    sd: Array64,  # (n,) spread
    out_share: Array64,  # (n,) written: probability of being the largest, above z_0
) -> float:
    """Integrate from the top down; return F where it stopped."""
    n = shift.shape[0]
    work = np.zeros((2 * n + 2, _LANES), np.float64)
    hazard = work[:n]
    total = work[n : 2 * n]
    density = work[2 * n]
    cdf = work[2 * n + 1]
    high = 0.0
    for i in range(n):
        if sd[i] > 0.0:
            high = max(high, shift[i] + _ZONE * sd[i])
    cdf_high = 1.0
    reach = _REACH
    halvings = 0
    while high > 0.0 and cdf_high > _CDF_MIN:
        # As the lower end, not as a width: next to a spread of 1e16 the zone of a narrow model would be rounded away.
        low = 0.0
        for i in range(n):
            if sd[i] > 0.0:
                low = max(low, min(high - reach * sd[i], shift[i] + _ZONE * sd[i]))
        if not low < high:  # cannot be while all numbers are finite; but then it would be for ever
            break
        width = high - low
        found = _panel(low, width, shift, sd, density, cdf, hazard)
        if math.fabs(found - (cdf_high - cdf[_LANES - 1])) > _ERROR_MAX and halvings < _HALVINGS_MAX:
            reach *= 0.5
            halvings += 1
            continue
        for i in range(n):
            for lane in range(_LANES):
                total[i, lane] += _WEIGHTS[lane] * (cdf[lane] * hazard[i, lane])
        high = low
        cdf_high = cdf[_LANES - 1]
    for i in range(n):
        out_share[i] = 0.0
        for lane in range(_LANES):
            out_share[i] += total[i, lane]
    return cdf_high


@kernel(array(f64, "K"), array(f64, "K"), array(boolean, "K"), array(f64, "K", out=True))
def probability_best(
    mean: Array64,  # (K,) of each model's utility
    sd: Array64,  # (K,) standard deviation of each, >= 0; 0 is a point mass
    eligible: Mask,  # (K,)
    out_pmf: Array64,  # (K,) written
) -> None:
    """Write the probability that each eligible model's utility is the largest, by quadrature; see the module.

    That is the pmf of Thompson sampling with an independent draw per model, to 1e-8, the same on every machine.
    Equal point masses share. 0 for models that are not eligible; nan for all that are if a number is not finite or a
    spread is negative. Ratios of spreads beyond 1e150 are taken as a point mass beside a spread.
    """
    models = mean.shape[0]
    index = np.empty(models, np.int64)
    shift = np.empty(models, np.float64)
    spread = np.empty(models, np.float64)
    share = np.empty(models, np.float64)
    n = _select(mean, sd, eligible, index, shift, spread)
    for k in range(models):
        out_pmf[k] = math.nan if n < 0 and eligible[k] else 0.0
    if n == 1:
        out_pmf[index[0]] = 1.0
    if n <= 1:
        return
    cdf_low = _integrate(shift[:n], spread[:n], share[:n])
    points = 0
    for i in range(n):
        if spread[i] == 0.0:
            points += 1
    total = 0.0
    for i in range(n):
        if spread[i] == 0.0:
            share[i] = cdf_low / points
        total += share[i]
    for i in range(n):
        out_pmf[index[i]] = share[i] / total
