"""Twins of the kernels in ``arrival.py``: common and own coefficients as one vector with a covariance matrix."""

import numpy as np


def _joint(common_spread, own_spread, x):
    row = np.concatenate([x, x]).astype(float)
    return row, np.diag(np.concatenate([common_spread, own_spread]))


def expect_arrival(common, common_spread, own, own_spread, x):
    """From the joint distribution."""
    row, cov = _joint(common_spread, own_spread, x)
    z = row @ np.concatenate([common, own]) / np.sqrt(1 + np.pi / 8 * row @ cov @ row)
    return 1 / (1 + np.exp(-z))


def update_arrival(common, common_spread, own, own_spread, x, arrived):
    """By the precision matrix, whose inverse's diagonal is kept."""
    row, cov = _joint(common_spread, own_spread, x)
    mean = np.concatenate([common, own])
    p = 1 / (1 + np.exp(-row @ mean))
    after = np.linalg.inv(np.linalg.inv(cov) + p * (1 - p) * np.outer(row, row))
    mean += after @ row * (arrived - p)
    n = len(x)
    common[:], own[:] = mean[:n], mean[n:]
    common_spread[:], own_spread[:] = np.diag(after)[:n], np.diag(after)[n:]
