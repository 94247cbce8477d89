"""The one LMDB environment of a data directory: its named databases, its lock, its identity."""

import errno
import fcntl
import itertools
import os
import resource
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Self

import lmdb

from banditd.domain.ids import KEY_BYTES
from banditd.errors import DataLossError, Reason, StartupError
from banditd.store.codec import link_of, seal, unseal
from banditd.store.head import Head, check_meta_pages
from banditd.store.residency import Residency

# Data format of LMDB 0.9, which every LMDB tool reads. Pinned: the library's default may move on.
_LIB_VERSION: Final = 0
# Layout of the databases below. Another number is another layout, which this code does not touch.
FORMAT: Final = b"1"
_LOCK_FILE: Final = "writer.lock"
_DATA_FILE: Final = "data.mdb"
# Where a new directory's databases are made before they are moved into place.
_MAKING: Final = "making"
# A volume of its own comes with lost+found.
_OWN_FILES: Final = frozenset({_LOCK_FILE, _DATA_FILE, "lock.mdb", _MAKING, "lost+found"})
_DATABASES: Final = (b"log", b"ledger", b"requests", b"snapshots", b"settings")
_READERS_MAX: Final = 512
_FORMAT_KEY, _SECRET_KEY, _EPOCH_KEY, _HEAD_KEY = b"format", b"secret", b"epoch", b"head"
# Above any position: read beside a version that links nothing.
_NOT_LINKED: Final = 1 << 62
_EMPTY_MAP_BYTES: Final = 1 << 20
# A commit writes at most a few megabytes. With less than this the next one may not fit.
_ROOM_BYTES: Final = 16 << 20
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


