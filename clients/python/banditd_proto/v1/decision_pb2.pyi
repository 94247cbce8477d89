import datetime

from banditd_proto.v1 import outcome_pb2 as _outcome_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DecisionSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_SOURCE_UNSPECIFIED: _ClassVar[DecisionSource]
    DECISION_SOURCE_POLICY: _ClassVar[DecisionSource]
    DECISION_SOURCE_FALLBACK: _ClassVar[DecisionSource]
    DECISION_SOURCE_UNHEALTHY: _ClassVar[DecisionSource]
    DECISION_SOURCE_CALLER: _ClassVar[DecisionSource]

class ExclusionReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXCLUSION_REASON_UNSPECIFIED: _ClassVar[ExclusionReason]
    EXCLUSION_REASON_DISABLED: _ClassVar[ExclusionReason]
    EXCLUSION_REASON_TAG_MISSING: _ClassVar[ExclusionReason]
    EXCLUSION_REASON_CONTEXT_WINDOW: _ClassVar[ExclusionReason]
    EXCLUSION_REASON_PRICE_UNKNOWN: _ClassVar[ExclusionReason]
    EXCLUSION_REASON_COST_LIMIT: _ClassVar[ExclusionReason]
    EXCLUSION_REASON_LATENCY_LIMIT: _ClassVar[ExclusionReason]
    EXCLUSION_REASON_QUALITY_FLOOR: _ClassVar[ExclusionReason]
    EXCLUSION_REASON_DEGRADED: _ClassVar[ExclusionReason]
    EXCLUSION_REASON_DOWN: _ClassVar[ExclusionReason]
    EXCLUSION_REASON_BACKING_OFF: _ClassVar[ExclusionReason]
    EXCLUSION_REASON_BUDGET: _ClassVar[ExclusionReason]

class Resolution(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESOLUTION_UNSPECIFIED: _ClassVar[Resolution]
    RESOLUTION_WAITING: _ClassVar[Resolution]
    RESOLUTION_OBSERVED: _ClassVar[Resolution]
    RESOLUTION_EXPIRED: _ClassVar[Resolution]
    RESOLUTION_CENSORED: _ClassVar[Resolution]
DECISION_SOURCE_UNSPECIFIED: DecisionSource
DECISION_SOURCE_POLICY: DecisionSource
DECISION_SOURCE_FALLBACK: DecisionSource
DECISION_SOURCE_UNHEALTHY: DecisionSource
DECISION_SOURCE_CALLER: DecisionSource
EXCLUSION_REASON_UNSPECIFIED: ExclusionReason
EXCLUSION_REASON_DISABLED: ExclusionReason
EXCLUSION_REASON_TAG_MISSING: ExclusionReason
EXCLUSION_REASON_CONTEXT_WINDOW: ExclusionReason
EXCLUSION_REASON_PRICE_UNKNOWN: ExclusionReason
EXCLUSION_REASON_COST_LIMIT: ExclusionReason
EXCLUSION_REASON_LATENCY_LIMIT: ExclusionReason
EXCLUSION_REASON_QUALITY_FLOOR: ExclusionReason
EXCLUSION_REASON_DEGRADED: ExclusionReason
EXCLUSION_REASON_DOWN: ExclusionReason
EXCLUSION_REASON_BACKING_OFF: ExclusionReason
EXCLUSION_REASON_BUDGET: ExclusionReason
RESOLUTION_UNSPECIFIED: Resolution
RESOLUTION_WAITING: Resolution
RESOLUTION_OBSERVED: Resolution
RESOLUTION_EXPIRED: Resolution
RESOLUTION_CENSORED: Resolution

class Candidate(_message.Message):
    __slots__ = ("model_id", "probability", "expected_quality", "expected_cost_usd", "expected_latency_ms", "exclusion_reason", "rival_probability")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_QUALITY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_COST_USD_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    EXCLUSION_REASON_FIELD_NUMBER: _ClassVar[int]
    RIVAL_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    probability: float
    expected_quality: float
    expected_cost_usd: float
    expected_latency_ms: float
    exclusion_reason: ExclusionReason
    rival_probability: float
    def __init__(self, model_id: _Optional[str] = ..., probability: _Optional[float] = ..., expected_quality: _Optional[float] = ..., expected_cost_usd: _Optional[float] = ..., expected_latency_ms: _Optional[float] = ..., exclusion_reason: _Optional[_Union[ExclusionReason, str]] = ..., rival_probability: _Optional[float] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("decision_id", "router_id", "request_id", "create_time", "model_id", "propensity", "candidates", "previous_model_id", "policy_version", "policy", "source", "learnable", "resolution", "outcomes", "usd_weight", "second_weight", "rival_model_id", "pair_propensity")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LEARNABLE_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    USD_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    SECOND_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    RIVAL_MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PAIR_PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    router_id: str
    request_id: str
    create_time: _timestamp_pb2.Timestamp
    model_id: str
    propensity: float
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    previous_model_id: str
    policy_version: int
    policy: str
    source: DecisionSource
    learnable: bool
    resolution: Resolution
    outcomes: _containers.RepeatedCompositeFieldContainer[_outcome_pb2.Outcome]
    usd_weight: float
    second_weight: float
    rival_model_id: str
    pair_propensity: float
    def __init__(self, decision_id: _Optional[str] = ..., router_id: _Optional[str] = ..., request_id: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model_id: _Optional[str] = ..., propensity: _Optional[float] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., previous_model_id: _Optional[str] = ..., policy_version: _Optional[int] = ..., policy: _Optional[str] = ..., source: _Optional[_Union[DecisionSource, str]] = ..., learnable: bool = ..., resolution: _Optional[_Union[Resolution, str]] = ..., outcomes: _Optional[_Iterable[_Union[_outcome_pb2.Outcome, _Mapping]]] = ..., usd_weight: _Optional[float] = ..., second_weight: _Optional[float] = ..., rival_model_id: _Optional[str] = ..., pair_propensity: _Optional[float] = ...) -> None: ...
