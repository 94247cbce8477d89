"""Twins of the kernels in ``duel.py``: one joint Gaussian over all that a comparison speaks of, in whole matrices."""

import numpy as np


def _s(z):
    return 1.0 / (1.0 + np.exp(-z))


def _slope_and_information(z, eta, shares, r):
    """By differences of the log probabilities of what the judge may say, for the slope; by their mean square after."""

    def says(at):
        a, b = _s(at - eta), _s(-at - eta)
        return np.array([r * a + (1 - r) * b, r * b + (1 - r) * a, 1 - a - b])

    # A complex step gives the derivative to the last digit.
    slopes = np.log(says(z + 1e-30j)).imag / 1e-30
    return float(np.dot(shares, slopes)), float(np.sum(says(z) * slopes**2))


def _mode(start, spread, of):
    """The point that the kernel's eight steps lead to."""
    z = start
    for _ in range(8):
        slope, information = of(z)
        z -= (z - start - spread * slope) / (1 + spread * information)
    return z


def update_utility(cov, mean, x, score, weight):
    """From the precision matrix, at the mode along the line."""
    x = x.astype(float)
    utility, leverage = x @ mean, x @ cov @ x

    def of(u):
        p = _s(u)
        return weight * (score - p), weight * p * (1 - p)

    at = _mode(utility, leverage, of)
    slope, information = of(at)
    mean += cov @ x * slope
    cov[:] = np.linalg.inv(np.linalg.inv(cov) + information * np.outer(x, x))
    return utility, leverage


def update_duel(cov_a, mean_a, cov_b, mean_b, shared, x, share_a, share_b, share_tie, order, reliability, weight):
    """From the joint covariance of both models and the bias, whose blocks are kept."""
    x = x.astype(float)
    n = len(x)
    joint = np.zeros((2 * n + 1, 2 * n + 1))
    joint[:n, :n], joint[n:-1, n:-1], joint[-1, -1] = cov_a, cov_b, shared[1]
    row = np.concatenate([x, -x, [order]])
    before, spread = row @ np.concatenate([mean_a, mean_b, shared[:1]]), row @ joint @ row
    eta = np.exp(shared[2])
    moderate = 1 / np.sqrt(1 + np.pi / 8 * spread)
    expected = _s((before - eta) * moderate), _s((-before - eta) * moderate)
    shares = np.array([share_a, share_b, share_tie])

    def of(z):
        slope, information = _slope_and_information(z, eta, shares, reliability)
        return weight * slope, weight * information

    z = _mode(before, spread, of)
    information = of(z)[1]
    moved = joint @ row * (z - before) / spread
    joint -= np.outer(joint @ row, joint @ row) * information / (1 + information * spread)
    mean_a += moved[:n]
    mean_b += moved[n:-1]
    cov_a[:], cov_b[:] = joint[:n, :n], joint[n:-1, n:-1]
    shared[0] += moved[-1]
    shared[1] = joint[-1, -1]

    def chances(log_eta):
        e = np.exp(log_eta)
        a, b = _s(z - e), _s(-z - e)
        return np.array([a, b, 1 - a - b])

    slopes = np.log(chances(shared[2] + 1e-30j)).imag / 1e-30
    shared[3] = 1 / (1 / shared[3] + weight * (chances(shared[2]) @ slopes**2))
    shared[2] = np.clip(shared[2] + shared[3] * weight * (shares @ slopes), np.log(0.01), np.log(5))
    return expected


def predict_duel(mean, cov, x, inout_values):
    """Model by model."""
    x = x.astype(float)
    for k in range(mean.shape[1]):
        variance = max(x @ cov[:, :, k].astype(float) @ x, 0.0)
        p = _s(x @ mean[:, k] / np.sqrt(1 + np.pi * variance / 8))
        inout_values[:2, k] = p, p * (1 - p) * np.sqrt(variance)


def predict_duel_rows(mean, cov, x, inout_values):
    """Row by row."""
    for row, values in zip(x, inout_values, strict=True):
        predict_duel(mean, cov, row, values)
