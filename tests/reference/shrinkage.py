"""Twins of the kernels in ``shrinkage.py``, by NumPy's linear algebra."""

import numpy as np


def digest_rows(bits, out_keys):
    """By the words of NumPy's arrays, in Python's integers, which have no end."""
    for b, row in enumerate(bits.tolist()):
        parts = []
        for start, factor, shift in ((1013904242, 1540483477, 15), (528734635, 668265263, 13)):
            state = start
            for word in (*row, 0, 0):
                state = (state ^ word) * factor % 2**32
                state ^= state // 2**shift
            parts.append(state % 2**26)
        out_keys[b] = parts[0] * 2**26 + parts[1]


def add_outcome(gram, moment, totals, half, x, y, weight, count, retention):
    """One more row of a regression."""
    x = x.astype(float)
    gram *= retention
    moment *= retention
    totals *= retention
    totals += [weight * y**2, count]
    gram[half] += weight * np.outer(x, x)
    moment[half] += weight * y * x


def add_outcomes(gram, moment, totals, halves, x, measured, weights, retention):
    """One by one."""
    for half, row, values, weight in zip(halves, x, measured, weights, strict=True):
        add_outcome(gram, moment, totals, half, row, values[0], weight, 1.0, retention)


def choose_at_prices(quality, cost, prices, out_choices):
    """By argmax."""
    out_choices[:] = np.argmax(quality - prices[:, None, None] * cost, axis=2)


def tell_apart(rows, cost, prices, ours, theirs, out_sums):
    """By one-hot matrices."""
    models = np.arange(len(out_sums))[:, None, None]
    difference = (models == ours) * 1.0 - (models == theirs)
    out_sums[:] = difference.sum(axis=1) @ rows.astype(float)
    return -np.einsum("kgb,g,bk->", difference, prices, cost)


def factorise(gram, penalties, out_root):
    """LAPACK's lower factor, transposed."""
    out_root[:] = np.linalg.cholesky(gram + np.diag(penalties)).T


def solve_factorised(root, rhs, out_solution):
    """By the matrix itself."""
    out_solution[:] = np.linalg.solve(root.T @ root, rhs)
    return rhs @ out_solution


def invert_factorised(root, out_inverse):
    """By the matrix itself."""
    out_inverse[:] = np.linalg.inv(root.T @ root)


def expect(rows, theta, out_values):
    """One product."""
    out_values[:] = rows.astype(float) @ theta.T


def times(matrix, vector, out_product):
    """One product."""
    out_product[:] = vector @ matrix
