"""The reader of the rich status agrees with the real messages."""

from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from banditd_client.rich_status import RichStatus, parse

from .fakes import packed

TEXT = st.text(max_size=20)
INFOS = st.builds(
    error_details_pb2.ErrorInfo, reason=TEXT, domain=TEXT, metadata=st.dictionaries(TEXT, TEXT, max_size=4)
)


@given(TEXT, INFOS, st.lists(TEXT, max_size=3))
def test_what_is_packed_is_read(message, info, fields):
    """Whatever a server puts into the details, between details of other kinds."""
    violations = [error_details_pb2.BadRequest.FieldViolation(field=path, description="d") for path in fields]
    details = [
        error_details_pb2.DebugInfo(detail="not for us", stack_entries=["x"]),
        info,
        error_details_pb2.BadRequest(field_violations=violations),
    ]
    status = status_pb2.Status(code=3, message=message, details=[packed(detail) for detail in details])
    expected = RichStatus(info.reason, info.domain, dict(info.metadata), tuple(fields))
    assert parse(status.SerializeToString()) == expected


@given(st.binary(max_size=60))
def test_any_bytes_give_a_status(data):
    """A trailer that is not a status must not hide the error that it came with."""
    assert isinstance(parse(data), RichStatus)


@given(INFOS, st.data())
def test_damaged_bytes_give_a_status(info, data):
    """Cut or changed anywhere, there is an answer."""
    whole = status_pb2.Status(code=3, details=[packed(info)]).SerializeToString()
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert isinstance(parse(whole[:cut]), RichStatus)
    assert isinstance(parse(whole[:cut] + data.draw(st.binary(max_size=3)) + whole[cut + 1 :]), RichStatus)


def test_fields_of_other_wire_types_are_skipped():
    """A newer status may have fixed-width and varint fields before the ones that are known."""
    info = packed(error_details_pb2.ErrorInfo(reason="R", domain="banditd"))
    newer = bytes([4 << 3 | 1]) + b"\xff" * 8 + bytes([5 << 3 | 5]) + b"\xff" * 4 + bytes([6 << 3, 0x80, 0x01])
    assert parse(newer + status_pb2.Status(details=[info]).SerializeToString()).reason == "R"
