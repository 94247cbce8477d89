"""The nouns: prices, lessons, clocks, and numbers that stand for the wire's names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banditd.domain import clock as clock_module
from banditd.domain.clock import SystemClock
from banditd.domain.decision import DecisionSource, Exclusion, Resolution
from banditd.domain.ledger import NEW_ENTRY
from banditd.domain.model import Price
from banditd.domain.outcome import Failure, Lesson, Metric, OutcomeStatus
from banditd_proto.v1 import decision_pb2, outcome_pb2

PRICES = st.floats(0.0, 1e6)
TOKENS = st.integers(0, 10**8)


@given(PRICES, PRICES, TOKENS, TOKENS)
def test_a_cost_is_tokens_times_price_per_million(input_usd, output_usd, input_tokens, output_tokens):
    """Never negative; no tokens cost nothing."""
    price = Price(input_usd, output_usd)
    expected = input_usd * input_tokens / 1e6 + output_usd * output_tokens / 1e6
    assert price.cost_usd(input_tokens, output_tokens) == pytest.approx(expected, rel=1e-12, abs=1e-300)
    assert price.cost_usd(0, 0) == 0.0
    low, high = sorted((input_usd, output_usd))
    assert low * (1 - 1e-15) <= price.blended_mtok_usd <= high * (1 + 1e-15) or high < 1e-300


def test_a_blended_price_is_three_to_one():
    """The field's usual blend."""
    assert Price(1.0, 5.0).blended_mtok_usd == 2.0


@pytest.mark.parametrize(
    "ours, theirs, zero",
    [
        (DecisionSource, decision_pb2.DecisionSource, None),
        (Exclusion, decision_pb2.ExclusionReason, "ELIGIBLE"),
        (Resolution, decision_pb2.Resolution, None),
        (Failure, outcome_pb2.Failure, "NONE"),
        (OutcomeStatus, outcome_pb2.OutcomeStatus, None),
    ],
)
def test_numbers_are_those_of_the_wire(ours, theirs, zero):
    """They are sent and stored as they are; zero is UNSPECIFIED there."""
    wire = {number: name.removeprefix(theirs.keys()[0].removesuffix("UNSPECIFIED")) for name, number in theirs.items()}
    wire[0] = zero
    if zero is None:
        del wire[0]
    assert {member.value: member.name for member in ours} == wire


def test_a_lesson_knows_its_metrics():
    """Zero is a value; None is not."""
    assert Lesson().metrics is Metric.NONE
    assert Lesson(quality=0.0).metrics is Metric.QUALITY
    assert Lesson(cost_usd=0.0, latency_ms=0.0).metrics == Metric.COST | Metric.LATENCY


def test_a_resolved_entry_keeps_everything_else():
    """And the first one is untouched."""
    entry = NEW_ENTRY.resolved(Resolution.EXPIRED)
    assert entry.resolution is Resolution.EXPIRED
    assert NEW_ENTRY.resolution is Resolution.WAITING
    assert entry.positions == NEW_ENTRY.positions


def test_the_clock_never_runs_backwards(monkeypatch):
    """A step back only stops it until it has caught up; it starts no earlier than what is on disk."""
    now_ns = 5_000_000_000
    monkeypatch.setattr(clock_module.time, "time_ns", lambda: now_ns)
    clock = SystemClock(4000)
    assert clock.now_ms() == 5000
    now_ns = 1_000_000_000
    assert clock.now_ms() == 5000
    now_ns = 5_001_000_000
    assert clock.now_ms() == 5001
    assert SystemClock(9000).now_ms() == 9000
