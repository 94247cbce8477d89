"""Context to row: the same kernels live, in a replay and in the simulator."""

import math
from typing import Final

import numpy as np

from banditd.domain.arrays import Array16, Array32
from banditd.features.spec import INTERCEPT, LENGTH, FeatureKind, FeatureSpec
from banditd.kernels.projection import fourier, fourier_rows, project, project_rows

# Prompts of 20 to 8,000 tokens land within -1..1; an unknown length sits in the middle and says nothing.
_LENGTH_CENTRE: Final = math.log(400.0)
_LENGTH_SCALE: Final = 1.0 / 3.0
_BODY: Final = LENGTH + 1
# Looking up a member of an enumeration takes a tenth of the time of an encoding.
_INTERCEPT_ONLY: Final = FeatureKind.INTERCEPT_ONLY
_FOURIER: Final = FeatureKind.FOURIER


def length_feature(input_tokens: int) -> float:
    """Return the scaled log of a prompt's length; 0 where it is unknown (negative)."""
    return (math.log(input_tokens + 1.0) - _LENGTH_CENTRE) * _LENGTH_SCALE if input_tokens >= 0 else 0.0


def encode(spec: FeatureSpec, embedding: Array16, input_tokens: int) -> Array32:
    """Return the row of one prompt.

    Args:
        spec: The encoding.
        embedding: Shape (Din,), float16 as logged; ignored by an intercept-only spec.
        input_tokens: Length of the prompt; negative means unknown.

    Returns:
        Shape (N,), float32.
    """
    kind = spec.kind
    if kind is _INTERCEPT_ONLY:
        return np.ones(1, np.float32)
    fourier_at = _BODY + spec.basis.shape[1]
    row = np.empty(fourier_at + spec.phase.shape[0], np.float32)
    project(embedding.view(np.uint16), spec.centre, spec.basis, length_feature(input_tokens), spec.row_norm_max, row)
    if kind is _FOURIER:
        fourier(row[_BODY:fourier_at], spec.omega, spec.phase, row[fourier_at:])
    return row


def encode_rows(spec: FeatureSpec, embeddings: Array16, input_tokens: "list[int] | None") -> Array32:
    """Return the rows of many prompts, each bit-identical to `encode`.

    Args:
        spec: The encoding.
        embeddings: Shape (B, Din), float16.
        input_tokens: B lengths, or None: all unknown.

    Returns:
        Shape (B, N), float32.
    """
    count = len(embeddings)
    rows = np.empty((count, spec.row_width), np.float32)
    if spec.kind is _INTERCEPT_ONLY:
        rows[:, INTERCEPT] = 1.0
        return rows
    lengths = np.zeros(count) if input_tokens is None else np.array([length_feature(n) for n in input_tokens])
    project_rows(embeddings.view(np.uint16), spec.centre, spec.basis, lengths, spec.row_norm_max, rows)
    if spec.kind is _FOURIER:
        fourier_at = _BODY + spec.projected_dimension
        body = np.empty((count, spec.phase.shape[0]), np.float32)
        fourier_rows(rows[:, _BODY:fourier_at].copy(), spec.omega, spec.phase, body)
        rows[:, fourier_at:] = body
    return rows
