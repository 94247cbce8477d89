"""What exploration may cost under a budget: by hand, over whole decisions, and as it is logged."""

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from banditd.domain.arrays import Array64
from banditd.domain.budget import FREE, Budget, Pacing
from banditd.domain.context import Context
from banditd.domain.decision import NO_LIMITS, Decision, Objective
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.features.encode import encode
from banditd.features.fit import seeded_spec
from banditd.features.spec import FeatureKind
from banditd.kernels.choice import GREEDY, INVERSE_GAP, SOFTMAX, THOMPSON, UCB, decide
from banditd.kernels.pacing import hold_within, stake_of, try_within
from banditd.objective.pacer import Pacer
from banditd.policies.beliefs.linear import LinearBelief
from banditd.policies.registry import resolve
from banditd.routing.choose import Terms, choose
from banditd.routing.shadowing import shadow_pmf
from banditd.routing.snapshot import RouterSnapshot
from banditd.store.codec import decode_record, encode_record
from banditd.store.log import position_key

EVERYBODY = np.ones(3, bool)
# Quality, deviation, cost and latency: the dear ones are little known.
VALUES = np.array([[0.6, 0.55, 0.5], [0.01, 0.2, 0.4], [1.0, 11.0, 101.0], [0.0, 0.0, 0.0]])
FLOOR, FLOOR_SHARE = 0.05, 0.02


def tried(
    utility: list[float], deviation: list[float], cost: list[float], allowance: float, loss: float = math.inf
) -> Array64:
    """What `try_within` makes of the first of three models, with one deviation of optimism."""
    pmf = np.array([1.0, 0.0, 0.0])
    arrays = np.array(utility), np.array(deviation), np.array(cost)
    try_within(*arrays, EVERYBODY, 1.0, allowance, np.full(3, loss), pmf)
    return pmf


def test_the_dear_one_is_tried_as_often_as_the_allowance_pays_for() -> None:
    """It is worth 0.2 more by optimism and costs 10 more: 2 pay for one of five, 20 for all."""
    world = [0.5, 0.4, 0.1], [0.0, 0.3, 0.0], [1.0, 11.0, 1.0]
    assert tried(*world, allowance=2.0) == pytest.approx([0.8, 0.2, 0.0])
    assert tried(*world, allowance=20.0).tolist() == [0.0, 1.0, 0.0]
    assert tried(*world, allowance=0.0).tolist() == [1.0, 0.0, 0.0]


def test_what_counts_is_the_gain_of_the_share_that_is_paid_for() -> None:
    """A fifth of 0.2 is less than all of 0.05, which costs half a dollar."""
    world = [0.5, 0.5, 0.4], [0.0, 0.05, 0.3], [1.0, 1.5, 11.0]
    assert tried(*world, allowance=2.0).tolist() == [0.0, 1.0, 0.0]
    # A quarter of what it costs more is a quarter of 0.05, and 0.125 / 10 of 0.2 is less.
    assert tried(*world, allowance=0.125) == pytest.approx([0.75, 0.25, 0.0])


def test_what_costs_no_more_is_tried_as_often_as_its_loss_allows() -> None:
    """The third is cheaper, worse by 0.4 and unknown: a loss of 0.1 pays for a quarter; a dearer one pays in money."""
    world = [0.5, 0.1, 0.1], [0.0, 0.0, 0.6], [1.0, 1.0, 0.5]
    assert tried(*world, allowance=0.0, loss=0.1) == pytest.approx([0.75, 0.0, 0.25])
    assert tried(*world, allowance=0.0, loss=0.4).tolist() == [0.0, 0.0, 1.0]
    dearer = [0.5, 0.1, 0.1], [0.0, 0.0, 0.6], [1.0, 1.0, 3.0]
    assert tried(*dearer, allowance=2.0, loss=0.0).tolist() == [0.0, 0.0, 1.0]


def test_what_is_at_stake_does_not_grow_with_the_shadow_price() -> None:
    """Qualities of 0.9, 0.8 and 0.5: 0.4, however much worse the price makes the dear one, and whoever is left out."""
    quality, cost = np.array([0.9, 0.8, 0.5]), np.array([10.0, 1.0, 0.1])
    for price in (0.0, 0.1, 1000.0):
        assert stake_of(quality - price * cost, cost, EVERYBODY, price) == pytest.approx(0.4)
    assert stake_of(quality, cost, np.array([False, True, True]), 0.0) == pytest.approx(0.3)
    assert stake_of(quality, cost, ~EVERYBODY, 0.0) == 0.0


