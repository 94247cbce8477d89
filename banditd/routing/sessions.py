"""The last model of each session: a switch inside it means a cold prompt cache."""

import hashlib
import struct
from collections import OrderedDict
from typing import Final

from banditd.domain.decision import NO_SLOT

# Per router: some ten megabytes. Beyond, the session that was silent for longest is forgotten, whose cache is cold.
# Part of what makes the fold the same everywhere: a constant, not a setting.
SESSIONS_MAX: Final = 65_536
# Keys are digests, so that a session takes the same room whatever its name; two of 65,536 that share one are unlikely.
_KEY_BYTES: Final = 8
_ENTRY = struct.Struct(f"<{_KEY_BYTES}sH")


class Sessions:
    """Sessions to slots, oldest first.

    Written by the writer's thread alone, and shared by every snapshot of a router rather than copied into it: readers
    on other threads look up one key, which is atomic, and the decision's record keeps what they found.
    """

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._slots)

    def last(self, session: str) -> int:
        """Return the slot of the model that was chosen last in *session*, or `NO_SLOT`; any thread."""
        return self._slots.get(_key(session), NO_SLOT) if session else NO_SLOT

    def remember(self, session: str, slot: int) -> None:
        """Take note of a decision; nothing without a session."""
        if not session:
            return
        key = _key(session)
        # Written in place and then moved, so that a reader never finds it missing.
        self._slots[key] = slot
        self._slots.move_to_end(key)
        if len(self._slots) > SESSIONS_MAX:
            self._slots.popitem(last=False)

    def to_bytes(self) -> bytes:
        """Return all of them in order."""
        return b"".join([_ENTRY.pack(key, slot) for key, slot in self._slots.items()])

    def load(self, raw: bytes) -> None:
        """Put what `to_bytes` returned in the place of these; raises struct.error where it is cut."""
        self._slots.clear()
        self._slots.update(_ENTRY.iter_unpack(raw))


def _key(session: str) -> bytes:
    return hashlib.blake2b(session.encode(), digest_size=_KEY_BYTES).digest()
