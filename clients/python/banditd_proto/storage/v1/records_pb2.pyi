from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RecordKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECORD_KIND_UNSPECIFIED: _ClassVar[RecordKind]
    RECORD_KIND_DECISION: _ClassVar[RecordKind]
    RECORD_KIND_OUTCOME: _ClassVar[RecordKind]
    RECORD_KIND_EXPIRY: _ClassVar[RecordKind]
    RECORD_KIND_MODEL_CHANGE: _ClassVar[RecordKind]
    RECORD_KIND_ROUTER_CHANGE: _ClassVar[RecordKind]
    RECORD_KIND_FEATURE_FIT: _ClassVar[RecordKind]
    RECORD_KIND_RESTORE: _ClassVar[RecordKind]
    RECORD_KIND_COMPARISON: _ClassVar[RecordKind]
    RECORD_KIND_HEALTH_CHANGE: _ClassVar[RecordKind]
    RECORD_KIND_CHANGE_ALARM: _ClassVar[RecordKind]
    RECORD_KIND_EXAMPLE: _ClassVar[RecordKind]
    RECORD_KIND_PROMOTION: _ClassVar[RecordKind]
    RECORD_KIND_LEADERBOARD_PRIOR: _ClassVar[RecordKind]
RECORD_KIND_UNSPECIFIED: RecordKind
RECORD_KIND_DECISION: RecordKind
RECORD_KIND_OUTCOME: RecordKind
RECORD_KIND_EXPIRY: RecordKind
RECORD_KIND_MODEL_CHANGE: RecordKind
RECORD_KIND_ROUTER_CHANGE: RecordKind
RECORD_KIND_FEATURE_FIT: RecordKind
RECORD_KIND_RESTORE: RecordKind
RECORD_KIND_COMPARISON: RecordKind
RECORD_KIND_HEALTH_CHANGE: RecordKind
RECORD_KIND_CHANGE_ALARM: RecordKind
RECORD_KIND_EXAMPLE: RecordKind
RECORD_KIND_PROMOTION: RecordKind
RECORD_KIND_LEADERBOARD_PRIOR: RecordKind

class Decision(_message.Message):
    __slots__ = ("router_id", "decision_id", "request_id", "request_digest", "embedding_float16", "input_token_count", "category", "session_id", "previous_slot", "slots", "pmf", "exclusions", "expected", "slot", "propensity", "uniform", "policy_version", "policy", "source", "learnable", "usd_weight", "second_weight", "batch_row", "batch_row_count", "limits", "shadow_price_low", "shadow_price_high", "shadow_price_share_high", "exploration_allowance_usd", "rival_slot", "rival_pmf")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FLOAT16_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_SLOT_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    PMF_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIONS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    UNIFORM_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LEARNABLE_FIELD_NUMBER: _ClassVar[int]
    USD_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    SECOND_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    BATCH_ROW_FIELD_NUMBER: _ClassVar[int]
    BATCH_ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    SHADOW_PRICE_LOW_FIELD_NUMBER: _ClassVar[int]
    SHADOW_PRICE_HIGH_FIELD_NUMBER: _ClassVar[int]
    SHADOW_PRICE_SHARE_HIGH_FIELD_NUMBER: _ClassVar[int]
    EXPLORATION_ALLOWANCE_USD_FIELD_NUMBER: _ClassVar[int]
    RIVAL_SLOT_FIELD_NUMBER: _ClassVar[int]
    RIVAL_PMF_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    decision_id: bytes
    request_id: str
    request_digest: bytes
    embedding_float16: bytes
    input_token_count: int
    category: str
    session_id: str
    previous_slot: int
    slots: bytes
    pmf: bytes
    exclusions: bytes
    expected: bytes
    slot: int
    propensity: float
    uniform: float
    policy_version: int
    policy: str
    source: int
    learnable: bool
    usd_weight: float
    second_weight: float
    batch_row: int
    batch_row_count: int
    limits: Limits
    shadow_price_low: float
    shadow_price_high: float
    shadow_price_share_high: float
    exploration_allowance_usd: float
    rival_slot: int
    rival_pmf: bytes
    def __init__(self, router_id: _Optional[str] = ..., decision_id: _Optional[bytes] = ..., request_id: _Optional[str] = ..., request_digest: _Optional[bytes] = ..., embedding_float16: _Optional[bytes] = ..., input_token_count: _Optional[int] = ..., category: _Optional[str] = ..., session_id: _Optional[str] = ..., previous_slot: _Optional[int] = ..., slots: _Optional[bytes] = ..., pmf: _Optional[bytes] = ..., exclusions: _Optional[bytes] = ..., expected: _Optional[bytes] = ..., slot: _Optional[int] = ..., propensity: _Optional[float] = ..., uniform: _Optional[float] = ..., policy_version: _Optional[int] = ..., policy: _Optional[str] = ..., source: _Optional[int] = ..., learnable: bool = ..., usd_weight: _Optional[float] = ..., second_weight: _Optional[float] = ..., batch_row: _Optional[int] = ..., batch_row_count: _Optional[int] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., shadow_price_low: _Optional[float] = ..., shadow_price_high: _Optional[float] = ..., shadow_price_share_high: _Optional[float] = ..., exploration_allowance_usd: _Optional[float] = ..., rival_slot: _Optional[int] = ..., rival_pmf: _Optional[bytes] = ...) -> None: ...

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

