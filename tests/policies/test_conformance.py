"""Every preset keeps the promises of a policy."""

import math

import numpy as np
import pytest

from banditd.domain.context import Context
from banditd.domain.decision import Objective
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.features.encode import encode
from banditd.learner.router_state import RouterState
from banditd.policies.beliefs.factory import make_belief
from banditd.policies.registry import PRESETS, resolve
from banditd.routing.choose import Terms
from banditd_sim.environments.engine import Engine
from tests.policies import conformance as suite

ROUNDS = 300
pytestmark = pytest.mark.parametrize("preset", sorted(PRESETS))


def test_pmf_is_a_distribution_over_the_eligible_with_its_floor(preset: str) -> None:
    """Cold and warm, with limits, tags, candidates and extreme weights."""
    suite.check_pmf(suite.taught(preset, 0), preset)
    suite.check_pmf(suite.taught(preset, ROUNDS), preset)


def test_frequencies_match_propensities(preset: str) -> None:
    """10^5 draws agree with the probabilities that are logged."""
    suite.check_frequencies(suite.taught(preset, ROUNDS))


def test_equal_logs_give_equal_bits(preset: str) -> None:
    """The fold is a function of its log: digests and probabilities agree to the bit."""
    one, other = suite.taught(preset, ROUNDS), suite.taught(preset, ROUNDS)
    assert one.state.routers["conformance"].digest() == other.state.routers["conformance"].digest()
    for a, b in zip(suite.choices(one, suite.FREE), suite.choices(other, suite.FREE), strict=True):
        assert a.pmf.tobytes() == b.pmf.tobytes()
        assert a.index == b.index


def test_other_seeds_give_other_draws(preset: str) -> None:
    """The control of the test above: the draws do depend on the key."""
    one, other = suite.taught(preset, ROUNDS, seed=1), suite.taught(preset, ROUNDS, seed=2)
    assert one.state.routers["conformance"].digest() != other.state.routers["conformance"].digest()


def test_order_of_outcomes_does_not_matter_where_nothing_is_forgotten(preset: str) -> None:
    """The same facts in another order give the same belief, to rounding; the noise follows the order of errors."""
    if resolve(PolicySpec(preset)).belief == "duel":
        pytest.skip("linearises where it stands: the order is part of what it learns")
    if resolve(PolicySpec(preset)).retention < 1.0:
        pytest.skip("forgets: the order is part of what it learns")
    if resolve(PolicySpec(preset)).belief in {"knn", "vowpal", "portfolio"}:
        pytest.skip("keeps its lessons in their order, or is taught by gradients, or has a member of which that is so")
    engine = suite.taught(preset, 0)
    features = engine.state.routers["conformance"].features
    assert features is not None
    policy = resolve(PolicySpec(preset))
    model = suite.models()[3]
    facts = list(zip(suite.prompts(80, 3), suite.lessons(80, 4), strict=True))
    beliefs = []
    for order in (range(80), np.random.default_rng(5).permutation(80)):
        belief = make_belief(policy, features, engine.state.routers["conformance"].router)
        for i in order:
            x, lesson = facts[int(i)]
            belief.learn(model, encode(features, Context(x, 100)), lesson)
        beliefs.append(belief.to_arrays())
    for name, array in beliefs[0].items():
        if not name.endswith("numbers"):
            np.testing.assert_allclose(array, beliefs[1][name], atol=1e-9, err_msg=name)


def test_a_stored_state_goes_on_bit_for_bit(preset: str) -> None:
    """Bytes and back changes nothing, now or after further learning."""
    engine = suite.taught(preset, ROUNDS)
    state = engine.state.routers["conformance"]
    copy = RouterState(state.router, state.policy)
    copy.load(state.to_bytes())
    assert copy.digest() == state.digest()
    model = suite.models()[2]
    for x, lesson in zip(suite.prompts(20, 8), suite.lessons(20, 9), strict=True):
        for each in (state, copy):
            assert each.features is not None
            assert each.belief is not None
            each.belief.learn(model, encode(each.features, Context(x, 77)), lesson)
    assert copy.digest() == state.digest()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_learnt(preset: str, bad: float) -> None:
    """A number that is none changes nothing, should one ever get this far."""
    state = suite.taught(preset, ROUNDS).state.routers["conformance"]
    assert state.features is not None
    assert state.belief is not None
    row = encode(state.features, Context(suite.prompts(1, 1)[0], 10))
    before = state.digest()
    state.belief.learn(suite.models()[2], row, Lesson(quality=bad))
    spoiled = row.copy()
    spoiled[0] = bad
    state.belief.learn(suite.models()[2], spoiled, Lesson(quality=0.5))
    assert state.digest() == before


def test_an_ineligible_model_changes_nothing_for_the_others(preset: str) -> None:
    """Leaving out a model that cannot be chosen gives the others the same probabilities."""
    engine = suite.taught(preset, ROUNDS)
    excluded = Terms(suite.FREE.objective)  # money matters, so that model-0, whose price is unknown, is excluded
    left_out = Terms(suite.FREE.objective, candidates=np.array([1, 2, 3, 4]))
    for a, b in zip(suite.choices(engine, excluded), suite.choices(engine, left_out), strict=True):
        if a.exclusions[0]:
            np.testing.assert_array_equal(a.pmf[1:], b.pmf)


def test_every_model_is_tried_early(preset: str) -> None:
    """No model is starved by the prior: each is chosen within the first 50 K decisions (a known trap)."""
    router = RouterSpec("conformance", PolicySpec(preset), embedding_dimension=suite.DIMENSION)
    engine = Engine(router, suite.models(), seed=3)
    rng = np.random.default_rng(3)
    tried = set()
    for x in suite.prompts(50 * suite.MODELS, 3):
        position, decision = engine.route(x, Terms(Objective()))
        tried.add(decision.choice.index)
        engine.learn(position, decision, Lesson(quality=float(np.clip(0.5 + 0.1 * rng.standard_normal(), 0, 1))))
    assert tried == set(range(suite.MODELS))
