"""The pacer: prices by hand, accounts to the cent, windows of the calendar."""

from datetime import UTC, datetime

import numpy as np
import pytest

from banditd.domain.budget import FREE, Budget, BudgetWindow, Pacing, window_of
from banditd.domain.context import Context
from banditd.domain.decision import NO_LIMITS, Choice, Decision, DecisionSource, Objective
from banditd.errors import DataLossError
from banditd.kernels.pacing import mix_floor_within, shadow_price
from banditd.objective.pacer import Pacer
from banditd.policies.base import Prediction

HOUR_MS = 3_600_000


def at(text):
    """Return a time of UTC in ms."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def decision(index=0, quality=(0.5, 0.9), cost=(1.0, 10.0), pacing=FREE, pmf=None):
    """Return a decision among models that are expected to be this good and to cost this much."""
    count = len(quality)
    expected = np.array([quality, cost, [0.0] * count], np.float32)
    probabilities = np.eye(count)[index] if pmf is None else np.array(pmf)
    choice = Choice(index, probabilities, np.zeros(count, np.uint8), expected, DecisionSource.POLICY, pacing)
    return Decision(
        decision_id=bytes(16),
        router_id="r",
        request_id="",
        request_digest=b"",
        context=Context(np.zeros(2, np.float16)),
        slots=np.arange(count, dtype=np.uint16),
        choice=choice,
        uniform=0.5,
        objective=Objective(),
        limits=NO_LIMITS,
        policy="linucb",
        policy_version=0,
        learnable=True,
    )


def price(quality, cost, target, usd_weight=0.0, margin=0.05):
    """Return what the kernel writes for contexts."""
    out = np.empty(4)
    shadow_price(np.array(quality, float), np.array(cost, float), usd_weight, target, 1e6, margin, out)
    return Pacing(*out[:3])


def spent(pacer, pacing, quality, cost, seed=0):
    """Decide by the pacer's prices for one context, as routing does; return the model."""
    rng = np.random.default_rng(seed)
    shadow = pacing.high if rng.random() < pacing.share_high else pacing.low
    return int(np.argmax(np.array(quality) - shadow * np.array(cost)))


def test_a_budget_that_does_not_bind_has_no_price():
    """The best model costs less than may be spent."""
    assert price([[0.5, 0.9]], [[1.0, 10.0]], target=10.0) == FREE


def test_the_mix_at_a_breakpoint_costs_the_target():
    """Two models, one context: at (0.9 - 0.5) / (10 - 1) they are worth the same, and no single price costs 4."""
    pacing = price([[0.5, 0.9]], [[1.0, 10.0]], target=4.0)
    even = 0.4 / 9.0
    assert pacing.low == pytest.approx(even / 1.05, rel=1e-9)
    assert pacing.high == pytest.approx(even * 1.05, rel=1e-9)
    # Below the breakpoint the dear one is chosen: (1 - share) * 10 + share * 1 = 4.
    assert pacing.share_high == pytest.approx(2.0 / 3.0)


def test_what_the_objective_says_of_a_dollar_comes_first():
    """The shadow price is what is missing to the breakpoint."""
    pacing = price([[0.5, 0.9]], [[1.0, 10.0]], target=4.0, usd_weight=0.03)
    assert 0.03 + pacing.low < 0.4 / 9.0 < 0.03 + pacing.high


def test_a_target_below_everything_has_the_highest_price():
    """Then the cheapest is served, since there is nothing cheaper."""
    assert price([[0.5, 0.9]], [[1.0, 10.0]], target=0.1) == Pacing(1e6, 1e6, 0.0)


def test_models_of_unknown_cost_are_no_candidates():
    """A cost of NaN neither counts nor wins."""
    assert price([[0.5, 0.9]], [[1.0, np.nan]], target=2.0) == FREE


