"""The penalty of the slopes comes from the data: the maths, the choices, and what they are worth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import linalg, stats

from banditd.domain.arrays import Array32, Array64
from banditd.domain.comparison import Comparison, Winner
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec
from banditd.errors import DataLossError
from banditd.features.fit import seeded_spec
from banditd.features.spec import FeatureKind
from banditd.policies.beliefs import shrinkage
from banditd.policies.beliefs.linear import LinearBelief
from banditd.policies.beliefs.shrinkage import (
    PenaltyWorth,
    Sample,
    Sums,
    common_slopes,
    compare,
    context_keys,
    margin_of,
    posterior,
    price_ladder,
)
from banditd.policies.beliefs.slope_prior import FIRST_COUNT
from banditd.policies.registry import resolve

WIDTH = 20
FEATURES = seeded_spec(FeatureKind.LINEAR, WIDTH - 2, 1)


def rows_of(count: int, seed: int) -> Array32:
    """Rows as encodings make them: an intercept, and a body of length 1 on average."""
    rows = np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32) / np.float32(math.sqrt(WIDTH - 1))
    rows[:, 0] = 1.0
    return rows


def world(models: int, slope: float, seed: int) -> tuple[Array64, list[ModelSpec]]:
    """True coefficients (K, N), with means that differ by 0.03, and models of one price."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(models, WIDTH)) * slope
    theta[:, 0] = 0.5 + 0.03 * rng.normal(size=models)
    return theta, [ModelSpec(k, f"m{k}", Price(1.0, 1.0)) for k in range(models)]


def taught(theta: Array64, specs: list[ModelSpec], rows: Array32, seed: int, **parameters: float) -> LinearBelief:
    """A belief that has seen every model's noisy quality of every row."""
    rng = np.random.default_rng(seed)
    belief = LinearBelief(resolve(PolicySpec("linucb", parameters)), FEATURES, 0.5)
    for row in rows:
        for spec in specs:
            belief.learn(spec, row, Lesson(quality=float(theta[spec.slot] @ row + 0.3 * rng.standard_normal())))
    return belief


def value(belief: LinearBelief, theta: Array64, specs: list[ModelSpec], rows: Array32) -> float:
    """True mean quality of the models that look best."""
    chosen = np.argmax(belief.freeze(tuple(specs)).predict_rows(rows).quality, axis=1)
    return float(np.mean(np.sum(theta[chosen] * rows, axis=1)))


@pytest.mark.parametrize("seed", range(0, 50, 10))
def test_many_models_without_context_are_not_told_apart_by_luck(seed: int) -> None:
    """Winner's curse: 30 models, nothing in the context. Without shrinkage most of the best model's lead is lost."""
    theta, specs = world(30, 0.0, 1 + seed)
    rows, fresh = rows_of(150, 2 + seed), rows_of(500, 3 + seed)
    belief = taught(theta, specs, rows, 4 + seed)
    curse = taught(theta, specs, rows, 4 + seed, shrinkage=0.0)
    assert belief.slope_penalty >= 16.0
    assert curse.slope_penalty == 1.0
    assert value(belief, theta, specs, fresh) > value(curse, theta, specs, fresh) + 0.01


def test_context_that_matters_is_kept() -> None:
    """The other side: with real slopes the penalty stays small, and choices are worth more than any constant."""
    theta, specs = world(8, 0.5, 5)
    belief = taught(theta, specs, rows_of(300, 6), 7)
    fresh = rows_of(500, 8)
    assert belief.slope_penalty <= 8.0
    assert value(belief, theta, specs, fresh) > float((fresh @ theta.T).mean(axis=0).max()) + 0.2


