"""Array types and the checks that logs, targets and reward models share."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from banditd_sim.ope.errors import LogError

Float64: TypeAlias = npt.NDArray[np.float64]
Float32: TypeAlias = npt.NDArray[np.float32]
Int64: TypeAlias = npt.NDArray[np.int64]
Bool: TypeAlias = npt.NDArray[np.bool_]

# A pmf written as float32 and read back is off by up to 6e-8 per entry; 64 models stay well below this.
PMF_SUM_TOLERANCE = 1e-5
# Rows handled at once where a temporary of the size of (n, K) would otherwise be made. 16k rows x 32 features x 8 bytes
# are 4 MB, about a core's share of cache; 64k rows took twice as long.
BLOCK_ROWS = 16_384


def frozen(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Return a read-only view; the caller's own array stays writable."""
    view = array.view()
    view.setflags(write=False)
    return view


def first_bad(bad: npt.NDArray[np.bool_]) -> int:
    """Return the first row of a 1-d mask, or of the rows of a 2-d mask, that is true; -1 if none is."""
    rows = bad if bad.ndim == 1 else bad.any(axis=1)
    return int(np.argmax(rows)) if rows.any() else -1


def check_pmf(pmf: Float64, *, field: str, eligible: Bool | None) -> None:
    """Refuse a pmf (n, K) that is not finite, has an entry outside [0, 1], sums to other than 1 or leaves *eligible*.

    Raises:
        LogError: `NOT_FINITE`, `PMF_OUT_OF_RANGE`, `PMF_SUM` or `PMF_INELIGIBLE`, with the first row.
    """
    for start in range(0, pmf.shape[0], BLOCK_ROWS):
        part = pmf[start : start + BLOCK_ROWS]
        total = part.sum(axis=1)
        # The fast path decides a whole block: a nan or an infinity anywhere makes the comparison below false.
        low = float(part.min())
        sums_to_one = bool((np.abs(total - 1.0) <= PMF_SUM_TOLERANCE).all())
        outside = eligible is not None and bool((part[~eligible[start : start + BLOCK_ROWS]] > 0.0).any())
        if low >= 0.0 and sums_to_one and not outside:
            continue
        _refuse_pmf(part, total, start, field, None if eligible is None else eligible[start : start + BLOCK_ROWS])


def _refuse_pmf(part: Float64, total: Float64, start: int, field: str, eligible: Bool | None) -> None:
    row = first_bad(~np.isfinite(part))
    if row >= 0:
        raise LogError(field, "finite probabilities", part[row].tolist(), row=start + row, reason="NOT_FINITE")
    row = first_bad((part < 0.0) | (part > 1.0 + PMF_SUM_TOLERANCE))
    if row >= 0:
        raise LogError(field, "entries in [0, 1]", part[row].tolist(), row=start + row, reason="PMF_OUT_OF_RANGE")
    row = first_bad(np.abs(total - 1.0) > PMF_SUM_TOLERANCE)
    if row >= 0:
        raise LogError(field, "a sum of 1", f"{total[row]:.9g}", row=start + row, reason="PMF_SUM")
    assert eligible is not None
    row = first_bad((part > 0.0) & ~eligible)
    model = int(np.flatnonzero((part[row] > 0.0) & ~eligible[row])[0])
    got = f"{part[row, model]:.9g} on model {model}"
    raise LogError(field, "0 on ineligible models", got, row=start + row, reason="PMF_INELIGIBLE")
