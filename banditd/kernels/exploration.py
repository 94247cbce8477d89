"""Explorers: utilities to a probability of each model, and the drawing from it.

All of them write exactly 0 where a model is not eligible and ignore every number that belongs to such a model, sum to 1
within 1e-12 over the eligible ones, and treat equal utilities equally, whatever their order. If an eligible number or a
parameter is not finite, every eligible probability is nan: the caller sees it and falls back. Nobody eligible: all
zero. Differences of utilities are halved before they are taken, so that 1e308 - (-1e308) does not overflow.
"""

import math

from banditd.kernels._jit import Array64, Mask, array, boolean, f64, helper, i64, kernel
from banditd.kernels.elementary import exp_negative, logarithm

# e^2, where half the logarithm is 1.
_RATIO_AT_ONE = 7.38905609893065
# Qualities from which on luck has evened out.
_FEW = 15.0


@helper
def _fill(
    value: float,
    eligible: Mask,  # (K,)
    out_pmf: Array64,  # (K,) written
) -> None:
    for k in range(out_pmf.shape[0]):
        out_pmf[k] = value if eligible[k] else 0.0


@helper
def _all_finite(
    values: Array64,  # (K,)
    eligible: Mask,  # (K,)
) -> bool:
    finite = True
    for k in range(values.shape[0]):
        if eligible[k] and not math.isfinite(values[k]):
            finite = False
    return finite


@helper
def _largest(
    values: Array64,  # (K,)
    eligible: Mask,  # (K,)
) -> float:
    largest = -math.inf
    for k in range(values.shape[0]):
        if eligible[k] and values[k] > largest:
            largest = values[k]
    return largest


@helper
def _share_largest(
    values: Array64,  # (K,) not nan; may be out_pmf itself
    eligible: Mask,  # (K,)
    out_pmf: Array64,  # (K,) written
) -> None:
    largest = _largest(values, eligible)
    ties = 0
    for k in range(values.shape[0]):
        if eligible[k] and values[k] == largest:
            ties += 1
    for k in range(values.shape[0]):
        out_pmf[k] = 1.0 / ties if eligible[k] and values[k] == largest else 0.0


@kernel(array(f64, "K"), array(boolean, "K"), array(f64, "K", out=True))
def greedy(
    u: Array64,  # (K,) utility
    eligible: Mask,  # (K,)
    out_pmf: Array64,  # (K,) written
) -> None:
    """Give everything to the largest utility; equal ones share equally. With `mix_floor` after it: epsilon-greedy."""
    if _all_finite(u, eligible):
        _share_largest(u, eligible, out_pmf)
    else:
        _fill(math.nan, eligible, out_pmf)


@kernel(array(f64, "K"), array(f64, "K"), array(boolean, "K"), array(f64, "K", out=True))
def widen_unknown(
    spread: Array64,  # (K,) standard deviation of the utility
    evidence: Array64,  # (K,) qualities learnt of each model, >= 0; equal ones, as where nobody can tell, widen nothing
    eligible: Mask,  # (K,)
    out_spread: Array64,  # (K,) written; spread where not eligible
) -> None:
    """Write spread * sqrt(max(1, log(n / n_k) / 2)) where fewer than 15 qualities of a model are learnt; else spread.

    n_k is their number, at least 1, and n its mean over the models. A fixed number of deviations may never come back to
    a model whose first answers happened to be bad: it learns nothing more of it, however much of the others. So the
    less is known of it beside them, the more it is hoped for: the index of MOSS (Audibert and Bubeck 2009), whose bonus
    is the root of log(t / (K n_k)) / n_k, in its form for any horizon (Degenne and Perchet 2016). With more of them
    the bonus is for worlds without context, and costs more than it finds.
    """
    total = 0.0
    eligible_count = 0
    for k in range(spread.shape[0]):
        out_spread[k] = spread[k]
        if eligible[k]:
            total += evidence[k]
            eligible_count += 1
    for k in range(spread.shape[0]):
        if eligible[k] and evidence[k] < _FEW:
            ratio = total / (eligible_count * max(evidence[k], 1.0))
            # Not a number fails the comparison, and no logarithm is taken in most decisions.
            if ratio > _RATIO_AT_ONE:
                out_spread[k] *= math.sqrt(0.5 * logarithm(ratio))


@kernel(array(f64, "K"), array(f64, "K"), array(boolean, "K"), f64, array(f64, "K", out=True))
def ucb(
    u: Array64,  # (K,) utility
    spread: Array64,  # (K,) standard deviation of the utility
    eligible: Mask,  # (K,)
    alpha: float,  # width multiplier
    out_pmf: Array64,  # (K,) written
) -> None:
    """Give everything to the largest u + alpha * spread; equal ones share equally (Li et al. 2010, Algorithm 1)."""
    if not (_all_finite(u, eligible) and _all_finite(spread, eligible) and math.isfinite(alpha)):
        _fill(math.nan, eligible, out_pmf)
        return
    for k in range(u.shape[0]):
        # May overflow to infinity, which still compares as it should.
        out_pmf[k] = u[k] + alpha * spread[k] if eligible[k] else 0.0
    _share_largest(out_pmf, eligible, out_pmf)


