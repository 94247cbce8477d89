import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_STATE_UNSPECIFIED: _ClassVar[ModelState]
    MODEL_STATE_ENABLED: _ClassVar[ModelState]
    MODEL_STATE_DISABLED: _ClassVar[ModelState]

class ModelHealth(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_HEALTH_UNSPECIFIED: _ClassVar[ModelHealth]
    MODEL_HEALTH_HEALTHY: _ClassVar[ModelHealth]
    MODEL_HEALTH_DEGRADED: _ClassVar[ModelHealth]
    MODEL_HEALTH_DOWN: _ClassVar[ModelHealth]
    MODEL_HEALTH_PROBING: _ClassVar[ModelHealth]
    MODEL_HEALTH_BACKING_OFF: _ClassVar[ModelHealth]
MODEL_STATE_UNSPECIFIED: ModelState
MODEL_STATE_ENABLED: ModelState
MODEL_STATE_DISABLED: ModelState
MODEL_HEALTH_UNSPECIFIED: ModelHealth
MODEL_HEALTH_HEALTHY: ModelHealth
MODEL_HEALTH_DEGRADED: ModelHealth
MODEL_HEALTH_DOWN: ModelHealth
MODEL_HEALTH_PROBING: ModelHealth
MODEL_HEALTH_BACKING_OFF: ModelHealth

class Price(_message.Message):
    __slots__ = ("input_mtok_usd", "output_mtok_usd", "cached_input_mtok_usd", "request_usd")
    INPUT_MTOK_USD_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_MTOK_USD_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_MTOK_USD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_USD_FIELD_NUMBER: _ClassVar[int]
    input_mtok_usd: float
    output_mtok_usd: float
    cached_input_mtok_usd: float
    request_usd: float
    def __init__(self, input_mtok_usd: _Optional[float] = ..., output_mtok_usd: _Optional[float] = ..., cached_input_mtok_usd: _Optional[float] = ..., request_usd: _Optional[float] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("model_id", "price", "context_window_token_count", "tags", "state", "quality_guess", "latency_ms_guess", "create_time", "update_time", "sibling_model_id")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WINDOW_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    QUALITY_GUESS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_GUESS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    SIBLING_MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    price: Price
    context_window_token_count: int
    tags: _containers.RepeatedScalarFieldContainer[str]
    state: ModelState
    quality_guess: float
    latency_ms_guess: float
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    sibling_model_id: str
    def __init__(self, model_id: _Optional[str] = ..., price: _Optional[_Union[Price, _Mapping]] = ..., context_window_token_count: _Optional[int] = ..., tags: _Optional[_Iterable[str]] = ..., state: _Optional[_Union[ModelState, str]] = ..., quality_guess: _Optional[float] = ..., latency_ms_guess: _Optional[float] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sibling_model_id: _Optional[str] = ...) -> None: ...
