"""Array types and the checks that the metrics share."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from banditd_sim.metrics.errors import MetricError

Float64: TypeAlias = npt.NDArray[np.float64]
Int64: TypeAlias = npt.NDArray[np.int64]
Bool: TypeAlias = npt.NDArray[np.bool_]


def finite_vector(name: str, value: npt.ArrayLike) -> Float64:
    """Return a non-empty float64 vector.

    Raises:
        MetricError: Not one-dimensional, empty, or the first entry that is not finite.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise MetricError(name, "a non-empty vector", f"shape {array.shape}")
    bad = ~np.isfinite(array)
    if bad.any():
        row = int(np.argmax(bad))
        raise MetricError(f"{name}[{row}]", "a finite number", array[row])
    return array


def same_length(**vectors: npt.NDArray[np.generic]) -> None:
    """Refuse arrays whose first dimensions differ.

    Raises:
        MetricError: Names the first that differs from the first given.
    """
    (first, array), *rest = vectors.items()
    for name, other in rest:
        if other.shape[0] != array.shape[0]:
            raise MetricError(name, f"{array.shape[0]} rows, as in {first}", f"{other.shape[0]}")


def table(name: str, value: npt.ArrayLike) -> Float64:
    """Return a non-empty float64 table (n, K); nan marks a model that was not measured in a round.

    Raises:
        MetricError: Wrong shape, an infinite entry, or a round in which no model was measured.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise MetricError(name, "a non-empty table of rounds x models", f"shape {array.shape}")
    if np.isinf(array).any():
        row = int(np.argmax(np.isinf(array).any(axis=1)))
        raise MetricError(f"{name}[{row}]", "finite numbers or nan", array[row].tolist())
    empty = np.isnan(array).all(axis=1)
    if empty.any():
        raise MetricError(f"{name}[{int(np.argmax(empty))}]", "at least one measured model", "only nan")
    return array
