"""Twins of the kernels in ``arrival.py``: common and own coefficients as one vector with a covariance matrix."""

import numpy as np


def _described(width, embedding, places, length, column):
    """The sketch by a matrix of signs."""
    signs = np.zeros((32, len(embedding)))
    signs[places // 2, np.arange(len(embedding))] = 1.0 - 2.0 * (places % 2)
    sketch = signs @ embedding.view(np.float16).astype(float)
    norm = np.linalg.norm(sketch)
    one_hot = np.arange(2, width - 32) == column
    return np.array([1.0, length, *one_hot, *(sketch / norm if norm > 0 else sketch)], np.float32).astype(float)


def _joint(common, own, *known):
    row = np.tile(_described(common.shape[1], *known), 2)
    return row, np.concatenate([common[0], own[0]]), np.diag(np.concatenate([common[1], own[1]]))


def expect_arrival(common, own, embedding, places, length, column):
    """From the joint distribution."""
    row, mean, cov = _joint(common, own, embedding, places, length, column)
    z = row @ mean / np.sqrt(1 + np.pi / 8 * row @ cov @ row)
    return 1 / (1 + np.exp(-z))


def update_arrivals(common, owns, models, embeddings, places, lengths, columns, arrived):
    """By the precision matrix, whose inverse's diagonal is kept."""
    for b, model in enumerate(models):
        row, mean, cov = _joint(common, owns[model], embeddings[b], places, lengths[b], columns[b])
        p = 1 / (1 + np.exp(-row @ mean))
        after = np.linalg.inv(np.linalg.inv(cov) + p * (1 - p) * np.outer(row, row))
        mean += after @ row * (arrived[b] - p)
        n = len(row) // 2
        common[:] = mean[:n], np.diag(after)[:n]
        owns[model] = mean[n:], np.diag(after)[n:]
