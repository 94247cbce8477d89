import datetime

from banditd_proto.v1 import comparison_pb2 as _comparison_pb2
from banditd_proto.v1 import context_pb2 as _context_pb2
from banditd_proto.v1 import decision_pb2 as _decision_pb2
from banditd_proto.v1 import outcome_pb2 as _outcome_pb2
from banditd_proto.v1 import router_pb2 as _router_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Limits(_message.Message):
    __slots__ = ("cost_usd_max", "latency_ms_max", "latency_percentile", "quality_min", "required_tags")
    COST_USD_MAX_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_MAX_FIELD_NUMBER: _ClassVar[int]
    LATENCY_PERCENTILE_FIELD_NUMBER: _ClassVar[int]
    QUALITY_MIN_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_TAGS_FIELD_NUMBER: _ClassVar[int]
    cost_usd_max: float
    latency_ms_max: float
    latency_percentile: float
    quality_min: float
    required_tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, cost_usd_max: _Optional[float] = ..., latency_ms_max: _Optional[float] = ..., latency_percentile: _Optional[float] = ..., quality_min: _Optional[float] = ..., required_tags: _Optional[_Iterable[str]] = ...) -> None: ...

class RouteRequest(_message.Message):
    __slots__ = ("router_id", "request_id", "context", "candidate_model_ids", "limits", "objective", "compare")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_MODEL_IDS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    COMPARE_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    request_id: str
    context: _context_pb2.Context
    candidate_model_ids: _containers.RepeatedScalarFieldContainer[str]
    limits: Limits
    objective: _router_pb2.Objective
    compare: bool
    def __init__(self, router_id: _Optional[str] = ..., request_id: _Optional[str] = ..., context: _Optional[_Union[_context_pb2.Context, _Mapping]] = ..., candidate_model_ids: _Optional[_Iterable[str]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., objective: _Optional[_Union[_router_pb2.Objective, _Mapping]] = ..., compare: bool = ...) -> None: ...

class RouteResponse(_message.Message):
    __slots__ = ("decision_id", "model_id", "propensity", "candidates", "policy_version", "source", "learnable", "create_time", "rival_model_id", "pair_propensity")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LEARNABLE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    RIVAL_MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PAIR_PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    model_id: str
    propensity: float
    candidates: _containers.RepeatedCompositeFieldContainer[_decision_pb2.Candidate]
    policy_version: int
    source: _decision_pb2.DecisionSource
    learnable: bool
    create_time: _timestamp_pb2.Timestamp
    rival_model_id: str
    pair_propensity: float
    def __init__(self, decision_id: _Optional[str] = ..., model_id: _Optional[str] = ..., propensity: _Optional[float] = ..., candidates: _Optional[_Iterable[_Union[_decision_pb2.Candidate, _Mapping]]] = ..., policy_version: _Optional[int] = ..., source: _Optional[_Union[_decision_pb2.DecisionSource, str]] = ..., learnable: bool = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rival_model_id: _Optional[str] = ..., pair_propensity: _Optional[float] = ...) -> None: ...

class RouteBatchRequest(_message.Message):
    __slots__ = ("router_id", "request_id", "embeddings_float32", "row_count", "embedding_model", "input_token_counts", "categories", "session_ids", "candidate_model_ids", "limits", "objective", "compare")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_FLOAT32_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKEN_COUNTS_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    SESSION_IDS_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_MODEL_IDS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    COMPARE_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    request_id: str
    embeddings_float32: bytes
    row_count: int
    embedding_model: str
    input_token_counts: _containers.RepeatedScalarFieldContainer[int]
    categories: _containers.RepeatedScalarFieldContainer[str]
    session_ids: _containers.RepeatedScalarFieldContainer[str]
    candidate_model_ids: _containers.RepeatedScalarFieldContainer[str]
    limits: Limits
    objective: _router_pb2.Objective
    compare: bool
    def __init__(self, router_id: _Optional[str] = ..., request_id: _Optional[str] = ..., embeddings_float32: _Optional[bytes] = ..., row_count: _Optional[int] = ..., embedding_model: _Optional[str] = ..., input_token_counts: _Optional[_Iterable[int]] = ..., categories: _Optional[_Iterable[str]] = ..., session_ids: _Optional[_Iterable[str]] = ..., candidate_model_ids: _Optional[_Iterable[str]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., objective: _Optional[_Union[_router_pb2.Objective, _Mapping]] = ..., compare: bool = ...) -> None: ...

class RouteBatchResponse(_message.Message):
    __slots__ = ("model_ids", "decision_ids", "model_indices", "propensities", "probabilities", "expected_qualities", "expected_costs_usd", "expected_latencies_ms", "exclusion_reasons", "policy_version", "sources", "create_time", "ranked_model_indices", "rival_indices", "rival_probabilities")
    MODEL_IDS_FIELD_NUMBER: _ClassVar[int]
    DECISION_IDS_FIELD_NUMBER: _ClassVar[int]
    MODEL_INDICES_FIELD_NUMBER: _ClassVar[int]
    PROPENSITIES_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_QUALITIES_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_COSTS_USD_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_LATENCIES_MS_FIELD_NUMBER: _ClassVar[int]
    EXCLUSION_REASONS_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    RANKED_MODEL_INDICES_FIELD_NUMBER: _ClassVar[int]
    RIVAL_INDICES_FIELD_NUMBER: _ClassVar[int]
    RIVAL_PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    model_ids: _containers.RepeatedScalarFieldContainer[str]
    decision_ids: bytes
    model_indices: _containers.RepeatedScalarFieldContainer[int]
    propensities: _containers.RepeatedScalarFieldContainer[float]
    probabilities: _containers.RepeatedScalarFieldContainer[float]
    expected_qualities: _containers.RepeatedScalarFieldContainer[float]
    expected_costs_usd: _containers.RepeatedScalarFieldContainer[float]
    expected_latencies_ms: _containers.RepeatedScalarFieldContainer[float]
    exclusion_reasons: _containers.RepeatedScalarFieldContainer[_decision_pb2.ExclusionReason]
    policy_version: int
    sources: _containers.RepeatedScalarFieldContainer[_decision_pb2.DecisionSource]
    create_time: _timestamp_pb2.Timestamp
    ranked_model_indices: bytes
    rival_indices: _containers.RepeatedScalarFieldContainer[int]
    rival_probabilities: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, model_ids: _Optional[_Iterable[str]] = ..., decision_ids: _Optional[bytes] = ..., model_indices: _Optional[_Iterable[int]] = ..., propensities: _Optional[_Iterable[float]] = ..., probabilities: _Optional[_Iterable[float]] = ..., expected_qualities: _Optional[_Iterable[float]] = ..., expected_costs_usd: _Optional[_Iterable[float]] = ..., expected_latencies_ms: _Optional[_Iterable[float]] = ..., exclusion_reasons: _Optional[_Iterable[_Union[_decision_pb2.ExclusionReason, str]]] = ..., policy_version: _Optional[int] = ..., sources: _Optional[_Iterable[_Union[_decision_pb2.DecisionSource, str]]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ranked_model_indices: _Optional[bytes] = ..., rival_indices: _Optional[_Iterable[int]] = ..., rival_probabilities: _Optional[_Iterable[float]] = ...) -> None: ...

class RecordOutcomeRequest(_message.Message):
    __slots__ = ("outcome",)
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    outcome: _outcome_pb2.Outcome
    def __init__(self, outcome: _Optional[_Union[_outcome_pb2.Outcome, _Mapping]] = ...) -> None: ...

class RecordOutcomeResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: _outcome_pb2.OutcomeStatus
    def __init__(self, status: _Optional[_Union[_outcome_pb2.OutcomeStatus, str]] = ...) -> None: ...

class RecordOutcomesRequest(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[_outcome_pb2.Outcome]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[_outcome_pb2.Outcome, _Mapping]]] = ...) -> None: ...

