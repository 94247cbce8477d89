import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from banditd_proto.v1 import model_pb2 as _model_pb2
from banditd_proto.v1 import router_pb2 as _router_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelBelief(_message.Message):
    __slots__ = ("model_id", "decision_count", "quality_count", "cost_count", "latency_count", "failure_count", "unpriced", "quality", "cost_usd", "latency_ms", "quality_deviation", "probability_sum", "probability_min", "health", "health_until_time", "newcomer", "quality_alarm_count", "cost_alarm_count", "latency_alarm_count", "last_alarm_time", "observed_count", "missing_count", "observation_probability", "context_observation_probability")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUALITY_COUNT_FIELD_NUMBER: _ClassVar[int]
    COST_COUNT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNPRICED_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    QUALITY_DEVIATION_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_SUM_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_MIN_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    HEALTH_UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    NEWCOMER_FIELD_NUMBER: _ClassVar[int]
    QUALITY_ALARM_COUNT_FIELD_NUMBER: _ClassVar[int]
    COST_ALARM_COUNT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_ALARM_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_ALARM_TIME_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_COUNT_FIELD_NUMBER: _ClassVar[int]
    MISSING_COUNT_FIELD_NUMBER: _ClassVar[int]
    OBSERVATION_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_OBSERVATION_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    decision_count: int
    quality_count: int
    cost_count: int
    latency_count: int
    failure_count: int
    unpriced: bool
    quality: float
    cost_usd: float
    latency_ms: float
    quality_deviation: float
    probability_sum: float
    probability_min: float
    health: _model_pb2.ModelHealth
    health_until_time: _timestamp_pb2.Timestamp
    newcomer: bool
    quality_alarm_count: int
    cost_alarm_count: int
    latency_alarm_count: int
    last_alarm_time: _timestamp_pb2.Timestamp
    observed_count: int
    missing_count: int
    observation_probability: float
    context_observation_probability: float
    def __init__(self, model_id: _Optional[str] = ..., decision_count: _Optional[int] = ..., quality_count: _Optional[int] = ..., cost_count: _Optional[int] = ..., latency_count: _Optional[int] = ..., failure_count: _Optional[int] = ..., unpriced: bool = ..., quality: _Optional[float] = ..., cost_usd: _Optional[float] = ..., latency_ms: _Optional[float] = ..., quality_deviation: _Optional[float] = ..., probability_sum: _Optional[float] = ..., probability_min: _Optional[float] = ..., health: _Optional[_Union[_model_pb2.ModelHealth, str]] = ..., health_until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., newcomer: bool = ..., quality_alarm_count: _Optional[int] = ..., cost_alarm_count: _Optional[int] = ..., latency_alarm_count: _Optional[int] = ..., last_alarm_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., observed_count: _Optional[int] = ..., missing_count: _Optional[int] = ..., observation_probability: _Optional[float] = ..., context_observation_probability: _Optional[float] = ...) -> None: ...

class OutcomeBooks(_message.Message):
    __slots__ = ("received_count", "applied_count", "duplicate_count", "late_count", "rejected_count", "waiting_count", "overridden_count", "not_learned_count", "orphaned_count")
    RECEIVED_COUNT_FIELD_NUMBER: _ClassVar[int]
    APPLIED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_COUNT_FIELD_NUMBER: _ClassVar[int]
    LATE_COUNT_FIELD_NUMBER: _ClassVar[int]
    REJECTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    WAITING_COUNT_FIELD_NUMBER: _ClassVar[int]
    OVERRIDDEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    NOT_LEARNED_COUNT_FIELD_NUMBER: _ClassVar[int]
    ORPHANED_COUNT_FIELD_NUMBER: _ClassVar[int]
    received_count: int
    applied_count: int
    duplicate_count: int
    late_count: int
    rejected_count: int
    waiting_count: int
    overridden_count: int
    not_learned_count: int
    orphaned_count: int
    def __init__(self, received_count: _Optional[int] = ..., applied_count: _Optional[int] = ..., duplicate_count: _Optional[int] = ..., late_count: _Optional[int] = ..., rejected_count: _Optional[int] = ..., waiting_count: _Optional[int] = ..., overridden_count: _Optional[int] = ..., not_learned_count: _Optional[int] = ..., orphaned_count: _Optional[int] = ...) -> None: ...