# What a read or write of the store may raise beside our own errors.
STORE_ERRORS: Final = (lmdb.Error, OSError)


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
        try:
            if not os.path.lexists(self.path / _DATA_FILE):
                self._check_free(readonly=readonly)
                _make_databases(self.path)
            if (self.path / _DATA_FILE).stat().st_size == 0:
                # LMDB would make a new one of it.
                raise StartupError(Reason.DATA_FORMAT, f"{self.path / _DATA_FILE} is empty; restore a backup")
            self.lmdb = _open_lmdb(self.path, map_bytes, readonly=readonly)
        except STORE_ERRORS as error:
            raise StartupError(
                Reason.DATA_DIRECTORY, f"{self.path} cannot be opened as a banditd data directory: {error}"
            ) from error
        try:
            self._check_length(readonly=readonly)
            # Opened once: opening takes a transaction of its own, which would wait for the one it is called in.
            self.meta = self._open_meta()
            self._check_format()
            self.log, self.ledger, self.requests, self.snapshots, self.settings = (
                self.lmdb.open_db(name, create=False) for name in _DATABASES
            )
            check_meta_pages(self.path / _DATA_FILE, self.lmdb.stat()["psize"])
            self._check_head(readonly=readonly)
            if not readonly:
                self.forget_dead_readers()
        except STORE_ERRORS as error:
            self.lmdb.close()
            raise StartupError(Reason.DATA_FORMAT, f"{self.path}: the data is damaged: {error}") from error
        except BaseException:
            self.lmdb.close()
            raise
        self._residency = Residency(self.path / _DATA_FILE)

    def _check_free(self, *, readonly: bool) -> None:
        """Raise unless the directory can be taken: it holds nothing but what a first start left that was cut short."""
        if readonly:
            raise StartupError(Reason.DATA_DIRECTORY, f"{self.path} holds no banditd data")
        foreign = sorted(entry.name for entry in self.path.iterdir() if entry.name not in _OWN_FILES)
        if foreign:
            raise StartupError(
                Reason.DATA_DIRECTORY, f"{self.path} is not empty and holds no banditd data (found {foreign[0]!r})"
            )

    def _check_length(self, *, readonly: bool) -> None:
        """See that every page can be read: a read of the map beyond the end of the file would kill the process.

        Raises:
            StartupError: The file was cut.
        """
        file = self.path / _DATA_FILE
        expected = (self.lmdb.info()["last_pgno"] + 1) * self.lmdb.stat()["psize"]
        got = file.stat().st_size
        if got >= expected:
            return
        # LMDB leaves pages at the end unwritten that it took and gave back in one commit: a short file may be whole.
        # Whether it is, another process tries.
        command = [sys.executable, "-m", "banditd.store.verify", str(self.path)]
        done = subprocess.run(  # noqa: S603 - our own module, on a path of ours
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode != 0:
            raise StartupError(
                Reason.DATA_FORMAT, f"{file} was cut: expected {expected} bytes, got {got}; restore a backup"
            )
        if not readonly:
            os.truncate(file, expected)

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

    def _check_head(self, *, readonly: bool) -> None:
        """See that the tree that is served is the newest, and whole where it is small.

        Raises:
            DataLossError: It is another transaction's, or values of the meta database are missing or damaged.
        """
        with self.reading(self.meta) as txn, txn.cursor() as cursor:
            found = dict(cursor.iternext())
            if len(found) != txn.stat(self.meta)["entries"]:
                raise DataLossError(Reason.CORRUPT_RECORD, "the data file is damaged: values of its meta database miss")
            for key, value in found.items():
                if key != _FORMAT_KEY:
                    unseal(key, value)
            # Where the log ends: its last position and the number of its entries. The writer's thread keeps it.
            self.log_end = self.last_position(txn), txn.stat(self.log)["entries"]
            head = self._head(txn)
            newest = 0 if head is None else max(head.transaction, self._check_tail(txn, head.linked_after))
            # A compacted copy begins to count anew, so that what it holds may be of a later one.
            if head is not None and newest < txn.id():
                raise DataLossError(
                    Reason.CORRUPT_RECORD,
                    f"the data file is damaged or was written by another program: expected what transaction {txn.id()} "
                    f"left, got that of {newest}",
                )
        if head is None and not readonly:
            # Written by a version that had no head: its entries name none before them.
            with self.lmdb.begin(write=True) as txn:
                head = Head(txn.id(), self.last_position(txn))
                _put_head(txn, self.meta, head)
        self.linked_after = _NOT_LINKED if head is None else head.linked_after

    def _check_tail(self, txn: lmdb.Transaction, linked_after: int) -> int:
        """See that the last transaction's entries are all there; return its number, 0 if none is linked.

        Raises:
            DataLossError: Some are missing or damaged.
        """
        entries = txn.stat(self.log)["entries"]
        count = 0
        with txn.cursor(self.log) as cursor:
            # No more than there are: damaged pages may lead in a circle.
            for key, value in itertools.islice(cursor.iterprev(), entries):
                if int.from_bytes(key, "big") <= linked_after:
                    return 0
                unseal(key, value)
                count += 1
                link = link_of(value)
                if link is not None:
                    if link.entries + count != entries:
                        break
                    return link.transaction
        if count == entries == 0:
            return 0
        raise DataLossError(
            Reason.CORRUPT_RECORD, "the data file is damaged: the newest entries of the log are missing"
        )

    def _head(self, txn: lmdb.Transaction) -> Head | None:
        value = txn.get(_HEAD_KEY, db=self.meta)
        return None if value is None else Head.from_bytes(unseal(_HEAD_KEY, value)[2])

    def last_position(self, txn: lmdb.Transaction) -> int:
        """Return the position of the newest entry of the log, as a transaction has it; 0 for an empty log."""
        with txn.cursor(self.log) as cursor:
            return int.from_bytes(cursor.key(), "big") if cursor.last() else 0

    def put_head(self, txn: lmdb.Transaction) -> None:
        """Write the number of a transaction: the last thing before the commit of one that appends nothing to the log.

        Others do without, for this makes one more page to be written.
        """
        _put_head(txn, self.meta, Head(txn.id(), self.linked_after))

    def get_meta(self, key: bytes) -> bytes | None:
        """Return a value of the meta database; raises DataLossError."""
        with self.reading(self.meta) as txn:
            value = txn.get(key)
        # The format alone is written bare: it tells how the others are.
        return value if value is None or key == _FORMAT_KEY else unseal(key, value)[2]

    @property
    def secret(self) -> bytes:
        """The key of decision ids: made once, never leaves the directory."""
        secret = self.get_meta(_SECRET_KEY)
        assert secret is not None
        return secret

    def next_epoch(self) -> int:
        """Count a start of the server and return its number."""
        epoch = int(self.get_meta(_EPOCH_KEY) or b"0") + 1
        try:
            with self.lmdb.begin(write=True, db=self.meta) as txn:
                txn.put(_EPOCH_KEY, seal(_EPOCH_KEY, 0, 0, str(epoch).encode()))
                self.put_head(txn)
        except STORE_ERRORS as error:
            raise StartupError(Reason.DATA_DIRECTORY, f"{self.path} cannot be written: {error}") from error
        return epoch

    @contextmanager
    def reading(self, database: "lmdb._Database", *, buffers: bool = False) -> Iterator[lmdb.Transaction]:
        """Begin a transaction that reads one database; what LMDB finds damaged is a DataLossError."""
        try:
            with self.lmdb.begin(db=database, buffers=buffers) as txn:
                yield txn
        except lmdb.Error as error:
            raise DataLossError(Reason.CORRUPT_RECORD, f"the data file is damaged: {error}") from error

    def is_full(self, error: Exception) -> bool:
        """Return whether *error* says that there is no room, which passes, and not that the disk has failed.

        LMDB calls a write that was cut short an input/output error, and running out of room cuts one short first.
        """
        if isinstance(error, lmdb.MapFullError) or getattr(error, "errno", None) in _NO_ROOM:
            return True
        text = str(error)
        if any(os.strerror(code) in text for code in _NO_ROOM):
            return True
        return os.strerror(errno.EIO) in text and self._room_bytes() < _ROOM_BYTES

    def _room_bytes(self) -> int:
        """Return how much the data file can still grow."""
        disk = os.statvfs(self.path)
        room = disk.f_bavail * disk.f_frsize
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        if limit == resource.RLIM_INFINITY:
            return room
        return min(room, limit - (self.path / _DATA_FILE).stat().st_size)

    def forget_dead_readers(self) -> None:
        """Free the places of readers that died: their old view would keep pages from being used again."""
        self.lmdb.reader_check()

    def trim(self) -> None:
        """Give mapped pages back where they have become many; see `banditd.store.residency`."""
        self._residency.trim()

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


def _open_lmdb(path: Path, map_bytes: int, *, readonly: bool) -> lmdb.Environment:
    env = lmdb.open(
        str(path),
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
    flags = env.flags()
    assert flags["sync"], flags
    assert flags["metasync"], flags
    assert not flags["writemap"], flags
    assert not flags["map_async"], flags
    return env


def _put_head(txn: lmdb.Transaction, meta: "lmdb._Database", head: Head) -> None:
    txn.put(_HEAD_KEY, seal(_HEAD_KEY, 0, 0, head.to_bytes()), db=meta)


def _make_databases(path: Path) -> None:
    """Make empty databases aside and move them into place, so that a start that is cut short leaves none half made."""
    making = path / _MAKING
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    with _open_lmdb(making, _EMPTY_MAP_BYTES, readonly=False) as env, env.begin(write=True) as txn:
        for name in _DATABASES:
            env.open_db(name, txn=txn)
        meta = env.open_db(b"meta", txn=txn)
        txn.put(_FORMAT_KEY, FORMAT, db=meta)
        txn.put(_SECRET_KEY, seal(_SECRET_KEY, 0, 0, secrets.token_bytes(KEY_BYTES)), db=meta)
        txn.put(_EPOCH_KEY, seal(_EPOCH_KEY, 0, 0, b"0"), db=meta)
        _put_head(txn, meta, Head(txn.id(), 0))
    (making / _DATA_FILE).rename(path / _DATA_FILE)
    shutil.rmtree(making)
    # LMDB syncs the file; its name, and that of the directory, are ours to sync.
    for folder in (path, path.parent):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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
    os.set_inheritable(handle.fileno(), False)
    return handle
