"""Routing values to protobuf messages and back. Nothing here does I/O, and no message leaves this package."""

import math
from array import array
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from banditd_client.batch import RouteBatch
from banditd_client.enums import DecisionSource, ExclusionReason, Failure, OutcomeStatus, Resolution, Winner
from banditd_client.errors import Internal, from_code
from banditd_client.types import (
    Candidate,
    Comparison,
    Decision,
    Limits,
    Objective,
    Outcome,
    OutcomeResult,
    Route,
)
from banditd_proto.v1 import comparison_pb2, context_pb2, decision_pb2, outcome_pb2, router_pb2, routing_service_pb2

E_ = TypeVar("E_", bound=StrEnum)

DECISION_ID_BYTES = 16


def members(enum_class: type[E_], wire_enum: Any, prefix: str) -> Mapping[int, E_]:
    """Return the members of *enum_class* by their number on the wire; what only this client knows is left out."""
    numbers = dict(wire_enum.items())
    return {numbers[prefix + member.value]: member for member in enum_class if prefix + member.value in numbers}


def label(member: StrEnum | None, enum_class: type[E_], prefix: str) -> str | None:
    """Return the name of *member* on the wire, which protobuf takes for its number and refuses if it has none."""
    return None if member is None else prefix + enum_class(member).value


SOURCES = members(DecisionSource, decision_pb2.DecisionSource, "DECISION_SOURCE_")
EXCLUSION_REASONS = members(ExclusionReason, decision_pb2.ExclusionReason, "EXCLUSION_REASON_")
RESOLUTIONS = members(Resolution, decision_pb2.Resolution, "RESOLUTION_")
FAILURES = members(Failure, outcome_pb2.Failure, "FAILURE_")
OUTCOME_STATUSES = members(OutcomeStatus, outcome_pb2.OutcomeStatus, "OUTCOME_STATUS_")


def names(values: Iterable[str], what: str) -> list[str]:
    """Return the names as a list. TypeError for a lone string, which would fall into letters."""
    if isinstance(values, str):
        raise TypeError(f"{what}: expected several names, got one str")
    return list(values)


def time_to_wire(time: datetime | None, what: str) -> Timestamp | None:
    """Return a timestamp. ValueError without a time zone, for the server's day is not the caller's."""
    if time is None:
        return None
    if time.tzinfo is None:
        raise ValueError(f"{what}: expected a time zone, got none")
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def time_from_wire(message: Any, name: str) -> datetime | None:
    """Return a field of type Timestamp, in UTC; None if unset."""
    return getattr(message, name).ToDatetime(tzinfo=UTC) if message.HasField(name) else None


def present(message: Any, name: str) -> Any:
    """Return a field that keeps presence; None if unset."""
    return getattr(message, name) if message.HasField(name) else None


def limits_to_wire(limits: Limits | None) -> routing_service_pb2.Limits | None:
    """Return the limits, or None for none."""
    if limits is None:
        return None
    return routing_service_pb2.Limits(
        cost_usd_max=limits.cost_usd_max,
        latency_ms_max=limits.latency_ms_max,
        quality_min=limits.quality_min,
        required_tags=names(limits.required_tags, "limits.required_tags"),
        latency_percentile=limits.latency_percentile,
    )


def objective_to_wire(objective: Objective | None) -> router_pb2.Objective | None:
    """Return the trade-off, or None for the router's."""
    if objective is None:
        return None
    return router_pb2.Objective(usd_weight=objective.usd_weight, second_weight=objective.second_weight)


def outcome_to_wire(outcome: Outcome) -> outcome_pb2.Outcome:
    """Return an outcome. ValueError for a failure UNKNOWN or a time without a zone."""
    return outcome_pb2.Outcome(
        decision_id=outcome.decision_id,
        outcome_id=outcome.outcome_id,
        quality=outcome.quality,
        cost_usd=outcome.cost_usd,
        input_token_count=outcome.input_tokens,
        cached_input_token_count=outcome.cached_input_tokens,
        output_token_count=outcome.output_tokens,
        latency_ms=outcome.latency_ms,
        failure=label(outcome.failure, Failure, "FAILURE_"),
        served_model_id=outcome.served_model,
        observe_time=time_to_wire(outcome.observed_at, "observed_at"),
    )


