"""What re-estimating a prior needs: digests, sums of outcomes, and ridge regressions from them.

The latter by Cholesky's factorisation.
Own loops and no LAPACK, so that the same log gives the same bits whatever library is installed.
"""

import math

import numpy as np

from banditd.kernels._jit import Array32, Array64, Bits32, Index, array, f32, f64, helper, i64, kernel, u32

# Of what a digest is made of: two odd multipliers and two starts for 32 bits each, and the bits that are kept of each.
_MULTIPLIERS = (0x5BD1E995, 0x27D4EB2F)
_STARTS = (0x3C6EF372, 0x1F83D9AB)
_WORD = 0xFFFFFFFF
_KEPT = 26
_KEPT_BITS = (1 << _KEPT) - 1


@kernel(array(u32, "BN"), array(i64, "B", out=True))
def digest_rows(
    bits: Bits32,  # (B, N) encoded contexts, each float32 as its 32 bits
    out_keys: Index,  # (B,) written
) -> None:
    """Write 52 bits that depend on a row's bits alone, and change all over where one of those does.

    Two chains of multiplications modulo 2^32, as in MurmurHash (Appleby 2008), with steps that 64 bits hold.
    """
    for b in range(bits.shape[0]):
        one = np.int64(_STARTS[0])
        two = np.int64(_STARTS[1])
        # The last steps bring the last words into all bits.
        for j in range(bits.shape[1] + 2):
            word = np.int64(bits[b, j]) if j < bits.shape[1] else np.int64(0)
            one = ((one ^ word) * _MULTIPLIERS[0]) & _WORD
            one ^= one >> 15
            two = ((two ^ word) * _MULTIPLIERS[1]) & _WORD
            two ^= two >> 13
        out_keys[b] = (one & _KEPT_BITS) << _KEPT | (two & _KEPT_BITS)


@helper
def _add(
    gram: Array64,  # (2, N, N) updated
    moment: Array64,  # (2, N) updated
    totals: Array64,  # (2,) updated
    half: int,
    x: Array32,  # (N,)
    y: float,
    weight: float,
    count: float,
    retention: float,
) -> None:
    """Do what `add_outcome` says."""
    if retention < 1.0:
        for h in range(gram.shape[0]):
            for i in range(x.shape[0]):
                row = gram[h, i]
                for j in range(x.shape[0]):
                    row[j] *= retention
                moment[h, i] *= retention
        totals[0] *= retention
        totals[1] *= retention
    totals[0] += weight * y * y
    totals[1] += count
    for i in range(x.shape[0]):
        row = gram[half, i]
        x_i = weight * np.float64(x[i])
        for j in range(x.shape[0]):
            row[j] += x_i * np.float64(x[j])
        moment[half, i] += x_i * y


@kernel(
    array(f64, "HNN", inout=True),
    array(f64, "HN", inout=True),
    array(f64, "H", inout=True),
    i64,
    array(f32, "N"),
    f64,
    f64,
    f64,
    f64,
)
def add_outcome(
    gram: Array64,  # (2, N, N) sums of x x' of two halves, updated
    moment: Array64,  # (2, N) sums of y x, updated
    totals: Array64,  # (2,) sum of y^2 over both, and number of observations, updated
    half: int,  # whose observation it is
    x: Array32,  # (N,) encoded context
    y: float,  # observed value
    weight: float,  # precision of the observation, relative to others
    count: float,  # of observations that it counts for
    retention: float,  # factor on what was there, in (0, 1]
) -> None:
    """Add one observation to the sums that a ridge regression is made of, and let both halves forget."""
    _add(gram, moment, totals, half, x, y, weight, count, retention)


@kernel(
    array(f64, "HNN", inout=True),
    array(f64, "HN", inout=True),
    array(f64, "H", inout=True),
    array(i64, "B"),
    array(f32, "BN"),
    array(f64, "BT"),
    array(f64, "B"),
    f64,
)
def add_outcomes(
    gram: Array64,  # (2, N, N) as in `add_outcome`, updated
    moment: Array64,  # (2, N) updated
    totals: Array64,  # (2,) updated
    halves: Index,  # (B,)
    x: Array32,  # (B, N)
    measured: Array64,  # (B, 3) observed values, of which the first counts; nan where it was not seen
    weights: Array64,  # (B,)
    retention: float,
) -> None:
    """Do `add_outcome` for each of B observations, bit for bit; each counts for one."""
    for b in range(x.shape[0]):
        if not math.isnan(measured[b, 0]):
            _add(gram, moment, totals, halves[b], x[b], measured[b, 0], weights[b], 1.0, retention)


