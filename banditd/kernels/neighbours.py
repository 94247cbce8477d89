"""The nearest rows of a store of float16 rows, exactly; and what their outcomes say."""

import math

import numpy as np

from banditd.kernels._jit import (
    Array32,
    Array64,
    Bits16,
    Codes8,
    Codes16,
    Index,
    array,
    f32,
    f64,
    helper,
    i8,
    i64,
    kernel,
    u16,
)
from banditd.kernels.decision import exp_bounded

# float16's exponent bias is 112 less than float32's: bits moved to float32's places are the value times 2^-112.
_REBIAS = np.float32(2.0**112)
# Of a sign-extended float16 that is moved left by 13: its sign, exponent and mantissa. The three bits between are
# copies of the sign.
_PLACES = np.int32(-0x70002000)
# A value of a row is coded as the whole number next to so many times it: a direction's fit 8 bits.
ROW_CODES = 126.0
# The same for the row that is compared. A sum of products of codes fits 16 bits: with rounding, two directions of up to
# 64 values are at most 1.001 * 126 + 4 and 1.001 * 240 + 4 long, which makes 31,800.
_X_CODES = 240.0
_UNITS = ROW_CODES * _X_CODES
# Below every sum of codes, and where no bar can be set.
_BELOW_ALL = -32768
_CODE_BINS = 512
# Of so many rows only the largest sum is looked at first.
_GROUP = 8
# Among so many bins a few hundred values are spread until some are left to sort.
_VALUE_BINS = 256
# The widest row: features.fit.PROJECTED_MAX.
_WIDTH_MAX = 64


@helper
def _keep_largest(
    sums: Array32,  # (count,)
    index: Index,  # (count,) numbers of those rows within the chunk, rising
    first: int,
    inout_similarity: Array32,  # (J,)
    inout_index: Index,  # (J,)
) -> None:
    """Put rows in their places by their numbers, and as many that are less near out of it.

    The least that stays is found by counting, since sorting some hundred numbers that nobody knows takes longer than
    computing them: every other comparison is guessed wrongly.
    """
    size = inout_index.shape[0]
    start = 0
    while start < size and inout_index[start] < 0:
        start += 1
    total = size - start + sums.shape[0]
    values, numbers = np.empty(total, np.float32), np.empty(total, np.int64)
    old = start
    new = 0
    low, high = np.float32(math.inf), np.float32(-math.inf)
    for c in range(total):
        if new == sums.shape[0] or (old < size and inout_index[old] < first + index[new]):
            values[c], numbers[c] = inout_similarity[old], inout_index[old]
            old += 1
        else:
            values[c], numbers[c] = sums[new], first + index[new]
            new += 1
        low, high = min(low, values[c]), max(high, values[c])
    least, of_least = low, total
    if total > size:
        least, of_least = _least_of_largest(values, low, high, size)
    at = max(size - total, 0)
    for c in range(total):
        of_least -= int(values[c] == least)
        if values[c] > least or (values[c] == least and of_least >= 0):
            inout_similarity[at], inout_index[at] = values[c], numbers[c]
            at += 1


@helper
def _least_of_largest(
    values: Array32,  # (total,)
    low: np.float32,  # the least of them
    high: np.float32,  # the largest
    size: int,  # 1..total
) -> tuple[np.float32, int]:
    """Return the least of the *size* largest values, and how many that are equal to it are among them."""
    # The largest value of all is in the last bin, or beyond it by rounding; where all are equal, in the first.
    scale = (_VALUE_BINS - 1) / (np.float64(high) - np.float64(low)) if high > low else 0.0
    counts = np.zeros(_VALUE_BINS + 1, np.int64)
    bins = np.empty(values.shape[0], np.int64)
    for c in range(values.shape[0]):
        bins[c] = np.int64((np.float64(values[c]) - np.float64(low)) * scale)
        counts[bins[c]] += 1
    at = _VALUE_BINS
    left = size
    while counts[at] < left:
        left -= counts[at]
        at -= 1
    inside = np.empty(counts[at], np.float32)
    there = 0
    for c in range(values.shape[0]):
        if bins[c] == at:
            inside[there] = values[c]
            there += 1
    inside = np.sort(inside)
    least = inside[there - left]
    equal = 0
    for j in range(there - left, there):
        equal += int(inside[j] == least)
    return least, equal