@kernel(array(f64, "K"), array(boolean, "K"), f64, array(f64, "K", out=True))
def softmax(
    u: Array64,  # (K,) utility
    eligible: Mask,  # (K,)
    temperature: float,  # > 0, in units of utility
    out_pmf: Array64,  # (K,) written
) -> None:
    """Write probabilities proportional to exp(u / temperature). Those below 1e-304 become 0."""
    if not (_all_finite(u, eligible) and math.isfinite(temperature) and temperature > 0.0):
        _fill(math.nan, eligible, out_pmf)
        return
    # Relative to the largest, whose exponential is 1: nothing overflows and the sum is at least 1.
    largest = _largest(u, eligible)
    total = 0.0
    for k in range(u.shape[0]):
        out_pmf[k] = 0.0
        if eligible[k]:
            out_pmf[k] = exp_negative(2.0 * ((0.5 * u[k] - 0.5 * largest) / temperature))
        total += out_pmf[k]
    for k in range(u.shape[0]):
        if eligible[k]:
            out_pmf[k] /= total


@kernel(array(f64, "K"), array(boolean, "K"), f64, array(f64, "K", out=True))
def inverse_gap(
    u: Array64,  # (K,) utility
    eligible: Mask,  # (K,)
    gamma: float,  # >= 0; larger explores less
    out_pmf: Array64,  # (K,) written
) -> None:
    """Write 1 / (K + gamma * (u_best - u)) for all but the best, which takes the rest.

    SquareCB (Foster & Rakhlin 2020, arXiv:2002.04926, Algorithm 1 with mu = K), K being the number of eligible models.
    Several best ones share what the others leave equally, which is the mean over every choice of "the" best among them.
    """
    if not (_all_finite(u, eligible) and math.isfinite(gamma) and gamma >= 0.0):
        _fill(math.nan, eligible, out_pmf)
        return
    largest = _largest(u, eligible)
    eligible_count = 0
    ties = 0
    for k in range(u.shape[0]):
        if eligible[k]:
            eligible_count += 1
            if u[k] == largest:
                ties += 1
    others = 0.0
    for k in range(u.shape[0]):
        out_pmf[k] = 0.0
        if eligible[k] and u[k] != largest:
            out_pmf[k] = 1.0 / (eligible_count + 2.0 * (gamma * (0.5 * largest - 0.5 * u[k])))
            others += out_pmf[k]
    for k in range(u.shape[0]):
        if eligible[k] and u[k] == largest:
            out_pmf[k] = (1.0 - others) / ties


@kernel(array(f64, "K"), array(boolean, "K"), array(f64, "K"), f64, array(f64, "K", inout=True))
def bound_shares(
    caps: Array64,  # (K,) largest share of each model, >= 0; 1 or more for no bound
    eligible: Mask,  # (K,)
    without: Array64,  # (K,) a pmf that is 0 where there is a bound
    floor: float,  # share that `mix_floor` is going to spread evenly, in [0, 1]
    inout_pmf: Array64,  # (K,) a pmf; changed
) -> None:
    """Mix in *without* until, after `mix_floor`, no model exceeds its bound, nor all bounded ones the largest of these.

    With w the share of pmf, model k gets (1 - floor) w pmf[k] + floor / K; w is the largest in [0, 1] that satisfies
    all. Where the floor alone exceeds a bound, w is 0. A mixture of two explorers' pmfs is drawn from as any other, so
    its propensities are exact.
    """
    eligible_count = 0
    bounded_count = 0
    largest = 0.0
    total = 0.0
    for k in range(inout_pmf.shape[0]):
        if eligible[k]:
            eligible_count += 1
            if caps[k] < 1.0:
                bounded_count += 1
                largest = max(largest, caps[k])
                total += inout_pmf[k]
    share = 1.0
    left = 1.0 - floor
    each = floor / eligible_count
    for k in range(inout_pmf.shape[0]):
        if eligible[k] and caps[k] < 1.0:
            room = max(caps[k] - each, 0.0)
            if left * inout_pmf[k] * share > room:
                share = room / (left * inout_pmf[k])
    room = max(largest - bounded_count * each, 0.0)
    if left * total * share > room:
        share = room / (left * total)
    # As it is where nobody exceeds, to the bit; and a nan stays one.
    if share < 1.0:
        for k in range(inout_pmf.shape[0]):
            inout_pmf[k] = share * inout_pmf[k] + (1.0 - share) * without[k]


@kernel(array(f64, "K", inout=True), array(boolean, "K"), f64)
def mix_floor(
    pmf: Array64,  # (K,) changed
    eligible: Mask,  # (K,)
    floor: float,  # share that is spread evenly, in [0, 1]
) -> None:
    """Replace pmf by (1 - floor) * pmf + floor / K over the K eligible models.

    Each of them then has at least floor / K, to the last bit, which bounds the weights of an evaluation by K / floor.
    """
    eligible_count = 0
    for k in range(pmf.shape[0]):
        if eligible[k]:
            eligible_count += 1
    for k in range(pmf.shape[0]):
        pmf[k] = (1.0 - floor) * pmf[k] + floor / eligible_count if eligible[k] else 0.0


@kernel(array(f64, "K"), f64, returns=(i64,))
def draw(
    pmf: Array64,  # (K,) sums to 1 within 1e-9; 0 is never drawn
    u: float,  # in [0, 1): the caller owns the randomness
) -> int:
    """Return the model at which the cumulative sum of pmf passes u, or -1 if there is none to draw or a nan.

    The sum is scaled to its own total, so that rounding in pmf does not favour the last model.
    """
    total = 0.0
    for k in range(pmf.shape[0]):
        total += pmf[k]
    if not (math.isfinite(total) and math.isfinite(u)):
        return -1
    target = u * total
    drawn = -1
    cumulative = 0.0
    for k in range(pmf.shape[0]):
        if pmf[k] > 0.0:
            cumulative += pmf[k]
            # u * total can round up to the total itself: then no sum passes it, and the last model is meant.
            drawn = k
            if cumulative > target:
                break
    return drawn