@kernel(array(f64, "BK"), array(f64, "BK"), array(f64, "G"), array(i64, "GB", out=True))
def choose_at_prices(
    quality: Array64,  # (B, K) expected in each context
    cost: Array64,  # (B, K) likewise; nan where unknown, which money then never buys
    prices: Array64,  # (G,) of money, >= 0
    out_choices: Index,  # (G, B) written
) -> None:
    """Write the model of the greatest quality - price * cost, the first of equal ones."""
    for g in range(prices.shape[0]):
        price = prices[g]
        for b in range(quality.shape[0]):
            best = -math.inf
            chosen = 0
            for k in range(quality.shape[1]):
                value = quality[b, k] - price * cost[b, k] if price > 0.0 else quality[b, k]
                if value > best:
                    best = value
                    chosen = k
            out_choices[g, b] = chosen


@kernel(
    array(f32, "BN"),
    array(f64, "BK"),
    array(f64, "G"),
    array(i64, "GB"),
    array(i64, "GB"),
    array(f64, "KN", out=True),
    returns=(f64,),
)
def tell_apart(
    rows: Array32,  # (B, N) encoded contexts
    cost: Array64,  # (B, K) what each model is expected to cost in them
    prices: Array64,  # (G,) of money, >= 0
    ours: Index,  # (G, B) whom one way to choose takes at each price
    theirs: Index,  # (G, B) whom another takes
    out_sums: Array64,  # (K, N) written: contexts where we take a model, less those where they do
) -> float:
    """Write where two ways to choose differ, over all prices; return how much less money we spend, at its prices."""
    for k in range(out_sums.shape[0]):
        for j in range(out_sums.shape[1]):
            out_sums[k, j] = 0.0
    saved = 0.0
    for g in range(prices.shape[0]):
        money = 0.0
        for b in range(rows.shape[0]):
            our = ours[g, b]
            their = theirs[g, b]
            if our == their:
                continue
            plus = out_sums[our]
            minus = out_sums[their]
            for j in range(rows.shape[1]):
                value = np.float64(rows[b, j])
                plus[j] += value
                minus[j] -= value
            if prices[g] > 0.0:
                money += cost[b, their] - cost[b, our]
        saved += prices[g] * money
    return saved


@kernel(array(f64, "NN"), array(f64, "N"), array(f64, "NN", out=True))
def factorise(
    gram: Array64,  # (N, N) symmetric, not negative
    penalties: Array64,  # (N,) > 0
    out_root: Array64,  # (N, N) written
) -> None:
    """Write the upper triangular R with R' R = gram + diag(penalties) (Cholesky), zero below the diagonal.

    Golub & Van Loan 2013, section 4.2.5, by rows: from each are taken multiples of those above it, four at a time, so
    that the innermost loop runs along rows. nan where the matrix is not positive.
    """
    n = penalties.shape[0]
    for i in range(n):
        row = out_root[i]
        for j in range(n):
            row[j] = gram[i, j] if j >= i else 0.0
        row[i] += penalties[i]
        # Slices, since a loop that starts at 0 is known not to index from the end, and becomes vector code.
        target = row[i:]
        i_by_four = i - i % 4
        for k in range(0, i_by_four, 4):
            row_0 = out_root[k, i:]
            row_1 = out_root[k + 1, i:]
            row_2 = out_root[k + 2, i:]
            row_3 = out_root[k + 3, i:]
            f_0 = row_0[0]
            f_1 = row_1[0]
            f_2 = row_2[0]
            f_3 = row_3[0]
            for j in range(target.shape[0]):
                two = (target[j] - f_0 * row_0[j]) - f_1 * row_1[j]
                target[j] = (two - f_2 * row_2[j]) - f_3 * row_3[j]
        for k in range(i_by_four, i):
            source = out_root[k, i:]
            factor = source[0]
            for j in range(target.shape[0]):
                target[j] -= factor * source[j]
        scale = 1.0 / np.sqrt(target[0])
        for j in range(target.shape[0]):
            target[j] *= scale


