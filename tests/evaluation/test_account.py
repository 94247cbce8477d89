"""The account of a policy that does not decide: against the formulas, and as bounds that hold."""

import math

import numpy as np
import pytest

from banditd.domain.decision import Choice, DecisionSource, Objective
from banditd.domain.outcome import Lesson
from banditd.domain.promotion import PromotionRule, Verdict
from banditd.evaluation import Account, judge
from banditd.evaluation.account import WAITING_MAX
from banditd.evaluation.sequence import ALPHA, exceeds, log_capital, width
from banditd_sim.ope.sequence import mixture_bound

MODELS = 3
QUALITY = Objective()


def made(rng, live, expected, slot=None):
    """Return a drawn choice."""
    index = int(rng.choice(len(live), p=live)) if slot is None else slot
    return Choice(index, live, np.zeros(len(live), np.uint8), expected, DecisionSource.POLICY)


def expectations(quality, cost=math.nan, latency=math.nan):
    """Return (3, K) float32."""
    rows = [quality, np.full(len(quality), cost), np.full(len(quality), latency)]
    return np.array(rows, np.float32)


def run(seed, count, live, shadow, truth, objective=QUALITY, expected=None):
    """Return the account of a world of good and bad answers, and what was seen: models and rewards."""
    rng = np.random.default_rng(seed)
    account, drawn, rewards = Account(), [], []
    expected = expectations(np.full(len(live), 0.5)) if expected is None else expected
    for position in range(1, count + 1):
        choice = made(rng, live, expected)
        quality = float(rng.random() < truth[choice.index])
        account.note(position, choice, shadow, objective)
        account.settle(position, Lesson(quality=quality), objective)
        drawn.append(choice.index)
        rewards.append(quality)
    return account, np.array(drawn), np.array(rewards)


LIVE = np.array([0.5, 0.3, 0.2])
SHADOW = np.array([0.2, 0.2, 0.6])
TRUTH = np.array([0.4, 0.5, 0.9])


def test_figures_are_those_of_the_formulas():
    """Doubly robust and self-normalised values, sample size and overlap, from the whole table at once."""
    account, drawn, rewards = run(1, 400, LIVE, SHADOW, TRUTH)
    figures = account.figures()
    weight = (SHADOW / LIVE)[drawn]
    assert figures.decisions == 400
    assert figures.shadow == pytest.approx(np.mean(weight * (rewards - 0.5)) + 0.5)
    assert figures.live == pytest.approx(rewards.mean())
    assert figures.shadow_snips == pytest.approx((weight * rewards).sum() / weight.sum())
    assert figures.live_snips == pytest.approx(rewards.mean())
    assert figures.effective_samples == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert figures.overlap == pytest.approx(0.6)
    assert figures.low < figures.difference < figures.high