def comparison_to_wire(
    comparison: Comparison, *, decision_id: str, context: context_pb2.Context | None, router: str
) -> comparison_pb2.Comparison:
    """Return a comparison. ValueError if the one shown first is neither of the two."""
    models = {"": 0, comparison.model_a: 1, comparison.model_b: 2}
    if comparison.first not in models:
        raise ValueError(f"first: expected one of the two models, got {comparison.first!r}")
    message = comparison_pb2.Comparison(
        decision_id=decision_id,
        context=context,
        router_id=router,
        comparison_id=comparison.comparison_id,
        model_a_id=comparison.model_a,
        model_b_id=comparison.model_b,
        winner=label(comparison.winner, Winner, "WINNER_"),
        judge=comparison.judge,
        strength=comparison.strength,
    )
    if comparison.first:
        a = comparison.first == comparison.model_a
        message.shown_first = comparison_pb2.SHOWN_FIRST_A if a else comparison_pb2.SHOWN_FIRST_B
    return message


def outcome_from_wire(message: outcome_pb2.Outcome) -> Outcome:
    """Return an outcome."""
    return Outcome(
        decision_id=message.decision_id,
        outcome_id=message.outcome_id,
        quality=present(message, "quality"),
        cost_usd=present(message, "cost_usd"),
        input_tokens=present(message, "input_token_count"),
        cached_input_tokens=present(message, "cached_input_token_count"),
        output_tokens=present(message, "output_token_count"),
        latency_ms=present(message, "latency_ms"),
        failure=FAILURES.get(message.failure, Failure.UNKNOWN) if message.failure else None,
        served_model=message.served_model_id,
        observed_at=time_from_wire(message, "observe_time"),
    )


def outcome_status_from_wire(
    message: routing_service_pb2.RecordOutcomeResponse | routing_service_pb2.RecordComparisonResponse,
) -> OutcomeStatus:
    """Return what became of an outcome."""
    return OUTCOME_STATUSES.get(message.status, OutcomeStatus.UNKNOWN)


def outcome_results_from_wire(
    message: routing_service_pb2.RecordOutcomesResponse, outcome_count: int
) -> list[OutcomeResult]:
    """Return what became of each outcome, refusals as errors. Internal if there is not one for each."""
    _expect("results", len(message.results), outcome_count)
    return [
        OutcomeResult(None, from_code(result.error_code, result.error_message, result.error_reason))
        if result.error_code
        else OutcomeResult(OUTCOME_STATUSES.get(result.status, OutcomeStatus.UNKNOWN))
        for result in message.results
    ]


def candidate_from_wire(message: decision_pb2.Candidate) -> Candidate:
    """Return a candidate."""
    reason = message.exclusion_reason
    return Candidate(
        model=message.model_id,
        probability=message.probability,
        expected_quality=present(message, "expected_quality"),
        expected_cost_usd=present(message, "expected_cost_usd"),
        expected_latency_ms=present(message, "expected_latency_ms"),
        exclusion_reason=EXCLUSION_REASONS.get(reason, ExclusionReason.UNKNOWN) if reason else None,
        rival_probability=present(message, "rival_probability"),
    )


def route_from_wire(message: routing_service_pb2.RouteResponse) -> Route:
    """Return a route."""
    return Route(
        decision_id=message.decision_id,
        model=message.model_id,
        propensity=message.propensity,
        candidates=tuple(candidate_from_wire(candidate) for candidate in message.candidates),
        policy_version=message.policy_version,
        source=SOURCES.get(message.source, DecisionSource.UNKNOWN),
        learnable=message.learnable,
        create_time=time_from_wire(message, "create_time"),
        rival=message.rival_model_id,
        pair_propensity=message.pair_propensity or None,
    )