@kernel(array(f64, "NN"), array(f64, "N"), array(f64, "N", out=True), returns=(f64,))
def solve_factorised(
    root: Array64,  # (N, N) upper triangular R of `factorise`
    rhs: Array64,  # (N,)
    out_solution: Array64,  # (N,) written
) -> float:
    """Write (R' R)^-1 rhs and return rhs' (R' R)^-1 rhs, which is not negative."""
    n = rhs.shape[0]
    for j in range(n):
        out_solution[j] = rhs[j]
    for i in range(n):
        out_solution[i] /= root[i, i]
        value = out_solution[i]
        target = out_solution[i + 1 :]
        source = root[i, i + 1 :]
        for j in range(target.shape[0]):
            target[j] -= value * source[j]
    square = 0.0
    for i in range(n):
        square += out_solution[i] * out_solution[i]
    for i in range(n - 1, -1, -1):
        total = out_solution[i]
        for j in range(i + 1, n):
            total -= root[i, j] * out_solution[j]
        out_solution[i] = total / root[i, i]
    return square if math.isfinite(square) else math.nan


@kernel(array(f64, "NN"), array(f64, "NN", out=True))
def invert_factorised(
    root: Array64,  # (N, N) upper triangular R of `factorise`
    out_inverse: Array64,  # (N, N) written; symmetric to the bit
) -> None:
    """Write (R' R)^-1 = R^-1 R^-1'."""
    n = root.shape[0]
    half = np.zeros((n, n), np.float64)
    # R^-1 is upper triangular too, and is found from its last row upwards: row i = (e_i - sum_j R_ij row j) / R_ii.
    for i in range(n - 1, -1, -1):
        row = half[i]
        row[i] = 1.0
        for j in range(i + 1, n):
            factor = root[i, j]
            other = half[j]
            for k in range(n):
                row[k] -= factor * other[k]
        scale = 1.0 / root[i, i]
        for k in range(n):
            row[k] *= scale
    # The product by outer products of the columns of R^-1, for the same reason: rows of its transpose.
    columns = half.T.copy()
    for i in range(n):
        row = out_inverse[i]
        for j in range(n):
            row[j] = 0.0
    for k in range(n):
        column = columns[k]
        for i in range(k + 1):
            row = out_inverse[i]
            factor = column[i]
            for j in range(k + 1):
                row[j] += factor * column[j]


@kernel(array(f32, "BN"), array(f64, "KN"), array(f64, "BK", out=True))
def expect(
    rows: Array32,  # (B, N) encoded contexts
    theta: Array64,  # (K, N) estimates
    out_values: Array64,  # (B, K) written
) -> None:
    """Write rows theta'."""
    # One model after the other, the contexts innermost: there are more of these.
    columns = rows.T.copy()
    sums = np.empty(rows.shape[0], np.float64)
    for k in range(theta.shape[0]):
        for b in range(sums.shape[0]):
            sums[b] = 0.0
        for i in range(columns.shape[0]):
            column = columns[i]
            value = theta[k, i]
            for b in range(sums.shape[0]):
                sums[b] += np.float64(column[b]) * value
        for b in range(sums.shape[0]):
            out_values[b, k] = sums[b]


@kernel(array(f64, "NN"), array(f64, "N"), array(f64, "N", out=True))
def times(
    matrix: Array64,  # (N, N) symmetric
    vector: Array64,  # (N,)
    out_product: Array64,  # (N,) written
) -> None:
    """Write matrix vector, as a sum of rows; a row whose factor is 0 is left out, whatever it holds."""
    for j in range(out_product.shape[0]):
        out_product[j] = 0.0
    for i in range(vector.shape[0]):
        value = vector[i]
        if value != 0.0:
            row = matrix[i]
            for j in range(out_product.shape[0]):
                out_product[j] += row[j] * value
