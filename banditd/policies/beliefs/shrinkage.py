"""How far a belief may lean on the context: the penalty of the slopes, chosen from what was seen.

With dozens of models and a thousand prompts the best of many estimates is mostly the luckiest (the winner's curse), and
a penalty that predicts well still chooses badly. So penalties are compared by what they would choose, and what is
chosen is judged by somebody else: outcomes are split in two halves by a digest of their context, all outcomes of one
prompt into the same. The estimates of one half, under each penalty, choose a model for each of a sample of contexts;
those of the other half, hardly penalised, say what the choice is worth; and the other way round. That is double
estimation (van Hasselt 2010, "Double Q-learning", section 3): the judge's errors do not know what the chooser's are,
so luck is worth nothing. Compared are choices without a price on money and at six prices, from half of where the
dearest model on the fixed-mix hull pays to where only the cheapest does.

The value of a fixed choice is linear in the judge's estimates, so its variance is known exactly,

    value = sum_k g_k' theta_k,   variance = sum_k s2_k g_k' A_k^-1 g_k,

g_k being the mean over contexts of x where k is chosen less x where the other penalty chooses k, and A_k the judge's.
The penalty in use is the geometric mean of all, weighted by how well those errors explain that each falls short of the
best. It is a function of the sums alone, neither of their order nor of what was in use before.

Outcomes of the router's own choices are another matter: they are too few to be halved, and a cautious prior would end
the exploration they come from. There the penalty is the one under which the outcomes are likely (type II maximum
likelihood; Bishop 2006, section 3.5), until each half has four times as many outcomes of a model as a row has values;
from then on it goes only for what is better by three standard errors. Where evidence fades it is the configured one
instead, for what is likely of a mixture of worlds is no prior for the next.

The columns of categories have a penalty of their own, always the likeliest one, with the embedding held down: they are
few, so that what is likely chooses well, and half of the outcomes would be too few to tell fifty models apart in each.
Where evidence fades theirs is the configured one.

Beside its own slopes each model has a share in common ones (what makes a prompt hard for all): the prior of a model's
slopes is centred on those, which one regression over all models within models finds (two-level shrinkage; Lindley and
Smith 1972, "Bayes estimates for the linear model").
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from banditd.domain.arrays import Array32, Array64
from banditd.features.spec import INTERCEPT, LENGTH
from banditd.kernels.shrinkage import (
    add_outcome,
    add_outcomes,
    choose_at_prices,
    digest_rows,
    expect,
    factorise,
    invert_factorised,
    solve_factorised,
    tell_apart,
    times,
)

Choices = npt.NDArray[np.int64]

# Factors of four over what can make a difference: below 1 no row of length 1 is shrunk, above 4,096 every one is.
PENALTIES: Final = tuple(4.0**power for power in range(-1, 7))
# The judge's, and that of the common slopes: enough for directions that were never seen, and little else.
JUDGE_PENALTY: Final = 8.0
COMMON_PENALTY: Final = 8.0
# Contexts of the sample. Those of the smallest digests: a sample that does not depend on the order.
SAMPLE_COUNT: Final = 256
# Prices of money at which choices are compared, beside none.
_PRICES: Final = 6
# Outcomes per model and value of a row that it takes to choose a penalty from outcomes of choices, so that each half
# has four. Outcomes that were sought by optimism make the halves agree too little: with half as many, caution ended the
# exploration of a stream that has much to learn, in four seeds of five (regret 253 instead of 204).
OUTCOMES_PER_VALUE: Final = 8.0
# Outcomes per context from which they are not those of choices, but of a history that tells of several models for each
# prompt. There is nothing to explore in it, and the best of many estimates is the luckiest from the first on.
OUTCOMES_PER_CONTEXT: Final = 1.5
# Digests fit into the float64 of a stored state.
_DIGEST_BITS: Final = 52
# Penalties among which likelihood chooses: more tell nothing apart while there is little to go by.
LIKELY_MAX: Final = 64.0
# Outcomes that the guess of the noise counts for there, and its variance: little, for it takes signal for noise.
_NOISE_COUNT: Final = 2.0
_NOISE_VARIANCE: Final = 0.0625
# Standard errors by which a penalty must be better than the likeliest one (where evidence fades, the configured one)
# before any other is taken, where outcomes are those of choices: that one explores.
MARGIN: Final = 3.0


@dataclass(slots=True)
class Sums:
    """What was seen of one model, in two halves. Mutable.

    Attributes:
        gram: Shape (2, N, N): sums of x x'.
        moment: Shape (2, N): sums of y x.
        totals: Shape (2,): sum of y^2 over both halves, and the number of outcomes.
    """

    gram: Array64
    moment: Array64
    totals: Array64

    @classmethod
    def empty(cls, width: int) -> "Sums":
        """Return the sums over nothing."""
        return cls(np.zeros((2, width, width)), np.zeros((2, width)), np.zeros(2))

    def add(self, half: int, row: Array32, value: float, weight: float, retention: float, count: float = 1.0) -> None:
        """Add an outcome to one half, and let both forget; *count* is 0 for what is none, but a guess."""
        add_outcome(self.gram, self.moment, self.totals, half, row, value, weight, count, retention)

    def add_rows(self, halves: Choices, rows: Array32, measured: Array64, weights: Array64, retention: float) -> None:
        """Do `add` for each of B rows of which a quality is `measured`."""
        add_outcomes(self.gram, self.moment, self.totals, halves, rows, measured, weights, retention)

    def fade(self, share: float) -> None:
        """Keep a share of what was seen."""
        self.gram *= share
        self.moment *= share
        self.totals *= share

    def free_level(self, intercept_penalty: float) -> None:
        """Make what was seen that of another level than the present one, by an unknown difference d.

        y = theta' x - d with d ~ N(0, s2 / penalty); integrating d out leaves S - s s' / (n + penalty), s being the
        intercept's column of S, and the moment likewise.
        """
        for half in range(2):
            column = self.gram[half, INTERCEPT].copy()
            scaled = column / (column[INTERCEPT] + intercept_penalty)
            self.totals[0] -= self.moment[half, INTERCEPT] ** 2 / (column[INTERCEPT] + intercept_penalty)
            self.moment[half] -= scaled * self.moment[half, INTERCEPT]
            self.gram[half] -= np.outer(scaled, column)


class Sample:
    """Contexts, each once: those of the smallest digests of all that were offered. Mutable.

    Attributes:
        rows: Shape (m, N): contexts in the order of their digests.
    """

    def __init__(self, width: int) -> None:
        self.rows: Array32 = np.empty((0, width), np.float32)
        self._keys: Choices = np.empty(0, np.int64)

    @property
    def keys(self) -> Array64:
        """Digests: shape (m,), increasing."""
        return self._keys.astype(np.float64)

    def offer(self, keys: Choices, rows: Array32) -> None:
        """Take in those of B contexts (B, N), and their digests (B,), that belong to the sample."""
        if len(self._keys) == SAMPLE_COUNT:
            possible = keys < self._keys[-1]
            keys, rows = keys[possible], rows[possible]
        if len(keys):
            together, at = np.unique(np.concatenate([self._keys, keys]), return_index=True)
            self._keys = together[:SAMPLE_COUNT]
            self.rows = np.concatenate([self.rows, rows])[at[:SAMPLE_COUNT]]

    def load(self, keys: Array64, rows: Array32) -> None:
        """Put stored keys and rows in the place of these."""
        self._keys, self.rows = keys.astype(np.int64), rows

    def contexts(self) -> float:
        """Return about how many different contexts were offered (Bar-Yossef et al. 2002, algorithm 2)."""
        if len(self._keys) < SAMPLE_COUNT:
            return float(len(self._keys))
        return (SAMPLE_COUNT - 1) * 2.0**_DIGEST_BITS / (float(self._keys[-1]) + 1.0)


def margin_of(sums: list[Sums], learnt: int, sample: Sample) -> float | None:
    """Return how many standard errors better a prior must be to be taken; None if it is too early to tell.

    Args:
        sums: Of each model, as far as not forgotten.
        learnt: Outcomes ever.
        sample: Of their contexts.
    """
    if learnt > OUTCOMES_PER_CONTEXT * sample.contexts():
        return 0.0
    weight = sum(float(s.gram[0, INTERCEPT, INTERCEPT] + s.gram[1, INTERCEPT, INTERCEPT]) for s in sums)
    return MARGIN if weight >= OUTCOMES_PER_VALUE * len(sums) * sample.rows.shape[1] else None


def context_keys(rows: Array32) -> Choices:
    """Return 52 bits of each row (B, N) that depend on it alone; the lowest says which half its outcomes belong to."""
    keys: Choices = np.empty(len(rows), np.int64)
    digest_rows(rows.view(np.uint32), keys)
    return keys


def common_slopes(gram: Array64, moment: Array64, means: Array64, intercept_penalty: float) -> Array64:
    """Return the slopes that models have in common, with an intercept of 0.

    Args:
        gram: Shape (K, N, N).
        moment: Shape (K, N).
        means: Shape (K,), the prior means of the intercepts.
        intercept_penalty: Of each model's own intercept, which is integrated out:
            S - s s' / (n + penalty), s being its column of S, and the moment likewise.
    """
    width = gram.shape[1]
    total, right = np.zeros((width, width)), np.zeros(width)
    for s, b, mean in zip(gram, moment, means, strict=True):
        column = s[INTERCEPT]
        centred = b - column * mean
        scale = 1.0 / (column[INTERCEPT] + intercept_penalty)
        total += s - np.outer(column, column * scale)
        right += centred - column * (centred[INTERCEPT] * scale)
    total[INTERCEPT] = 0.0
    total[:, INTERCEPT] = 0.0
    right[INTERCEPT] = 0.0
    root, slopes = np.empty((width, width)), np.empty(width)
    factorise(total, np.full(width, COMMON_PENALTY), root)
    solve_factorised(root, right, slopes)
    slopes[INTERCEPT] = 0.0
    return slopes


def posterior(gram: Array64, moment: Array64, penalties: Array64, prior: Array64) -> tuple[Array64, Array64]:
    """Return A^-1 and theta of one model, A = gram + diag(penalties), theta = prior + A^-1 (moment - gram prior)."""
    width = len(penalties)
    root, a_inv, change = np.empty((width, width)), np.empty((width, width)), np.empty(width)
    factorise(gram, penalties, root)
    invert_factorised(root, a_inv)
    solve_factorised(root, moment - _times(gram, prior), change)
    return a_inv, prior + change


def likeliest(sums: list[Sums], prior: Array64, penalties: Array64, varied: slice, greatest: float) -> float:
    """Return the penalty of some of the slopes under which what was seen is likely.

    With the noise variance, one for all models, integrated out under its inverse gamma prior of n0 outcomes of variance
    v0, n outcomes y of weights w, with noise variance s2 / w each, have the log evidence

        sum_k 1/2 (log det P - log det A_k) - (n0 + n) / 2 log(n0 v0 + sum_k (y'y - b' A_k^-1 b)),

    P being the prior's precision, A_k = S_k + P, and y and b what the prior's centre leaves unexplained (Bishop 2006,
    equation 3.86). What is returned has the mean prior variance under it, 1 / E[1 / penalty], which is the variance of
    the mixture of the priors; to a power of two.

    Args:
        sums: Of each model.
        prior: Shape (K, N): centres of the models' priors.
        penalties: Shape (N,), of a row's values.
        varied: Those of which one is chosen; the others are kept.
        greatest: The largest that is tried.
    """
    width = len(penalties)
    root, scratch = np.empty((width, width)), np.empty(width)
    moments = [s.moment[0] + s.moment[1] for s in sums]
    grams = [s.gram[0] + s.gram[1] for s in sums]
    lefts = [b - _times(gram, centre) for gram, b, centre in zip(grams, moments, prior, strict=True)]
    count = _NOISE_COUNT + sum(float(s.totals[1]) for s in sums)
    # (y - X m)'(y - X m) = y'y - m'(b + left).
    square = _NOISE_COUNT * _NOISE_VARIANCE
    for s, b, left, centre in zip(sums, moments, lefts, prior, strict=True):
        square += float(s.totals[0]) - math.fsum((centre * (b + left)).tolist())
    candidates = [penalty for penalty in PENALTIES if penalty <= greatest]
    logs = []
    for penalty in candidates:
        tried = _with_penalty(penalties, varied, penalty)
        half_log_prior = 0.5 * math.fsum(map(math.log, tried.tolist()))
        rest, evidence = square, 0.0
        for gram, left in zip(grams, lefts, strict=True):
            factorise(gram, tried, root)
            rest -= solve_factorised(root, left, scratch)
            evidence += half_log_prior - math.fsum(map(math.log, root.diagonal().tolist()))
        logs.append(evidence - 0.5 * count * math.log(max(rest, _NOISE_VARIANCE)))
    weights = [math.exp(value - max(logs)) for value in logs]
    variance = sum(w / p for w, p in zip(weights, candidates, strict=True)) / sum(weights)
    return float(2.0 ** round(-math.log2(variance)))


def price_ladder(quality: Array64, cost_usd: Array64) -> list[float]:
    """Return 0 and the prices of money, per dollar, over which the fixed-mix hull of these models is walked."""
    known = np.flatnonzero(np.isfinite(cost_usd))
    vertices: list[int] = []
    for k in known[np.lexsort((-quality[known], cost_usd[known]))]:
        if vertices and quality[k] <= quality[vertices[-1]]:
            continue
        while len(vertices) > 1 and _slope(quality, cost_usd, vertices[-1], int(k)) >= _slope(
            quality, cost_usd, vertices[-2], vertices[-1]
        ):
            vertices.pop()
        vertices.append(int(k))
    slopes = [slope for i, j in pairwise(vertices) if math.isfinite(slope := _slope(quality, cost_usd, i, j))]
    if not slopes:
        return [0.0]
    low, high = 0.5 * min(slopes), max(slopes)
    return [0.0, *(low * (high / low) ** (i / (_PRICES - 1)) for i in range(_PRICES))]


@dataclass(frozen=True, slots=True)
class PenaltyWorth:
    """What penalties of some of the slopes are worth. The first is the configured one.

    Attributes:
        penalty: Shape (G,).
        gain: Shape (G,): utility per context more than under the configured penalty.
        gain_error: Shape (G,): its standard error.
        shortfall: Shape (G,): utility per context less than under the best of them.
        shortfall_error: Shape (G,): its standard error.
    """

    penalty: Array64
    gain: Array64
    gain_error: Array64
    shortfall: Array64
    shortfall_error: Array64

    def best(self, margin: float) -> float:
        """Return the penalty to use.

        If none gains more than *margin* errors, it is the configured one. Else it is the geometric mean of
        `PENALTIES`, each weighted by how well the judge's errors explain that it falls short of the best,
        exp(-(shortfall / error)^2 / 2); to a power of two, which is all that the evidence can tell, and exact.
        """
        if not np.any(self.gain > margin * self.gain_error) or int(np.argmax(self.gain)) == 0:
            return float(self.penalty[0])
        total = weighted = 0.0
        for penalty, shortfall, error in zip(self.penalty, self.shortfall, self.shortfall_error, strict=True):
            if penalty not in PENALTIES:
                continue
            z = float(shortfall / error) if error > 0.0 else 0.0
            weight = math.exp(-0.5 * z * z)
            total += weight
            weighted += weight * math.log2(penalty)
        return float(2.0 ** round(weighted / total))


@dataclass(frozen=True, slots=True)
class _Judge:
    """What one half says of choices that the other half made.

    Attributes:
        theta: Shape (K, N).
        roots: Shape (K, N, N): roots of A.
        noise: Shape (K,): noise variances.
        rows: Shape (B, N).
        cost_usd: Shape (B, K).
        prices: Shape (P,), of money.
    """

    theta: Array64
    roots: Array64
    noise: Array64
    rows: Array32
    cost_usd: Array64
    prices: Array64

    def difference(self, ours: Choices, theirs: Choices) -> tuple[float, float]:
        """Return how much utility per context *ours* has more, mean over prices, and the variance of that; (P, B)."""
        weight = np.empty_like(self.theta)
        saved = tell_apart(self.rows, self.cost_usd, self.prices, ours, theirs, weight)
        scale = 1.0 / (len(self.prices) * len(self.rows))
        weight *= scale
        variance = 0.0
        scratch = np.empty(weight.shape[1])
        for k in np.flatnonzero(weight.any(axis=1)).tolist():
            variance += float(self.noise[k]) * solve_factorised(self.roots[k], weight[k], scratch)
        return float(np.sum(weight * self.theta)) + saved * scale, variance


def compare(
    sums: list[Sums],
    prior: Array64,
    noise: Array64,
    rows: Array32,
    cost_usd: Array64,
    configured: Array64,
    varied: slice,
) -> PenaltyWorth:
    """Compare `PENALTIES` with the configured one by double estimation.

    Args:
        sums: Of each model.
        prior: Shape (K, N): centres of the models' priors.
        noise: Shape (K,): noise variances.
        rows: Shape (B, N): contexts, B > 0.
        cost_usd: Shape (B, K): expected cost; NaN where unknown, which money then never buys.
        configured: Shape (N,): penalties of a row's values.
        varied: Those that are compared, of which configured are alike; the others are kept.
    """
    count, width = prior.shape
    first = float(configured[varied.start])
    penalties = [first, *(p for p in PENALTIES if p != first)]
    judging = _with_penalty(configured, slice(LENGTH, None), JUDGE_PENALTY)
    # Of what the prior's centre leaves unexplained: shape (2, K, N).
    moments = np.stack([[_unexplained(s, half, p) for s, p in zip(sums, prior, strict=True)] for half in range(2)])
    theta = prior + _solutions([s.gram[0] + s.gram[1] for s in sums], moments[0] + moments[1], judging)
    prices = np.array(price_ladder(_expect(rows, theta).mean(axis=0), cost_usd.mean(axis=0)))
    judges: list[_Judge] = []
    choices: list[list[Choices]] = []
    for half in range(2):
        roots = np.empty((count, width, width))
        theta = prior + _solutions([s.gram[1 - half] for s in sums], moments[1 - half], judging, roots)
        judges.append(_Judge(theta, roots, noise, rows, cost_usd, prices))
        grams = [s.gram[half] for s in sums]
        estimates = [
            prior + _solutions(grams, moments[half], _with_penalty(configured, varied, penalty))
            for penalty in penalties
        ]
        choices.append([_choices(_expect(rows, theta), cost_usd, prices) for theta in estimates])

    def beside(reference: int) -> tuple[Array64, Array64]:
        found = np.zeros((2, len(penalties)))
        for judge, chosen in zip(judges, choices, strict=True):
            for g, ours in enumerate(chosen):
                difference, variance = judge.difference(ours, chosen[reference])
                found[0, g] += 0.5 * difference
                found[1, g] += 0.25 * variance
        return found[0], np.sqrt(found[1])

    gain, gain_error = beside(0)
    best = int(np.argmax(gain))
    lead, shortfall_error = beside(best) if best > 0 else (gain, gain_error)
    return PenaltyWorth(np.array(penalties), gain, gain_error, -lead, shortfall_error)


def _with_penalty(penalties: Array64, varied: slice, penalty: float) -> Array64:
    """Return penalties of a row's values of which some are another."""
    changed = penalties.copy()
    changed[varied] = penalty
    return changed


