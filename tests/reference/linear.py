"""Twins of the kernels in ``linear.py``: einsum for scores, and updates by inverting the whole Gram matrix."""

import numpy as np


def score_mean(theta, x, out_mean):
    """By matrix product."""
    out_mean[:] = theta.astype(float) @ x.astype(float)


def score_linear(theta, a_inv, x, out_mean, out_width_sq):
    """By einsum, in float64."""
    x = x.astype(float)
    out_mean[:] = theta.astype(float) @ x
    out_width_sq[:] = np.maximum(np.einsum("kij,i,j->k", a_inv.astype(float), x, x), 0.0)


def score_models(theta, a_inv, x, out_mean, out_width_sq):
    """By einsum, in float64."""
    x = x.astype(float)
    out_mean[:] = np.einsum("mkn,n->mk", theta.astype(float), x)
    out_width_sq[:] = np.maximum(np.einsum("kij,i,j->k", a_inv.astype(float), x, x), 0.0)


def score_mean_rows(theta, x, out_mean):
    """By matrix product."""
    out_mean[:] = x.astype(float) @ theta.astype(float).T


def score_linear_rows(theta, a_inv, x, out_mean, out_width_sq):
    """By einsum, in float64."""
    x = x.astype(float)
    out_mean[:] = x @ theta.astype(float).T
    out_width_sq[:] = np.maximum(np.einsum("kij,bi,bj->bk", a_inv.astype(float), x, x), 0.0)


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
