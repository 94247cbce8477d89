"""Answers of Route and RouteBatch, as bytes.

Most of such an answer is numbers of fixed width, which stand in a message as they stand in memory; to hand them to the
library one by one takes longer than to decide. So they are written here as the wire format has them
(protobuf.dev/programming-guides/encoding) and put behind what the library serialised: parsing merges the two.
"""

import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from banditd.catalog.models import Catalog
from banditd.domain.decision import Decision
from banditd.routing.choose import rank_rows
from banditd.server.convert import candidates, timestamp, wire
from banditd_proto.v1 import decision_pb2
from banditd_proto.v1 import routing_service_pb2 as pb

_VARINT, _FIXED64, _DELIMITED = range(3)


class RouteReplies:
    """Answers of Route. The event loop's thread only: one message is filled anew for each."""

    def __init__(self) -> None:
        self._head = pb.RouteResponse()

    def encode(self, decisions: Sequence[Decision], time_ms: int, catalog: Catalog) -> list[bytes]:
        """Return answers.

        Args:
            decisions: Among the same models, under one objective and one set of limits.
            time_ms: When they were made.
            catalog: The models.
        """
        first, choices = decisions[0], [d.choice for d in decisions]
        if len(choices) > 1:
            expected = np.stack([choice.expected for choice in choices])
            exclusions = np.stack([choice.exclusions for choice in choices])
        else:  # who calls alone waits for it: stacking takes as long as deciding
            expected, exclusions = choices[0].expected[None], choices[0].exclusions[None]
        order = rank_rows(choices, expected, exclusions, first.objective, first.limits)
        names = [catalog.names[slot] for slot in first.slots.tolist()]
        leads = [_lead(name) for name in names]
        head = self._head
        head.create_time.CopyFrom(timestamp(time_ms))
        responses = []
        for decision, choice, places, (quality, cost, latency), reasons in zip(
            decisions, choices, order.tolist(), expected.tolist(), exclusions.tolist(), strict=True
        ):
            pmf, rival = choice.pmf.tolist(), choice.rival
            head.decision_id = decision.decision_id.hex()
            head.model_id = names[choice.index]
            head.propensity = pmf[choice.index]
            head.policy_version = decision.policy_version
            head.source = wire(choice.source)
            head.learnable = decision.learnable
            head.rival_model_id = "" if rival is None else names[rival.index]
            head.pair_propensity = 0.0 if rival is None else choice.pair_propensity
            parts = [head.SerializeToString()]
            # A sum with something unknown in it is not a number. That is left out, which takes the library.
            if rival is None and not math.isnan(sum(quality) + sum(cost) + sum(latency)):
                for k in places:
                    parts += leads[k], _pack(_P, pmf[k], _Q, quality[k], _C, cost[k], _L, latency[k], _X, reasons[k])
            else:
                parts.append(pb.RouteResponse(candidates=candidates(decision, catalog)).SerializeToString())
            responses.append(b"".join(parts))
        return responses


def route_batch_response(decisions: Sequence[Decision], time_ms: int, catalog: Catalog) -> bytes:
    """Return the answer of RouteBatch: columns."""
    first, choices = decisions[0], [d.choice for d in decisions]
    expected = np.stack([choice.expected for choice in choices])
    exclusions = np.stack([choice.exclusions for choice in choices])
    sources = [wire(choice.source) for choice in choices]
    order = rank_rows(choices, expected, exclusions, first.objective, first.limits)
    rivals = [choice.rival for choice in choices]
    asked = any(rival is not None for rival in rivals)
    nobody = np.zeros(len(first.slots))
    columns = pb.RouteBatchResponse(
        model_ids=[catalog.names[slot] for slot in first.slots],
        decision_ids=b"".join([d.decision_id for d in decisions]),
        model_indices=[choice.index for choice in choices],
        propensities=[choice.propensity for choice in choices],
        exclusion_reasons=cast("list[Any]", exclusions.ravel().tolist()) if exclusions.any() else None,
        policy_version=first.policy_version,
        sources=sources if max(sources) > 1 else None,
        create_time=timestamp(time_ms),
        ranked_model_indices=order.astype(np.uint8).tobytes(),
        rival_indices=[-1 if rival is None else rival.index for rival in rivals] if asked else None,
    )
    parts = [
        columns.SerializeToString(),
        _packed(pb.RouteBatchResponse.PROBABILITIES_FIELD_NUMBER, np.stack([c.pmf for c in choices])),
        _packed(pb.RouteBatchResponse.EXPECTED_QUALITIES_FIELD_NUMBER, expected[:, 0]),
        _packed(pb.RouteBatchResponse.EXPECTED_COSTS_USD_FIELD_NUMBER, expected[:, 1]),
        _packed(pb.RouteBatchResponse.EXPECTED_LATENCIES_MS_FIELD_NUMBER, expected[:, 2]),
    ]
    if asked:
        probabilities = np.stack([nobody if rival is None else rival.pmf for rival in rivals])
        parts.append(_packed(pb.RouteBatchResponse.RIVAL_PROBABILITIES_FIELD_NUMBER, probabilities))
    return b"".join(parts)


def _key(number: int, wire_type: int) -> int:
    """Return what stands before a field; one byte, as all fields here have numbers below 16."""
    assert number < 16
    return number << 3 | wire_type


def _varint(value: int) -> bytes:
    """Return a number as base-128 digits, the lowest first."""
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def _delimited(number: int, length: int) -> bytes:
    return bytes([_key(number, _DELIMITED)]) + _varint(length)


def _packed(number: int, values: npt.NDArray[Any]) -> bytes:
    """Return a repeated field of float or double."""
    return _delimited(number, values.nbytes) + values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


# What follows the name in a candidate: four numbers and a reason, each behind its key.
_NUMBERS: Final = struct.Struct("<BdBdBdBdBB")
_pack = _NUMBERS.pack
_P: Final = _key(decision_pb2.Candidate.PROBABILITY_FIELD_NUMBER, _FIXED64)
_Q: Final = _key(decision_pb2.Candidate.EXPECTED_QUALITY_FIELD_NUMBER, _FIXED64)
_C: Final = _key(decision_pb2.Candidate.EXPECTED_COST_USD_FIELD_NUMBER, _FIXED64)
_L: Final = _key(decision_pb2.Candidate.EXPECTED_LATENCY_MS_FIELD_NUMBER, _FIXED64)
_X: Final = _key(decision_pb2.Candidate.EXCLUSION_REASON_FIELD_NUMBER, _VARINT)


@lru_cache(maxsize=4096)
def _lead(name: str) -> bytes:
    """Return what stands before the numbers of a model's candidate: its key and length, and the name."""
    raw = name.encode()
    field = _delimited(decision_pb2.Candidate.MODEL_ID_FIELD_NUMBER, len(raw)) + raw
    return _delimited(pb.RouteResponse.CANDIDATES_FIELD_NUMBER, len(field) + _NUMBERS.size) + field