class Outcome(_message.Message):
    __slots__ = ("decision_position", "decision_id", "outcome_id", "quality", "cost_usd", "input_token_count", "cached_input_token_count", "output_token_count", "latency_ms", "failure", "served_slot", "observe_time_ms", "status", "learnt_metrics", "learnt_cost_usd", "learnt_price_mtok_usd", "learnt_fee_usd", "resolution", "router_id", "health_slot")
    DECISION_POSITION_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_ID_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    SERVED_SLOT_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LEARNT_METRICS_FIELD_NUMBER: _ClassVar[int]
    LEARNT_COST_USD_FIELD_NUMBER: _ClassVar[int]
    LEARNT_PRICE_MTOK_USD_FIELD_NUMBER: _ClassVar[int]
    LEARNT_FEE_USD_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    HEALTH_SLOT_FIELD_NUMBER: _ClassVar[int]
    decision_position: int
    decision_id: bytes
    outcome_id: str
    quality: float
    cost_usd: float
    input_token_count: int
    cached_input_token_count: int
    output_token_count: int
    latency_ms: float
    failure: int
    served_slot: int
    observe_time_ms: int
    status: int
    learnt_metrics: int
    learnt_cost_usd: float
    learnt_price_mtok_usd: float
    learnt_fee_usd: float
    resolution: int
    router_id: str
    health_slot: int
    def __init__(self, decision_position: _Optional[int] = ..., decision_id: _Optional[bytes] = ..., outcome_id: _Optional[str] = ..., quality: _Optional[float] = ..., cost_usd: _Optional[float] = ..., input_token_count: _Optional[int] = ..., cached_input_token_count: _Optional[int] = ..., output_token_count: _Optional[int] = ..., latency_ms: _Optional[float] = ..., failure: _Optional[int] = ..., served_slot: _Optional[int] = ..., observe_time_ms: _Optional[int] = ..., status: _Optional[int] = ..., learnt_metrics: _Optional[int] = ..., learnt_cost_usd: _Optional[float] = ..., learnt_price_mtok_usd: _Optional[float] = ..., learnt_fee_usd: _Optional[float] = ..., resolution: _Optional[int] = ..., router_id: _Optional[str] = ..., health_slot: _Optional[int] = ...) -> None: ...

class Expiry(_message.Message):
    __slots__ = ("router_id", "decision_positions", "quality")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_POSITIONS_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    decision_positions: _containers.RepeatedScalarFieldContainer[int]
    quality: float
    def __init__(self, router_id: _Optional[str] = ..., decision_positions: _Optional[_Iterable[int]] = ..., quality: _Optional[float] = ...) -> None: ...