def decision_from_wire(message: decision_pb2.Decision) -> Decision:
    """Return a decision."""
    return Decision(
        decision_id=message.decision_id,
        router=message.router_id,
        request_id=message.request_id,
        create_time=time_from_wire(message, "create_time"),
        model=message.model_id,
        propensity=message.propensity,
        candidates=tuple(candidate_from_wire(candidate) for candidate in message.candidates),
        policy_version=message.policy_version,
        policy=message.policy,
        source=SOURCES.get(message.source, DecisionSource.UNKNOWN),
        learnable=message.learnable,
        resolution=RESOLUTIONS.get(message.resolution, Resolution.UNKNOWN),
        outcomes=tuple(outcome_from_wire(outcome) for outcome in message.outcomes),
        previous_model=message.previous_model_id,
        rival=message.rival_model_id,
        pair_propensity=message.pair_propensity or None,
    )


def batch_from_wire(message: routing_service_pb2.RouteBatchResponse) -> RouteBatch:
    """Return the columns. Internal (`MALFORMED_RESPONSE`) if one has another length than the others ask for."""
    model_ids = tuple(message.model_ids)
    ids = message.decision_ids.hex()
    digits = 2 * DECISION_ID_BYTES
    rows, models = len(ids) // digits, len(model_ids)
    _expect("decision_ids", len(message.decision_ids), rows * DECISION_ID_BYTES)
    indices = list(message.model_indices)
    for name, values in (("model_indices", indices), ("ranked_model_indices", message.ranked_model_indices)):
        if any(not 0 <= index < models for index in values):
            raise Internal(f"{name}: expected indices of model_ids", code="INTERNAL", reason="MALFORMED_RESPONSE")
    reasons = message.exclusion_reasons
    if reasons:
        _expect("exclusion_reasons", len(reasons), rows * models)
    if message.sources:
        _expect("sources", len(message.sources), rows)
    rivals = list(message.rival_indices)
    if any(not -1 <= index < models for index in rivals):
        raise Internal("rival_indices: expected an index of model_ids", code="INTERNAL", reason="MALFORMED_RESPONSE")
    return RouteBatch(
        model_ids=model_ids,
        decision_ids=tuple(ids[start : start + digits] for start in range(0, len(ids), digits)),
        model_indices=column("model_indices", "i", indices, rows),
        propensities=column("propensities", "d", message.propensities, rows),
        probabilities=column("probabilities", "d", message.probabilities, rows, models),
        expected_qualities=column("expected_qualities", "f", message.expected_qualities, rows, models),
        expected_costs_usd=column("expected_costs_usd", "f", message.expected_costs_usd, rows, models),
        expected_latencies_ms=column("expected_latencies_ms", "f", message.expected_latencies_ms, rows, models),
        ranked_model_indices=column("ranked_model_indices", "B", message.ranked_model_indices, rows, models),
        exclusion_reasons=tuple(EXCLUSION_REASONS.get(r, ExclusionReason.UNKNOWN) if r else None for r in reasons),
        sources=tuple(SOURCES.get(source, DecisionSource.UNKNOWN) for source in message.sources)
        or (DecisionSource.POLICY,) * rows,
        policy_version=message.policy_version,
        create_time=time_from_wire(message, "create_time"),
        rival_indices=column("rival_indices", "i", rivals, rows) if rivals else None,
        rival_probabilities=(
            column("rival_probabilities", "d", message.rival_probabilities, rows, models) if rivals else None
        ),
    )


def column(name: str, code: str, values: Iterable[float], *shape: int) -> memoryview:
    """Return *values* as a read-only view of *shape*, of the array type *code*. Internal if there are not as many."""
    numbers_ = array(code, values)
    _expect(name, len(numbers_), math.prod(shape))
    view = memoryview(numbers_).toreadonly()
    # memoryview refuses to give a shape to nothing.
    return view.cast("B").cast(code, shape) if len(numbers_) and len(shape) > 1 else view  # type: ignore[call-overload]


def _expect(name: str, got: int, expected: int) -> None:
    if got != expected:
        message = f"{name}: expected {expected}, got {got}"
        raise Internal(message, code="INTERNAL", reason="MALFORMED_RESPONSE")
