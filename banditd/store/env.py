"""The one LMDB environment of a data directory: its named databases, its lock, its identity."""

import fcntl
import os
import secrets
from pathlib import Path
from typing import IO, Final, Self

import lmdb

from banditd.domain.ids import KEY_BYTES
from banditd.errors import Reason, StartupError

# Data format of LMDB 0.9, which every LMDB tool reads. Pinned: the library's default may move on.
_LIB_VERSION: Final = 0
# Layout of the databases below. Another number is another layout, which this code does not touch.
FORMAT: Final = b"1"
_LOCK_FILE: Final = "writer.lock"
_DATA_FILE: Final = "data.mdb"
_OWN_FILES: Final = frozenset({_LOCK_FILE, _DATA_FILE, "lock.mdb"})
_READERS_MAX: Final = 512
_FORMAT_KEY, _SECRET_KEY, _EPOCH_KEY = b"format", b"secret", b"epoch"


class Env:
    """An open data directory.

    Args:
        path: The directory; made if it is missing and `readonly` is false.
        map_bytes: Size that the data can grow to; address space, not memory.
        readonly: Reads beside a running server; takes no lock and changes nothing.

    Raises:
        StartupError: The directory is in use, not ours, of another format, or cannot be opened.
    """

    def __init__(self, path: Path, map_bytes: int, *, readonly: bool = False) -> None:
        self.path = path
        self._lock = None if readonly else _lock(path)
        try:
            self._open(map_bytes, readonly=readonly)
        except BaseException:
            self._unlock()
            raise

    def _open(self, map_bytes: int, *, readonly: bool) -> None:
        fresh = not (self.path / _DATA_FILE).exists()
        if readonly and fresh:
            raise StartupError(Reason.DATA_DIRECTORY, f"{self.path} holds no banditd data")
        foreign = sorted(entry.name for entry in self.path.iterdir() if entry.name not in _OWN_FILES)
        if fresh and foreign:
            raise StartupError(
                Reason.DATA_DIRECTORY, f"{self.path} is not empty and holds no banditd data (found {foreign[0]!r})"
            )
        try:
            self.lmdb = lmdb.open(
                str(self.path),
                map_size=map_bytes,
                max_dbs=8,
                max_readers=_READERS_MAX,
                max_spare_txns=1,
                readonly=readonly,
                # An acknowledged fact survives: every commit is synced, data and meta page both. The page cache keeps
                # no more of a log that is written front to back and read here and there.
                sync=True,
                metasync=True,
                writemap=False,
                readahead=False,
                mode=0o600,
                lib_version=_LIB_VERSION,
            )
        except (lmdb.Error, OSError) as error:
            raise StartupError(
                Reason.DATA_DIRECTORY, f"{self.path} cannot be opened as a banditd data directory: {error}"
            ) from error
        flags = self.lmdb.flags()
        assert flags["sync"], flags
        assert flags["metasync"], flags
        assert not flags["writemap"], flags
        assert not flags["map_async"], flags
        try:
            if fresh:
                self._initialise()
            # Opened once: opening takes a transaction of its own, which would wait for the one it is called in.
            self.meta = self._open_meta()
            self._check_format()
            self.log = self.lmdb.open_db(b"log", create=False)
            self.ledger = self.lmdb.open_db(b"ledger", create=False)
            self.requests = self.lmdb.open_db(b"requests", create=False)
            self.snapshots = self.lmdb.open_db(b"snapshots", create=False)
            self.settings = self.lmdb.open_db(b"settings", create=False)
        except BaseException:
            self.lmdb.close()
            raise

    def _initialise(self) -> None:
        meta = self.lmdb.open_db(b"meta")
        for name in (b"log", b"ledger", b"requests", b"snapshots", b"settings"):
            self.lmdb.open_db(name)
        with self.lmdb.begin(write=True, db=meta) as txn:
            txn.put(_FORMAT_KEY, FORMAT)
            txn.put(_SECRET_KEY, secrets.token_bytes(KEY_BYTES))
            txn.put(_EPOCH_KEY, b"0")

    def _open_meta(self) -> "lmdb._Database":
        try:
            return self.lmdb.open_db(b"meta", create=False)
        except lmdb.NotFoundError as error:
            raise StartupError(Reason.DATA_FORMAT, f"{self.path} holds LMDB data, but not banditd's") from error

    def _check_format(self) -> None:
        found = self.get_meta(_FORMAT_KEY)
        if found != FORMAT:
            shown = "something else" if found is None else f"format {found.decode(errors='replace')}"
            raise StartupError(
                Reason.DATA_FORMAT, f"{self.path}: expected a data directory of format {FORMAT.decode()}, got {shown}"
            )

    def get_meta(self, key: bytes) -> bytes | None:
        """Return a value of the meta database."""
        with self.lmdb.begin(db=self.meta) as txn:
            value = txn.get(key)
        return None if value is None else bytes(value)

    @property
    def secret(self) -> bytes:
        """The key of decision ids: made once, never leaves the directory."""
        secret = self.get_meta(_SECRET_KEY)
        assert secret is not None
        return secret

    def next_epoch(self) -> int:
        """Count a start of the server and return its number."""
        epoch = int(self.get_meta(_EPOCH_KEY) or b"0") + 1
        with self.lmdb.begin(write=True, db=self.meta) as txn:
            txn.put(_EPOCH_KEY, str(epoch).encode())
        return epoch

    def close(self) -> None:
        """Close the environment and let others write."""
        self.lmdb.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _lock(path: Path) -> IO[str]:
    """Take the writer's lock of a directory; the kernel drops it with the process, however that ends."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = (path / _LOCK_FILE).open("a")
    except OSError as error:
        raise StartupError(Reason.DATA_DIRECTORY, f"{path} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise StartupError(Reason.WRITER_LOCKED, f"another writer holds {path}", exit_code=3) from error
    os.set_inheritable(handle.fileno(), False)  # noqa: FBT003 - the standard library's own signature
    return handle