class ModelChange(_message.Message):
    __slots__ = ("slot", "model_id", "deleted", "input_mtok_usd", "output_mtok_usd", "cached_input_mtok_usd", "request_usd", "context_window_token_count", "tags", "state", "quality_guess", "latency_ms_guess", "create_time_ms", "update_time_ms", "sibling_model_id")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    INPUT_MTOK_USD_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_MTOK_USD_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_MTOK_USD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_USD_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WINDOW_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    QUALITY_GUESS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_GUESS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    SIBLING_MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    slot: int
    model_id: str
    deleted: bool
    input_mtok_usd: float
    output_mtok_usd: float
    cached_input_mtok_usd: float
    request_usd: float
    context_window_token_count: int
    tags: _containers.RepeatedScalarFieldContainer[str]
    state: int
    quality_guess: float
    latency_ms_guess: float
    create_time_ms: int
    update_time_ms: int
    sibling_model_id: str
    def __init__(self, slot: _Optional[int] = ..., model_id: _Optional[str] = ..., deleted: bool = ..., input_mtok_usd: _Optional[float] = ..., output_mtok_usd: _Optional[float] = ..., cached_input_mtok_usd: _Optional[float] = ..., request_usd: _Optional[float] = ..., context_window_token_count: _Optional[int] = ..., tags: _Optional[_Iterable[str]] = ..., state: _Optional[int] = ..., quality_guess: _Optional[float] = ..., latency_ms_guess: _Optional[float] = ..., create_time_ms: _Optional[int] = ..., update_time_ms: _Optional[int] = ..., sibling_model_id: _Optional[str] = ...) -> None: ...

class RouterChange(_message.Message):
    __slots__ = ("router_id", "deleted", "embedding_dimension", "embedding_model", "model_ids", "preset", "parameters", "usd_weight", "second_weight", "switch_usd", "fallback_model_id", "attribution_window_ms", "default_quality", "quality_guess", "create_time_ms", "update_time_ms", "budget_usd", "budget_window", "budget_is_hard", "exploration_share", "texts", "policy_name", "shadows", "promotion")
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
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_DIMENSION_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_IDS_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    USD_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    SECOND_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    SWITCH_USD_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTION_WINDOW_MS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_QUALITY_FIELD_NUMBER: _ClassVar[int]
    QUALITY_GUESS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_USD_FIELD_NUMBER: _ClassVar[int]
    BUDGET_WINDOW_FIELD_NUMBER: _ClassVar[int]
    BUDGET_IS_HARD_FIELD_NUMBER: _ClassVar[int]
    EXPLORATION_SHARE_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    POLICY_NAME_FIELD_NUMBER: _ClassVar[int]
    SHADOWS_FIELD_NUMBER: _ClassVar[int]
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    deleted: bool
    embedding_dimension: int
    embedding_model: str
    model_ids: _containers.RepeatedScalarFieldContainer[str]
    preset: str
    parameters: _containers.ScalarMap[str, float]
    usd_weight: float
    second_weight: float
    switch_usd: float
    fallback_model_id: str
    attribution_window_ms: int
    default_quality: float
    quality_guess: float
    create_time_ms: int
    update_time_ms: int
    budget_usd: float
    budget_window: int
    budget_is_hard: bool
    exploration_share: float
    texts: _containers.ScalarMap[str, str]
    policy_name: str
    shadows: _containers.RepeatedCompositeFieldContainer[Shadow]
    promotion: PromotionRule
    def __init__(self, router_id: _Optional[str] = ..., deleted: bool = ..., embedding_dimension: _Optional[int] = ..., embedding_model: _Optional[str] = ..., model_ids: _Optional[_Iterable[str]] = ..., preset: _Optional[str] = ..., parameters: _Optional[_Mapping[str, float]] = ..., usd_weight: _Optional[float] = ..., second_weight: _Optional[float] = ..., switch_usd: _Optional[float] = ..., fallback_model_id: _Optional[str] = ..., attribution_window_ms: _Optional[int] = ..., default_quality: _Optional[float] = ..., quality_guess: _Optional[float] = ..., create_time_ms: _Optional[int] = ..., update_time_ms: _Optional[int] = ..., budget_usd: _Optional[float] = ..., budget_window: _Optional[int] = ..., budget_is_hard: bool = ..., exploration_share: _Optional[float] = ..., texts: _Optional[_Mapping[str, str]] = ..., policy_name: _Optional[str] = ..., shadows: _Optional[_Iterable[_Union[Shadow, _Mapping]]] = ..., promotion: _Optional[_Union[PromotionRule, _Mapping]] = ...) -> None: ...

