from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Estimate(_message.Message):
    __slots__ = ("value", "low", "high")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    value: float
    low: float
    high: float
    def __init__(self, value: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class Standing(_message.Message):
    __slots__ = ("model_id", "rating", "won_count", "lost_count", "tied_count", "both_bad_count", "score", "score_count")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    RATING_FIELD_NUMBER: _ClassVar[int]
    WON_COUNT_FIELD_NUMBER: _ClassVar[int]
    LOST_COUNT_FIELD_NUMBER: _ClassVar[int]
    TIED_COUNT_FIELD_NUMBER: _ClassVar[int]
    BOTH_BAD_COUNT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SCORE_COUNT_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    rating: Estimate
    won_count: float
    lost_count: float
    tied_count: float
    both_bad_count: int
    score: Estimate
    score_count: int
    def __init__(self, model_id: _Optional[str] = ..., rating: _Optional[_Union[Estimate, _Mapping]] = ..., won_count: _Optional[float] = ..., lost_count: _Optional[float] = ..., tied_count: _Optional[float] = ..., both_bad_count: _Optional[int] = ..., score: _Optional[_Union[Estimate, _Mapping]] = ..., score_count: _Optional[int] = ...) -> None: ...

class JudgeStanding(_message.Message):
    __slots__ = ("judge", "vote_count", "honest_probability")
    JUDGE_FIELD_NUMBER: _ClassVar[int]
    VOTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    HONEST_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    judge: str
    vote_count: int
    honest_probability: float
    def __init__(self, judge: _Optional[str] = ..., vote_count: _Optional[int] = ..., honest_probability: _Optional[float] = ...) -> None: ...

class Leaderboard(_message.Message):
    __slots__ = ("router_id", "category", "standings", "judges", "comparison_count", "position_bias", "categories", "confidence", "truncated")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    STANDINGS_FIELD_NUMBER: _ClassVar[int]
    JUDGES_FIELD_NUMBER: _ClassVar[int]
    COMPARISON_COUNT_FIELD_NUMBER: _ClassVar[int]
    POSITION_BIAS_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    category: str
    standings: _containers.RepeatedCompositeFieldContainer[Standing]
    judges: _containers.RepeatedCompositeFieldContainer[JudgeStanding]
    comparison_count: int
    position_bias: float
    categories: _containers.RepeatedScalarFieldContainer[str]
    confidence: float
    truncated: bool
    def __init__(self, router_id: _Optional[str] = ..., category: _Optional[str] = ..., standings: _Optional[_Iterable[_Union[Standing, _Mapping]]] = ..., judges: _Optional[_Iterable[_Union[JudgeStanding, _Mapping]]] = ..., comparison_count: _Optional[int] = ..., position_bias: _Optional[float] = ..., categories: _Optional[_Iterable[str]] = ..., confidence: _Optional[float] = ..., truncated: bool = ...) -> None: ...
