"""Reads and writes of the log and of what is kept beside it.

Keys, each big-endian so that byte order is record order:

    log        | position: 8 |                      a sealed record; only ever appended
    ledger     | position of the decision: 8 |      a sealed LedgerEntry; absent until something was recorded of it
    requests   | BLAKE2b of router and request: 16 |  sealed: position and count of the decisions, two 8-byte numbers
    settings   | position: 8 |                      the log's ModelChange and RouterChange records once more
               | BLAKE2b of router and comparison: 16 |  position of the comparison, and 0; never forgotten
               | BLAKE2b of router and import: 16 |  position of its newest record, and how many rows it has had
    snapshots  | position: 8 | router id |          a sealed Snapshot
    meta       | name |                             format; sealed: head, secret, epoch; books and sweeps as JSON

Each entry of the log follows the position before its own or names the one that it follows: none goes missing unnoticed.
"""

import hashlib
import itertools
import json
import struct
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import lmdb

from banditd.domain.context import Context
from banditd.domain.decision import Decision
from banditd.domain.ledger import LedgerEntry
from banditd.domain.records import (
    ComparisonRecord,
    Example,
    Expiry,
    LeaderboardPrior,
    LogEntry,
    ModelChange,
    OutcomeRecord,
    Record,
    RouterChange,
)
from banditd.domain.snapshot import StoredSnapshot
from banditd.errors import DataLossError, Reason
from banditd.store.codec import (
    COMPARISON,
    DECISION,
    EXAMPLE,
    EXPIRY,
    OUTCOME,
    PRIOR,
    Link,
    decode_ledger,
    decode_record,
    encode_ledger,
    encode_record,
    encode_snapshot,
    link_of,
    name_of_kind,
    peek,
    seal,
    unseal,
)
from banditd.store.env import Env
from banditd.store.lookup import disordered, find

_POSITION = struct.Struct(">Q")
_REQUEST = struct.Struct(">QQ")
# Decisions that are looked up soon after they were made need not be read again. About 2 KB each.
_DECISIONS_CACHED: Final = 4096


def position_key(position: int) -> bytes:
    """Return the key of a position."""
    return _POSITION.pack(position)


def request_key(router_id: str, request_id: str) -> bytes:
    """Return the key under which a request is remembered."""
    return hashlib.blake2b(f"{router_id}\0{request_id}".encode(), digest_size=16).digest()


