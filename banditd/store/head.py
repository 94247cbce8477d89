"""How far the data goes, told apart from the data: an older or shorter tree is then known for what it is.

LMDB has no checksums of its own. Where the newest meta page or a root is damaged, it may serve the tree of an earlier
transaction, which is sound in itself but lacks what was acknowledged since.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from banditd.errors import DataLossError, Reason

_HEAD = struct.Struct("<QQ")
# A meta page on 64 bits: 16 bytes of page header, then magic, version, address, size of the map, two
# databases of 48 bytes, last page, number of the transaction (struct MDB_meta).
_LAST_PAGE: Final = struct.Struct("<136xQ")
_TRANSACTION: Final = struct.Struct("<144xQ")
# Beside a running server a page may change between two reads.
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Head:
    """What is told beside the log of the log's end.

    Attributes:
        transaction: Number of the newest transaction that appended nothing to the log: what others append tells theirs.
        linked_after: Position above which entries are linked: 0, unless an older version wrote the first ones.
    """

    transaction: int
    linked_after: int

    def to_bytes(self) -> bytes:
        """Return what `Head.from_bytes` reads."""
        return _HEAD.pack(self.transaction, self.linked_after)

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Head":
        """Return the head that *raw* was made of."""
        return cls(*_HEAD.unpack(raw))


def check_meta_pages(file: Path, page_bytes: int) -> None:
    """See that the data file's two meta pages are of consecutive transactions, each in its place.

    LMDB writes them in turn and takes the one with the higher number: where that number was damaged, the other one
    would be taken without a word, and the last commit would be gone.

    Raises:
        DataLossError: They are not.
    """
    for _ in range(_ATTEMPTS):
        with file.open("rb") as handle:
            raw = os.pread(handle.fileno(), 2 * page_bytes, 0)
        even, odd = raw[:page_bytes], raw[page_bytes:]
        if len(odd) < page_bytes:
            break
        numbers = [_TRANSACTION.unpack_from(page)[0] for page in (even, odd)]
        last_pages = [_LAST_PAGE.unpack_from(page)[0] for page in (even, odd)]
        in_place = numbers[0] % 2 == 0 and numbers[1] % 2 == 1
        # The file never shrinks.
        grown = sorted(last_pages) == [last for _, last in sorted(zip(numbers, last_pages, strict=True))]
        if in_place and abs(numbers[0] - numbers[1]) == 1 and grown:
            return
    raise DataLossError(Reason.CORRUPT_RECORD, f"{file}: a meta page is damaged; restore a backup")
