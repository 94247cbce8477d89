"""Fits encodings: the seeded start, and principal components of what the router has seen."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from banditd.domain.arrays import Array16, Array32, Array64
from banditd.features.spec import FeatureKind, FeatureSpec

PROJECTED_MAX: Final = 64
FOURIER_COUNT: Final = 128
# Clusters that a router finds by itself. More need more prompts each to be told apart: at 1,024 prompts of 10 models a
# cell of 16 clusters has seen six outcomes.
CLUSTERS: Final = 16
_CLUSTER_ROUNDS: Final = 30
# A projected row has length 1 on average; one prompt may count like sixteen average ones, not like a million.
ROW_NORM_MAX: Final = 4.0
# Categories that get a column, those of most prompts first, and the prompts that it takes: an effect that fewer show
# is lost in the noise.
CATEGORIES_MAX: Final = 32
_CATEGORY_PROMPTS: Final = 8
# Columns beyond the components in each block of the Krylov space, and blocks after the first.
_OVERSAMPLING: Final = 16
_ITERATIONS: Final = 4
# Share of what a new encoding would hold that the one before must, not to be replaced. With 384 values in 64 components
# one of 256 prompts holds 0.84 to 0.90 of what one of 1,024 or 2,000 does, one of 1,024 prompts 0.94 of that of 4,096.
_NEARLY: Final = 0.95
# How far its rows' mean square may be off 1, and the square of their mean off 0. That of 256 prompts which differ in
# few directions is uncertain by 0.05.
_OFF: Final = 0.1
# Fewer points than this give an unreliable median distance.
_MEDIAN_POINTS: Final = 512


def seed_of(name: str) -> int:
    """Return a 64-bit seed that depends on *name* alone, so that equal routers start equal everywhere."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def intercept_spec(input_dimension: int) -> FeatureSpec:
    """Return the encoding that looks at nothing: the context-free belief."""
    empty = np.zeros((0, 0), np.float32)
    return FeatureSpec(
        kind=FeatureKind.INTERCEPT_ONLY,
        centre=np.zeros(input_dimension, np.float32),
        basis=np.zeros((input_dimension, 0), np.float32),
        row_norm_max=ROW_NORM_MAX,
        omega=empty,
        phase=np.zeros(0, np.float32),
    )


def seeded_spec(kind: FeatureKind, input_dimension: int, seed: int) -> FeatureSpec:
    """Return the encoding before anything was seen: a random orthogonal projection, uncentred.

    Args:
        kind: What the row is to hold.
        input_dimension: Values in an embedding, 2..4096.
        seed: Chooses the directions.

    Projecting onto D random directions shortens a vector by sqrt(D / Din) on average; the scale makes up for it.
    """
    if kind is FeatureKind.INTERCEPT_ONLY:
        return intercept_spec(input_dimension)
    if kind is FeatureKind.CLUSTERS:
        return _clusters(np.zeros(input_dimension), np.zeros((input_dimension, 1)))  # all prompts in one
    rng = np.random.Generator(np.random.PCG64(seed))
    width = min(PROJECTED_MAX, input_dimension)
    basis = np.linalg.qr(rng.standard_normal((input_dimension, width)))[0] * np.sqrt(input_dimension / width)
    return _with_fourier(kind, np.zeros(input_dimension), basis, 1.0, rng)