class Log:
    """The log of an open data directory.

    Reading is safe from any thread. Writing goes through a `Batch`, on the writer's thread only.
    """

    def __init__(self, env: Env) -> None:
        self._env = env
        self._recent: OrderedDict[int, Decision] = OrderedDict()

    @property
    def last_position(self) -> int:
        """Position of the newest entry; 0 for an empty log."""
        with self._env.reading(self._env.log) as txn:
            return self._env.last_position(txn)

    def get(self, position: int) -> LogEntry | None:
        """Return the entry at *position*; None if there is none. Raises DataLossError."""
        with self._env.reading(self._env.log) as txn:
            value = self.value(txn, position)
        return None if value is None else decode_record(position_key(position), value)

    def value(self, txn: lmdb.Transaction, position: int) -> bytes | None:
        """Return the record at *position*, undecoded; None if there never was one.

        Raises:
            DataLossError: There may have been one.
        """
        key = position_key(position)
        value: bytes | None = txn.get(key, db=self._env.log)
        if value is None:
            with txn.cursor(self._env.log) as cursor:
                find(cursor, key)
                below = _position_of(cursor.key())
                if cursor.next() if below else cursor.first():
                    self._check_link(below, _position_of(cursor.key()), cursor.value())
        return value

    def _check_link(self, before: int, position: int, value: bytes) -> None:
        """Raise DataLossError unless the entry at *position* follows the one at *before*."""
        if position <= before:
            raise disordered()
        previous = _previous(position, value)
        if previous != before and position > self._env.linked_after:
            raise DataLossError(Reason.CORRUPT_RECORD, f"record at {previous}: it is missing")

    def find_decision(self, position: int) -> LogEntry | None:
        """Return the decision at *position*; None if there is no entry or another kind of entry."""
        entry = self.get(position)
        return entry if entry is not None and isinstance(entry.record, Decision) else None

    def decision(self, position: int) -> Decision:
        """Return the decision at *position*, which is there.

        Raises:
            DataLossError: It is not, although something refers to it.
        """
        found = self._recent.get(position)
        if found is not None:
            return found
        entry = self.find_decision(position)
        if entry is None or not isinstance(entry.record, Decision):
            raise DataLossError(Reason.CORRUPT_RECORD, f"log record {position}: expected a decision, got none")
        self.remember(position, entry.record)
        return entry.record

    def remember(self, position: int, decision: Decision) -> None:
        """Keep a decision at hand; the writer's thread only."""
        self._recent[position] = decision
        if len(self._recent) > _DECISIONS_CACHED:
            self._recent.popitem(last=False)

    def scan(self, after: int) -> Iterator[LogEntry]:
        """Yield the entries above *after*, oldest first. Reads in slices, so that no old page is held for long."""
        while True:
            with self._env.reading(self._env.log) as txn, txn.cursor() as cursor:
                chunk = list(itertools.islice(self._walk(cursor, after), _SLICE))
            for position, value in chunk:
                yield decode_record(position_key(position), value)
            if len(chunk) < _SLICE:
                return
            after = chunk[-1][0]

    def _walk(self, cursor: lmdb.Cursor, after: int) -> Iterator[tuple[int, bytes]]:
        """Yield position and record of the entries above *after*, oldest first; raises where one is missing."""
        if not cursor.set_range(position_key(after + 1)):
            return
        before = after
        for key, value in cursor:
            position = _position_of(key)
            # There need not be an entry at *after* itself: the first may name an earlier one.
            if before > after or _previous(position, value) > after or position <= after:
                self._check_link(before, position, value)
            yield position, value
            before = position

    def newest_outcomes(self, router_id: str, before: int, count_max: int) -> Sequence[LogEntry]:
        """Return the newest entries of a router that teach, decisions apart, before a position, oldest first."""
        found: list[LogEntry] = []
        for key, value in self._backwards(before, (OUTCOME, COMPARISON, EXPIRY, EXAMPLE, PRIOR)):
            entry = decode_record(key, value)
            assert isinstance(entry.record, OutcomeRecord | ComparisonRecord | Expiry | Example | LeaderboardPrior)
            if entry.record.router_id == router_id:
                found.append(entry)
                if len(found) == count_max:
                    break
        found.reverse()
        return found

    def decisions_of(self, entries: Sequence[LogEntry]) -> dict[int, Decision]:
        """Return the decisions that outcomes and comparisons refer to, by position. Safe from any thread."""
        found: dict[int, Decision] = {}
        for entry in entries:
            position = getattr(entry.record, "decision_position", 0)
            if position and position not in found:
                decision = self.find_decision(position)
                if decision is not None and isinstance(decision.record, Decision):
                    found[position] = decision.record
        return found

    def newest_contexts(self, router_id: str, dimension: int, before: int, count_max: int) -> list[Context]:
        """Return a router's newest prompts before a position, with embeddings of *dimension* values, oldest first."""
        found: list[Context] = []
        for key, value in self._backwards(before, (DECISION, EXAMPLE)):
            record = decode_record(key, value).record
            assert isinstance(record, Decision | Example)
            if record.router_id == router_id and len(record.context.embedding) == dimension:
                found.append(record.context)
                if len(found) == count_max:
                    break
        found.reverse()
        return found

    def _backwards(self, before: int, kinds: tuple[int, ...]) -> Iterator[tuple[bytes, bytes]]:
        """Yield key and value of the entries of some kinds below *before*, newest first."""
        while before > 1:
            with self._env.reading(self._env.log, buffers=True) as txn, txn.cursor() as cursor:
                at = cursor.set_range(position_key(before))
                chunk = []
                examined = 0
                above = _position_of(cursor.key()), cursor.value()
                stepping = cursor.prev() if at else cursor.last()
                while stepping and examined < _SLICE:
                    examined += 1
                    before = _position_of(cursor.key())
                    value = cursor.value()
                    if above[0]:
                        self._check_link(before, *above)
                    above = before, value
                    if peek(value)[0] in kinds:
                        chunk.append((bytes(cursor.key()), bytes(value)))
                    stepping = cursor.prev()
                if not stepping and above[0]:
                    self._check_link(0, *above)
            yield from chunk
            if not stepping:
                return

    def ledger(self, position: int) -> LedgerEntry | None:
        """Return what is remembered of the decision at *position*; None if nothing is."""
        key = position_key(position)
        with self._env.reading(self._env.ledger) as txn, txn.cursor() as cursor:
            value = find(cursor, key)
        return None if value is None else decode_ledger(key, value)

    def request(self, key: bytes) -> tuple[int, int] | None:
        """Return position and count of the decisions of a remembered request."""
        # Nearly every call asks for what is not there, so its absence is not proven, which would take twice as long:
        # where a key was damaged, a retry is decided anew, and both decisions are in the log.
        with self._env.reading(self._env.requests) as txn:
            value = txn.get(key)
        return None if value is None else _decode_request(key, value)

    def settings(self, up_to: int) -> Iterator[LogEntry]:
        """Yield the changes of models and routers up to a position, oldest first."""
        with self._env.reading(self._env.settings) as txn, txn.cursor() as cursor:
            found = list(cursor)
            if len(found) != txn.stat(self._env.settings)["entries"]:
                raise DataLossError(Reason.CORRUPT_RECORD, "the data file is damaged: changes of settings are missing")
        for key, value in found:
            if _position_of(key) > up_to:
                return
            yield decode_record(key, value)

    def headers(self, after: int, count_max: int, until_ms: int | None = None) -> list[tuple[int, int, int]]:
        """Return position, kind and time of the entries above *after*, oldest first; their contents are not checked.

        Ends before the first entry that is younger than *until_ms*.
        """
        found: list[tuple[int, int, int]] = []
        with self._env.reading(self._env.log, buffers=True) as txn, txn.cursor() as cursor:
            for position, value in itertools.islice(self._walk(cursor, after), count_max):
                kind, time_ms = peek(value)
                if until_ms is not None and time_ms > until_ms:
                    break
                found.append((position, kind, time_ms))
        return found

    def counts(self) -> dict[str, int]:
        """Return how many entries there are of each kind."""
        found: Counter[int] = Counter()
        after = 0
        while headers := self.headers(after, _SLICE):
            found.update(kind for _, kind, _ in headers)
            after = headers[-1][0]
        return {name_of_kind(kind): count for kind, count in sorted(found.items())}

    def counters(self, name: str) -> dict[str, int]:
        """Return a table of counters as it was last written; empty if it never was."""
        raw = self._env.get_meta(name.encode())
        return {} if raw is None else json.loads(raw)

    def verify_tables(self) -> None:
        """Read what is kept beside the log, every key of it: for whoever can wait.

        Raises:
            DataLossError: Something is damaged or missing.
        """
        for database in (self._env.ledger, self._env.requests):
            with self._env.reading(database, buffers=True) as txn, txn.cursor() as cursor:
                count = 0
                for key, value in cursor:
                    unseal(bytes(key), bytes(value))
                    count += 1
                if count != txn.stat(database)["entries"]:
                    raise DataLossError(
                        Reason.CORRUPT_RECORD, "the data file is damaged: entries of a table are missing"
                    )

    def tidy(self) -> None:
        """Do what keeps a long-running process small: cheap, once a second; the writer's thread only."""
        self._env.forget_dead_readers()
        self._env.trim()

    def begin(self) -> "Batch":
        """Begin a batch of writes; the writer's thread only, one at a time."""
        return Batch(self._env, self)