def test_what_was_chosen_depends_on_sums_and_not_on_order() -> None:
    """The same outcomes in another order, up to a point where the penalty is chosen: the same belief, to rounding."""
    theta, specs = world(4, 0.3, 9)
    rows = rows_of(FIRST_COUNT // 4, 10)
    rng = np.random.default_rng(11)
    facts = [(s, row, float(theta[s.slot] @ row + 0.3 * rng.standard_normal())) for row in rows for s in specs]
    states = []
    for order in (range(len(facts)), np.random.default_rng(12).permutation(len(facts))):
        belief = LinearBelief(resolve(PolicySpec("linucb")), FEATURES, 0.5)
        for i in order:
            spec, row, quality = facts[int(i)]
            belief.learn(spec, row, Lesson(quality=quality))
        states.append(belief.to_arrays())
    assert states[0]["slope_prior/penalties"][-1] != 1.0
    for name, array in states[0].items():
        if not name.endswith("numbers"):
            np.testing.assert_allclose(array, states[1][name], atol=1e-9, err_msg=name)


def test_between_choices_updates_give_what_the_sums_give() -> None:
    """Recursive updates after a choice equal the normal equations over everything, with the centre that was chosen."""
    theta, specs = world(3, 0.3, 13)
    rows = rows_of(130, 14)
    belief = taught(theta, specs, rows, 15)
    arrays = belief.to_arrays()
    assert 3 * len(rows) > FIRST_COUNT
    for spec in specs:
        gram, moment = arrays[f"slope_prior/gram/{spec.slot}"].sum(0), arrays[f"slope_prior/moment/{spec.slot}"].sum(0)
        np.testing.assert_allclose(gram, rows.astype(float).T @ rows, atol=1e-9)
        prior = arrays["slope_prior/slopes"].copy()
        prior[0] = 0.5
        a = gram + np.diag(arrays["slope_prior/penalties"])
        expected = prior + np.linalg.solve(a, moment - gram @ prior)
        np.testing.assert_allclose(arrays[f"{spec.slot}/QUALITY/theta"], expected, atol=1e-9)
        np.testing.assert_allclose(arrays[f"{spec.slot}/QUALITY/a_inv"], np.linalg.inv(a), atol=1e-9)


def test_posterior_by_hand() -> None:
    """S = diag(3, 1), b = (5, 2), penalties (1, 1), prior (1, 0): A^-1 = diag(1/4, 1/2), theta = (1 + 2/4, 2/2)."""
    a_inv, theta = posterior(np.diag([3.0, 1.0]), np.array([5.0, 2.0]), np.ones(2), np.array([1.0, 0.0]))
    np.testing.assert_allclose(a_inv, np.diag([0.25, 0.5]), atol=1e-15)
    np.testing.assert_allclose(theta, [1.5, 1.0], atol=1e-15)


def test_common_slopes_are_those_of_one_regression_with_an_intercept_per_model() -> None:
    """The oracle: one ridge regression over [indicator of the model, body], which has the same solution."""
    rng = np.random.default_rng(16)
    rows = rows_of(60, 17).astype(float)
    owner = rng.integers(0, 3, len(rows))
    y = rng.random(len(rows))
    means = np.array([0.2, 0.5, 0.9])
    gram = np.stack([rows[owner == k].T @ rows[owner == k] for k in range(3)])
    moment = np.stack([rows[owner == k].T @ y[owner == k] for k in range(3)])
    design = np.hstack([np.eye(3)[owner], rows[:, 1:]])
    penalties = np.concatenate([np.full(3, 2.0), np.full(WIDTH - 1, shrinkage.COMMON_PENALTY)])
    expected = np.linalg.solve(design.T @ design + np.diag(penalties), design.T @ (y - means[owner]))[3:]
    found = common_slopes(gram, moment, means, 2.0)
    assert found[0] == 0.0
    np.testing.assert_allclose(found[1:], expected, atol=1e-12)


@pytest.mark.parametrize("varied", [slice(1, WIDTH), slice(1, WIDTH - 5)], ids=["all slopes", "the first"])
def test_comparison_by_the_long_way(varied: slice) -> None:
    """Gains and errors equal those of NumPy: choose by one half, judge by the other, covariance of the sum."""
    rng = np.random.default_rng(18)
    rows = rows_of(200, 19)
    half = context_keys(rows) & 1
    count, configured = 3, np.ones(WIDTH)
    configured[varied.stop :] = 4.0
    y = rng.random((200, count))
    sums = [Sums.empty(WIDTH) for _ in range(count)]
    for i, row in enumerate(rows):
        for k in range(count):
            sums[k].add(int(half[i]), row, float(y[i, k]), 1.0, 1.0)
    noise = np.array([0.1, 0.2, 0.3])
    contexts = rows_of(40, 20)
    found = compare(sums, np.zeros((count, WIDTH)), noise, contexts, np.full((40, count), np.nan), configured, varied)

    judging = np.array([1.0] + [shrinkage.JUDGE_PENALTY] * (WIDTH - 1))

    def choosing(penalty: float) -> Array64:
        penalties = configured.copy()
        penalties[varied] = penalty
        return penalties

    def fit(h: int, penalties: Array64) -> tuple[Array64, Array64]:
        x = rows[half == h].astype(float)
        a = x.T @ x + np.diag(penalties)
        return np.linalg.solve(a, x.T @ y[half == h]).T, np.linalg.inv(a)

    for g, penalty in enumerate(found.penalty):
        gain = variance = 0.0
        for h in range(2):
            judge, covariance = fit(1 - h, judging)
            ours = np.argmax(contexts @ fit(h, choosing(penalty))[0].T, axis=1)
            theirs = np.argmax(contexts @ fit(h, choosing(1.0))[0].T, axis=1)
            for k in range(count):
                weight = contexts.T.astype(float) @ ((ours == k) * 1.0 - (theirs == k)) / len(contexts)
                gain += 0.5 * weight @ judge[k]
                variance += 0.25 * noise[k] * weight @ covariance @ weight
        assert found.gain[g] == pytest.approx(gain, abs=1e-12)
        assert found.gain_error[g] == pytest.approx(math.sqrt(variance), abs=1e-12)


def test_best_by_hand() -> None:
    """64 is best, 256 falls short by one error and weighs exp(-1/2), the rest by ten: 6 + 2 * 0.378 is 6.76, so 2^7."""
    penalty = np.array([1.0, 64.0, 256.0, 1024.0])
    comparison = PenaltyWorth(
        penalty,
        np.array([0.0, 0.04, 0.03, 0.0]),
        np.array([0.0, 0.01, 0.01, 0.01]),
        np.array([0.04, 0.0, 0.01, 0.1]),
        np.array([0.004, 0.0, 0.01, 0.01]),
    )
    assert comparison.best(3.0) == 128.0
    assert comparison.best(5.0) == 1.0


def test_prices_walk_the_hull() -> None:
    """Slopes 2 (0 to 1) and 1 (1 to 2): from half of 1 to 2. A model below the hull and one of unknown cost are out."""
    prices = price_ladder(np.array([0.0, 2.0, 3.0, 2.1, 9.0]), np.array([0.0, 1.0, 2.0, 1.9, np.nan]))
    assert prices[0] == 0.0
    np.testing.assert_allclose(prices[1:], np.geomspace(0.5, 2.0, 6))
    assert price_ladder(np.array([0.1, 0.2]), np.array([np.nan, np.nan])) == [0.0]


def test_the_sample_forgets_the_order_and_counts_contexts() -> None:
    """Whatever the order and however often each comes, it is the same sample; and it tells how many there were."""
    rows = rows_of(2000, 21)
    keys = context_keys(rows)
    samples = []
    for size in (1, 7, 4000):
        sample = Sample(WIDTH)
        order = np.random.default_rng(size).permutation(np.repeat(np.arange(2000), 2))
        for begin in range(0, 4000, size):
            some = order[begin : begin + size]
            sample.offer(keys[some], rows[some])
        samples.append(sample)
    np.testing.assert_array_equal(samples[0].keys, samples[2].keys)
    np.testing.assert_array_equal(samples[0].keys, samples[1].keys)
    np.testing.assert_array_equal(samples[0].rows, samples[1].rows)
    np.testing.assert_array_equal(samples[0].keys, np.sort(keys)[: shrinkage.SAMPLE_COUNT])
    assert samples[0].contexts() == pytest.approx(2000, rel=0.2)


def test_digests_are_spread_evenly_and_depend_on_every_bit() -> None:
    """Each bit is 1 in half of the digests, none meet, and another bit anywhere in a row turns half of them over."""
    rows = rows_of(40_000, 23)
    keys = context_keys(rows)
    bits = keys[:, None] >> np.arange(52) & 1
    assert keys.min() >= 0
    assert keys.max() < 2**52
    assert len(np.unique(keys)) == len(np.unique(rows, axis=0))
    # Five standard errors of a share of 40,000.
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / 200
    words = rows.view(np.uint32)
    for column in range(WIDTH):
        for bit in (0, 15, 31):
            other = words.copy()
            other[:, column] ^= np.uint32(1 << bit)
            turned = (keys ^ context_keys(other.view(np.float32)))[:, None] >> np.arange(52) & 1
            assert turned.mean(axis=0).min() > 0.4
            assert turned.mean(axis=0).max() < 0.6


def test_a_sample_by_other_digests_is_refused() -> None:
    """A state of before digests were what they are is not this one's: a prompt would be in it twice, in both halves."""
    belief = LinearBelief(resolve(PolicySpec("linucb")), FEATURES, 0.5)
    belief.learn(ModelSpec(0, "m", Price(1.0, 1.0)), rows_of(1, 24)[0], Lesson(quality=0.5))
    arrays = belief.to_arrays()
    belief.load_arrays(arrays)
    arrays["slope_prior/keys"] = arrays.pop("slope_prior/digests")
    with pytest.raises(DataLossError, match="slope_prior/digests"):
        belief.load_arrays(arrays)


def test_choices_of_ones_own_take_more_evidence_than_a_history() -> None:
    """One outcome per context: none until there are eight per value of a row, then a margin. Two per context: none."""
    rows = rows_of(400, 22)
    sample, sums = Sample(WIDTH), [Sums.empty(WIDTH) for _ in range(2)]
    keys = context_keys(rows)
    for i, row in enumerate(rows):
        sample.offer(keys[i : i + 1], rows[i : i + 1])
        sums[i % 2].add(int(keys[i] & 1), row, 0.5, 1.0, 1.0)
        if i + 1 == 16 * WIDTH - 1:
            assert margin_of(sums, i + 1, sample) is None
    assert margin_of(sums, 400, sample) == shrinkage.MARGIN
    assert margin_of(sums, 800, sample) == 0.0


def test_forgetting_forgets_the_sums_too() -> None:
    """With retention below 1 the sums of both halves hold what an exponentially weighted regression would."""
    belief = LinearBelief(resolve(PolicySpec("adaptive", {"retention": 0.9})), FEATURES, 0.5)
    (spec,) = world(1, 0.0, 23)[1]
    rows = rows_of(50, 24)
    for row in rows:
        belief.learn(spec, row, Lesson(quality=0.5))
    weight = 0.9 ** np.arange(49, -1, -1)
    gram = belief.to_arrays()["slope_prior/gram/0"].sum(axis=0)
    np.testing.assert_allclose(gram, (rows * weight[:, None]).T.astype(float) @ rows, rtol=1e-5, atol=1e-6)


def test_a_model_that_comes_later_starts_from_the_common_slopes() -> None:
    """What makes a prompt hard for all is expected to make it hard for a newcomer."""
    theta, specs = world(6, 0.02, 25)
    theta[:, 1] += 0.4
    belief = taught(theta, specs, rows_of(200, 26), 27)
    newcomer = ModelSpec(9, "new", Price(1.0, 1.0))
    fresh = rows_of(100, 28)
    expected = belief.freeze((*specs, newcomer)).predict_rows(fresh).quality[:, -1]
    assert np.corrcoef(expected, fresh[:, 1])[0, 1] > 0.8


def test_a_removed_model_takes_its_sums_along() -> None:
    """Nothing of it is left in the state."""
    theta, specs = world(3, 0.3, 29)
    belief = taught(theta, specs, rows_of(100, 30), 31)
    belief.change_model(specs[1], None)
    assert not [name for name in belief.to_arrays() if name.startswith("1/") or name.endswith("/1")]


def test_a_free_level_leaves_what_an_unknown_shift_leaves() -> None:
    """The oracle: every row of the past has one more value, 1, whose coefficient has the intercept's prior."""
    rng = np.random.default_rng(32)
    rows = rows_of(40, 33).astype(float)
    y, half = rng.random(40), np.arange(40) % 2
    sums = Sums.empty(WIDTH)
    for i, row in enumerate(rows):
        sums.add(int(half[i]), row.astype(np.float32), float(y[i]), 1.0, 1.0)
    sums.free_level(2.0)
    for h in range(2):
        x = rows[half == h]
        design = np.hstack([x, -np.ones((len(x), 1))])
        a = design.T @ design + np.diag([1.0] * WIDTH + [2.0])
        expected = np.linalg.solve(a, design.T @ y[half == h])[:WIDTH]
        found = np.linalg.solve(sums.gram[h] + np.eye(WIDTH), sums.moment[h])
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_comparisons_are_part_of_the_sums() -> None:
    """A vote moves the sums by what it moves the regressions by: the normal equations still hold."""
    theta, specs = world(2, 0.3, 34)
    belief = taught(theta, specs, rows_of(20, 35), 36)
    for i, row in enumerate(rows_of(30, 37)):
        belief.compare(specs[0], specs[1], row, Comparison(0, 1, Winner.A if i % 3 else Winner.B, "judge"))
    arrays = belief.to_arrays()
    prior = np.zeros(WIDTH)
    prior[0] = 0.5
    for slot in range(2):
        gram, moment = arrays[f"slope_prior/gram/{slot}"].sum(0), arrays[f"slope_prior/moment/{slot}"].sum(0)
        a = gram + np.diag(arrays["slope_prior/penalties"])
        assert gram[0, 0] > 20.5  # twenty qualities, and votes that weigh little each
        np.testing.assert_allclose(arrays[f"{slot}/QUALITY/a_inv"], np.linalg.inv(a), atol=1e-9)
        np.testing.assert_allclose(
            arrays[f"{slot}/QUALITY/theta"], prior + np.linalg.solve(a, moment - gram @ prior), atol=1e-9
        )


@pytest.mark.parametrize("varied", [slice(1, WIDTH), slice(WIDTH - 5, WIDTH)], ids=["all slopes", "the last"])
@pytest.mark.parametrize("weight", [1.0, 0.05])
@pytest.mark.parametrize("slope", [0.0, 0.1, 0.5, 2.0])
def test_the_likeliest_penalty_is_the_one_of_the_marginal_likelihood(
    slope: float, weight: float, varied: slice
) -> None:
    """The oracle: outcomes together are multivariate t, of a covariance that is written out outcome by outcome.

    What weighs little is as much noisier (a vote is), and no smaller a number of outcomes.
    """
    theta, specs = world(3, slope, 38)
    rng = np.random.default_rng(39)
    configured, prior = np.full(WIDTH, 8.0), np.zeros((3, WIDTH))
    configured[0], prior[:, 0] = 1.0, 0.5
    prior[:, 1] = 1.0
    sums = [Sums.empty(WIDTH) for _ in specs]
    designs, left = [], []
    for spec in specs:
        rows = rows_of(30, 40 + spec.slot)
        y = rows @ theta[spec.slot] + 0.3 * rng.standard_normal(len(rows)) / math.sqrt(weight)
        for i, row in enumerate(rows):
            sums[spec.slot].add(i % 2, row, float(y[i]), weight, 1.0)
        designs.append(rows.astype(float))
        left.append(y - rows @ prior[spec.slot])
    candidates = [4.0**power for power in range(-1, 4)]
    found = []
    for penalty in candidates:
        spread = 1.0 / configured
        spread[varied] = 1.0 / penalty
        covariance = linalg.block_diag(*(np.eye(len(x)) / weight + (x * spread) @ x.T for x in designs))
        # Two outcomes' worth of a noise variance of 1 / 16.
        found.append(stats.multivariate_t.logpdf(np.concatenate(left), shape=covariance / 16.0, df=2))
    weights = np.exp(np.array(found) - max(found))
    variance = weights @ (1.0 / np.array(candidates)) / weights.sum()
    found_penalty = shrinkage.likeliest(sums, prior, configured, varied, candidates[-1])
    assert found_penalty == 2.0 ** round(-math.log2(variance))


def test_little_evidence_of_choices_takes_the_likeliest_penalty() -> None:
    """One outcome per prompt, too few to be halved: strong slopes keep a wide prior, none at all narrow it."""
    penalties = []
    for slope in (0.0, 2.0):
        theta, specs = world(3, slope, 44)
        rng = np.random.default_rng(45)
        belief = LinearBelief(resolve(PolicySpec("linucb")), FEATURES, 0.5)
        for i, row in enumerate(rows_of(FIRST_COUNT, 46)):
            spec = specs[i % 3]
            quality = float(theta[spec.slot] @ row + 0.1 * rng.standard_normal())
            belief.learn(spec, row, Lesson(quality=quality))
        penalties.append(belief.slope_penalty)
    assert penalties[0] >= 8.0
    assert penalties[1] <= 0.5


def test_where_evidence_fades_the_configured_penalty_stays() -> None:
    """What is likely of a mixture of worlds is no prior for the next one."""
    _, specs = world(3, 0.0, 47)
    rng = np.random.default_rng(48)
    belief = LinearBelief(resolve(PolicySpec("adaptive")), FEATURES, 0.5)
    for i, row in enumerate(rows_of(2 * FIRST_COUNT, 49)):
        belief.learn(specs[i % 3], row, Lesson(quality=float(rng.random())))
    assert belief.slope_penalty == 1.0


def test_what_is_expected_of_an_unseen_model_does_not_depend_on_who_looked() -> None:
    """A prior that is chosen anew is that of every model: live, looked at between, and restored."""
    models = tuple(ModelSpec(k, f"m{k}", Price(1.0, 1.0)) for k in range(3))
    beliefs = [
        LinearBelief(resolve(PolicySpec("linucb")), seeded_spec(FeatureKind.LINEAR, 6, 1), 0.5) for _ in range(3)
    ]
    rng = np.random.default_rng(0)
    for i in range(4 * FIRST_COUNT):
        row = np.concatenate([[1.0], 0.4 * rng.standard_normal(7)]).astype(np.float32)
        lesson = Lesson(quality=float(0.5 + 0.3 * row[3] + 0.05 * rng.normal()))
        for belief in beliefs[:2]:
            belief.learn(models[i % 2], row, lesson)
        if i % 10 == 0:
            beliefs[0].freeze(models)
    beliefs[2].load_arrays(beliefs[0].to_arrays())
    first, *others = (belief.freeze(models).predict(row).values for belief in beliefs)
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_a_restored_belief_counts_costs_at_the_prices_in_force() -> None:
    """Prices are the catalogue's: what a snapshot knew of them ends with its restore."""
    theta, specs = world(3, 0.1, 1)
    rows = rows_of(30, 2)
    saved = taught(theta, specs, rows, 3).to_arrays()
    dearer = [ModelSpec(spec.slot, spec.model_id, Price(20.0, 20.0)) for spec in specs]
    restored, fresh = (LinearBelief(resolve(PolicySpec("linucb")), FEATURES, 0.5) for _ in range(2))
    restored.load_arrays(saved)
    for spec in dearer:
        restored.change_model(None, spec)
        fresh.learn(spec, rows[0], Lesson(quality=0.5))
    for spec in dearer:
        name = f"{spec.slot}/COST/numbers"
        np.testing.assert_array_equal(restored.to_arrays()[name][-1], fresh.to_arrays()[name][-1])
        assert restored.to_arrays()[name][-1] != saved[name][-1]


def test_what_fades_after_a_history_goes_on_alike_after_a_restart() -> None:
    """A history is soon too little to choose by; then the penalties in use stay, live as in a stored state."""
    policy, rng = resolve(PolicySpec("adaptive", {"retention": 0.997})), np.random.default_rng(60)
    theta, specs = world(10, 0.0, 61)
    live, restarted = (LinearBelief(policy, FEATURES, 0.5) for _ in range(2))
    chosen = set()
    for i, row in enumerate(rows_of(2000, 62)):
        for spec in specs if i < 70 else [specs[i % 10]]:
            quality = float(theta[spec.slot] @ row + 0.3 * rng.standard_normal())
            for belief in (live, restarted):
                belief.learn(spec, row, Lesson(quality=quality))
        if i % 50 == 0:
            assert restarted.digest() == live.digest()
            chosen.add(live.slope_penalty)
            restarted = LinearBelief(policy, FEATURES, 0.5)
            restarted.load_arrays(live.to_arrays())
    assert len(chosen) > 1