@pytest.mark.parametrize("seed", range(5))
def test_the_account_brings_the_spend_to_the_budget(seed):
    """Of 4,000 requests of the same kind, and a belief that takes costs for a fifth of what they are."""
    pacer = Pacer(Budget(4.0))
    rng = np.random.default_rng(seed)
    total = 0.0
    for turn in range(4000):
        quality = 0.7 + 0.2 * rng.random(2) + [0.0, 0.1]
        told = np.array([0.2, 2.0])
        pacing = pacer.view(None, Objective()).pacing
        index = spent(pacer, pacing, quality, told, seed=[seed, turn])
        pacer.observe(decision(index, quality, told, pacing), turn)
        real = told[index] * 5.0
        pacer.correct(told[index], real)
        total += real
    assert total / 4000 == pytest.approx(4.0, rel=0.04)


def test_what_exploration_saves_or_adds_is_in_the_price():
    """A fifth of the decisions make do with the cheap model where the price meant the dear one; none is saved up."""
    pacer, rng = Pacer(Budget(5.0)), np.random.default_rng(3)
    targets = []
    for _ in range(1200):
        pacing = pacer.view(None, Objective()).pacing
        dear = np.array([0.5, 0.5 + rng.random()])
        shares = np.zeros(2)
        for shadow, share in pacing.prices:
            shares[int(dear[1] - 10.0 * shadow > dear[0] - shadow)] += share
        shares = np.array([shares[0] + 0.2 * shares[1], 0.8 * shares[1]])
        index = int(rng.random() >= shares[0])
        pacer.observe(decision(index, quality=tuple(dear), pacing=pacing, pmf=shares), 0)
        targets.append(pacer.view(None, Objective()).target_usd)
    # Left to the account alone, the target would stand a fifth and more above the budget for good.
    assert np.mean(targets[400:]) == pytest.approx(5.0, rel=0.08)


def test_nothing_is_saved_up_where_nothing_holds_the_spend_back():
    """A thousand cheap requests later, a price that starts to bind binds at once."""
    pacer = Pacer(Budget(4.0))
    for turn in range(1000):
        pacer.observe(decision(0, quality=(0.9, 0.5)), turn)
    # What the cheap ones leave of the budget, and a fiftieth of it, may be explored with.
    assert pacer.view(None, Objective()).pacing == Pacing(allowance_usd=3.08)
    for turn in range(200):
        pacer.observe(decision(1), turn)
    assert pacer.view(None, Objective()).pacing.low > 0.4 / 9.0


def test_a_price_change_acts_at_once():
    """The dear model at a tenth of its price fits into the budget, and the next decision computes it."""
    pacer = Pacer(Budget(4.0))
    for turn in range(64):
        pacer.observe(decision(turn % 2), turn)
    assert pacer.view(None, Objective()).pacing is not FREE
    pacer.reprice(1, 0.1)
    pacer.observe(decision(1, cost=(1.0, 1.0)), 64)
    assert pacer.view(None, Objective()).pacing.high < 0.1


def test_the_price_starts_from_what_is_believed():
    """Before any decision, from the average prompt."""
    average = Prediction(np.array([[[0.5, 0.9], [0.1, 0.1], [1.0, 10.0], [0.0, 0.0]]]))
    assert Pacer(Budget(4.0)).view(average, Objective()).pacing.share_high == pytest.approx(2.0 / 3.0)
    assert Pacer(Budget(4.0)).view(None, Objective()).pacing == Pacing(allowance_usd=0.08)


def past():
    """Return what is expected in two contexts: in one the dear model is better by 0.4, in the other by 0.1."""
    return Prediction(np.array([[[0.5, q], [0.1, 0.1], [1.0, 10.0], [0.0, 1000.0]] for q in (1.0, 0.7)]))


