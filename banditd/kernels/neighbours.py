"""The nearest rows of a store of float16 rows, exactly; and what their outcomes say."""

import math

import numpy as np

from banditd.kernels._jit import Array32, Array64, Bits16, Index, array, f32, f64, helper, i64, kernel, u16
from banditd.kernels.decision import exp_bounded

# Between -1 and 1, to find out which sums can be among the largest.
_BINS = 512
# float16's exponent bias is 112 less than float32's: bits moved to float32's places are the value times 2^-112.
_REBIAS = np.float32(2.0**112)
# Of a sign-extended float16 that is moved left by 13: its sign, exponent and mantissa. The three bits between are
# copies of the sign.
_PLACES = np.int32(-0x70002000)


@helper
def _least_of_the_largest(
    sums: Array32,  # (count,)
    size: int,
) -> float:
    """Return a number that at least *size* of the sums reach, and few more: it spares the heap most of its work."""
    if sums.shape[0] <= size:
        return -math.inf
    counts = np.zeros(_BINS, np.int64)
    half = np.float32(_BINS // 2)
    for j in range(sums.shape[0]):
        bin_of = int((sums[j] + np.float32(1.0)) * half)
        counts[min(max(bin_of, 0), _BINS - 1)] += 1
    at = _BINS
    above = 0
    while above < size:
        at -= 1
        above += counts[at]
    # Less a little: the edge of a bin is rounded.
    return at / np.float64(half) - 1.0 - 1e-5 if at > 0 else -math.inf


@helper
def _is_less(
    similarity: float,
    index: int,
    other_similarity: float,
    other_index: int,
) -> bool:
    """Return whether a row is less near than another; of equals the later one is."""
    return similarity < other_similarity or (similarity == other_similarity and index > other_index)


@helper
def _insert(
    similarity: Array32,  # (J,) changed
    index: Index,  # (J,) changed
    new_similarity: float,
    new_index: int,
) -> None:
    """Put a new row in its place in the order; the first one, which is less near, goes."""
    at = 0
    while at + 1 < index.shape[0] and _is_less(similarity[at + 1], index[at + 1], new_similarity, new_index):
        similarity[at] = similarity[at + 1]
        index[at] = index[at + 1]
        at += 1
    similarity[at] = new_similarity
    index[at] = new_index


@helper
def _sift(
    similarity: Array32,  # (J,) changed
    index: Index,  # (J,) changed
    size: int,  # of the heap
    new_similarity: float,
    new_index: int,
) -> None:
    """Put a new row in the place of the root of a heap whose root is the least near."""
    at = 0
    child = 1
    while child < size:
        if child + 1 < size and _is_less(similarity[child + 1], index[child + 1], similarity[child], index[child]):
            child += 1
        if not _is_less(similarity[child], index[child], new_similarity, new_index):
            break
        similarity[at] = similarity[child]
        index[at] = index[child]
        at = child
        child = 2 * at + 1
    similarity[at] = new_similarity
    index[at] = new_index


@helper
def _sort(
    similarity: Array32,  # (J,) changed
    index: Index,  # (J,) changed
) -> None:
    """Put a heap in order, the least similar first, which is a heap again."""
    size = index.shape[0]
    sorted_similarity = np.empty(size, np.float32)
    sorted_index = np.empty(size, np.int64)
    for j in range(size):
        sorted_similarity[j] = similarity[0]
        sorted_index[j] = index[0]
        left = size - 1 - j
        _sift(similarity, index, left, similarity[left], index[left])
    similarity[:] = sorted_similarity
    index[:] = sorted_index


@kernel(array(u16, "BDQ"), array(f32, "D"), i64, i64, array(f32, "J", inout=True), array(i64, "J", inout=True))
def keep_nearest(
    bits: Bits16,  # (B, D, Q) float16 rows in blocks, one per column of a block: none is nan, infinite or subnormal
    x: Array32,  # (D,) the row that is compared, |x| < 1e4
    count: int,  # rows in use, 0..B * Q
    first: int,  # number of the first of them among all rows
    inout_similarity: Array32,  # (J,) largest products so far, rising: a heap; -2 where there are fewer
    inout_index: Index,  # (J,) their numbers; -1 where there are fewer
) -> None:
    """Keep the J rows with the largest products with x. Among equals those with the smaller numbers stay.

    The rows stand in columns, so that the sums run beside each other and become vector code without being reordered; in
    blocks, so that memory is read from one end to the other.
    """
    rows = bits.view(np.int16)
    n = x.shape[0]
    n_by_four = n - n % 4
    sums = np.empty(count, np.float32)
    width = rows.shape[2]
    for block in range((count + width - 1) // width):
        start = block * width
        stop = min(start + width, count)
        part = sums[start:stop]
        for j in range(part.shape[0]):
            part[j] = np.float32(0.0)
        for i in range(0, n_by_four, 4):
            x_0 = x[i] * _REBIAS
            x_1 = x[i + 1] * _REBIAS
            x_2 = x[i + 2] * _REBIAS
            x_3 = x[i + 3] * _REBIAS
            row_0 = rows[block, i, : stop - start]
            row_1 = rows[block, i + 1, : stop - start]
            row_2 = rows[block, i + 2, : stop - start]
            row_3 = rows[block, i + 3, : stop - start]
            for j in range(part.shape[0]):
                # Every step is cast back to 32 bits, which Numba would leave, and with them half of a vector.
                y_0 = np.int32(np.int32(np.int32(row_0[j]) << np.int32(13)) & _PLACES).view(np.float32)
                y_1 = np.int32(np.int32(np.int32(row_1[j]) << np.int32(13)) & _PLACES).view(np.float32)
                y_2 = np.int32(np.int32(np.int32(row_2[j]) << np.int32(13)) & _PLACES).view(np.float32)
                y_3 = np.int32(np.int32(np.int32(row_3[j]) << np.int32(13)) & _PLACES).view(np.float32)
                part[j] = (((part[j] + x_0 * y_0) + x_1 * y_1) + x_2 * y_2) + x_3 * y_3
        for i in range(n_by_four, n):
            x_0 = x[i] * _REBIAS
            row_0 = rows[block, i, : stop - start]
            for j in range(part.shape[0]):
                part[j] += x_0 * np.int32(np.int32(np.int32(row_0[j]) << np.int32(13)) & _PLACES).view(np.float32)
    least = _least_of_the_largest(sums, inout_index.shape[0])
    least = max(least, np.float64(inout_similarity[0]))
    candidates = 0
    for j in range(count):
        candidates += sums[j] >= least
    # A few are put in their places one by one; for many a heap is built and brought in order again.
    few = candidates <= inout_index.shape[0] // 8
    for j in range(count):
        if sums[j] >= least and _is_less(inout_similarity[0], inout_index[0], sums[j], first + j):
            if few:
                _insert(inout_similarity, inout_index, sums[j], first + j)
            else:
                _sift(inout_similarity, inout_index, inout_index.shape[0], sums[j], first + j)
    if candidates > 0 and not few:
        _sort(inout_similarity, inout_index)


@kernel(array(f32, "TQ"), array(i64, "J"), i64, i64, array(f32, "TJ", inout=True))
def take_values(
    values: Array32,  # (3, Q) what was seen at the rows of a chunk
    index: Index,  # (J,) numbers of rows
    count: int,  # columns in use, 0..Q
    first: int,  # number of the first of them among all rows
    inout_values: Array32,  # (3, J) written where the row is in this chunk
) -> None:
    """Copy what was seen at those of the rows that are in a chunk."""
    for j in range(index.shape[0]):
        column = index[j] - first
        if 0 <= column < count:
            for t in range(3):
                inout_values[t, j] = values[t, column]


@kernel(
    array(f32, "J"),
    array(f32, "TJ"),
    array(f64, "T"),
    array(f64, "T"),
    array(f64, "T"),
    f64,
    f64,
    array(f64, "V", out=True),
)
def judge_neighbours(
    similarity: Array32,  # (J,) of the neighbours; those at or below 0 are not looked at
    values: Array32,  # (3, J) what was seen there: quality, log cost, log latency; nan where nothing was
    mean: Array64,  # (3,) expected values anywhere
    variance: Array64,  # (3,) of values anywhere, > 0
    offset: Array64,  # (3,) added to the logs of cost and latency; the first is not looked at
    share: float,  # of the variances that depends on the prompt, in (0, 1)
    sharpness: float,  # exponent that makes a correlation of a similarity: 1/2, or a power of two
    out_values: Array64,  # (4,) written: expected quality, its standard deviation, expected cost, expected latency
) -> None:
    """Write what is expected, given the neighbours.

    The value at the prompt is mean + d with d ~ N(0, share * variance); at a neighbour with correlation r it is
    mean + r d + e, with the variance of e what is left of it plus the noise. The e are taken as independent, so that
    the posterior of d is a sum: similarity-weighted outcomes. A Gaussian process (Rasmussen and Williams 2006,
    equations 2.25 and 2.26) with a diagonal covariance of the neighbours given d. Without near ones the spread is that
    of the prior: it grows with distance. In units of the variance all three values have the same weights.
    """
    total = np.zeros(3, np.float64)
    precision = np.full(3, 1.0 / share)
    for j in range(similarity.shape[0]):
        s = min(np.float64(similarity[j]), 1.0)
        if s > 0.0:
            # s^sharpness for the exponents in use, by square roots and products alone.
            r = math.sqrt(s) if sharpness < 1.0 else s
            power = 2.0
            while power <= sharpness:
                r *= r
                power += power
            weight = r / (1.0 - share * r * r)
            for t in range(3):
                value = np.float64(values[t, j])
                if not math.isnan(value):
                    precision[t] += r * weight
                    total[t] += weight * (value - mean[t])
    out_values[0] = mean[0] + total[0] / precision[0]
    out_values[1] = math.sqrt(variance[0] / precision[0])
    out_values[2] = exp_bounded(mean[1] + total[1] / precision[1] + offset[1])
    out_values[3] = exp_bounded(mean[2] + total[2] / precision[2] + offset[2])
