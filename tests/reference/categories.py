"""Twins of the kernels in ``categories.py``: by conditioning a joint Gaussian distribution."""

import numpy as np


def _joint(counts, noise, between, prior_precision):
    """Return the covariance of the groups' true means, and of what was seen of those that have values."""
    true = np.full((len(counts), len(counts)), 1.0 / prior_precision) + between * np.eye(len(counts))
    seen = counts > 0
    observed = true[np.ix_(seen, seen)] + np.diag(noise / counts[seen])
    return true, seen, observed


def shrink(counts, means, noise, between, prior_mean, prior_precision, logs, offset, out_mean, out_deviation):
    """Condition the true means, and the common one, on what was seen."""
    true, seen, observed = _joint(counts, noise, between, prior_precision)
    gain = np.linalg.solve(observed, true[seen]).T if seen.any() else np.zeros((len(counts), 0))
    expected = prior_mean + gain @ (means[seen] - prior_mean)
    out_mean[:] = np.exp(np.minimum(expected + offset, 60.0)) if logs else expected
    out_deviation[:] = np.sqrt(np.maximum(np.diag(true - gain @ true[seen]), 0.0))
    common = np.full(seen.sum(), 1.0 / prior_precision)
    own = np.linalg.solve(observed, common) if seen.any() else common
    return prior_mean + own @ (means[seen] - prior_mean), 1.0 / prior_precision - own @ common


def add_evidence(counts, means, noise, betweens, prior_mean, prior_precision, inout_evidence):
    """The logarithm of a joint normal density, less what all variances share."""
    for g, between in enumerate(betweens):
        _, seen, observed = _joint(counts, noise, between, prior_precision)
        distance = means[seen] - prior_mean
        fit = distance @ np.linalg.solve(observed, distance) if seen.any() else 0.0
        inout_evidence[g] -= 0.5 * (fit + (np.linalg.slogdet(observed)[1] if seen.any() else 0.0))
