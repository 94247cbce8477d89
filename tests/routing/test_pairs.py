"""Pairs are distinct, drawn as often as they say, and chosen for what they would teach."""

import numpy as np

from banditd.domain.context import Context
from banditd.domain.decision import Objective
from banditd.policies.pairs import rival_pmf
from banditd.routing.choose import Terms, choose
from tests.policies import conformance as suite


def test_pairs_are_drawn_as_often_as_they_say():
    """Over 20,000 uniform numbers: the joint propensity is the frequency of the pair, within four standard errors."""
    snapshot = suite.taught("lin_thompson", 60).snapshot.routers["conformance"]
    context = Context(suite.prompts(1, 3)[0])
    count = 20_000
    seen: dict[tuple[int, int], int] = {}
    stated: dict[tuple[int, int], float] = {}
    for uniform in (np.arange(count) + 0.5) / count:
        choice = choose(snapshot, context, Terms(Objective(), compares=True), float(uniform))
        assert choice.rival is not None
        assert choice.rival.index != choice.index
        pair = (choice.index, choice.rival.index)
        seen[pair] = seen.get(pair, 0) + 1
        stated[pair] = choice.pair_propensity
    assert abs(sum(stated.values()) - 1.0) < 0.02
    for pair, propensity in stated.items():
        assert abs(seen[pair] / count - propensity) < 4 * np.sqrt(propensity / count) + 2 / count


def test_asking_for_a_pair_does_not_change_the_first():
    """Its probabilities and its draw are those of a plain request."""
    snapshot = suite.taught("duel", 60).snapshot.routers["conformance"]
    for seed, x in enumerate(suite.prompts(20, 4)):
        uniform = float(np.random.default_rng(seed).random())
        plain = choose(snapshot, Context(x), Terms(Objective()), uniform)
        pair = choose(snapshot, Context(x), Terms(Objective(), compares=True), uniform)
        assert plain.index == pair.index
        assert plain.pmf.tobytes() == pair.pmf.tobytes()


def test_the_rival_is_the_least_certain_of_those_that_may_be_best():
    """Not the most uncertain of all, if it is hopeless; and everyone keeps the floor."""
    utility = np.array([0.8, 0.75, 0.7, 0.1, 0.9])
    deviation = np.array([0.02, 0.03, 0.10, 0.2, 0.1])
    eligible = np.array([True, True, True, True, False])
    pmf = rival_pmf(utility, deviation, eligible, 0, 0.03)
    np.testing.assert_allclose(pmf, [0.0, 0.01, 0.98, 0.01, 0.0])


def test_equals_share():
    """Nothing is known: every other model alike."""
    pmf = rival_pmf(np.full(4, 0.5), np.full(4, 0.3), np.ones(4, np.bool_), 2, 0.0)
    np.testing.assert_allclose(pmf, [1 / 3, 1 / 3, 0.0, 1 / 3])