class DecisionBooks(_message.Message):
    __slots__ = ("decision_count", "observed_count", "expired_count", "censored_count", "waiting_count")
    DECISION_COUNT_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_COUNT_FIELD_NUMBER: _ClassVar[int]
    CENSORED_COUNT_FIELD_NUMBER: _ClassVar[int]
    WAITING_COUNT_FIELD_NUMBER: _ClassVar[int]
    decision_count: int
    observed_count: int
    expired_count: int
    censored_count: int
    waiting_count: int
    def __init__(self, decision_count: _Optional[int] = ..., observed_count: _Optional[int] = ..., expired_count: _Optional[int] = ..., censored_count: _Optional[int] = ..., waiting_count: _Optional[int] = ...) -> None: ...

class BudgetStatus(_message.Message):
    __slots__ = ("shadow_usd_weight", "target_usd", "spent_usd", "request_count", "window_end_time")
    SHADOW_USD_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    TARGET_USD_FIELD_NUMBER: _ClassVar[int]
    SPENT_USD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_COUNT_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_TIME_FIELD_NUMBER: _ClassVar[int]
    shadow_usd_weight: float
    target_usd: float
    spent_usd: float
    request_count: int
    window_end_time: _timestamp_pb2.Timestamp
    def __init__(self, shadow_usd_weight: _Optional[float] = ..., target_usd: _Optional[float] = ..., spent_usd: _Optional[float] = ..., request_count: _Optional[int] = ..., window_end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PolicyStatus(_message.Message):
    __slots__ = ("router_id", "policy", "policy_version", "state_digest", "feature_fingerprint", "embedding_dimension", "feature_fit_position", "models", "outcomes", "decisions", "budget", "comparison_count", "portfolio_members")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_DIMENSION_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIT_POSITION_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    COMPARISON_COUNT_FIELD_NUMBER: _ClassVar[int]
    PORTFOLIO_MEMBERS_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    policy: _router_pb2.Policy
    policy_version: int
    state_digest: str
    feature_fingerprint: str
    embedding_dimension: int
    feature_fit_position: int
    models: _containers.RepeatedCompositeFieldContainer[ModelBelief]
    outcomes: OutcomeBooks
    decisions: DecisionBooks
    budget: BudgetStatus
    comparison_count: int
    portfolio_members: _containers.RepeatedCompositeFieldContainer[PortfolioMember]
    def __init__(self, router_id: _Optional[str] = ..., policy: _Optional[_Union[_router_pb2.Policy, _Mapping]] = ..., policy_version: _Optional[int] = ..., state_digest: _Optional[str] = ..., feature_fingerprint: _Optional[str] = ..., embedding_dimension: _Optional[int] = ..., feature_fit_position: _Optional[int] = ..., models: _Optional[_Iterable[_Union[ModelBelief, _Mapping]]] = ..., outcomes: _Optional[_Union[OutcomeBooks, _Mapping]] = ..., decisions: _Optional[_Union[DecisionBooks, _Mapping]] = ..., budget: _Optional[_Union[BudgetStatus, _Mapping]] = ..., comparison_count: _Optional[int] = ..., portfolio_members: _Optional[_Iterable[_Union[PortfolioMember, _Mapping]]] = ...) -> None: ...

class PortfolioMember(_message.Message):
    __slots__ = ("preset", "mix_weight", "priced_mix_weight")
    PRESET_FIELD_NUMBER: _ClassVar[int]
    MIX_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    PRICED_MIX_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    preset: str
    mix_weight: float
    priced_mix_weight: float
    def __init__(self, preset: _Optional[str] = ..., mix_weight: _Optional[float] = ..., priced_mix_weight: _Optional[float] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("router_id", "policy_version", "create_time", "size_bytes", "policy")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    policy_version: int
    create_time: _timestamp_pb2.Timestamp
    size_bytes: int
    policy: str
    def __init__(self, router_id: _Optional[str] = ..., policy_version: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., size_bytes: _Optional[int] = ..., policy: _Optional[str] = ...) -> None: ...