@helper
def _sum_codes(
    codes: Codes8,  # (B, D, Q)
    x_codes: Codes16,  # (D,)
    count: int,
    out_sums: Codes16,  # (B * Q,) of columns that are not in use: below all
    out_most: Codes16,  # (B * Q / 8,) the largest of the sums of columns g, g + Q / 8, g + 2 Q / 8, ... of a block
) -> None:
    """Sum the products of codes.

    The rows stand in columns, so that the sums run beside each other and become vector code without being reordered; in
    blocks, so that memory is read from one end to the other.
    """
    n = x_codes.shape[0]
    n_by_four = n - n % 4
    width = codes.shape[2]
    groups = width // _GROUP
    for block in range(out_sums.shape[0] // width):
        part = out_sums[block * width : (block + 1) * width]
        for j in range(width):
            part[j] = np.int16(0)
        for i in range(0, n_by_four, 4):
            x_0 = x_codes[i]
            x_1 = x_codes[i + 1]
            x_2 = x_codes[i + 2]
            x_3 = x_codes[i + 3]
            row_0 = codes[block, i]
            row_1 = codes[block, i + 1]
            row_2 = codes[block, i + 2]
            row_3 = codes[block, i + 3]
            for j in range(width):
                # Every step is cast back to 16 bits, which Numba would leave, and with them three quarters of a vector.
                y_0 = np.int16(np.int16(row_0[j]) * x_0)
                y_1 = np.int16(np.int16(row_1[j]) * x_1)
                y_2 = np.int16(np.int16(row_2[j]) * x_2)
                y_3 = np.int16(np.int16(row_3[j]) * x_3)
                part[j] = np.int16(np.int16(np.int16(part[j] + y_0) + y_1) + np.int16(y_2 + y_3))
        for i in range(n_by_four, n):
            x_0 = x_codes[i]
            row_0 = codes[block, i]
            for j in range(width):
                part[j] = np.int16(part[j] + np.int16(np.int16(row_0[j]) * x_0))
        for j in range(max(count - block * width, 0), width):
            part[j] = np.int16(_BELOW_ALL)
        top = out_most[block * groups : (block + 1) * groups]
        top[:] = part[:groups]
        for start in range(groups, width, groups):
            here = part[start : start + groups]
            for g in range(groups):
                top[g] = max(top[g], here[g])


@helper
def _bar_of_groups(
    most: Codes16,  # (groups,) the largest sum of each group
    size: int,
) -> int:
    """Return what at least *size* rows reach, and few more: as many groups have a row that does."""
    if most.shape[0] < size:
        return _BELOW_ALL + 1
    counts = np.zeros(_CODE_BINS, np.int64)
    for g in range(most.shape[0]):
        counts[(np.int64(most[g]) + 32768) >> 7] += 1
    at = _CODE_BINS
    above = 0
    while above < size:
        at -= 1
        above += counts[at]
    return max((at << 7) - 32768, _BELOW_ALL + 1)


@helper
def _between(
    sums: Codes16,  # (B * Q,)
    low: int,
    high: int,
) -> Index:
    """Return the numbers of the rows whose sums are in low..high."""
    found = np.empty(sums.shape[0] + 1, np.int64)
    total = 0
    for j in range(sums.shape[0]):
        # Written anyway: a branch would be guessed wrongly too often.
        found[total] = j
        total += int(low <= np.int64(sums[j]) <= high)
    return found[:total]


@helper
def _multiply(
    bits: Bits16,  # (B, Q, D)
    index: Index,  # (count,)
    x: Array32,  # (D,)
    out_sums: Array32,  # (count,)
) -> None:
    """Write the products of float16 rows with x, added up in an order of which vector code comes.

    Rows are far apart in memory. Nothing is added up before all of them are read: a loop so short has many of them on
    their way at once.
    """
    n = x.shape[0]
    rows = bits.reshape(bits.shape[0] * bits.shape[1], n).view(np.int16)
    scaled = np.empty(n, np.float32)
    for i in range(n):
        scaled[i] = x[i] * _REBIAS
    # Zeros behind a short row are counted on.
    products = np.zeros((index.shape[0], _WIDTH_MAX), np.float32)
    for c in range(index.shape[0]):
        row, p = rows[index[c]], products[c]
        for i in range(n):
            # Every step is cast back to 32 bits, which Numba would leave, and with them half of a vector.
            value = np.int32(np.int32(np.int32(row[i]) << np.int32(13)) & _PLACES).view(np.float32)
            p[i] = scaled[i] * value
    for c in range(index.shape[0]):
        p = products[c]
        for i in range(8):
            even = (p[i] + p[i + 32]) + (p[i + 16] + p[i + 48])
            p[i] = even + ((p[i + 8] + p[i + 40]) + (p[i + 24] + p[i + 56]))
        out_sums[c] = ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]))


