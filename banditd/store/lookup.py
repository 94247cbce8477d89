"""Finds a key, or proves that it is not there.

A key whose bits flipped is not found any more, and what is not found would be taken for what never was: an outcome
would be learnt twice. But a search ends beside the place where the key would stand, whatever stands there; so both
neighbours are looked at, whose checksums cover their keys.
"""

import lmdb

from banditd.errors import DataLossError, Reason
from banditd.store.codec import is_sound


def find(cursor: lmdb.Cursor, key: bytes) -> bytes | None:
    """Return the value under *key*; None if there is none.

    Where there is none the cursor is left at the entry before, if there is one.

    Raises:
        DataLossError: What stands around its place is damaged.
    """
    if cursor.set_range(key):
        found: tuple[bytes, bytes] = cursor.item()
        above, value = found
        if above == key:
            return value
        if above < key:
            raise disordered()
        if not is_sound(above, value):
            raise _damaged(above)
        beside = cursor.prev()
    else:
        beside = cursor.last()
    if beside:
        below, value = cursor.item()
        if below >= key:
            raise disordered()
        if not is_sound(below, value):
            raise _damaged(below)
    return None


def _damaged(key: bytes) -> DataLossError:
    return DataLossError(Reason.CORRUPT_RECORD, f"record at {int.from_bytes(key[:8], 'big')}: checksum failed")


def disordered() -> DataLossError:
    """Return the error of keys that are out of order."""
    return DataLossError(Reason.CORRUPT_RECORD, "the data file is damaged: its keys are out of order")
