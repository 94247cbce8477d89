"""Decision ids: 16 bytes, ordered by log position, not forgeable, and the source of a decision's randomness.

    | position: 6 bytes | epoch: 2 bytes | tag: 8 bytes |      all big-endian

The position is where the decision stands in the log, so that finding it needs no index and the log only ever appends.
The epoch counts starts of the server on its data directory: a decision that was acknowledged early and lost in a crash
keeps an id that no later decision gets, although its position is used again. The tag is half of a keyed BLAKE2b digest
of position and epoch; the other half is the uniform number that draws the model, so that a decision can be drawn again
from its id and the key alone, and no process state or clock seeds anything.
"""

import hashlib
import hmac
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from banditd.errors import InvalidArgumentError, Reason

DECISION_ID_BYTES: Final = 16
KEY_BYTES: Final = 32
POSITION_MAX: Final = 2**48 - 1
_EPOCHS: Final = 2**16
_HEAD = struct.Struct(">Q")
_DIGEST: Final = struct.Struct(">8sQ")
_TO_UNIT: Final = 2.0**-53


@dataclass(frozen=True, slots=True)
class DecisionId:
    """A verified id.

    Attributes:
        position: Log position of the decision, 1..2^48-1.
        epoch: Start of the server that issued it, modulo 2^16.
    """

    position: int
    epoch: int


def issue_decision_id(key: bytes, position: int, epoch: int) -> tuple[bytes, float]:
    """Return the id of the decision at *position* and the uniform number in [0, 1) that draws its model."""
    (issued,) = issue_decision_ids(key, (position,), epoch)
    return issued


def issue_decision_ids(key: bytes, positions: Iterable[int], epoch: int) -> list[tuple[bytes, float]]:
    """Return what `issue_decision_id` gives for each of several positions."""
    found, keyed, epoch = [], _keyed(key), epoch % _EPOCHS
    for position in positions:
        assert 0 < position <= POSITION_MAX
        head = _HEAD.pack(position << 16 | epoch)
        hasher = keyed.copy()
        hasher.update(head)
        tag, bits = _DIGEST.unpack(hasher.digest())
        found.append((head + tag, (bits >> 11) * _TO_UNIT))
    return found


@lru_cache(maxsize=16)
def _keyed(key: bytes) -> "hashlib.blake2b":
    """Return what digests under *key* start from: to copy it is faster than to take in the key again."""
    return hashlib.blake2b(digest_size=16, key=key)


def verify_decision_id(key: bytes, raw: bytes, field: str = "decision_id") -> DecisionId:
    """Return the parts of *raw*, which came in *field*.

    Raises:
        InvalidArgumentError: It was not issued under *key*. The message is the same whatever is wrong with it.
    """
    if len(raw) == DECISION_ID_BYTES:
        digest = hashlib.blake2b(raw[:8], digest_size=16, key=key).digest()
        # In constant time: how quickly a wrong tag is refused tells nothing about the right one.
        if hmac.compare_digest(digest[:8], raw[8:]):
            head = _HEAD.unpack_from(raw)[0]
            return DecisionId(position=head >> 16, epoch=head % _EPOCHS)
    raise InvalidArgumentError(Reason.INVALID_DECISION_ID, field, "an id that Route returned", "another value")


def parse_decision_id(key: bytes, text: str, field: str = "decision_id") -> DecisionId:
    """Return the parts of an id in its 32 hexadecimal digits; raises as `verify_decision_id`."""
    try:
        raw = bytes.fromhex(text) if len(text) == 2 * DECISION_ID_BYTES else b""
    except ValueError:
        raw = b""
    return verify_decision_id(key, raw, field)
