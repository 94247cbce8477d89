"""Learnt state to bytes and back: versioned, checksummed, never pickle.

| magic 4 | format 2 | header length 4 | header (JSON) | arrays, one after another | BLAKE2b-128 of it all |

An array is listed with its name and shape, and, where it is not of float64, its type.
"""

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from banditd.domain.arrays import AnyArray
from banditd.errors import DataLossError, Reason

FORMAT: Final = 1
_MAGIC: Final = b"bdst"
_HEAD = struct.Struct("<4sHI")
_DIGEST_BYTES: Final = 16
_FLOAT64: Final = "<f8"
# What beliefs keep beside float64: rows of embeddings, bytes, positions.
_TYPES: Final = frozenset({_FLOAT64, "<f4", "<f2", "<i8", "<u2", "|u1"})


def encode_state(header: Mapping[str, Any], arrays: Mapping[str, AnyArray]) -> bytes:
    """Return the bytes of a state.

    Args:
        header: JSON values.
        arrays: Named arrays of the types above.
    """
    listed = []
    for name, array in arrays.items():
        kind = array.dtype.newbyteorder("<").str
        assert kind in _TYPES
        listed.append([name, list(array.shape)] if kind == _FLOAT64 else [name, list(array.shape), kind])
    head = json.dumps({"header": dict(header), "arrays": listed}, sort_keys=True, allow_nan=False).encode()
    contents = (a.astype(a.dtype.newbyteorder("<"), copy=False).tobytes() for a in arrays.values())
    body = b"".join([_HEAD.pack(_MAGIC, FORMAT, len(head)), head, *contents])
    return body + hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()


def decode_state(raw: bytes) -> tuple[dict[str, Any], dict[str, AnyArray]]:
    """Return header and arrays.

    Raises:
        DataLossError: *raw* was cut, changed, or is of another format.
    """
    body, digest = raw[:-_DIGEST_BYTES], raw[-_DIGEST_BYTES:]
    if len(body) < _HEAD.size or hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() != digest:
        raise DataLossError(Reason.CORRUPT_RECORD, f"snapshot: checksum failed over {len(raw)} bytes")
    magic, version, length = _HEAD.unpack_from(body)
    if magic != _MAGIC or version != FORMAT:
        raise DataLossError(Reason.CORRUPT_RECORD, f"snapshot: expected format {FORMAT}, got {version}")
    head = json.loads(body[_HEAD.size : _HEAD.size + length])
    offset = _HEAD.size + length
    arrays: dict[str, AnyArray] = {}
    for name, shape, *others in head["arrays"]:
        kind = np.dtype(others[0] if others else _FLOAT64)
        size = math.prod(shape)
        read = np.frombuffer(body, kind, count=size, offset=offset)
        arrays[name] = read.reshape(shape).astype(kind.newbyteorder("="))
        offset += kind.itemsize * size
    if offset != len(body):
        raise DataLossError(Reason.CORRUPT_RECORD, f"snapshot: expected {offset} bytes, got {len(body)}")
    return head["header"], arrays
