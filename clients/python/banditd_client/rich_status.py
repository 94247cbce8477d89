"""Reads the rich error status that gRPC servers send in the trailer `grpc-status-details-bin`.

The messages are google.rpc.Status, ErrorInfo and BadRequest. Their Python classes live in googleapis-common-protos,
which pins protobuf for everybody who installs it; three shallow messages are not worth that, so the wire is read here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

TRAILER = "grpc-status-details-bin"
ERROR_INFO_TYPE = "google.rpc.ErrorInfo"
BAD_REQUEST_TYPE = "google.rpc.BadRequest"

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# A varint holds 64 bits in at most ten groups of seven.
_VARINT_BYTES_MAX = 10


@dataclass(frozen=True, slots=True)
class RichStatus:
    """What a rich status says beyond code and message. Empty where the server said nothing."""

    reason: str = ""
    domain: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    """Paths of the request's fields that were to blame."""


def parse(data: bytes) -> RichStatus:
    """Read a serialised google.rpc.Status. Never raises: what cannot be read is as if it had not been sent."""
    reason = domain = ""
    metadata: dict[str, str] = {}
    fields: list[str] = []
    try:
        for detail in _submessages(data, 3):
            type_name = _text(detail, 1).rpartition("/")[2]
            value = b"".join(_submessages(detail, 2))
            if type_name == ERROR_INFO_TYPE:
                reason, domain = _text(value, 1), _text(value, 2)
                metadata = {_text(entry, 1): _text(entry, 2) for entry in _submessages(value, 3)}
            elif type_name == BAD_REQUEST_TYPE:
                fields.extend(_text(violation, 1) for violation in _submessages(value, 1))
    except ValueError:
        # The call failed anyway; its code and message stand, and a broken detail must not hide them.
        return RichStatus()
    return RichStatus(reason, domain, metadata, tuple(fields))


def _text(data: bytes, number: int) -> str:
    """Return the last value of a string field, as protobuf does; UnicodeDecodeError is a ValueError."""
    text = ""
    for value in _submessages(data, number):
        text = value.decode()
    return text


def _submessages(data: bytes, number: int) -> Iterator[bytes]:
    return (value for found, value in _fields(data) if found == number)


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each length-delimited field; skip the others. ValueError if malformed."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        wire_type = tag & 7
        if wire_type == _VARINT:
            _, position = _varint(data, position)
            continue
        if wire_type == _BYTES:
            size, position = _varint(data, position)
        elif wire_type in (_FIXED64, _FIXED32):
            size = 8 if wire_type == _FIXED64 else 4
        else:
            raise ValueError(f"wire type: expected 0, 1, 2 or 5, got {wire_type}")
        end = position + size
        if end > len(data):
            raise ValueError(f"field {tag >> 3}: expected {size} bytes, got {len(data) - position}")
        if wire_type == _BYTES:
            yield tag >> 3, data[position:end]
        position = end


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(_VARINT_BYTES_MAX):
        if position >= len(data):
            raise ValueError("varint: expected more bytes, got the end")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, position
    raise ValueError(f"varint: expected at most {_VARINT_BYTES_MAX} bytes, got more")
