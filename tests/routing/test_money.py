"""What a call costs beside tokens, what a percentile of latency is, and who wins above a floor of quality."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from banditd.domain.context import Context
from banditd.domain.decision import Exclusion, Limits, Objective
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.errors import FailedPreconditionError
from banditd.features.encode import encode
from banditd.features.fit import seeded_spec
from banditd.policies.beliefs.linear import LinearBelief
from banditd.policies.registry import PRESETS, resolve
from banditd.routing.choose import Terms, choose, choose_rows, rank
from banditd.routing.snapshot import RouterSnapshot

CONTEXT = Context(np.zeros(4, np.float16), 1000)
UNKNOWN_LENGTH = Context(np.zeros(4, np.float16))
ANY = Terms(Objective())
COST = 1


def snapshot_of(*prices, preset="linucb", switch_usd=0.0, lessons=(), guesses=(), **parameters):
    """Return a router of models with these prices; lessons are (model, lesson)."""
    policy = resolve(PolicySpec(preset, parameters))
    guesses = guesses or [None] * len(prices)
    models = tuple(
        ModelSpec(k + 3, f"m{k}", price=price, quality_guess=guess, latency_ms_guess=500.0 * (k + 1))
        for k, (price, guess) in enumerate(zip(prices, guesses, strict=True))
    )
    features = seeded_spec(policy.features, 4, 7)
    belief = LinearBelief(policy, features, 0.5)
    for k, lesson in lessons:
        belief.learn(models[k], encode(features, CONTEXT), lesson)
    router = RouterSpec("r", PolicySpec(preset), embedding_dimension=4, switch_usd=switch_usd)
    return RouterSnapshot(router, policy, features, belief.freeze(models), models, version=1)


# --- charges ---------------------------------------------------------------------------------------------------------


def test_a_fee_is_added_to_the_expected_cost_and_to_nothing_else():
    """Exactly, and where the tokens cost nothing, it is the cost."""
    prices = [Price(1.0, 4.0), Price(0.0, 0.0), None]
    without = choose(snapshot_of(*prices), CONTEXT, ANY, 0.5)
    fees = [Price(1.0, 4.0, request_usd=0.25), Price(0.0, 0.0, request_usd=0.5), None]
    charged = choose(snapshot_of(*fees), CONTEXT, ANY, 0.5)
    assert charged.expected[COST, 0] == np.float32(float(without.expected[COST, 0]) + 0.25)
    assert charged.expected[COST, 1] == 0.5
    assert math.isnan(charged.expected[COST, 2])
    assert charged.expected[[0, 2]].tobytes() == without.expected[[0, 2]].tobytes()


def test_costs_are_learnt_without_the_fee():
    """A belief that saw the fee is to the last bit the one that did not: changing a fee relearns nothing."""
    tokens, fee = 0.00390625, 0.125  # exact in binary, so that their sum is
    plain, charged = (
        snapshot_of(Price(1.0, 4.0, request_usd=at), lessons=[(0, Lesson(None, tokens + at, 1.75, None, at))] * 50)
        for at in (0.0, fee)
    )
    assert plain.belief.theta.tobytes() == charged.belief.theta.tobytes()
    expected = float(choose(charged, CONTEXT, ANY, 0.5).expected[COST, 0])
    assert expected == pytest.approx(fee + tokens, rel=0.02)


def test_a_reported_cost_below_the_fee_teaches_a_cost_of_nothing_and_no_nan():
    """It has nothing left for tokens."""
    lessons = [(0, Lesson(cost_usd=0.1, price_mtok_usd=1.75, fee_usd=0.5))] * 9
    taught = snapshot_of(Price(1.0, 4.0, request_usd=0.5), lessons=lessons)
    assert float(choose(taught, CONTEXT, ANY, 0.5).expected[COST, 0]) == pytest.approx(0.5, rel=0.01)


def test_nothing_is_done_where_nothing_is_charged():
    """A request that uses none of this does not pay for it."""
    assert snapshot_of(Price(1.0, 4.0), None).charges is None
    sticky = snapshot_of(Price(1.0, 4.0, cached_input_mtok_usd=0.1))
    prediction = sticky.belief.predict(encode(sticky.features, CONTEXT))
    assert sticky.charges.added(prediction, 1000, -1) is prediction


def test_what_a_belief_says_is_not_written_to():
    """It may be frozen, or kept for the next request."""
    snapshot = snapshot_of(Price(1.0, 4.0, 0.1, 0.5))
    prediction = snapshot.belief.predict(encode(snapshot.features, CONTEXT))
    prediction.values.setflags(write=False)
    before = prediction.values.tobytes()
    assert snapshot.charges.added(prediction, 1000, 99).values.tobytes() != before
    assert prediction.values.tobytes() == before


@pytest.mark.parametrize("context, tokens", [(CONTEXT, 1000), (UNKNOWN_LENGTH, 300)])
def test_a_switch_within_a_session_costs_a_cold_prompt_cache(context, tokens):
    """By the model's own cached price where it has one, else by the router's; the last model costs nothing more."""
    prices = [Price(2.0, 8.0), Price(2.0, 8.0, cached_input_mtok_usd=0.5), Price(2.0, 8.0), Price(1.0, 1.0, 1.5), None]
    snapshot = snapshot_of(*prices, switch_usd=0.25)
    first = choose(snapshot, context, ANY, 0.5).expected[COST].astype(float)
    sticky = choose(snapshot, context, ANY, 0.5, previous_slot=3).expected[COST].astype(float)
    cold = 1.5e-6 * tokens
    assert sticky - first == pytest.approx([0.0, cold, 0.25, 0.0, math.nan], rel=1e-4, nan_ok=True)
    gone = choose(snapshot, context, ANY, 0.5, previous_slot=99).expected[COST].astype(float)
    assert gone - first == pytest.approx([0.25, cold, 0.25, 0.0, math.nan], rel=1e-4, nan_ok=True)


def test_the_price_of_a_switch_enters_the_utility_by_the_worth_of_a_dollar():
    """The better model is not worth a cold cache; without a session, or where a dollar is worth nothing, it wins."""
    snapshot = snapshot_of(
        Price(1.0, 4.0, 0.0), Price(1.0, 4.0, 0.0), preset="epsilon_greedy", guesses=(0.50, 0.55), floor=0.0
    )
    worth = Terms(Objective(usd_weight=100.0))  # a cold cache costs 0.001, which is worth 0.1
    assert choose(snapshot, CONTEXT, worth, 0.5).index == 1
    assert choose(snapshot, CONTEXT, worth, 0.5, previous_slot=3).index == 0
    assert choose(snapshot, CONTEXT, worth, 0.5, previous_slot=4).index == 1
    assert choose(snapshot, CONTEXT, ANY, 0.5, previous_slot=3).index == 1


def test_rows_are_judged_with_their_own_sessions():
    """As one by one, to the last bit; among named candidates too."""
    snapshot = snapshot_of(Price(2.0, 8.0, 0.5, 0.01), Price(2.0, 8.0), Price(1.0, 1.0, 0.1), switch_usd=0.25)
    terms = Terms(Objective(usd_weight=3.0), candidates=np.array([0, 2]))
    previous = [-1, 3, 4, 5]
    rows = choose_rows(snapshot, [CONTEXT] * 4, terms, [0.3] * 4, previous)
    for slot, row in zip(previous, rows, strict=True):
        one = choose(snapshot, CONTEXT, terms, 0.3, slot)
        assert (one.pmf.tobytes(), one.expected.tobytes()) == (row.pmf.tobytes(), row.expected.tobytes())


# --- a percentile of latency -----------------------------------------------------------------------------------------


def test_a_limit_on_a_percentile_is_one_on_the_quantile_of_what_was_learnt():
    """Latencies are drawn log-normal; their 95th percentile is known, and the limit parts just there."""
    rng, sigma, median_ms = np.random.default_rng(5), 0.8, 600.0
    lessons = [(0, Lesson(latency_ms=float(v))) for v in median_ms * np.exp(sigma * rng.standard_normal(4000))]
    snapshot = snapshot_of(Price(1.0, 4.0), None, lessons=lessons, preset="constant")
    for percentile in (1.0, 50.0, 95.0, 99.9):
        quantile_ms = stats.lognorm(sigma, scale=median_ms).ppf(percentile / 100.0)
        for factor, reason in ((1.12, Exclusion.ELIGIBLE), (0.88, Exclusion.LATENCY_LIMIT)):
            limits = Limits(latency_ms_max=factor * quantile_ms, latency_percentile=percentile)
            terms = Terms(Objective(), limits, candidates=np.array([0]))
            if reason is Exclusion.ELIGIBLE:
                assert choose(snapshot, CONTEXT, terms, 0.5).exclusions.tolist() == [reason]
            else:
                with pytest.raises(FailedPreconditionError) as caught:
                    choose(snapshot, CONTEXT, terms, 0.5)
                assert caught.value.metadata == {"m0": "LATENCY_LIMIT"}


def test_a_percentile_limits_and_does_not_weigh():
    """What is recorded and what a second costs stay expectations."""
    snapshot = snapshot_of(Price(1.0, 4.0), Price(2.0, 8.0), preset="softmax")
    objective = Objective(usd_weight=2.0, second_weight=0.5)
    plain = choose(snapshot, CONTEXT, Terms(objective), 0.5)
    loose = Limits(latency_ms_max=1e9, latency_percentile=99.0)
    limited = choose(snapshot, CONTEXT, Terms(objective, loose), 0.5)
    assert limited.pmf.tobytes() == plain.pmf.tobytes()
    assert limited.expected.tobytes() == plain.expected.tobytes()


# --- the cheapest above a floor --------------------------------------------------------------------------------------

PRICES = (Price(9.0, 9.0), Price(2.0, 2.0), Price(1.0, 1.0), Price(0.1, 0.1), None)
GUESSES = (0.9, 0.8, 0.7, 0.3, 0.95)


@pytest.mark.parametrize("preset", sorted(set(PRESETS) - {"uniform"}))
def test_above_a_floor_of_quality_the_cheapest_wins(preset):
    """Whatever the policy explores by and whatever the weights are; the floor of exploration stays."""
    snapshot = snapshot_of(*PRICES, preset=preset, guesses=GUESSES, floor=0.04)
    for objective in (Objective(), Objective(usd_weight=1e6), Objective(second_weight=9.0)):
        for least, cheapest in ((0.65, 2), (0.75, 1), (0.0, 3)):
            choice = choose(snapshot, CONTEXT, Terms(objective, Limits(quality_min=least)), 0.5)
            slow = Limits(quality_min=least, latency_ms_max=1e9, latency_percentile=90.0)
            assert choose(snapshot, CONTEXT, Terms(objective, slow), 0.5).pmf.tobytes() == choice.pmf.tobytes()
            eligible = [k for k in range(4) if GUESSES[k] >= least]
            assert choice.index == cheapest
            # The floor keeps to its share of the spend, and leaves nobody out.
            assert choice.pmf[cheapest] >= 1.0 - 0.04 + 0.04 / len(eligible)
            assert choice.pmf[eligible].min() > 0.0
            assert choice.exclusions[4] == Exclusion.PRICE_UNKNOWN


def test_above_a_floor_the_others_are_ranked_by_cost():
    """From what is stored of the choice: the chosen one, the eligible ones by cost, the excluded."""
    snapshot = snapshot_of(*PRICES, guesses=GUESSES)
    limits = Limits(quality_min=0.65)
    objective = Objective(usd_weight=1e-6)
    choice = choose(snapshot, CONTEXT, Terms(objective, limits), 0.5)
    assert rank(choice, objective, limits) == [2, 1, 0, 3, 4]
    assert rank(replace_index(choice, 0), objective, limits)[:3] == [0, 2, 1]
    assert rank(choice, objective) == [2, 0, 1, 3, 4], "by utility it would be another order"


def replace_index(choice, index):
    """Return the choice with another model drawn."""
    return type(choice)(index, choice.pmf, choice.exclusions, choice.expected, choice.source)


def test_a_fee_counts_above_a_floor_and_against_a_cost_limit():
    """The cheapest is the one whose whole call is."""
    snapshot = snapshot_of(Price(1.0, 1.0, request_usd=0.5), Price(2.0, 2.0))
    assert choose(snapshot, CONTEXT, Terms(Objective(), Limits(quality_min=0.1)), 0.5).index == 1
    choice = choose(snapshot, CONTEXT, Terms(Objective(), Limits(cost_usd_max=0.4)), 0.5)
    assert choice.exclusions.tolist() == [Exclusion.COST_LIMIT, Exclusion.ELIGIBLE]


def test_limits_say_whether_they_minimise_cost():
    """A floor of nothing is one."""
    assert not Limits().minimises_cost
    assert replace(Limits(), quality_min=0.0).minimises_cost
