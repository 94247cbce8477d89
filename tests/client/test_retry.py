"""The schedule of retries, without a clock."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banditd_client import DeadlineExceeded, ResourceExhausted, RetryPolicy, Unavailable
from banditd_client.retry import Attempts, backoff

POLICY = RetryPolicy(attempts_max=5, backoff_initial_s=0.1, backoff_max_s=0.4)


def test_pauses_double_up_to_the_longest():
    """With the largest draw each pause is nearly its step."""
    assert list(backoff(POLICY, lambda: 1.0)) == pytest.approx([0.1, 0.2, 0.4, 0.4])


def test_pauses_are_never_under_half_of_their_step():
    """With the smallest draw nobody comes back at once."""
    assert list(backoff(POLICY, lambda: 0.0)) == pytest.approx([0.05, 0.1, 0.2, 0.2])


@given(st.integers(0, 2**32))
def test_pauses_follow_from_the_seed(seed):
    """The same draws give the same pauses; the bounds hold for all."""
    one, two = (list(backoff(POLICY, random.Random(seed).random)) for _ in range(2))
    assert one == two
    assert all(step / 2 <= pause < step for pause, step in zip(one, [0.1, 0.2, 0.4, 0.4], strict=True))


def test_only_unavailable_is_tried_again():
    """Overload is told to back off, a deadline is over, the rest would fail again."""
    for error in (ResourceExhausted(), DeadlineExceeded()):
        assert Attempts(POLICY, 10.0, lambda: 0.5).pause_after(error, 0.0) is None
    assert Attempts(POLICY, 10.0, lambda: 0.5).pause_after(Unavailable(), 0.0) == pytest.approx(0.075)


def test_no_pause_reaches_the_deadline():
    """A pause that leaves no time for a try is not made."""
    attempts = Attempts(POLICY, 1.0, lambda: 1.0)
    assert attempts.pause_after(Unavailable(), 0.89) == pytest.approx(0.1)
    assert attempts.pause_after(Unavailable(), 0.80) is None


def test_tries_are_counted():
    """As many pauses as tries, less one."""
    attempts = Attempts(POLICY, 1e9, lambda: 0.5)
    pauses = list(itertools.takewhile(bool, (attempts.pause_after(Unavailable(), 0.0) for _ in range(9))))
    assert len(pauses) == POLICY.attempts_max - 1


def test_the_servers_wish_is_kept():
    """A longer pause than ours, or none at all."""
    assert Attempts(POLICY, 10.0, lambda: 1.0).pause_after(Unavailable(pushback_ms=700), 0.0) == pytest.approx(0.7)
    assert Attempts(POLICY, 10.0, lambda: 1.0).pause_after(Unavailable(pushback_ms=-1), 0.0) is None


def test_what_remains_is_never_negative():
    """GRPC takes a timeout of nothing as over."""
    attempts = Attempts(POLICY, 1.0, lambda: 0.5)
    assert (attempts.remaining_s(0.25), attempts.remaining_s(2.0)) == (0.75, 0.0)


@pytest.mark.parametrize(
    "values",
    [
        {"attempts_max": 0},
        {"backoff_initial_s": 0.0},
        {"backoff_initial_s": 2.0},
        {"backoff_initial_s": float("nan")},
        {"backoff_factor": 0.5},
    ],
)
def test_a_schedule_without_sense_is_refused(values):
    """One that never pauses would be a flood."""
    with pytest.raises(ValueError, match=next(iter(values))):
        RetryPolicy(**values)