def test_the_price_starts_from_the_contexts_of_the_past():
    """One of them takes the dear model, which costs the target; a second's weight of 0.1 is in what they are worth.

    The first decision takes the place of the first one.
    """
    slow = Objective(second_weight=0.1)
    want = price([[0.5, 0.9], [0.5, 0.6]], [[1.0, 10.0]] * 2, target=5.5)
    assert want.high == pytest.approx(1.05 * 0.1 / 9.0)
    view = Pacer(Budget(5.5)).view(past(), slow)
    assert (view.pacing.low, view.pacing.high) == pytest.approx((want.low, want.high))
    pacer = Pacer(Budget(5.5))
    pacer.recall([0, 1], past(), slow)
    pacer.observe(decision(0, quality=(0.5, 0.9)), 0)
    told = pacer.view(None, Objective()).pacing
    assert (told.low, told.high) == pytest.approx((want.low, want.high), rel=1e-6)
    # Without the past the first decision stands for all: the price is the one at which it is indifferent.
    alone = Pacer(Budget(5.5))
    alone.observe(decision(0, quality=(0.5, 0.9)), 0)
    assert alone.view(None, Objective()).pacing.high == pytest.approx(1.05 * 0.4 / 9.0)


def test_decisions_take_the_places_of_the_past():
    """128 contexts; after as many decisions all of them are decisions."""
    pacer = Pacer(Budget(5.5))
    pacer.recall([0, 1], Prediction(np.repeat(past().values[:1], 128, axis=0)), Objective())
    for turn in range(127):
        pacer.observe(decision(0, quality=(0.5, 0.6), cost=(1.0, 2.0)), turn)
    assert pacer.to_arrays()["cost"][:, 1].tolist() == [2.0] * 127 + [10.0]
    pacer.observe(decision(0, quality=(0.5, 0.6), cost=(1.0, 2.0)), 127)
    assert pacer.to_arrays()["cost"][:, 1].tolist() == [2.0] * 128


def test_an_alarm_puts_what_decisions_expected_in_doubt():
    """The price is that of what is believed now, until as many decisions as there are contexts were made."""
    pacer = Pacer(Budget(5.5))
    pacer.doubt()
    assert not pacer.is_in_doubt
    for turn in range(128):
        pacer.observe(decision(1, quality=(0.5, 0.6), cost=(1.0, 5.5)), turn)
    assert pacer.view(None, Objective()).pacing.high == 0.0
    pacer.doubt()
    pacer.reconsider(past(), Objective(second_weight=0.1), 128)
    want = price([[0.5, 0.9], [0.5, 0.6]], [[1.0, 10.0]] * 2, target=5.5)
    view = pacer.view(None, Objective())
    assert (view.pacing.low, view.pacing.high) == pytest.approx((want.low, want.high))
    for turn in range(127):
        pacer.observe(decision(1, quality=(0.5, 0.6), cost=(1.0, 5.5)), turn)
    assert pacer.is_in_doubt
    pacer.observe(decision(1, quality=(0.5, 0.6), cost=(1.0, 5.5)), 127)
    assert not pacer.is_in_doubt


