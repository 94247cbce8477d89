from banditd_proto.v1 import context_pb2 as _context_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Winner(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WINNER_UNSPECIFIED: _ClassVar[Winner]
    WINNER_A: _ClassVar[Winner]
    WINNER_B: _ClassVar[Winner]
    WINNER_TIE: _ClassVar[Winner]
    WINNER_BOTH_BAD: _ClassVar[Winner]

class ShownFirst(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SHOWN_FIRST_UNSPECIFIED: _ClassVar[ShownFirst]
    SHOWN_FIRST_A: _ClassVar[ShownFirst]
    SHOWN_FIRST_B: _ClassVar[ShownFirst]
WINNER_UNSPECIFIED: Winner
WINNER_A: Winner
WINNER_B: Winner
WINNER_TIE: Winner
WINNER_BOTH_BAD: Winner
SHOWN_FIRST_UNSPECIFIED: ShownFirst
SHOWN_FIRST_A: ShownFirst
SHOWN_FIRST_B: ShownFirst

class Comparison(_message.Message):
    __slots__ = ("decision_id", "context", "router_id", "comparison_id", "model_a_id", "model_b_id", "winner", "judge", "strength", "shown_first")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    COMPARISON_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_A_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_B_ID_FIELD_NUMBER: _ClassVar[int]
    WINNER_FIELD_NUMBER: _ClassVar[int]
    JUDGE_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIRST_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    context: _context_pb2.Context
    router_id: str
    comparison_id: str
    model_a_id: str
    model_b_id: str
    winner: Winner
    judge: str
    strength: float
    shown_first: ShownFirst
    def __init__(self, decision_id: _Optional[str] = ..., context: _Optional[_Union[_context_pb2.Context, _Mapping]] = ..., router_id: _Optional[str] = ..., comparison_id: _Optional[str] = ..., model_a_id: _Optional[str] = ..., model_b_id: _Optional[str] = ..., winner: _Optional[_Union[Winner, str]] = ..., judge: _Optional[str] = ..., strength: _Optional[float] = ..., shown_first: _Optional[_Union[ShownFirst, str]] = ...) -> None: ...
