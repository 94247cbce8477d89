"""Learnt state to bytes and back: versioned, checksummed, never pickle.

| magic 4 | format 2 | header length 4 | header (JSON) | float64 arrays, one after another | BLAKE2b-128 of it all |
"""

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from banditd.domain.arrays import Array64
from banditd.errors import DataLossError, Reason

FORMAT: Final = 1
_MAGIC: Final = b"bdst"
_HEAD = struct.Struct("<4sHI")
_DIGEST_BYTES: Final = 16


def encode_state(header: Mapping[str, Any], arrays: Mapping[str, Array64]) -> bytes:
    """Return the bytes of a state.

    Args:
        header: JSON values.
        arrays: Named float64 arrays.
    """
    listed = [[name, list(array.shape)] for name, array in arrays.items()]
    head = json.dumps({"header": dict(header), "arrays": listed}, sort_keys=True, allow_nan=False).encode()
    body = b"".join(
        [_HEAD.pack(_MAGIC, FORMAT, len(head)), head, *(a.astype("<f8").tobytes() for a in arrays.values())]
    )
    return body + hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()


def decode_state(raw: bytes) -> tuple[dict[str, Any], dict[str, Array64]]:
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
    arrays: dict[str, Array64] = {}
    for name, shape in head["arrays"]:
        size = math.prod(shape)
        arrays[name] = np.frombuffer(body, "<f8", count=size, offset=offset).reshape(shape).astype(np.float64)
        offset += 8 * size
    if offset != len(body):
        raise DataLossError(Reason.CORRUPT_RECORD, f"snapshot: expected {offset} bytes, got {len(body)}")
    return head["header"], arrays
