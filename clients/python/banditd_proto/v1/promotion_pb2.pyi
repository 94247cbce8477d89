import datetime

from banditd_proto.v1 import router_pb2 as _router_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_PROMOTE: _ClassVar[Verdict]
    VERDICT_NOT_BETTER: _ClassVar[Verdict]
    VERDICT_FEW_SAMPLES: _ClassVar[Verdict]
    VERDICT_COST_GUARD: _ClassVar[Verdict]
    VERDICT_LATENCY_GUARD: _ClassVar[Verdict]

class PromotionCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROMOTION_CAUSE_UNSPECIFIED: _ClassVar[PromotionCause]
    PROMOTION_CAUSE_ASKED: _ClassVar[PromotionCause]
    PROMOTION_CAUSE_RULE: _ClassVar[PromotionCause]
    PROMOTION_CAUSE_ROLLBACK: _ClassVar[PromotionCause]
    PROMOTION_CAUSE_ROLLBACK_RULE: _ClassVar[PromotionCause]
VERDICT_UNSPECIFIED: Verdict
VERDICT_PROMOTE: Verdict
VERDICT_NOT_BETTER: Verdict
VERDICT_FEW_SAMPLES: Verdict
VERDICT_COST_GUARD: Verdict
VERDICT_LATENCY_GUARD: Verdict
PROMOTION_CAUSE_UNSPECIFIED: PromotionCause
PROMOTION_CAUSE_ASKED: PromotionCause
PROMOTION_CAUSE_RULE: PromotionCause
PROMOTION_CAUSE_ROLLBACK: PromotionCause
PROMOTION_CAUSE_ROLLBACK_RULE: PromotionCause

class Evaluation(_message.Message):
    __slots__ = ("decision_count", "waiting_count", "dropped_count", "effective_sample_count", "utility", "deciding_utility", "utility_difference", "utility_difference_low", "utility_difference_high", "snips_utility", "deciding_snips_utility", "agreement_probability", "unsupported_probability", "cost_usd", "deciding_cost_usd", "latency_ms", "deciding_latency_ms")
    DECISION_COUNT_FIELD_NUMBER: _ClassVar[int]
    WAITING_COUNT_FIELD_NUMBER: _ClassVar[int]
    DROPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    UTILITY_FIELD_NUMBER: _ClassVar[int]
    DECIDING_UTILITY_FIELD_NUMBER: _ClassVar[int]
    UTILITY_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    UTILITY_DIFFERENCE_LOW_FIELD_NUMBER: _ClassVar[int]
    UTILITY_DIFFERENCE_HIGH_FIELD_NUMBER: _ClassVar[int]
    SNIPS_UTILITY_FIELD_NUMBER: _ClassVar[int]
    DECIDING_SNIPS_UTILITY_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    UNSUPPORTED_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    DECIDING_COST_USD_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    DECIDING_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    decision_count: int
    waiting_count: int
    dropped_count: int
    effective_sample_count: float
    utility: float
    deciding_utility: float
    utility_difference: float
    utility_difference_low: float
    utility_difference_high: float
    snips_utility: float
    deciding_snips_utility: float
    agreement_probability: float
    unsupported_probability: float
    cost_usd: float
    deciding_cost_usd: float
    latency_ms: float
    deciding_latency_ms: float
    def __init__(self, decision_count: _Optional[int] = ..., waiting_count: _Optional[int] = ..., dropped_count: _Optional[int] = ..., effective_sample_count: _Optional[float] = ..., utility: _Optional[float] = ..., deciding_utility: _Optional[float] = ..., utility_difference: _Optional[float] = ..., utility_difference_low: _Optional[float] = ..., utility_difference_high: _Optional[float] = ..., snips_utility: _Optional[float] = ..., deciding_snips_utility: _Optional[float] = ..., agreement_probability: _Optional[float] = ..., unsupported_probability: _Optional[float] = ..., cost_usd: _Optional[float] = ..., deciding_cost_usd: _Optional[float] = ..., latency_ms: _Optional[float] = ..., deciding_latency_ms: _Optional[float] = ...) -> None: ...

class ListedPolicy(_message.Message):
    __slots__ = ("name", "policy", "deciding", "former", "evaluation", "verdict", "promotion_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    DECIDING_FIELD_NUMBER: _ClassVar[int]
    FORMER_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    PROMOTION_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    policy: _router_pb2.Policy
    deciding: bool
    former: bool
    evaluation: Evaluation
    verdict: Verdict
    promotion_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., policy: _Optional[_Union[_router_pb2.Policy, _Mapping]] = ..., deciding: bool = ..., former: bool = ..., evaluation: _Optional[_Union[Evaluation, _Mapping]] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., promotion_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
