"""Context to row: the same kernels live, in a replay and in the simulator."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from banditd.domain.arrays import Array32
from banditd.domain.context import Context, embeddings_of
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


def encode(spec: FeatureSpec, context: Context) -> Array32:
    """Return the row of one prompt.

    Args:
        spec: The encoding.
        context: What is known of it; an intercept-only spec ignores it.

    Returns:
        Shape (N,), float32.
    """
    kind = spec.kind
    if kind is _INTERCEPT_ONLY:
        return np.ones(1, np.float32)
    fourier_at = _BODY + spec.basis.shape[1]
    categories_at = spec.categories_at
    row = np.empty(categories_at + len(spec.categories), np.float32)
    length = length_feature(context.input_tokens)
    project(context.embedding.view(np.uint16), spec.centre, spec.basis, length, spec.row_norm_max, row)
    if kind is _FOURIER:
        fourier(row[_BODY:fourier_at], spec.omega, spec.phase, row[fourier_at:categories_at])
    if spec.categories:
        row[categories_at:] = spec.category_table[spec.category_place(context.category)]
    return row


def encode_rows(spec: FeatureSpec, contexts: Sequence[Context]) -> Array32:
    """Return the rows of many prompts, each bit-identical to `encode`.

    Args:
        spec: The encoding.
        contexts: B > 0 prompts.

    Returns:
        Shape (B, N), float32.
    """
    rows = np.empty((len(contexts), spec.row_width), np.float32)
    if spec.kind is _INTERCEPT_ONLY:
        rows[:, INTERCEPT] = 1.0
        return rows
    lengths = np.array([length_feature(context.input_tokens) for context in contexts])
    project_rows(embeddings_of(contexts).view(np.uint16), spec.centre, spec.basis, lengths, spec.row_norm_max, rows)
    categories_at = spec.categories_at
    if spec.kind is _FOURIER:
        fourier_at = _BODY + spec.projected_dimension
        body = np.empty((len(contexts), spec.phase.shape[0]), np.float32)
        fourier_rows(rows[:, _BODY:fourier_at].copy(), spec.omega, spec.phase, body)
        rows[:, fourier_at:categories_at] = body
    if spec.categories:
        rows[:, categories_at:] = spec.category_table[[spec.category_place(context.category) for context in contexts]]
    return rows
