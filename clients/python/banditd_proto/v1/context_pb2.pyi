from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Context(_message.Message):
    __slots__ = ("embedding_float32", "embedding", "embedding_model", "input_token_count", "category", "session_id")
    EMBEDDING_FLOAT32_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    embedding_float32: bytes
    embedding: _containers.RepeatedScalarFieldContainer[float]
    embedding_model: str
    input_token_count: int
    category: str
    session_id: str
    def __init__(self, embedding_float32: _Optional[bytes] = ..., embedding: _Optional[_Iterable[float]] = ..., embedding_model: _Optional[str] = ..., input_token_count: _Optional[int] = ..., category: _Optional[str] = ..., session_id: _Optional[str] = ...) -> None: ...