@kernel(
    array(u16, "BQD"),
    array(i8, "BDQ"),
    array(f32, "D"),
    i64,
    i64,
    array(f32, "J", inout=True),
    array(i64, "J", inout=True),
)
def keep_nearest(
    bits: Bits16,  # (B, Q, D) float16 rows in blocks: directions; none is nan, infinite or subnormal; Q = 8, 16, ...
    row_codes: Codes8,  # (B, D, Q) their values times ROW_CODES, rounded, one row per column of a block
    x: Array32,  # (D,) the direction that is compared, |x| <= 1.001, D <= 64
    count: int,  # rows in use, 0..B * Q
    first: int,  # number of the first of them among all rows
    inout_similarity: Array32,  # (J,) largest products so far, by number; -2, before them, where there are fewer
    inout_index: Index,  # (J,) their numbers, rising; -1 where there are fewer
) -> None:
    """Keep the J rows with the largest products with x. Among equals those with the smaller numbers stay.

    Which rows can be among them is found out by their codes, half of the memory and a quarter of the work; their
    products are then computed from the rows themselves, so that the result is that of computing all.

    With p and q the codes of x and of a row, f and e what rounding left of them, and s, t the scales: the product of
    the codes misses s t times the product by at most |p| |e| + |f| |t row|, where |e| <= sqrt(D) / 2. So first the rows
    that are J by their codes are multiplied, and then those whose codes do not prove that they are behind these.
    """
    n = x.shape[0]
    size = inout_index.shape[0]
    width = row_codes.shape[2]
    x_codes = np.empty(n, np.int16)
    p_sq = 0.0
    f_sq = 0.0
    for i in range(n):
        scaled = np.float64(x[i]) * _X_CODES
        code = math.floor(scaled + 0.5)
        x_codes[i] = np.int16(code)
        p_sq += code * code
        f_sq += (scaled - code) * (scaled - code)
    # The last term is far more than the float32 sums are off: 64 roundings of 2^-24 in 30,240 units.
    bound = math.sqrt(p_sq) * 0.5 * math.sqrt(n) + math.sqrt(f_sq) * 1.001 * ROW_CODES + 1.0
    blocks = (count + width - 1) // width
    sums = np.empty(blocks * width, np.int16)
    most = np.empty(blocks * (width // _GROUP), np.int16)
    _sum_codes(row_codes, x_codes, count, sums, most)
    high = 32767
    low = max(_bar_of_groups(most, size), math.floor(np.float64(inout_similarity.min()) * _UNITS - bound))
    while low <= high:
        found = _between(sums, low, high)
        products = np.empty(found.shape[0], np.float32)
        _multiply(bits, found, x, products)
        _keep_largest(products, found, first, inout_similarity, inout_index)
        high = low - 1
        low = max(_BELOW_ALL + 1, math.floor(np.float64(inout_similarity.min()) * _UNITS - bound))


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
