"""Keeps the process small beside a large log.

LMDB reads through a map of its file, and what was read once stays resident: the kernel takes it back when memory is
short, but until then every monitor shows a process that grows with its log. Dropping the mapping of such pages costs
nothing but a minor fault at the next read, for they stay in the page cache.
"""

import ctypes
import os
import sys
from pathlib import Path
from typing import Final

# Shared resident memory beyond what the process had after the last trim. A lower number trims more often for nothing.
_GROWTH_BYTES: Final = 32 << 20
_MADV_DONTNEED: Final = 4
_STATM: Final = Path("/proc/self/statm")
_MAPS: Final = Path("/proc/self/maps")


class Residency:
    """Watches the resident pages of a mapped file. One thread only; does nothing where there is no /proc.

    Args:
        file: The mapped file.
    """

    def __init__(self, file: Path) -> None:
        self._file = str(file.resolve())
        self._base = 0
        self._madvise = None
        if sys.platform == "linux" and _STATM.exists():
            self._madvise = ctypes.CDLL(None, use_errno=True).madvise
            self._madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
            self._base = _shared_bytes()

    def trim(self) -> bool:
        """Drop the file's resident pages if there are many; returns whether it did.

        Other threads may read meanwhile: a page that they need comes back from the page cache.
        """
        if self._madvise is None or _shared_bytes() - self._base < _GROWTH_BYTES:
            return False
        for start, end in self._mappings():
            self._madvise(start, end - start, _MADV_DONTNEED)
        self._base = _shared_bytes()
        return True

    def _mappings(self) -> list[tuple[int, int]]:
        found = []
        for line in _MAPS.read_text().splitlines():
            # address perms offset dev inode path
            parts = line.split(maxsplit=5)
            if len(parts) == 6 and parts[5] == self._file:
                start, _, end = parts[0].partition("-")
                found.append((int(start, 16), int(end, 16)))
        return found


def _shared_bytes() -> int:
    return int(_STATM.read_text().split()[2]) * os.sysconf("SC_PAGE_SIZE")