def test_bounds_hold_at_all_times():
    """Of 200 logs, looked at after every decision, at most one in twenty ever leaves the truth on either side."""
    truth = float((SHADOW - LIVE) @ TRUTH)
    misses = {"low": 0, "high": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        account = Account()
        missed = set()
        for position in range(1, 301):
            choice = made(rng, LIVE, expectations(np.full(MODELS, 0.9)))
            account.note(position, choice, SHADOW, QUALITY)
            account.settle(position, Lesson(quality=float(rng.random() < TRUTH[choice.index])), QUALITY)
            if account.exceeds(truth):
                missed.add("low")
        figures = account.figures()
        if figures.high < truth:
            missed.add("high")
        for side in missed:
            misses[side] += 1
    assert misses["low"] <= 10
    assert misses["high"] <= 10


def test_a_policy_that_does_the_same_is_never_better():
    """The terms of common decisions cancel, whatever comes of them: the bounds close in on 0."""
    account, _, _ = run(2, 2000, LIVE, LIVE, TRUTH)
    figures = account.figures()
    assert figures.difference == pytest.approx(0.0, abs=1e-12)
    assert -0.025 < figures.low < 0.0 < figures.high < 0.025
    assert figures.overlap == pytest.approx(1.0)


def test_what_the_log_cannot_show_counts_against_the_claim():
    """A model that is never drawn cannot carry a promotion, however good it is expected to be."""
    live, shadow = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    account, _, _ = run(3, 1000, live, shadow, np.array([0.2, 1.0]), expected=expectations(np.array([0.2, 1.0])))
    figures = account.figures()
    assert figures.unsupported == 1.0
    assert figures.difference == pytest.approx(0.8, abs=0.05)
    assert figures.low < -0.1
    assert figures.high > 0.7


def test_utility_takes_cost_and_latency_in():
    """What was seen of them, what is expected where they were not; utilities are cut at -1."""
    objective = Objective(usd_weight=10.0, second_weight=0.1)
    expected = expectations(np.full(MODELS, 0.5), 0.01, 2000.0)
    rng = np.random.default_rng(4)
    for lesson, reward in (
        (Lesson(quality=0.9, cost_usd=0.02, latency_ms=1000.0), 0.9 - 0.2 - 0.1),
        (Lesson(quality=0.9), 0.9 - 0.1 - 0.2),
        (Lesson(quality=0.1, cost_usd=5.0), -1.0),
    ):
        account = Account()
        account.note(1, made(rng, LIVE, expected), LIVE, objective)
        account.settle(1, lesson, objective)
        assert account.figures().live_snips == pytest.approx(reward)


def test_an_account_goes_through_arrays():
    """Bit for bit, with what waits, so that a restart changes nothing."""
    account, _, _ = run(5, 50, LIVE, SHADOW, TRUTH)
    rng = np.random.default_rng(6)
    for position in (60, 61):
        account.note(position, made(rng, LIVE, expectations(TRUTH)), SHADOW, QUALITY)
    copy = Account()
    copy.load_arrays(account.to_arrays())
    for one in (account, copy):
        one.settle(60, Lesson(quality=0.5), QUALITY)
        one.forget(61)
        one.settle(999, Lesson(quality=0.5), QUALITY)
    ours, theirs = account.to_arrays(), copy.to_arrays()
    assert {name: array.tobytes() for name, array in ours.items()} == {n: a.tobytes() for n, a in theirs.items()}
    assert copy.figures() == account.figures()
    assert copy.figures().decisions == 51


def test_only_so_many_decisions_wait():
    """The oldest go, and are counted."""
    account = Account()
    choice = made(np.random.default_rng(7), LIVE, expectations(TRUTH))
    for position in range(1, WAITING_MAX + 3):
        account.note(position, choice, SHADOW, QUALITY)
    account.settle(1, Lesson(quality=1.0), QUALITY)
    account.settle(3, Lesson(quality=1.0), QUALITY)
    figures = account.figures()
    assert (figures.decisions, figures.waiting, figures.dropped) == (1, WAITING_MAX - 1, 2)


@pytest.mark.parametrize(
    "rule, verdict",
    [
        (PromotionRule(effective_samples_min=10.0), Verdict.PROMOTE),
        (PromotionRule(effective_samples_min=1e9), Verdict.FEW_SAMPLES),
        (PromotionRule(margin=0.5), Verdict.NOT_BETTER),
    ],
)
def test_the_rule_is_judged_by_the_bound(rule, verdict):
    """A difference of 0.16, known to 0.1."""
    account, _, _ = run(8, 3000, LIVE, SHADOW, TRUTH)
    assert judge(account, rule) is verdict


@pytest.mark.parametrize("variance", [0.0, 0.3, 4.0, 30.0, 300.0, 10_000.0])
def test_the_width_is_where_the_capital_pays_out(variance):
    """The bound and the test are one; and where it matters it is as narrow as the simulator's mixture over all bets."""
    u = width(variance)
    assert log_capital(u, variance) == pytest.approx(-math.log(ALPHA), rel=1e-9)
    assert not exceeds(u * (1 - 1e-9), variance)
    assert exceeds(u * (1 + 1e-9), variance)
    if variance >= 20.0:
        other = float(mixture_bound(np.array([variance]), threshold=-math.log(ALPHA), rho=1.0)[0])
        assert 0.85 < u / other < 1.0