class OutcomeResult(_message.Message):
    __slots__ = ("status", "error_code", "error_reason", "error_message")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_REASON_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    status: _outcome_pb2.OutcomeStatus
    error_code: int
    error_reason: str
    error_message: str
    def __init__(self, status: _Optional[_Union[_outcome_pb2.OutcomeStatus, str]] = ..., error_code: _Optional[int] = ..., error_reason: _Optional[str] = ..., error_message: _Optional[str] = ...) -> None: ...

class RecordOutcomesResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[OutcomeResult]
    def __init__(self, results: _Optional[_Iterable[_Union[OutcomeResult, _Mapping]]] = ...) -> None: ...

class RecordComparisonRequest(_message.Message):
    __slots__ = ("comparison",)
    COMPARISON_FIELD_NUMBER: _ClassVar[int]
    comparison: _comparison_pb2.Comparison
    def __init__(self, comparison: _Optional[_Union[_comparison_pb2.Comparison, _Mapping]] = ...) -> None: ...

class RecordComparisonResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: _outcome_pb2.OutcomeStatus
    def __init__(self, status: _Optional[_Union[_outcome_pb2.OutcomeStatus, str]] = ...) -> None: ...

class GetDecisionRequest(_message.Message):
    __slots__ = ("decision_id",)
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    def __init__(self, decision_id: _Optional[str] = ...) -> None: ...

class GetDecisionResponse(_message.Message):
    __slots__ = ("decision",)
    DECISION_FIELD_NUMBER: _ClassVar[int]
    decision: _decision_pb2.Decision
    def __init__(self, decision: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ...) -> None: ...

class ModelPropensity(_message.Message):
    __slots__ = ("model_id", "propensity")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    propensity: float
    def __init__(self, model_id: _Optional[str] = ..., propensity: _Optional[float] = ...) -> None: ...

class ReportDecisionRequest(_message.Message):
    __slots__ = ("router_id", "request_id", "context", "model_id", "propensities", "objective")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROPENSITIES_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    request_id: str
    context: _context_pb2.Context
    model_id: str
    propensities: _containers.RepeatedCompositeFieldContainer[ModelPropensity]
    objective: _router_pb2.Objective
    def __init__(self, router_id: _Optional[str] = ..., request_id: _Optional[str] = ..., context: _Optional[_Union[_context_pb2.Context, _Mapping]] = ..., model_id: _Optional[str] = ..., propensities: _Optional[_Iterable[_Union[ModelPropensity, _Mapping]]] = ..., objective: _Optional[_Union[_router_pb2.Objective, _Mapping]] = ...) -> None: ...

class ReportDecisionResponse(_message.Message):
    __slots__ = ("decision_id", "create_time")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, decision_id: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
