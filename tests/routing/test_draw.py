"""What is drawn is what the probabilities say, and what is logged is enough to draw it again."""

import numpy as np
import pytest
from scipy import stats

from banditd.domain.context import Context
from banditd.domain.decision import DecisionSource, Exclusion, Limits, Objective
from banditd.domain.ids import issue_decision_id
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.errors import FailedPreconditionError
from banditd.features.encode import encode
from banditd.features.fit import seeded_spec
from banditd.kernels.exploration import draw
from banditd.policies.beliefs.factory import make_belief
from banditd.policies.registry import PRESETS, resolve
from banditd.routing.choose import Terms, choose, choose_rows, rank
from banditd.routing.snapshot import RouterSnapshot

DIMENSION = 6
KEY = bytes(range(32))
NO_TERMS = Terms(Objective())


def contexts(count, seed=0):
    """Return contexts of unit embeddings."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, DIMENSION))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return [Context(row.astype(np.float16), int(rng.integers(1, 4001))) for row in x]


def taught_snapshot(preset, *, models=4, lessons=60, **parameters):
    """Return a router that has learnt something of all but its last model, which has no price."""
    policy = resolve(PolicySpec(preset, parameters))
    specs = tuple(
        ModelSpec(k, f"m{k}", price=None if k == models - 1 else Price(1.0 + k, 4.0 + k), context_window_tokens=4000)
        for k in range(models)
    )
    features = seeded_spec(policy.features, DIMENSION, 7)
    router = RouterSpec("r", PolicySpec(preset), embedding_dimension=DIMENSION)
    belief = make_belief(policy, features, router, specs)
    rng = np.random.default_rng(1)
    for i, context in enumerate(contexts(lessons, seed=2)):
        k = i % (models - 1)
        row = encode(features, context)
        lesson = Lesson(float(rng.random() < 0.45 + 0.05 * k), 1e-4 * (k + 1), 2.0, 100.0 * (k + 1))
        belief.learn(specs[k], row, lesson)
    return RouterSnapshot(router, policy, features, belief.freeze(specs), specs, version=1)


@pytest.mark.parametrize("preset", ["lin_thompson", "squarecb", "softmax", "linucb"])
def test_observed_frequencies_are_the_propensities(preset):
    """P4: 100,000 draws by decision ids in five strata of contexts and terms; chi-square, and 4.5 sigma per model."""
    snapshot = taught_snapshot(preset, floor=0.2)
    strata = [(context, NO_TERMS) for context in contexts(3, seed=5)]
    strata.append((contexts(1, seed=6)[0], Terms(Objective(usd_weight=100.0))))
    strata.append((contexts(1, seed=7)[0], Terms(Objective(), candidates=np.array([0, 2, 3]))))
    draws, position, worst = 20_000, 0, 1.0
    for context, terms in strata:
        pmf = choose(snapshot, context, terms, 0.0).pmf
        counts = np.zeros(len(pmf))
        for i in range(draws):
            position += 1
            uniform = issue_decision_id(KEY, position, 3)[1]
            k = int(draw(pmf, uniform))
            counts[k] += 1
            if i % 50 == 0:  # the whole way now and then: it takes ten times as long, and ends in the same draw
                choice = choose(snapshot, context, terms, uniform)
                assert choice.index == k
                assert choice.pmf.tobytes() == pmf.tobytes()
        assert counts[pmf == 0.0].sum() == 0
        sigma = np.sqrt(draws * pmf * (1.0 - pmf))
        assert (np.abs(counts - draws * pmf) <= 4.5 * sigma + 1e-9).all()
        drawn = pmf > 0.0
        if drawn.sum() > 1:
            worst = min(worst, stats.chisquare(counts[drawn], draws * pmf[drawn]).pvalue)
    assert worst > 1e-4


def test_100_000_draws_of_one_distribution_fit_it():
    """The uniform numbers of decision ids are uniform: chi-square over 64 cells, and no two alike."""
    uniforms = np.array([issue_decision_id(KEY, position, 9)[1] for position in range(1, 100_001)])
    assert uniforms.min() >= 0.0
    assert uniforms.max() < 1.0
    counts, _ = np.histogram(uniforms, bins=64, range=(0.0, 1.0))
    assert stats.chisquare(counts).pvalue > 1e-4
    assert len(np.unique(uniforms)) == 100_000
    assert abs(np.corrcoef(uniforms[:-1], uniforms[1:])[0, 1]) < 0.015


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_distribution_sums_to_one_keeps_the_floor_and_spares_the_excluded(preset):
    """Whatever the policy, the limits and the candidates."""
    snapshot = taught_snapshot(preset)
    rng = np.random.default_rng(3)
    for context in contexts(50, seed=8):
        terms = Terms(
            Objective(usd_weight=float(rng.choice([0.0, 1.0, 1e6]))),
            Limits(cost_usd_max=float(rng.choice([1e-3, 1.0]))) if rng.random() < 0.5 else Limits(),
            np.array(sorted(rng.choice(4, size=rng.integers(1, 5), replace=False))) if rng.random() < 0.5 else None,
        )
        try:
            choice = choose(snapshot, context, terms, float(rng.random()))
        except FailedPreconditionError:
            continue
        eligible = choice.exclusions == Exclusion.ELIGIBLE
        assert choice.source is DecisionSource.POLICY
        assert abs(choice.pmf.sum() - 1.0) < 1e-9
        assert (choice.pmf[~eligible] == 0.0).all()
        if terms.objective.usd_weight == 0.0:
            assert (choice.pmf[eligible] >= snapshot.policy.floor / eligible.sum() - 1e-12).all()
        else:
            # Where money matters the floor keeps to its share of the spend, and never falls to zero.
            assert (choice.pmf[eligible] > 0.0).all()
        assert choice.propensity == choice.pmf[choice.index] > 0.0


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_many_contexts_are_judged_as_one_by_one(preset):
    """To the last bit."""
    snapshot = taught_snapshot(preset)
    many = contexts(40, seed=9)
    uniforms = np.random.default_rng(4).random(40).tolist()
    terms = Terms(Objective(usd_weight=3.0, second_weight=0.1))
    for context, uniform, row in zip(many, uniforms, choose_rows(snapshot, many, terms, uniforms), strict=True):
        single = choose(snapshot, context, terms, uniform)
        assert single.pmf.tobytes() == row.pmf.tobytes()
        assert single.expected.tobytes() == row.expected.tobytes()
        assert (single.index, single.source) == (row.index, row.source)


def test_uniform_numbers_at_the_ends_draw_an_eligible_model():
    """Zero draws the first, the largest below one the last, never one past it."""
    snapshot = taught_snapshot("softmax")
    terms = Terms(Objective(usd_weight=1.0))  # the last model has no price
    for uniform, index in ((0.0, 0), (1.0 - 2.0**-53, 2)):
        assert choose(snapshot, contexts(1)[0], terms, uniform).index == index


def test_candidates_that_are_named_are_judged_alone():
    """Their expectations are those of the whole; their probabilities sum to one."""
    snapshot = taught_snapshot("softmax")
    context = contexts(1)[0]
    whole = choose(snapshot, context, NO_TERMS, 0.5)
    some = choose(snapshot, context, Terms(Objective(), candidates=np.array([1, 3])), 0.5)
    assert np.array_equal(some.expected, whole.expected[:, [1, 3]], equal_nan=True)
    assert some.pmf.sum() == pytest.approx(1.0, abs=1e-12)


def test_the_rank_is_that_of_utilities():
    """The drawn one first, whatever it is; the excluded last; ties in catalogue order."""
    snapshot = taught_snapshot("uniform")
    terms = Terms(Objective(usd_weight=50.0, second_weight=0.01))
    for uniform in (0.01, 0.5, 0.99):
        choice = choose(snapshot, contexts(1)[0], terms, uniform)
        order = rank(choice, terms.objective)
        assert order[0] == choice.index
        assert order[-1] == 3
        quality, cost, latency = choice.expected.astype(np.float64)
        value = quality - 50.0 * cost - 1e-5 * latency
        rest = order[1:-1]
        assert rest == sorted(rest, key=lambda k: (-value[k], k))
