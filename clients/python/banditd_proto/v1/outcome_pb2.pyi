import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Failure(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAILURE_UNSPECIFIED: _ClassVar[Failure]
    FAILURE_TIMEOUT: _ClassVar[Failure]
    FAILURE_RATE_LIMIT: _ClassVar[Failure]
    FAILURE_REFUSAL: _ClassVar[Failure]
    FAILURE_MALFORMED_OUTPUT: _ClassVar[Failure]
    FAILURE_UNAVAILABLE: _ClassVar[Failure]

class OutcomeStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_STATUS_UNSPECIFIED: _ClassVar[OutcomeStatus]
    OUTCOME_STATUS_APPLIED: _ClassVar[OutcomeStatus]
    OUTCOME_STATUS_DUPLICATE: _ClassVar[OutcomeStatus]
    OUTCOME_STATUS_LATE: _ClassVar[OutcomeStatus]
    OUTCOME_STATUS_OVERRIDDEN: _ClassVar[OutcomeStatus]
    OUTCOME_STATUS_NOT_LEARNED: _ClassVar[OutcomeStatus]
    OUTCOME_STATUS_ORPHANED: _ClassVar[OutcomeStatus]
FAILURE_UNSPECIFIED: Failure
FAILURE_TIMEOUT: Failure
FAILURE_RATE_LIMIT: Failure
FAILURE_REFUSAL: Failure
FAILURE_MALFORMED_OUTPUT: Failure
FAILURE_UNAVAILABLE: Failure
OUTCOME_STATUS_UNSPECIFIED: OutcomeStatus
OUTCOME_STATUS_APPLIED: OutcomeStatus
OUTCOME_STATUS_DUPLICATE: OutcomeStatus
OUTCOME_STATUS_LATE: OutcomeStatus
OUTCOME_STATUS_OVERRIDDEN: OutcomeStatus
OUTCOME_STATUS_NOT_LEARNED: OutcomeStatus
OUTCOME_STATUS_ORPHANED: OutcomeStatus

class Outcome(_message.Message):
    __slots__ = ("decision_id", "outcome_id", "quality", "cost_usd", "input_token_count", "cached_input_token_count", "output_token_count", "latency_ms", "failure", "served_model_id", "observe_time")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_ID_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    SERVED_MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_TIME_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    outcome_id: str
    quality: float
    cost_usd: float
    input_token_count: int
    cached_input_token_count: int
    output_token_count: int
    latency_ms: float
    failure: Failure
    served_model_id: str
    observe_time: _timestamp_pb2.Timestamp
    def __init__(self, decision_id: _Optional[str] = ..., outcome_id: _Optional[str] = ..., quality: _Optional[float] = ..., cost_usd: _Optional[float] = ..., input_token_count: _Optional[int] = ..., cached_input_token_count: _Optional[int] = ..., output_token_count: _Optional[int] = ..., latency_ms: _Optional[float] = ..., failure: _Optional[_Union[Failure, str]] = ..., served_model_id: _Optional[str] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
