"""Answers that are written as bytes say what messages filled by the library would say."""

import math

import numpy as np
import pytest

from banditd.catalog.models import Catalog
from banditd.domain.budget import FREE
from banditd.domain.context import Context
from banditd.domain.decision import NO_LIMITS, Choice, Decision, DecisionSource, Exclusion, Objective, Rival
from banditd.domain.model import ModelSpec
from banditd.routing.choose import rank
from banditd.server.convert import candidates, timestamp
from banditd.server.replies import RouteReplies, route_batch_response
from banditd_proto.v1 import routing_service_pb2 as pb

# Lengths of one byte and of two, and characters of more than one.
NAMES = ("a", "provider/" + "m" * 119, "x" * 100, "modèle", "z")
CATALOG = Catalog(tuple(ModelSpec(slot, name) for slot, name in enumerate(NAMES)), NAMES)
TIME_MS = 1_700_000_000_123


def decision(rng: np.random.Generator, *, unknown: bool = False, rival: bool = False, count: int = 5) -> Decision:
    """A decision of which everything is random; one model is excluded."""
    pmf = rng.dirichlet(np.ones(count))
    exclusions = np.zeros(count, np.uint8)
    index, out = (int(k) for k in rng.permutation(count)[:2])
    exclusions[out], pmf[out] = Exclusion.DOWN, 0.0
    expected = rng.random((3, count), np.float32)
    if unknown:
        expected[rng.integers(3), rng.integers(count)] = math.nan
    second = Rival(int((index + 1) % count), rng.dirichlet(np.ones(count))) if rival else None
    return Decision(
        decision_id=rng.bytes(16),
        router_id="r",
        request_id="",
        request_digest=b"",
        context=Context(np.zeros(4, np.float16)),
        slots=np.arange(count, dtype=np.uint16),
        choice=Choice(index, pmf, exclusions, expected, DecisionSource.POLICY, FREE, second),
        uniform=0.5,
        objective=Objective(0.3, 0.1),
        limits=NO_LIMITS,
        policy="linucb",
        policy_version=int(rng.integers(1 << 40)),
        learnable=True,
    )


def told(made: Decision) -> pb.RouteResponse:
    """The answer, by the library."""
    choice = made.choice
    return pb.RouteResponse(
        decision_id=made.decision_id.hex(),
        model_id=NAMES[choice.index],
        propensity=choice.propensity,
        candidates=candidates(made, CATALOG),
        policy_version=made.policy_version,
        source=int(choice.source),
        learnable=made.learnable,
        create_time=timestamp(TIME_MS),
        rival_model_id="" if choice.rival is None else NAMES[choice.rival.index],
        pair_propensity=0.0 if choice.rival is None else choice.pair_propensity,
    )


@pytest.mark.parametrize("size", [1, 2, 40])
def test_an_answer_is_the_message(size: int) -> None:
    """Alone and in groups, with what is unknown and with rivals among them; nothing of one is left in the next."""
    rng, replies = np.random.default_rng(size), RouteReplies()
    for _ in range(5):
        made = [decision(rng, unknown=rng.random() < 0.3, rival=rng.random() < 0.3) for _ in range(size)]
        answers = replies.encode(made, TIME_MS, CATALOG)
        assert [pb.RouteResponse.FromString(raw) for raw in answers] == [told(each) for each in made]


@pytest.mark.parametrize("rival", [False, True])
def test_columns_are_those_of_the_decisions(rival: bool) -> None:
    """More values than one byte of length can tell; NaN is kept."""
    rng = np.random.default_rng(3)
    made = [decision(rng, unknown=b % 3 == 0, rival=rival and b % 2 == 0) for b in range(300)]
    reply = pb.RouteBatchResponse.FromString(route_batch_response(made, TIME_MS, CATALOG))
    choices = [each.choice for each in made]
    np.testing.assert_array_equal(reply.probabilities, np.concatenate([c.pmf for c in choices]))
    for m, column in enumerate((reply.expected_qualities, reply.expected_costs_usd, reply.expected_latencies_ms)):
        np.testing.assert_array_equal(np.array(column, np.float32), np.concatenate([c.expected[m] for c in choices]))
    assert list(reply.exclusion_reasons) == [int(code) for c in choices for code in c.exclusions]
    assert list(reply.ranked_model_indices) == [k for each in made for k in rank(each.choice, each.objective)]
    assert list(reply.model_indices) == [c.index for c in choices]
    assert reply.decision_ids == b"".join(each.decision_id for each in made)
    assert reply.create_time == timestamp(TIME_MS)
    if rival:
        assert list(reply.rival_indices) == [-1 if c.rival is None else c.rival.index for c in choices]
        pmfs = [np.zeros(5) if c.rival is None else c.rival.pmf for c in choices]
        np.testing.assert_array_equal(reply.rival_probabilities, np.concatenate(pmfs))
    else:
        assert not reply.rival_indices
        assert not reply.rival_probabilities