class Shadow(_message.Message):
    __slots__ = ("name", "preset", "parameters", "texts")
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
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    preset: str
    parameters: _containers.ScalarMap[str, float]
    texts: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., preset: _Optional[str] = ..., parameters: _Optional[_Mapping[str, float]] = ..., texts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class PromotionRule(_message.Message):
    __slots__ = ("automatic", "margin", "effective_sample_count_min", "cost_ratio_max", "latency_ratio_max", "rollback_window_ms")
    AUTOMATIC_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_SAMPLE_COUNT_MIN_FIELD_NUMBER: _ClassVar[int]
    COST_RATIO_MAX_FIELD_NUMBER: _ClassVar[int]
    LATENCY_RATIO_MAX_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_WINDOW_MS_FIELD_NUMBER: _ClassVar[int]
    automatic: bool
    margin: float
    effective_sample_count_min: float
    cost_ratio_max: float
    latency_ratio_max: float
    rollback_window_ms: int
    def __init__(self, automatic: bool = ..., margin: _Optional[float] = ..., effective_sample_count_min: _Optional[float] = ..., cost_ratio_max: _Optional[float] = ..., latency_ratio_max: _Optional[float] = ..., rollback_window_ms: _Optional[int] = ...) -> None: ...

class Promotion(_message.Message):
    __slots__ = ("router_id", "name", "former", "cause", "reason", "decision_count", "difference", "low", "high", "effective_sample_count")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FORMER_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DECISION_COUNT_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    name: str
    former: str
    cause: int
    reason: str
    decision_count: int
    difference: float
    low: float
    high: float
    effective_sample_count: float
    def __init__(self, router_id: _Optional[str] = ..., name: _Optional[str] = ..., former: _Optional[str] = ..., cause: _Optional[int] = ..., reason: _Optional[str] = ..., decision_count: _Optional[int] = ..., difference: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., effective_sample_count: _Optional[float] = ...) -> None: ...

class Example(_message.Message):
    __slots__ = ("router_id", "embedding_float16", "input_token_count", "category", "lessons", "import_id", "propensity", "slots", "pmf")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FLOAT16_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    LESSONS_FIELD_NUMBER: _ClassVar[int]
    IMPORT_ID_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    PMF_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    embedding_float16: bytes
    input_token_count: int
    category: str
    lessons: _containers.RepeatedCompositeFieldContainer[ExampleLesson]
    import_id: str
    propensity: float
    slots: bytes
    pmf: bytes
    def __init__(self, router_id: _Optional[str] = ..., embedding_float16: _Optional[bytes] = ..., input_token_count: _Optional[int] = ..., category: _Optional[str] = ..., lessons: _Optional[_Iterable[_Union[ExampleLesson, _Mapping]]] = ..., import_id: _Optional[str] = ..., propensity: _Optional[float] = ..., slots: _Optional[bytes] = ..., pmf: _Optional[bytes] = ...) -> None: ...

class ExampleLesson(_message.Message):
    __slots__ = ("slot", "quality", "cost_usd", "price_mtok_usd", "latency_ms", "weight", "fee_usd")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    PRICE_MTOK_USD_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    FEE_USD_FIELD_NUMBER: _ClassVar[int]
    slot: int
    quality: float
    cost_usd: float
    price_mtok_usd: float
    latency_ms: float
    weight: float
    fee_usd: float
    def __init__(self, slot: _Optional[int] = ..., quality: _Optional[float] = ..., cost_usd: _Optional[float] = ..., price_mtok_usd: _Optional[float] = ..., latency_ms: _Optional[float] = ..., weight: _Optional[float] = ..., fee_usd: _Optional[float] = ...) -> None: ...

class LeaderboardPrior(_message.Message):
    __slots__ = ("router_id", "import_id", "standings")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    IMPORT_ID_FIELD_NUMBER: _ClassVar[int]
    STANDINGS_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    import_id: str
    standings: _containers.RepeatedCompositeFieldContainer[PriorStanding]
    def __init__(self, router_id: _Optional[str] = ..., import_id: _Optional[str] = ..., standings: _Optional[_Iterable[_Union[PriorStanding, _Mapping]]] = ...) -> None: ...

class PriorStanding(_message.Message):
    __slots__ = ("slot", "quality", "strength")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    slot: int
    quality: float
    strength: float
    def __init__(self, slot: _Optional[int] = ..., quality: _Optional[float] = ..., strength: _Optional[float] = ...) -> None: ...

