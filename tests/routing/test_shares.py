"""Bounded shares, and models that health leaves out."""

import dataclasses

import numpy as np
import pytest

from banditd.domain.decision import DecisionSource, Exclusion, Limits, Objective
from banditd.domain.health import Health
from banditd.errors import FailedPreconditionError
from banditd.kernels.exploration import bound_shares, mix_floor
from banditd.routing.choose import Terms, choose, choose_rows
from tests.routing.test_draw import NO_TERMS, contexts, taught_snapshot


def bounded(caps, pmf, without, floor=0.0):
    """Return *pmf* within its bounds, the floor mixed in."""
    pmf, eligible = np.array(pmf), np.ones(len(pmf), np.bool_)
    bound_shares(np.array(caps), eligible, np.array(without), floor, pmf)
    mix_floor(pmf, eligible, floor)
    return pmf


@pytest.mark.parametrize(
    "caps, pmf, without, floor, want",
    [
        ([1, 1, 0.2], [0, 0, 1.0], [0.75, 0.25, 0], 0.0, [0.6, 0.2, 0.2]),
        ([1, 1, 0.2], [0.4, 0.5, 0.1], [0.75, 0.25, 0], 0.0, [0.4, 0.5, 0.1]),
        ([1, 0.05, 0.2], [0, 0.5, 0.5], [1.0, 0, 0], 0.0, [0.9, 0.05, 0.05]),
        ([1, 0.2, 0.2], [0, 0.5, 0.5], [1.0, 0, 0], 0.0, [0.8, 0.1, 0.1]),  # together no more than one alone
        ([1, 1, 0.2], [0, 0, 1.0], [1.0, 0, 0], 0.3, [0.7, 0.1, 0.2]),  # what the floor gives counts
        ([1, 1, 0.05], [0, 0, 1.0], [1.0, 0, 0], 0.3, [0.8, 0.1, 0.1]),  # the floor stands above a bound
        ([1, 1, 0.0], [0.5, 0, 0.5], [1.0, 0, 0], 0.0, [1.0, 0, 0]),
    ],
)
def test_shares_by_hand(caps, pmf, without, floor, want):
    """The largest mixture that keeps every bound."""
    np.testing.assert_allclose(bounded(caps, pmf, without, floor), want, atol=1e-15)


def with_(snapshot, **changes):
    """Return the snapshot with newcomers, or with a health of its models."""
    return dataclasses.replace(snapshot, **changes)


@pytest.mark.parametrize("preset", ["linucb", "lin_thompson", "squarecb", "softmax", "epsilon_greedy"])
def test_a_newcomer_keeps_its_bound_in_every_context(preset):
    """Whatever the explorer; the others' odds among themselves stay sound and the pmf sums to 1."""
    snapshot = with_(taught_snapshot(preset, floor=0.02), newcomers=frozenset({3}))
    free = taught_snapshot(preset, floor=0.02)
    seen = []
    for context in contexts(60, seed=11):
        pmf, unbounded = (choose(s, context, NO_TERMS, 0.5).pmf for s in (snapshot, free))
        assert pmf[3] <= 0.2 + 1e-12
        assert abs(pmf.sum() - 1.0) < 1e-9
        seen.append(unbounded[3])
        if unbounded[3] <= 0.2:
            np.testing.assert_array_equal(pmf, unbounded)
    assert max(seen) > 0.2 or preset in {"epsilon_greedy", "squarecb", "softmax"}


def test_a_newcomer_that_is_alone_serves():
    """A bound is no reason to refuse; a batch decides alike."""
    snapshot = with_(taught_snapshot("linucb"), newcomers=frozenset({1, 3}))
    terms = Terms(Objective(), candidates=np.array([1, 3]))
    context = contexts(1)[0]
    alone = choose(snapshot, context, terms, 0.5)
    assert alone.pmf.sum() == pytest.approx(1.0)
    (row,) = choose_rows(snapshot, [context], terms, [0.5])
    np.testing.assert_array_equal(row.pmf, alone.pmf)
    mixed = choose(snapshot, context, Terms(Objective(), candidates=np.array([2, 3])), 0.5)
    assert mixed.pmf[1] <= 0.2 + 1e-12


def test_a_healthy_and_known_snapshot_has_nothing_to_look_at():
    """What is not there costs nothing."""
    snapshot = taught_snapshot("linucb")
    assert snapshot.unhealthy is None
    assert (snapshot.share_caps == 1.0).all()


def test_models_that_are_not_well_leave_the_eligible_set():
    """Each with its reason; a probing model stays, within its share."""
    health = {0: Health.DEGRADED, 1: Health.BACKING_OFF, 2: Health.PROBING}
    snapshot = with_(taught_snapshot("linucb", floor=0.02), health=health)
    for limits in (Limits(), Limits(latency_ms_max=1e9), Limits(required_tags=())):
        choice = choose(snapshot, contexts(1)[0], Terms(Objective(), limits), 0.5)
        assert choice.exclusions.tolist() == [Exclusion.DEGRADED, Exclusion.BACKING_OFF, 0, 0]
        assert choice.source is DecisionSource.POLICY
        assert choice.pmf[2] <= 0.05 + 1e-12
        assert choice.pmf[:2].tolist() == [0.0, 0.0]


def test_the_reasons_hold_where_the_request_has_limits_of_its_own():
    """The slow path, that of tags and long prompts."""
    snapshot = with_(taught_snapshot("linucb"), health={0: Health.DOWN})
    context = contexts(1)[0].__class__(contexts(1)[0].embedding, 5000)
    with pytest.raises(FailedPreconditionError) as caught:
        choose(snapshot, context, NO_TERMS, 0.5)
    assert set(caught.value.metadata.values()) == {"CONTEXT_WINDOW"}
    tagged = Terms(Objective(), Limits(required_tags=("eu",)))
    with pytest.raises(FailedPreconditionError):
        choose(snapshot, contexts(1)[0], tagged, 0.5)


@pytest.mark.parametrize(
    "states, served",
    [
        ((Health.DEGRADED, Health.DOWN, Health.DEGRADED, Health.BACKING_OFF), [0, 2]),
        ((Health.DOWN, Health.DOWN, Health.BACKING_OFF, Health.DOWN), [0, 1, 2, 3]),
    ],
)
def test_rather_than_refuse_whoever_is_least_ill_serves(states, served):
    """Degraded models before those that are down; the source says so, and the propensities are those of the draw."""
    snapshot = with_(taught_snapshot("lin_thompson"), health=dict(enumerate(states)))
    choice = choose(snapshot, contexts(1)[0], NO_TERMS, 0.5)
    assert choice.source is DecisionSource.UNHEALTHY
    assert choice.source.learnable
    assert np.flatnonzero(choice.pmf).tolist() == served
    assert np.flatnonzero(choice.exclusions == 0).tolist() == served
    assert abs(choice.pmf.sum() - 1.0) < 1e-9


def test_the_last_resort_keeps_the_limits_of_the_request():
    """A limit that a sick model breaks stays a reason to refuse."""
    snapshot = with_(taught_snapshot("linucb"), health=dict.fromkeys(range(4), Health.DOWN))
    with pytest.raises(FailedPreconditionError) as caught:
        choose(snapshot, contexts(1)[0], Terms(Objective(), Limits(quality_min=100.0)), 0.5)
    # Above a floor of quality the cheapest is asked for, which an unknown price cannot be.
    assert set(caught.value.metadata.values()) == {"QUALITY_FLOOR", "PRICE_UNKNOWN"}
