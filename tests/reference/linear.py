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


def learn_metrics(
    a_inv, theta, numbers, prior_theta, prior_precision, gamma, x, quality, log_cost, log_latency, weight
):
    """One regression after the other."""
    residuals = []
    for m, value in enumerate((quality, log_cost, log_latency)):
        _, errors, count, cursor, _ = numbers[m]
        predicted, leverage = update_ridge_forgetting(
            a_inv[m], theta[m], x, value, weight, prior_precision[m], prior_theta[m], gamma, int(cursor)
        )
        squared = (value - predicted) ** 2 / (1 + leverage)
        residuals.append(np.sign(value - predicted) * np.sqrt(squared * count / errors))
        numbers[m, :4] += [1, (gamma - 1) * errors + weight * squared, (gamma - 1) * count + weight, 1]
        numbers[m, 3] %= len(x)
    return tuple(residuals)


def learn_metrics_rows(a_inv, theta, numbers, prior_theta, prior_precision, gamma, x, measured, weights):
    """One lesson after the other."""
    for row, values, weight in zip(x, measured, weights, strict=True):
        learn_metrics(a_inv, theta, numbers, prior_theta, prior_precision, gamma, row, *values, weight)


def mirror_model(
    a_inv, theta, numbers, log_prices, guess_count, chosen, theta_of_all, a_inv_of_all, offsets_of_all, evidence_of_all
):
    """By NumPy's assignments."""
    theta_of_all[:, :, chosen] = theta.T
    a_inv_of_all[:, :, chosen] = a_inv[0]
    variance = numbers[:, 1] / numbers[:, 2]
    log_price = 0.0 if np.isnan(log_prices[chosen]) and numbers[1, 0] else log_prices[chosen]
    offsets_of_all[:, chosen] = np.sqrt(variance[0]), log_price + variance[1] / 2, variance[2] / 2
    evidence_of_all[chosen] = np.maximum(numbers[0, 2] - guess_count, 0.0)