@pytest.mark.parametrize(
    "window, time, start, end",
    [
        (BudgetWindow.HOUR, "2026-11-22T01:02:03", "2026-11-22T01:00:00", "2026-11-22T02:00:00"),
        (BudgetWindow.DAY, "2026-12-31T23:59:59", "2026-12-31T00:00:00", "2027-01-01T00:00:00"),
        (BudgetWindow.MONTH, "2026-12-15T12:00:00", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        (BudgetWindow.MONTH, "2028-02-29T00:00:00", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
    ],
)
def test_windows_are_the_calendars(window, time, start, end):
    """Of UTC, the end exclusive."""
    assert window_of(window, at(time)) == (at(start), at(end))
    assert window_of(window, at(end) - 1) == (at(start), at(end))
    assert window_of(window, at(end))[0] == at(end)


def test_a_window_starts_anew_with_the_whole_budget():
    """What was spent in the last hour is no debt of this one."""
    pacer = Pacer(Budget(100.0, BudgetWindow.HOUR))
    start = at("2026-11-22T01:00:00")
    for turn in range(9):
        pacer.observe(decision(1), start + turn * 60_000)
    before = pacer.view(None, Objective())
    assert (before.spent_usd, before.left_usd, before.request_count) == (90.0, 10.0, 9)
    assert before.window_end_ms == start + HOUR_MS
    pacer.observe(decision(0), start + HOUR_MS)
    after = pacer.view(None, Objective())
    assert (after.spent_usd, after.left_usd, after.request_count) == (1.0, 99.0, 1)


def test_what_is_left_is_divided_among_who_will_still_come():
    """Half an hour at one request a minute has spent 60 of 100: 40 are left for 30 requests."""
    pacer = Pacer(Budget(100.0, BudgetWindow.HOUR))
    start = at("2026-11-22T01:00:00")
    for turn in range(32):
        pacer.observe(decision(0, cost=(2.0, 10.0)), start + turn * 60_000)
    view = pacer.view(None, Objective())
    assert view.target_usd == pytest.approx((100.0 - 64.0) / 29.0, rel=0.05)


@pytest.mark.parametrize("stopped", [10, 150])
def test_a_restart_changes_nothing(stopped):
    """Through arrays and back, prices and accounts are the same, to the bit, and stay so."""
    one, other = Pacer(Budget(4.0)), Pacer(Budget(4.0))
    rng = np.random.default_rng(0)
    made = [decision(int(rng.integers(2)), rng.random(2), (1.0, 10.0)) for _ in range(300)]
    one.recall([0, 1], Prediction(rng.random((60, 4, 2))), Objective())
    for turn, each in enumerate(made[:stopped]):
        one.observe(each, turn)
    one.doubt()
    other.load_arrays(one.to_arrays())
    for turn, each in enumerate(made[stopped:]):
        one.observe(each, turn)
        other.observe(each, turn)
        assert one.is_in_doubt == other.is_in_doubt == (turn < 127)
    assert one.view(None, Objective()) == other.view(None, Objective())
    arrays = other.to_arrays()
    for name, array in one.to_arrays().items():
        np.testing.assert_array_equal(array, arrays[name])


def test_arrays_that_do_not_fit_are_refused():
    """A snapshot of another pacer is damage, not a state."""
    arrays = Pacer(Budget(4.0)).to_arrays()
    with pytest.raises(DataLossError):
        Pacer(Budget(4.0)).load_arrays({name: array for name, array in arrays.items() if name != "cost"})
    with pytest.raises(DataLossError):
        Pacer(Budget(4.0)).load_arrays(arrays | {"numbers": np.zeros(3)})


def test_exploration_keeps_to_its_share_of_the_spend():
    """A model five hundred times as dear gets so little that it adds no more than its part of two per cent."""
    values = np.array([[0.5, 0.9], [0.0, 0.0], [1.0, 500.0], [0.0, 0.0]])
    pmf = np.array([1.0, 0.0])
    mix_floor_within(pmf, np.array([True, True]), values, 0.05, 0.02)
    assert pmf.sum() == pytest.approx(1.0)
    assert pmf[1] * 500.0 == pytest.approx(0.02 * 1.0 / 2.0)
    cheap = np.array([1.0, 0.0])
    mix_floor_within(cheap, np.array([True, True]), np.array([[0.5, 0.9], [0, 0], [1.0, 0.1], [0, 0]]), 0.05, 0.5)
    assert cheap[1] == pytest.approx(0.025)


def indebted(dear_quality, calls):
    """Return what is known after some calls of a model that costs twenty budgets and is a little better.

    Contexts are alike but for that; the cheapest model is bad.
    """
    pacer, rng = Pacer(Budget(1.0)), np.random.default_rng(1)
    for i in range(120):
        quality = (0.5, 0.9, dear_quality + 0.02 * rng.random())
        pacer.observe(decision(2 if i < calls else 1, quality, (0.1, 0.8, 20.0)), 0)
    return pacer.view(None, Objective())


def test_a_debt_is_made_good_where_that_is_cheap():
    """Two dear calls, 38 budgets: within 120 requests the bad model would have to serve a share, within 480 none."""
    view = indebted(0.95, 3)
    assert view.target_usd == pytest.approx(1.0 - (3 * 20.0 + 117 * 0.8 - 120) / 480)
    # At 0.57 a dollar the bad one would begin to serve; the dear one is held off by a tenth of that.
    assert view.pacing.high < 0.05
