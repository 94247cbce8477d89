"""Twins of the kernels in ``exploration.py``: on the eligible models only, in whole-array operations."""

import numpy as np


def _scatter(eligible, values, out):
    out[:] = 0.0
    out[eligible] = values


def greedy(u, eligible, out_pmf):
    """Equal shares among the largest."""
    best = u[eligible] == u[eligible].max()
    _scatter(eligible, best / best.sum(), out_pmf)


def widen_unknown(spread, evidence, eligible, out_spread):
    """For all models at once."""
    known = np.maximum(evidence, 1.0)
    ratio = evidence[eligible].sum() / max(eligible.sum(), 1) / known
    widths = np.sqrt(np.maximum(np.log(np.maximum(ratio, 1e-300)) / 2, 1.0))
    out_spread[:] = spread * np.where(eligible & (evidence < 15), widths, 1.0)


def ucb(u, spread, eligible, alpha, out_pmf):
    """Greedy on the upper bound."""
    greedy(u + alpha * spread, eligible, out_pmf)


def softmax(u, eligible, temperature, out_pmf):
    """By the logarithm of the sum."""
    scaled = u[eligible] / temperature
    _scatter(eligible, np.exp(scaled - np.logaddexp.reduce(scaled)), out_pmf)


def inverse_gap(u, eligible, gamma, out_pmf):
    """As in the paper, averaged over every choice of the best among equals."""
    u = u[eligible]
    choices = []
    for best in np.flatnonzero(u == u.max()):
        pmf = 1.0 / (len(u) + gamma * (u[best] - u))
        pmf[best] = 0.0
        pmf[best] = 1.0 - pmf.sum()
        choices.append(pmf)
    _scatter(eligible, np.mean(choices, axis=0), out_pmf)


def bound_shares(caps, eligible, without, floor, inout_pmf):
    """The largest share that holds every bound, one after the other."""
    bounded = eligible & (caps < 1)
    each = floor / eligible.sum()
    wants = [(inout_pmf[k], max(caps[k] - each, 0.0)) for k in np.flatnonzero(bounded)]
    wants.append((inout_pmf[bounded].sum(), max(caps[bounded].max(initial=0.0) - bounded.sum() * each, 0.0)))
    share = min([1.0] + [room / ((1 - floor) * mass) for mass, room in wants if (1 - floor) * mass > 0])
    inout_pmf[:] = share * inout_pmf + (1 - share) * without


def mix_floor(pmf, eligible, floor):
    """A mixture with the uniform distribution over the eligible ones."""
    pmf[:] = (1 - floor) * pmf * eligible + floor * eligible / eligible.sum()


def draw(pmf, u):
    """By binary search in the cumulative sum."""
    cdf = np.cumsum(pmf)
    k = int(np.searchsorted(cdf, u * cdf[-1], side="right"))
    return min(k, int(np.flatnonzero(pmf)[-1]))