def _solutions(grams: list[Array64], moments: Array64, penalties: Array64, out_roots: Array64 | None = None) -> Array64:
    """Return (gram + diag(penalties))^-1 moment of each model: shape (K, N)."""
    scratch = np.empty((len(penalties), len(penalties)))
    solutions = np.empty_like(moments)
    for k, gram in enumerate(grams):
        root = scratch if out_roots is None else out_roots[k]
        factorise(gram, penalties, root)
        solve_factorised(root, moments[k], solutions[k])
    return solutions


def _unexplained(sums: Sums, half: int, prior: Array64) -> Array64:
    """Return moment - gram prior of one half."""
    moment: Array64 = sums.moment[half]
    return moment - _times(sums.gram[half], prior)


def _choices(quality: Array64, cost_usd: Array64, prices: Array64) -> Choices:
    """Return what is chosen for each context at each price: shape (P, B)."""
    found: Choices = np.empty((len(prices), len(quality)), np.int64)
    choose_at_prices(quality, cost_usd, prices, found)
    return found


def _expect(rows: Array32, theta: Array64) -> Array64:
    values = np.empty((len(rows), len(theta)))
    expect(rows, theta, values)
    return values


def _times(matrix: Array64, vector: Array64) -> Array64:
    """Return the product of a symmetric matrix, in an order that is ours and not a library's."""
    product: Array64 = np.empty_like(vector)
    times(matrix, vector, product)
    return product


def _slope(quality: Array64, cost_usd: Array64, i: int, j: int) -> float:
    rise, run = float(quality[j] - quality[i]), float(cost_usd[j] - cost_usd[i])
    return rise / run if run > 0.0 else math.inf
