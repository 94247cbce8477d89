"""Twins of the kernels in ``neighbours.py``: a matrix product and a stable sort; a Gaussian process by hand."""

import numpy as np


def keep_nearest(bits, row_codes, x, count, first, inout_similarity, inout_index):
    """Sort what is there and what comes; the sort is stable, so that the earlier of equals stays. Then by number."""
    del row_codes  # they may only say where to look
    rows = bits.reshape(-1, bits.shape[2])[:count].view(np.float16).astype(float).T
    similarity = np.concatenate([inout_similarity, (x.astype(float) @ rows).astype(np.float32)])
    index = np.concatenate([inout_index, first + np.arange(count)])
    order = np.lexsort((index, -similarity))[: len(inout_similarity)]
    order = order[np.argsort(index[order], kind="stable")]
    inout_similarity[:], inout_index[:] = similarity[order], index[order]


def take_values(values, index, count, first, inout_values):
    """By a mask."""
    here = (index >= first) & (index < first + count)
    inout_values[:, here] = values[:, index[here] - first]


def judge_neighbours(similarity, values, mean, variance, offset, share, sharpness, out_values):
    """Condition the prompt's deviation on the neighbours', whose covariance given it is diagonal, value by value."""
    for t in range(3):
        used = (similarity > 0.0) & ~np.isnan(values[t])
        r = np.minimum(similarity[used].astype(float), 1.0) ** sharpness
        signal = share * variance[t]
        left = np.diag(signal * (1.0 - r**2) + (1.0 - share) * variance[t])
        covariance = signal * np.outer(r, r) + left
        gain = np.linalg.solve(covariance, signal * r) if used.any() else r
        expected = mean[t] + gain @ (values[t, used].astype(float) - mean[t])
        if t == 0:
            out_values[:2] = expected, np.sqrt(signal - gain @ (signal * r))
        else:
            out_values[1 + t] = np.exp(min(expected + offset[t], 60.0))
