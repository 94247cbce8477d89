from banditd_proto.v1 import context_pb2 as _context_pb2
from banditd_proto.v1 import history_pb2 as _history_pb2
from banditd_proto.v1 import leaderboard_pb2 as _leaderboard_pb2
from banditd_proto.v1 import policy_pb2 as _policy_pb2
from banditd_proto.v1 import promotion_pb2 as _promotion_pb2
from banditd_proto.v1 import router_pb2 as _router_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateRouterRequest(_message.Message):
    __slots__ = ("router",)
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    router: _router_pb2.Router
    def __init__(self, router: _Optional[_Union[_router_pb2.Router, _Mapping]] = ...) -> None: ...

class CreateRouterResponse(_message.Message):
    __slots__ = ("router",)
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    router: _router_pb2.Router
    def __init__(self, router: _Optional[_Union[_router_pb2.Router, _Mapping]] = ...) -> None: ...

class GetRouterRequest(_message.Message):
    __slots__ = ("router_id",)
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    def __init__(self, router_id: _Optional[str] = ...) -> None: ...

class GetRouterResponse(_message.Message):
    __slots__ = ("router",)
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    router: _router_pb2.Router
    def __init__(self, router: _Optional[_Union[_router_pb2.Router, _Mapping]] = ...) -> None: ...

class ListRoutersRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRoutersResponse(_message.Message):
    __slots__ = ("routers", "next_page_token")
    ROUTERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    routers: _containers.RepeatedCompositeFieldContainer[_router_pb2.Router]
    next_page_token: str
    def __init__(self, routers: _Optional[_Iterable[_Union[_router_pb2.Router, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateRouterRequest(_message.Message):
    __slots__ = ("router", "update_mask")
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    router: _router_pb2.Router
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, router: _Optional[_Union[_router_pb2.Router, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class UpdateRouterResponse(_message.Message):
    __slots__ = ("router",)
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    router: _router_pb2.Router
    def __init__(self, router: _Optional[_Union[_router_pb2.Router, _Mapping]] = ...) -> None: ...

class DeleteRouterRequest(_message.Message):
    __slots__ = ("router_id",)
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    def __init__(self, router_id: _Optional[str] = ...) -> None: ...

class DeleteRouterResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetPolicyStatusRequest(_message.Message):
    __slots__ = ("router_id", "context")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    context: _context_pb2.Context
    def __init__(self, router_id: _Optional[str] = ..., context: _Optional[_Union[_context_pb2.Context, _Mapping]] = ...) -> None: ...

class GetPolicyStatusResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: _policy_pb2.PolicyStatus
    def __init__(self, status: _Optional[_Union[_policy_pb2.PolicyStatus, _Mapping]] = ...) -> None: ...

class GetLeaderboardRequest(_message.Message):
    __slots__ = ("router_id", "category", "confidence")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    category: str
    confidence: float
    def __init__(self, router_id: _Optional[str] = ..., category: _Optional[str] = ..., confidence: _Optional[float] = ...) -> None: ...

class GetLeaderboardResponse(_message.Message):
    __slots__ = ("leaderboard",)
    LEADERBOARD_FIELD_NUMBER: _ClassVar[int]
    leaderboard: _leaderboard_pb2.Leaderboard
    def __init__(self, leaderboard: _Optional[_Union[_leaderboard_pb2.Leaderboard, _Mapping]] = ...) -> None: ...

class ListSnapshotsRequest(_message.Message):
    __slots__ = ("router_id", "page_size", "page_token")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    page_size: int
    page_token: str
    def __init__(self, router_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSnapshotsResponse(_message.Message):
    __slots__ = ("snapshots", "next_page_token")
    SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    snapshots: _containers.RepeatedCompositeFieldContainer[_policy_pb2.Snapshot]
    next_page_token: str
    def __init__(self, snapshots: _Optional[_Iterable[_Union[_policy_pb2.Snapshot, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RestoreSnapshotRequest(_message.Message):
    __slots__ = ("router_id", "policy_version")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    policy_version: int
    def __init__(self, router_id: _Optional[str] = ..., policy_version: _Optional[int] = ...) -> None: ...

class RestoreSnapshotResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: _policy_pb2.PolicyStatus
    def __init__(self, status: _Optional[_Union[_policy_pb2.PolicyStatus, _Mapping]] = ...) -> None: ...

class ImportHistoryRequest(_message.Message):
    __slots__ = ("router_id", "import_id", "row_position", "row_weight", "rows")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    IMPORT_ID_FIELD_NUMBER: _ClassVar[int]
    ROW_POSITION_FIELD_NUMBER: _ClassVar[int]
    ROW_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    import_id: str
    row_position: int
    row_weight: float
    rows: _containers.RepeatedCompositeFieldContainer[_history_pb2.HistoryRow]
    def __init__(self, router_id: _Optional[str] = ..., import_id: _Optional[str] = ..., row_position: _Optional[int] = ..., row_weight: _Optional[float] = ..., rows: _Optional[_Iterable[_Union[_history_pb2.HistoryRow, _Mapping]]] = ...) -> None: ...

class ImportHistoryResponse(_message.Message):
    __slots__ = ("learnt_count", "duplicate_count")
    LEARNT_COUNT_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_COUNT_FIELD_NUMBER: _ClassVar[int]
    learnt_count: int
    duplicate_count: int
    def __init__(self, learnt_count: _Optional[int] = ..., duplicate_count: _Optional[int] = ...) -> None: ...

class ListPoliciesRequest(_message.Message):
    __slots__ = ("router_id", "page_size", "page_token")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    page_size: int
    page_token: str
    def __init__(self, router_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPoliciesResponse(_message.Message):
    __slots__ = ("policies", "next_page_token")
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    policies: _containers.RepeatedCompositeFieldContainer[_promotion_pb2.ListedPolicy]
    next_page_token: str
    def __init__(self, policies: _Optional[_Iterable[_Union[_promotion_pb2.ListedPolicy, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PromotePolicyRequest(_message.Message):
    __slots__ = ("router_id", "name", "reason")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    name: str
    reason: str
    def __init__(self, router_id: _Optional[str] = ..., name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class PromotePolicyResponse(_message.Message):
    __slots__ = ("router",)
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    router: _router_pb2.Router
    def __init__(self, router: _Optional[_Union[_router_pb2.Router, _Mapping]] = ...) -> None: ...

class RollbackPolicyRequest(_message.Message):
    __slots__ = ("router_id", "reason")
    ROUTER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    router_id: str
    reason: str
    def __init__(self, router_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RollbackPolicyResponse(_message.Message):
    __slots__ = ("router",)
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    router: _router_pb2.Router
    def __init__(self, router: _Optional[_Union[_router_pb2.Router, _Mapping]] = ...) -> None: ...
