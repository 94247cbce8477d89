from banditd_proto.v1 import comparison_pb2 as _comparison_pb2
from banditd_proto.v1 import context_pb2 as _context_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HistoryRow(_message.Message):
    __slots__ = ("scores", "comparison", "decision", "leaderboard")
    SCORES_FIELD_NUMBER: _ClassVar[int]
    COMPARISON_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    LEADERBOARD_FIELD_NUMBER: _ClassVar[int]
    scores: ScoredPrompt
    comparison: _comparison_pb2.Comparison
    decision: PastDecision
    leaderboard: LeaderboardGuess
    def __init__(self, scores: _Optional[_Union[ScoredPrompt, _Mapping]] = ..., comparison: _Optional[_Union[_comparison_pb2.Comparison, _Mapping]] = ..., decision: _Optional[_Union[PastDecision, _Mapping]] = ..., leaderboard: _Optional[_Union[LeaderboardGuess, _Mapping]] = ...) -> None: ...

class ScoredPrompt(_message.Message):
    __slots__ = ("context", "scores")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    context: _context_pb2.Context
    scores: _containers.RepeatedCompositeFieldContainer[Score]
    def __init__(self, context: _Optional[_Union[_context_pb2.Context, _Mapping]] = ..., scores: _Optional[_Iterable[_Union[Score, _Mapping]]] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("model_id", "quality", "cost_usd", "input_token_count", "output_token_count", "latency_ms")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    quality: float
    cost_usd: float
    input_token_count: int
    output_token_count: int
    latency_ms: float
    def __init__(self, model_id: _Optional[str] = ..., quality: _Optional[float] = ..., cost_usd: _Optional[float] = ..., input_token_count: _Optional[int] = ..., output_token_count: _Optional[int] = ..., latency_ms: _Optional[float] = ...) -> None: ...

class PastDecision(_message.Message):
    __slots__ = ("context", "outcome", "propensity", "candidate_model_ids", "probabilities")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_MODEL_IDS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    context: _context_pb2.Context
    outcome: Score
    propensity: float
    candidate_model_ids: _containers.RepeatedScalarFieldContainer[str]
    probabilities: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, context: _Optional[_Union[_context_pb2.Context, _Mapping]] = ..., outcome: _Optional[_Union[Score, _Mapping]] = ..., propensity: _Optional[float] = ..., candidate_model_ids: _Optional[_Iterable[str]] = ..., probabilities: _Optional[_Iterable[float]] = ...) -> None: ...

class LeaderboardGuess(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[LeaderboardEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[LeaderboardEntry, _Mapping]]] = ...) -> None: ...

class LeaderboardEntry(_message.Message):
    __slots__ = ("model_id", "quality", "rating", "strength")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    RATING_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    quality: float
    rating: float
    strength: float
    def __init__(self, model_id: _Optional[str] = ..., quality: _Optional[float] = ..., rating: _Optional[float] = ..., strength: _Optional[float] = ...) -> None: ...