# Entries per read transaction of a scan: a few milliseconds.
_SLICE: Final = 1024


def _position_of(key: bytes) -> int:
    return int.from_bytes(key, "big")


def _previous(position: int, value: bytes) -> int:
    """Return the position that the entry at *position* follows, 0 for none."""
    link = link_of(value)
    return position - 1 if link is None else link.previous


class Batch:
    """Writes that become true together. The writer's thread only."""

    def __init__(self, env: Env, log: Log) -> None:
        self._env = env
        self._log = log
        self._txn: lmdb.Transaction = env.lmdb.begin(write=True)
        self._decisions: dict[int, Decision] = {}
        self._last_position, self._entries = env.log_end
        self._appended = self._changed = False

    def append(self, position: int, time_ms: int, record: Record) -> None:
        """Append a record above all others."""
        key = position_key(position)
        link = None
        if not self._appended or self._last_position != position - 1:
            link = Link(self._last_position, self._txn.id(), self._entries)
        value = encode_record(key, time_ms, record, link)
        stored = self._txn.put(key, value, db=self._env.log, append=True)
        assert stored, position
        self._last_position = position
        self._entries += 1
        self._appended = True
        if isinstance(record, ModelChange | RouterChange):
            self._txn.put(key, value, db=self._env.settings, append=True)
        if isinstance(record, Decision):
            self._decisions[position] = record

    def find_decision(self, position: int) -> LogEntry | None:
        """Return the decision at *position*, of this batch or before."""
        key = position_key(position)
        value = self._log.value(self._txn, position)
        if value is None or peek(value)[0] != DECISION:
            return None
        known = self._decisions.get(position) or self._log._recent.get(position)  # noqa: SLF001 - the same module
        if known is not None:
            return LogEntry(position, peek(value)[1], known)
        entry = decode_record(key, value)
        assert isinstance(entry.record, Decision)
        # A sweep that lets its window close has it learnt next.
        self._log.remember(position, entry.record)
        return entry

    def ledger(self, position: int) -> LedgerEntry | None:
        """Return what is remembered of a decision, as this batch has it."""
        key = position_key(position)
        with self._txn.cursor(self._env.ledger) as cursor:
            value = find(cursor, key)
        return None if value is None else decode_ledger(key, value)

    def put_ledger(self, position: int, entry: LedgerEntry) -> None:
        """Remember of a decision."""
        key = position_key(position)
        self._put(self._env.ledger, key, encode_ledger(key, entry))

    def put_request(self, key: bytes, position: int, count: int) -> None:
        """Remember a request."""
        self._put(self._env.requests, key, seal(key, 0, 0, _REQUEST.pack(position, count)))

    def delete_request(self, key: bytes, position: int) -> None:
        """Forget a request, unless its id was used again since the decisions at *position*."""
        value = self._txn.get(key, db=self._env.requests)
        if value is not None and _decode_request(key, value)[0] == position:
            self._txn.delete(key, db=self._env.requests)
            self._changed = True

    def find_comparison(self, key: bytes) -> LogEntry | None:
        """Return the comparison that is remembered under a key; None if there is none."""
        with self._txn.cursor(self._env.requests) as cursor:
            value = find(cursor, key)
        if value is None:
            return None
        position = _decode_request(key, value)[0]
        found = self._log.value(self._txn, position)
        return None if found is None else decode_record(position_key(position), found)

    def put_comparison(self, key: bytes, position: int) -> None:
        """Remember a comparison, for ever."""
        self._put(self._env.requests, key, seal(key, 0, 0, _REQUEST.pack(position, 0)))

    def import_mark(self, key: bytes) -> tuple[int, int] | None:
        """Return the position of an import's newest record and its rows so far; None if there is no such import."""
        value = self._txn.get(key, db=self._env.requests)
        return None if value is None else _decode_request(key, value)

    def put_import_mark(self, key: bytes, position: int, row_count: int) -> None:
        """Remember how far an import has come, for ever."""
        self._put(self._env.requests, key, seal(key, 0, 0, _REQUEST.pack(position, row_count)))

    def put_counters(self, name: str, counters: Mapping[str, int]) -> None:
        """Write a table of counters."""
        key = name.encode()
        self._put(self._env.meta, key, seal(key, 0, 0, json.dumps(dict(counters)).encode()))

    def put_snapshot(self, snapshot: StoredSnapshot, time_ms: int) -> None:
        """Store a snapshot."""
        key = position_key(snapshot.position) + snapshot.router_id.encode()
        self._put(self._env.snapshots, key, encode_snapshot(key, snapshot, time_ms))

    def keep_snapshots(self, count: int) -> None:
        """Delete all but the newest *count* sets of snapshots; a set is what was stored at one position."""
        with self._txn.cursor(db=self._env.snapshots) as cursor:
            keys = [bytes(key) for key in cursor.iternext(values=False)]
        positions = sorted({key[:8] for key in keys})
        doomed = set(positions[: max(0, len(positions) - count)])
        for key in keys:
            if key[:8] in doomed:
                self._txn.delete(key, db=self._env.snapshots)
                self._changed = True

    def _put(self, database: "lmdb._Database", key: bytes, value: bytes) -> None:
        self._txn.put(key, value, db=database)
        self._changed = True

    def commit(self) -> None:
        """Make the writes true and durable; returns after the sync."""
        if self._changed and not self._appended:
            self._env.put_head(self._txn)
        self._txn.commit()
        self._env.log_end = (self._last_position, self._entries)
        for position, decision in self._decisions.items():
            self._log.remember(position, decision)

    def abort(self) -> None:
        """Drop the writes."""
        self._txn.abort()

    def is_full(self, error: Exception) -> bool:
        """Return whether *error* says that there is no room; see `Env.is_full`."""
        return self._env.is_full(error)


def _decode_request(key: bytes, value: bytes) -> tuple[int, int]:
    position, count = _REQUEST.unpack(unseal(key, value)[2])
    return position, count