def fit_spec(
    kind: FeatureKind,
    embeddings: Array16,
    seed: int,
    previous: FeatureSpec | None = None,
    categories: Sequence[str] = (),
) -> FeatureSpec:
    """Return an encoding by the principal components of *embeddings*, centred, with rows of length 1 on average.

    Beside them each category that some callers named has a column, centred as well.
    Clusters are fitted by spherical k-means instead, and keep their numbers: see `_fit_clusters`.

    Args:
        kind: What the row is to hold; not INTERCEPT_ONLY.
        embeddings: Shape (n, Din), n >= 2.
        seed: Of the first block and the Fourier frequencies, or of the first centres.
        previous: The encoding so far.
        categories: Of these prompts, "" where none was named; or none at all.

    Returns:
        *previous* itself where it is a fit whose rows are still centred and of length 1 on average, that has these
        categories but for those of few prompts, and that holds nearly as much of these prompts' variance as their own
        components: nothing has to be learnt anew then. That is so of an encoding that holds all of the embedding, and
        of one that was fitted on as many prompts of this mix.

    The components of more than 400 values come from a randomised block Krylov space (Musco and Musco 2015,
    arXiv:1504.05477, algorithm 2), which takes about two seconds for 4,096 prompts of 4,096 values, where a full
    decomposition takes a minute. Up to 400 values that space would be everything, and the components are exact: how far
    a belief leans on the context depended on the seed where a subspace of the same iterations was iterated instead.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    x = embeddings.astype(np.float64)
    if kind is FeatureKind.CLUSTERS:
        return _fit_clusters(x, rng, previous)
    centre = x.mean(axis=0)
    x -= centre
    width = min(PROJECTED_MAX, x.shape[1])
    shares = _shares(categories)
    held = 0.0
    if previous is not None and previous.kind is kind and _names(previous, shares):
        held = _held(previous, centre, x)
        # No components hold more than everything.
        if held >= _NEARLY * float(np.sum(x * x)) > 0.0:
            return previous
    basis = _components(x, width, rng)
    projected = x @ basis
    mean_square = float(np.mean(np.sum(projected * projected, axis=1)))
    if previous is not None and held >= _NEARLY * mean_square * len(x) > 0.0:
        return previous
    # All prompts alike: there is nothing to scale by, and every row is zero whatever the scale.
    scale = 1.0 / np.sqrt(mean_square) if mean_square > 0.0 else 1.0
    bandwidth = _median_distance(projected * scale) / np.sqrt(2.0) if kind is FeatureKind.FOURIER else 1.0
    spec = _with_fourier(kind, centre, basis * scale, bandwidth, rng)
    return replace(spec, categories=tuple(shares), shares=np.array(list(shares.values()), np.float32))


def _shares(categories: Sequence[str]) -> dict[str, float]:
    """Return the categories that get a column, in the order of their names, and their shares of the prompts."""
    counts = Counter(category for category in categories if category)
    # What all prompts have in common tells none apart.
    most = len(categories) - _CATEGORY_PROMPTS
    named = [name for name, count in counts.items() if _CATEGORY_PROMPTS <= count <= most]
    named.sort(key=lambda name: (-counts[name], name))
    return {name: counts[name] / len(categories) for name in sorted(named[:CATEGORIES_MAX])}


def _names(previous: FeatureSpec, shares: dict[str, float]) -> bool:
    """Return whether an earlier fit has the categories of nearly all prompts, and its columns are about centred."""
    offset = np.array([shares.get(name, 0.0) for name in previous.categories]) - previous.shares
    missing = sum(share for name, share in shares.items() if name not in previous.categories)
    return missing <= _OFF and float(offset @ offset) <= _OFF


def _components(x: Array64, width: int, rng: np.random.Generator) -> Array64:
    """Return the directions in which centred rows (n, Din) vary most, the greatest first: shape (Din, width)."""
    # Drawn where it is not needed, too: the frequencies that are drawn next do not depend on how components are found.
    start = rng.standard_normal((x.shape[1], min(width + _OVERSAMPLING, x.shape[1])))
    if x.shape[1] <= (width + _OVERSAMPLING) * (_ITERATIONS + 1):
        largest: Array64 = np.ascontiguousarray(np.linalg.eigh(x.T @ x)[1][:, : -width - 1 : -1])
        return largest
    block = np.linalg.qr(start)[0]
    blocks = [block]
    for _ in range(_ITERATIONS):
        block = np.linalg.qr(x.T @ (x @ block))[0]
        blocks.append(block)
    space = np.linalg.qr(np.hstack(blocks))[0]
    seen = x @ space
    _, vectors = np.linalg.eigh(seen.T @ seen)
    components: Array64 = space @ vectors[:, : -width - 1 : -1]
    return components


def _held(previous: FeatureSpec, centre: Array64, x: Array64) -> float:
    """Return how much of the sum of squares of prompts, centred (n, Din), the components of an earlier fit hold.

    Nothing, where that was no fit but the start, or its rows are no longer centred and of length 1 on average.
    """
    if not previous.centre.any():
        return 0.0
    offset = (centre - previous.centre) @ previous.basis
    offset_square, inner = float(offset @ offset), float(np.sum((x @ previous.basis) ** 2))
    if offset_square > _OFF or abs(inner / len(x) + offset_square - 1.0) > _OFF:
        return 0.0
    # The columns are orthogonal and of one length.
    return inner / float(np.mean(np.sum(previous.basis.astype(np.float64) ** 2, axis=0)))


def _fit_clusters(x: Array64, rng: np.random.Generator, previous: FeatureSpec | None) -> FeatureSpec:
    """Return clusters by spherical k-means (Dhillon and Modha 2001) around the mean of the prompts.

    The first fit starts from spread-out prompts (k-means++, Arthur and Vassilvitskii 2007). Later ones start from the
    centres that are there, so that a cluster keeps its number, and one that has no prompts any more stays as it was;
    the mean stays the first one. Until the first fit there is one cluster, whose centre is zero.
    """
    if previous is None or not previous.basis.any():
        centre = x.mean(axis=0)
        x = _unit(x - centre)
        centres = _spread_out(x, min(CLUSTERS, len(x)), rng)
    else:
        centre, centres = previous.centre.astype(np.float64), previous.basis.T.astype(np.float64)
        x = _unit(x - centre)
    for _ in range(_CLUSTER_ROUNDS):
        nearest = np.argmax(x @ centres.T, axis=1)
        moved = centres.copy()
        for c in np.unique(nearest):
            total = x[nearest == c].sum(axis=0)
            if total.any():
                moved[c] = total / np.linalg.norm(total)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return _clusters(centre, centres.T)


def _unit(x: Array64) -> Array64:
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(lengths > 0.0, lengths, 1.0)


def _spread_out(x: Array64, count: int, rng: np.random.Generator) -> Array64:
    """Return *count* rows, each drawn in proportion to its distance from the nearest of those drawn before."""
    drawn = [x[int(rng.integers(len(x)))]]
    while len(drawn) < count:
        distance = np.maximum(1.0 - np.max(x @ np.array(drawn).T, axis=1), 0.0)
        total = float(distance.sum())
        drawn.append(x[int(rng.choice(len(x), p=distance / total if total > 0.0 else None))])
    return np.array(drawn)


def _clusters(centre: Array64, basis: Array64) -> FeatureSpec:
    return FeatureSpec(
        kind=FeatureKind.CLUSTERS,
        centre=_contiguous(centre),
        basis=_contiguous(basis),
        row_norm_max=ROW_NORM_MAX,
        omega=np.zeros((basis.shape[1], 0), np.float32),
        phase=np.zeros(0, np.float32),
    )


def _with_fourier(
    kind: FeatureKind, centre: Array64, basis: Array64, bandwidth: float, rng: np.random.Generator
) -> FeatureSpec:
    """Finish a spec; draws Fourier frequencies for a Gaussian kernel of *bandwidth* (Rahimi and Recht 2007)."""
    width = basis.shape[1]
    count = FOURIER_COUNT if kind is FeatureKind.FOURIER else 0
    return FeatureSpec(
        kind=kind,
        centre=_contiguous(centre),
        basis=_contiguous(basis),
        row_norm_max=ROW_NORM_MAX,
        omega=_contiguous(rng.standard_normal((width, count)) / bandwidth),
        phase=_contiguous(rng.uniform(0.0, 2.0 * np.pi, count)),
    )


def _contiguous(array: Array64) -> Array32:
    return np.ascontiguousarray(array, np.float32)


def _median_distance(rows: Array64) -> float:
    """Return the median distance between rows: the usual bandwidth of a Gaussian kernel."""
    some = rows[:: max(1, len(rows) // _MEDIAN_POINTS)][:_MEDIAN_POINTS]
    squares = np.sum(some * some, axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2.0 * some @ some.T, 0.0))
    median = float(np.median(distances[np.triu_indices(len(some), 1)]))
    return median if median > 0.0 else 1.0
