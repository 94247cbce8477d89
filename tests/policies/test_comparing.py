"""Beliefs that learn from comparisons: who wins rises, judges are told apart, scores move the same belief."""

import numpy as np
import pytest

from banditd.domain.comparison import Comparison, ShownFirst, Winner
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec
from banditd.features.fit import seeded_spec
from banditd.features.spec import FeatureKind
from banditd.policies.beliefs.duel import DuelBelief
from banditd.policies.beliefs.linear import LinearBelief
from banditd.policies.registry import resolve

WIDTH = 6
MODELS = tuple(ModelSpec(k, f"m{k}") for k in range(3))


def belief_of(preset):
    """Return a belief that has learnt nothing."""
    kind = DuelBelief if preset == "duel" else LinearBelief
    return kind(resolve(PolicySpec(preset)), seeded_spec(FeatureKind.LINEAR, WIDTH - 2, 1), 0.5)


def rows(count, seed):
    """Return rows: an intercept and what prompts differ in."""
    x = np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32) * 0.5
    x[:, 0] = 1.0
    return x


def teach(belief, count, seed=0, liars=0, bias=0.0, judges=20):
    """Teach votes of a world where the first model is better by what column 2 says, and the third is worse."""
    rng = np.random.default_rng(seed)
    for x in rows(count, seed + 1):
        quality = np.array([0.6 + 0.3 * x[2], 0.5, 0.3])
        a, b = rng.choice(3, 2, replace=False)
        a_first = rng.random() < 0.5
        good = rng.random(3) < quality
        worth = float(good[a]) - float(good[b])
        if rng.random() < bias:
            worth = 1.0 if a_first else -1.0
        judge = int(rng.integers(judges))
        if judge < liars:
            worth = -worth
        winner = Winner.A if worth > 0 else Winner.B if worth < 0 else Winner.TIE
        first = ShownFirst.A if a_first else ShownFirst.B
        belief.compare(MODELS[a], MODELS[b], x, Comparison(int(a), int(b), winner, f"j{judge}", None, first))


@pytest.mark.parametrize("preset", ["linucb", "duel"])
def test_votes_teach_the_order_and_what_it_depends_on(preset):
    """After 3,000 votes: the order on average, and the order in contexts where it is another."""
    belief = belief_of(preset)
    teach(belief, 3000)
    snapshot = belief.freeze(MODELS)
    x = np.zeros(WIDTH, np.float32)
    x[0] = 1.0
    assert list(np.argsort(-snapshot.predict(x).quality)) == [0, 1, 2]
    x[2] = -1.2
    assert snapshot.predict(x).quality[1] > snapshot.predict(x).quality[0]
    assert (snapshot.predict(x).deviation < belief_of(preset).freeze(MODELS).predict(x).deviation).all()


def test_a_linear_belief_learns_the_difference_of_qualities_in_their_unit():
    """Votes are unbiased observations of it, on fresh prompts."""
    belief = belief_of("linucb")
    teach(belief, 12_000)
    snapshot = belief.freeze(MODELS)
    errors = []
    for x in rows(300, 9):
        quality = snapshot.predict(x).quality
        errors.append(quality[0] - quality[1] - (0.1 + 0.3 * x[2]))
    assert abs(np.mean(errors)) < 0.03
    assert np.sqrt(np.mean(np.square(errors))) < 0.06


@pytest.mark.parametrize("preset", ["linucb", "duel"])
def test_judges_who_lie_are_found_and_the_belief_hardly_moves(preset):
    """Two of twenty say the opposite: their reliability falls below a half, that of the others does not."""
    belief = belief_of(preset)
    teach(belief, 3000, liars=2)
    found = [belief._judges.reliability(f"j{k}") for k in range(20)]
    assert max(found[:2]) < 0.5 < min(found[2:])
    assert belief._judges.reliability("nobody") == 0.9


@pytest.mark.parametrize("preset", ["linucb", "duel"])
def test_the_place_is_no_quality(preset):
    """A third of the votes goes to whoever stands first: the bias is found."""
    belief = belief_of(preset)
    teach(belief, 3000, bias=0.33)
    assert belief._judges.shared[0] > 0.1
    unbiased = belief_of(preset)
    teach(unbiased, 3000)
    assert abs(unbiased._judges.shared[0]) < 0.1


def test_scores_and_comparisons_move_the_same_utility():
    """A score lifts its model in comparisons to come; a win lifts the expected score."""
    x = rows(1, 3)[0]
    belief = belief_of("duel")
    for _ in range(20):
        belief.learn(MODELS[0], x, Lesson(quality=0.9))
    scored = belief.freeze(MODELS).predict(x).quality
    assert scored[0] > 0.75
    for _ in range(20):
        belief.compare(MODELS[0], MODELS[1], x, Comparison(0, 1, Winner.B))
    after = belief.freeze(MODELS).predict(x).quality
    assert after[1] > 0.6
    assert after[0] < scored[0]


@pytest.mark.parametrize("preset", ["linucb", "duel"])
def test_a_weak_preference_moves_less_and_nothing_infinite_is_learnt(preset):
    """Strength 0 is a tie; a row that is no number changes nothing."""
    x = rows(1, 4)[0]
    gaps = []
    for strength in (0.0, 0.5, 1.0):
        belief = belief_of(preset)
        belief.compare(MODELS[0], MODELS[1], x, Comparison(0, 1, Winner.A, strength=strength))
        quality = belief.freeze(MODELS).predict(x).quality
        gaps.append(quality[0] - quality[1])
    assert abs(gaps[0]) < 1e-6 < gaps[1] < gaps[2]
    before = belief.digest()
    x[1] = np.nan
    belief.compare(MODELS[0], MODELS[1], x, Comparison(0, 1, Winner.A))
    assert belief.digest() == before


@pytest.mark.parametrize("preset", ["linucb", "duel"])
def test_a_stored_belief_goes_on_bit_for_bit(preset):
    """Judges included."""
    belief, copy = belief_of(preset), belief_of(preset)
    teach(belief, 200)
    copy.load_arrays(belief.to_arrays())
    assert copy.digest() == belief.digest()
    for each in (belief, copy):
        teach(each, 50, seed=5)
    assert copy.digest() == belief.digest()


def test_an_endless_cycle_keeps_everything_finite():
    """A beats b, b beats c, c beats a, ten thousand times."""
    belief = belief_of("duel")
    x = rows(1, 6)[0]
    for i in range(10_000):
        a, b = i % 3, (i + 1) % 3
        belief.compare(MODELS[a], MODELS[b], x, Comparison(a, b, Winner.A))
    prediction = belief.freeze(MODELS).predict(x)
    # Without prices nothing is known of costs.
    assert np.isfinite(prediction.values[[0, 1, 3]]).all()
    assert np.ptp(prediction.quality) < 0.1
