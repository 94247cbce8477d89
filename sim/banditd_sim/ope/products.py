"""Matrix products of tall, thin matrices, in pieces too small for BLAS to start threads on.

Such a product is memory-bound, so a second thread gains nothing; and where the cores are shared with other processes,
OpenBLAS's threads spin waiting for each other: z.T @ z of a (16320, 33) matrix took 284 ms instead of 5 on a busy
two-core machine. Simulations run one process per core, which is that case.
"""

from __future__ import annotations

import numpy as np

from banditd_sim.ope.arrays import Float64

# OpenBLAS stays on one thread up to rows x columns x inner = 65536 x 4 (interface/gemm.c); half of it to be safe.
_PIECE_PRODUCT_MAX = 131_072


def inner(left: Float64, right: Float64) -> Float64:
    """Return left' right, shape (A, B), of left (rows, A) and right (rows, B)."""
    rows, a, b = left.shape[0], left.shape[1], right.shape[1]
    piece = max(1, _PIECE_PRODUCT_MAX // max(1, a * b))
    whole = rows - rows % piece
    out = left[whole:].T @ right[whole:]
    if whole:
        pieces = np.matmul(left[:whole].reshape(-1, piece, a).transpose(0, 2, 1), right[:whole].reshape(-1, piece, b))
        out = out + pieces.sum(axis=0)
    return np.asarray(out)


def combine(weights: Float64, rows: Float64) -> Float64:
    """Return weights rows, shape (A, B), of weights (A, n) and rows (n, B)."""
    a, n, b = weights.shape[0], rows.shape[0], rows.shape[1]
    piece = max(1, _PIECE_PRODUCT_MAX // max(1, a * b))
    whole = n - n % piece
    out = weights[:, whole:] @ rows[whole:]
    if whole:
        pieces = np.matmul(
            weights[:, :whole].reshape(a, -1, piece).transpose(1, 0, 2), rows[:whole].reshape(-1, piece, b)
        )
        out = out + pieces.sum(axis=0)
    return np.asarray(out)


def apply_rows(z: Float64, matrix: Float64) -> Float64:
    """Return z matrix, shape (rows, B), of z (rows, A) and matrix (A, B)."""
    rows, a, b = z.shape[0], z.shape[1], matrix.shape[1]
    piece = max(1, _PIECE_PRODUCT_MAX // max(1, a * b))
    whole = rows - rows % piece
    out = np.empty((rows, b))
    if whole:
        out[:whole] = np.matmul(z[:whole].reshape(-1, piece, a), matrix).reshape(whole, b)
    out[whole:] = z[whole:] @ matrix
    return out