class Comparison(_message.Message):
    __slots__ = ("router_id", "decision_position", "decision_id", "embedding_float16", "input_token_count", "category", "session_id", "comparison_id", "slot_a", "slot_b", "winner", "judge", "strength", "shown_first", "status", "weight")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_POSITION_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FLOAT16_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    COMPARISON_ID_FIELD_NUMBER: _ClassVar[int]
    SLOT_A_FIELD_NUMBER: _ClassVar[int]
    SLOT_B_FIELD_NUMBER: _ClassVar[int]
    WINNER_FIELD_NUMBER: _ClassVar[int]
    JUDGE_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIRST_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    decision_position: int
    decision_id: bytes
    embedding_float16: bytes
    input_token_count: int
    category: str
    session_id: str
    comparison_id: str
    slot_a: int
    slot_b: int
    winner: int
    judge: str
    strength: float
    shown_first: int
    status: int
    weight: float
    def __init__(self, router_id: _Optional[str] = ..., decision_position: _Optional[int] = ..., decision_id: _Optional[bytes] = ..., embedding_float16: _Optional[bytes] = ..., input_token_count: _Optional[int] = ..., category: _Optional[str] = ..., session_id: _Optional[str] = ..., comparison_id: _Optional[str] = ..., slot_a: _Optional[int] = ..., slot_b: _Optional[int] = ..., winner: _Optional[int] = ..., judge: _Optional[str] = ..., strength: _Optional[float] = ..., shown_first: _Optional[int] = ..., status: _Optional[int] = ..., weight: _Optional[float] = ...) -> None: ...

class FeatureFit(_message.Message):
    __slots__ = ("router_id", "spec", "prompt_count")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    PROMPT_COUNT_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    spec: bytes
    prompt_count: int
    def __init__(self, router_id: _Optional[str] = ..., spec: _Optional[bytes] = ..., prompt_count: _Optional[int] = ...) -> None: ...

class Restore(_message.Message):
    __slots__ = ("router_id", "policy_version", "state")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    policy_version: int
    state: bytes
    def __init__(self, router_id: _Optional[str] = ..., policy_version: _Optional[int] = ..., state: _Optional[bytes] = ...) -> None: ...

class HealthChange(_message.Message):
    __slots__ = ("slot", "state", "until_ms", "trip_count")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    TRIP_COUNT_FIELD_NUMBER: _ClassVar[int]
    slot: int
    state: int
    until_ms: int
    trip_count: int
    def __init__(self, slot: _Optional[int] = ..., state: _Optional[int] = ..., until_ms: _Optional[int] = ..., trip_count: _Optional[int] = ...) -> None: ...

class ChangeAlarm(_message.Message):
    __slots__ = ("router_id", "slot", "metric", "rising", "statistic")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    RISING_FIELD_NUMBER: _ClassVar[int]
    STATISTIC_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    slot: int
    metric: int
    rising: bool
    statistic: float
    def __init__(self, router_id: _Optional[str] = ..., slot: _Optional[int] = ..., metric: _Optional[int] = ..., rising: bool = ..., statistic: _Optional[float] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("router_id", "policy_version", "create_time_ms", "policy", "state", "position")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    policy_version: int
    create_time_ms: int
    policy: str
    state: bytes
    position: int
    def __init__(self, router_id: _Optional[str] = ..., policy_version: _Optional[int] = ..., create_time_ms: _Optional[int] = ..., policy: _Optional[str] = ..., state: _Optional[bytes] = ..., position: _Optional[int] = ...) -> None: ...

class LedgerEntry(_message.Message):
    __slots__ = ("resolution", "learnt_metrics", "id_digests", "content_digests", "positions", "input_token_count", "output_token_count", "cached_input_token_count")
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    LEARNT_METRICS_FIELD_NUMBER: _ClassVar[int]
    ID_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    resolution: int
    learnt_metrics: int
    id_digests: bytes
    content_digests: bytes
    positions: _containers.RepeatedScalarFieldContainer[int]
    input_token_count: int
    output_token_count: int
    cached_input_token_count: int
    def __init__(self, resolution: _Optional[int] = ..., learnt_metrics: _Optional[int] = ..., id_digests: _Optional[bytes] = ..., content_digests: _Optional[bytes] = ..., positions: _Optional[_Iterable[int]] = ..., input_token_count: _Optional[int] = ..., output_token_count: _Optional[int] = ..., cached_input_token_count: _Optional[int] = ...) -> None: ...
