"""Twins of the kernels in ``linear.py``: updates by inverting the whole Gram matrix."""

import numpy as np


def update_ridge(a_inv, theta, x, y, weight):
    """From the normal equations."""
    return update_ridge_forgetting(a_inv, theta, x, y, weight, np.ones_like(theta), np.zeros_like(theta), 1.0, 0)


def update_ridge_forgetting(a_inv, theta, x, y, weight, prior_precision, prior_theta, gamma, cursor):
    """From the normal equations: everything shrinks, then the observation and one coordinate of the prior are added."""
    x = x.astype(float)
    prediction, leverage = x @ theta, x @ a_inv @ x
    a = np.linalg.inv(a_inv)
    b = gamma * a @ theta + weight * y * x
    a = gamma * a + weight * np.outer(x, x)
    c = cursor % len(x)
    precision = (1 - gamma) * len(x) * prior_precision[c]
    a[c, c] += precision
    b[c] += precision * prior_theta[c]
    a_inv[:] = np.linalg.inv(a)
    theta[:] = np.linalg.solve(a, b)
    return prediction, leverage