def test_explorers_are_mixed_with_the_greatest_utility() -> None:
    """Half of the requests to the dear one cost 5 more; 2 of that are allowed."""
    base, pmf = np.array([1.0, 0.0]), np.array([0.5, 0.5])
    hold_within(base, np.array([1.0, 11.0]), 2.0, pmf)
    assert pmf == pytest.approx([0.8, 0.2])
    hold_within(base, np.array([1.0, 11.0]), 2.5, pmf)
    assert pmf == pytest.approx([0.8, 0.2])


def decided(
    explorer: int, parameter: float, allowance: float, uniform: float, share_high: float
) -> tuple[int, Array64]:
    """Decide among `VALUES`; return the drawn model and the pmf."""
    pmf, expected = np.empty(3), np.empty((3, 3), np.float32)
    prices = 0.004, 0.006, share_high
    money = 0.0, 0.0, math.inf, math.inf, -math.inf, *prices
    rule = explorer, parameter, np.zeros(3), 15.0, np.ones(3), FLOOR, FLOOR_SHARE, allowance
    codes = np.zeros(3, np.uint8)
    index = decide(VALUES, math.inf, *money, *rule, np.zeros((2, 3)), uniform, codes, pmf, expected)
    return index, pmf


@pytest.mark.parametrize("share_high", [0.0, 0.4])
@pytest.mark.parametrize(
    "explorer, parameter", [(UCB, 3.0), (THOMPSON, 3.0), (INVERSE_GAP, 10.0), (SOFTMAX, 0.5)], ids=str
)
def test_no_explorer_costs_more_than_its_allowance(explorer: int, parameter: float, share_high: float) -> None:
    """The greatest utility is the first model's, at a dollar; the floor has its own share on top."""
    allowance = 0.5
    _, greedy = decided(GREEDY, 0.0, allowance, 0.5, share_high)
    assert greedy @ VALUES[2] <= 1.0 * (1.0 + FLOOR_SHARE)
    _, free = decided(explorer, parameter, math.inf, 0.5, share_high)
    assert free @ VALUES[2] > 2.0
    _, held = decided(explorer, parameter, allowance, 0.5, share_high)
    assert held @ VALUES[2] <= (1.0 + allowance) * (1.0 + FLOOR_SHARE)
    assert held @ VALUES[2] == pytest.approx(1.0 + allowance, rel=FLOOR_SHARE)
    assert held.sum() == pytest.approx(1.0, abs=1e-12)
    assert held.min() > 0.0


def test_what_is_little_known_is_tried_and_not_chosen_within_a_budget() -> None:
    """The third is better by 0.05, give or take 0.4, and costs 10 more: it is what 1 pays for, a tenth of the time."""
    values = np.array([[0.6, 0.1, 0.65], [0.01, 0.2, 0.4], [1.0, 1.0, 11.0], [0.0, 0.0, 0.0]])

    def shares(allowance: float) -> list[float]:
        pmf, expected, codes = np.empty(3), np.empty((3, 3), np.float32), np.zeros(3, np.uint8)
        money = math.inf, 0.0, 0.0, math.inf, math.inf, -math.inf, 0.001, 0.001, 0.0
        rule = UCB, 0.5, np.zeros(3), 15.0, np.ones(3), 0.0, 0.0, allowance
        decide(values, *money, *rule, np.zeros((2, 3)), 0.5, codes, pmf, expected)
        return pmf.tolist()

    assert shares(1.0) == pytest.approx([0.9, 0.0, 0.1])
    # As well known as the first, it is chosen.
    values[1, 2] = 0.01
    assert shares(1.0) == [0.0, 0.0, 1.0]


def test_trying_a_model_may_lose_a_share_of_quality_as_soon_as_it_is_known() -> None:
    """A fifth of the 0.4 at stake pays for a cheap model, worse by 0.4, a fifth of the time.

    Before fifteen qualities nobody can say what it loses, whoever else is known; nor without a price is anything saved.
    """
    values = np.array([[0.6, 0.2], [0.01, 0.6], [1.0, 0.5], [0.0, 0.0]])

    def share(evidence: list[float], price: float = 0.001, known_from: float = 15.0) -> float:
        pmf, expected, codes = np.empty(2), np.empty((3, 2), np.float32), np.zeros(2, np.uint8)
        money = math.inf, 0.0, 0.0, math.inf, math.inf, -math.inf, price, price, 0.0
        rule = UCB, 1.0, np.array(evidence), known_from, np.ones(2), 0.0, 0.2, 1.0
        decide(values, *money, *rule, np.zeros((2, 2)), 0.5, codes, pmf, expected)
        return float(pmf[1])

    assert share([15.0, 15.0]) == pytest.approx(0.2, rel=0.01)
    assert share([0.0, 15.0]) == share([15.0, 15.0])
    assert share([15.0, 14.0]) == 1.0
    assert share([15.0, 15.0], price=0.0) == 1.0
    # Where newcomers are known at once, the first quality counts all the same.
    assert share([15.0, 0.0], known_from=0.0) == 1.0


