import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BudgetWindow(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BUDGET_WINDOW_UNSPECIFIED: _ClassVar[BudgetWindow]
    BUDGET_WINDOW_HOUR: _ClassVar[BudgetWindow]
    BUDGET_WINDOW_DAY: _ClassVar[BudgetWindow]
    BUDGET_WINDOW_MONTH: _ClassVar[BudgetWindow]
BUDGET_WINDOW_UNSPECIFIED: BudgetWindow
BUDGET_WINDOW_HOUR: BudgetWindow
BUDGET_WINDOW_DAY: BudgetWindow
BUDGET_WINDOW_MONTH: BudgetWindow

class Objective(_message.Message):
    __slots__ = ("usd_weight", "second_weight")
    USD_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    SECOND_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    usd_weight: float
    second_weight: float
    def __init__(self, usd_weight: _Optional[float] = ..., second_weight: _Optional[float] = ...) -> None: ...

class Policy(_message.Message):
    __slots__ = ("preset", "parameters", "texts")
    class ParametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class TextsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PRESET_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    preset: str
    parameters: _containers.ScalarMap[str, float]
    texts: _containers.ScalarMap[str, str]
    def __init__(self, preset: _Optional[str] = ..., parameters: _Optional[_Mapping[str, float]] = ..., texts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("amount_usd", "window", "hard")
    AMOUNT_USD_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    HARD_FIELD_NUMBER: _ClassVar[int]
    amount_usd: float
    window: BudgetWindow
    hard: bool
    def __init__(self, amount_usd: _Optional[float] = ..., window: _Optional[_Union[BudgetWindow, str]] = ..., hard: bool = ...) -> None: ...

class NamedPolicy(_message.Message):
    __slots__ = ("name", "policy")
    NAME_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    name: str
    policy: Policy
    def __init__(self, name: _Optional[str] = ..., policy: _Optional[_Union[Policy, _Mapping]] = ...) -> None: ...

class PromotionRule(_message.Message):
    __slots__ = ("automatic", "utility_margin", "effective_sample_count_min", "cost_share_max", "latency_share_max", "rollback_window_ms")
    AUTOMATIC_FIELD_NUMBER: _ClassVar[int]
    UTILITY_MARGIN_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_SAMPLE_COUNT_MIN_FIELD_NUMBER: _ClassVar[int]
    COST_SHARE_MAX_FIELD_NUMBER: _ClassVar[int]
    LATENCY_SHARE_MAX_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_WINDOW_MS_FIELD_NUMBER: _ClassVar[int]
    automatic: bool
    utility_margin: float
    effective_sample_count_min: float
    cost_share_max: float
    latency_share_max: float
    rollback_window_ms: int
    def __init__(self, automatic: bool = ..., utility_margin: _Optional[float] = ..., effective_sample_count_min: _Optional[float] = ..., cost_share_max: _Optional[float] = ..., latency_share_max: _Optional[float] = ..., rollback_window_ms: _Optional[int] = ...) -> None: ...

class Router(_message.Message):
    __slots__ = ("router_id", "embedding_dimension", "embedding_model", "model_ids", "policy", "objective", "switch_usd", "fallback_model_id", "attribution_window_ms", "default_quality", "quality_guess", "create_time", "update_time", "budget", "exploration_share", "shadows", "promotion", "policy_name")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_DIMENSION_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_IDS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    SWITCH_USD_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTION_WINDOW_MS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_QUALITY_FIELD_NUMBER: _ClassVar[int]
    QUALITY_GUESS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    EXPLORATION_SHARE_FIELD_NUMBER: _ClassVar[int]
    SHADOWS_FIELD_NUMBER: _ClassVar[int]
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    POLICY_NAME_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    embedding_dimension: int
    embedding_model: str
    model_ids: _containers.RepeatedScalarFieldContainer[str]
    policy: Policy
    objective: Objective
    switch_usd: float
    fallback_model_id: str
    attribution_window_ms: int
    default_quality: float
    quality_guess: float
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    budget: Budget
    exploration_share: float
    shadows: _containers.RepeatedCompositeFieldContainer[NamedPolicy]
    promotion: PromotionRule
    policy_name: str
    def __init__(self, router_id: _Optional[str] = ..., embedding_dimension: _Optional[int] = ..., embedding_model: _Optional[str] = ..., model_ids: _Optional[_Iterable[str]] = ..., policy: _Optional[_Union[Policy, _Mapping]] = ..., objective: _Optional[_Union[Objective, _Mapping]] = ..., switch_usd: _Optional[float] = ..., fallback_model_id: _Optional[str] = ..., attribution_window_ms: _Optional[int] = ..., default_quality: _Optional[float] = ..., quality_guess: _Optional[float] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., budget: _Optional[_Union[Budget, _Mapping]] = ..., exploration_share: _Optional[float] = ..., shadows: _Optional[_Iterable[_Union[NamedPolicy, _Mapping]]] = ..., promotion: _Optional[_Union[PromotionRule, _Mapping]] = ..., policy_name: _Optional[str] = ...) -> None: ...