def test_after_an_alarm_nobody_is_known() -> None:
    """A cheap model, worse by 0.05 as far as twenty qualities tell, is tried as its uncertainty asks for."""
    policy, features = resolve(PolicySpec("linucb")), seeded_spec(FeatureKind.LINEAR, 4, 7)
    models = tuple(ModelSpec(k, f"m{k}", Price(price, price)) for k, price in enumerate((1.0, 20.0)))
    belief, row = LinearBelief(policy, features, 0.5), encode(features, Context(np.zeros(4, np.float16), 100))
    for turn in range(200):
        belief.learn(models[1], row, Lesson(quality=0.6 + 0.3 * (-1) ** turn))
        if turn < 20:
            belief.learn(models[0], row, Lesson(quality=0.55 + 0.3 * (-1) ** turn))
    router = RouterSpec("r", PolicySpec("linucb"), embedding_dimension=4, budget=Budget(1e-3))
    view = Pacer(Budget(1e-3)).view(None, Objective())
    snapshot = RouterSnapshot(router, policy, features, belief.freeze(models), models, version=1, pacer=view)

    def share(*, is_in_doubt: bool) -> float:
        pacer = replace(view, pacing=Pacing(0.1, 0.1, 0.0, 1e-5), is_in_doubt=is_in_doubt)
        choice = choose(replace(snapshot, pacer=pacer), Context(np.zeros(4, np.float16), 100), Terms(Objective()), 0.5)
        return float(choice.pmf[0])

    assert share(is_in_doubt=False) < 0.1
    assert share(is_in_doubt=True) > 0.9


@pytest.mark.parametrize("explorer, parameter", [(UCB, 3.0), (SOFTMAX, 0.5)], ids=str)
def test_models_are_drawn_as_often_as_their_propensity_says(explorer: int, parameter: float) -> None:
    """Over 4,000 uniform numbers, evenly spread, to one draw."""
    count = 4000
    drawn = [decided(explorer, parameter, 0.5, (i + 0.5) / count, 0.4)[0] for i in range(count)]
    _, pmf = decided(explorer, parameter, 0.5, 0.5, 0.4)
    assert np.abs(np.bincount(drawn, minlength=3) - count * pmf).max() <= 1.0


def snapshot_within(budget: Budget, preset: str) -> RouterSnapshot:
    """A router that knows the cheapest model to be better than the guess, with a pacer that has seen nothing."""
    router = RouterSpec("r", PolicySpec(preset), embedding_dimension=4, budget=budget)
    policy = resolve(router.policy)
    models = tuple(ModelSpec(k, f"m{k}", Price(price, price)) for k, price in enumerate((1.0, 20.0, 400.0)))
    features = seeded_spec(policy.features, 4, 7)
    belief = LinearBelief(policy, features, 0.5)
    for _ in range(20):
        belief.learn(models[0], encode(features, Context(np.zeros(4, np.float16), 100)), Lesson(quality=0.6))
    pacer = Pacer(budget).view(None, Objective(), router.exploration_share)
    return RouterSnapshot(router, policy, features, belief.freeze(models), models, version=1, pacer=pacer)


@pytest.mark.parametrize("preset", ["linucb", "lin_thompson", "squarecb"])
def test_a_record_holds_what_the_decision_takes_to_be_made_again(preset: str) -> None:
    """Through the log and back, by a router whose allowance is another by now: the same probabilities, to the bit."""
    snapshot, context = snapshot_within(Budget(0.01), preset), Context(np.zeros(4, np.float16), 100)
    choice = choose(snapshot, context, Terms(Objective()), 0.5)
    assert choice.pacing == Pacing(allowance_usd=0.0002)
    assert snapshot.features is not None
    decision = Decision(
        decision_id=bytes(16),
        router_id="r",
        request_id="",
        request_digest=b"",
        context=context,
        slots=snapshot.slots,
        choice=choice,
        uniform=0.5,
        objective=Objective(),
        limits=NO_LIMITS,
        policy=preset,
        policy_version=1,
        learnable=True,
    )
    key = position_key(1)
    read = decode_record(key, encode_record(key, 0, decision)).record
    assert isinstance(read, Decision)
    row = encode(snapshot.features, context)
    assert snapshot.pacer is not None
    later = replace(snapshot, pacer=replace(snapshot.pacer, pacing=FREE))
    assert shadow_pmf(later, read, row).tobytes() == choice.pmf.tobytes()
    # It is the record that does it: without its allowance the decision would be another.
    unbound = msgspec.structs.replace(read, choice=msgspec.structs.replace(read.choice, pacing=FREE))
    assert shadow_pmf(later, unbound, row).tobytes() != choice.pmf.tobytes()
