"""The log against a plain list: what was appended is what is read, in order, from either end."""

import dataclasses
import hashlib
import random
from collections import Counter

import msgspec
import numpy as np
import pytest

from banditd.domain.context import Context
from banditd.domain.decision import Decision
from banditd.domain.ledger import LedgerEntry
from banditd.domain.records import Expiry, LogEntry, ModelChange, OutcomeRecord, RouterChange
from banditd.domain.snapshot import StoredSnapshot
from banditd.errors import DataLossError
from banditd.store import codec
from banditd.store import log as log_module
from banditd.store.env import Env
from banditd.store.log import Log, position_key
from banditd.store.snapshots import Snapshots

from .strategies import plain
from .test_codec import MADE

MAP = 1 << 26


def some_decision(rng, router_id):
    """Return a decision with an embedding of two or three values."""
    (_, _, template) = MADE.RECORDS[rng.choice(["decision", "decision_of_a_batch"])]
    embedding = np.full(rng.choice([2, 3]), rng.randrange(100), np.float16)
    return msgspec.structs.replace(template, router_id=router_id, context=Context(embedding))


def some_log(rng):
    """Return entries of all kinds with gaps between their positions; two routers, so that each has newest ones."""
    entries = []
    position = 0
    for _ in range(rng.randrange(40)):
        position += rng.choice([1, 1, 1, 2, 513])
        _, _, record = MADE.RECORDS[rng.choice(sorted(MADE.RECORDS))]
        router_id = rng.choice("ab")
        if isinstance(record, Decision):
            record = some_decision(rng, router_id)
        elif isinstance(record, OutcomeRecord | Expiry):
            change = msgspec.structs.replace if isinstance(record, msgspec.Struct) else dataclasses.replace
            record = change(record, router_id=router_id)
        entries.append(LogEntry(position, rng.randrange(1000), record))
    return entries


@pytest.fixture
def env(tmp_path):
    """An open, empty directory."""
    with Env(tmp_path, MAP) as opened:
        yield opened


def fill(log, entries):
    """Append *entries* in one batch."""
    batch = log.begin()
    for entry in entries:
        batch.append(entry.position, entry.time_ms, entry.record)
    batch.commit()


def same(found, expected):
    """Return whether two lists of entries are the same, bit for bit."""
    return [plain(entry) for entry in found] == [plain(entry) for entry in expected]


@pytest.mark.parametrize("seed", range(40))
def test_reading_is_what_a_list_would_answer(env, monkeypatch, seed):
    """Scans, look-ups from the end and headers agree with a list, whatever the length of a read's slice."""
    rng = random.Random(seed)
    entries = some_log(rng)
    monkeypatch.setattr(log_module, "_SLICE", rng.choice([1, 2, 5, 1024]))
    log = Log(env)
    fill(log, entries)
    last = entries[-1].position if entries else 0
    for _ in range(5):
        check_reads(log, entries, last, rng)


def check_reads(log, entries, last, rng):
    """Compare every kind of read at a random place."""
    position = rng.choice([0, last + 1, rng.randrange(last + 2), *[entry.position for entry in entries]])
    router_id, count = rng.choice("ab"), rng.randrange(1, 6)
    below = [entry for entry in entries if entry.position < position]
    above = [entry for entry in entries if entry.position > position]
    assert log.last_position == last
    assert same(log.scan(position), above)
    assert same(filter(None, [log.get(position)]), [entry for entry in entries if entry.position == position])
    lessons = [e for e in below if isinstance(e.record, OutcomeRecord | Expiry) and e.record.router_id == router_id]
    assert same(log.newest_outcomes(router_id, position, count), lessons[-count:])
    prompts = [
        e.record.context
        for e in below
        if isinstance(e.record, Decision) and e.record.router_id == router_id and len(e.record.context.embedding) == 2
    ][-count:]
    found = log.newest_contexts(router_id, 2, position, count)
    assert [(c.embedding.tolist(), c.category) for c in found] == [(c.embedding.tolist(), c.category) for c in prompts]
    kinds = [codec.peek(codec.encode_record(b"", e.time_ms, e.record))[0] for e in entries]
    headers = [(e.position, kind, e.time_ms) for e, kind in zip(entries, kinds, strict=True)]
    rest = [header for header in headers if header[0] > position]
    assert log.headers(position, count) == rest[:count]
    until_ms = rng.randrange(1000)
    young = next((i for i, header in enumerate(rest) if header[2] > until_ms), len(rest))
    assert log.headers(position, count, until_ms) == rest[: min(young, count)]
    assert log.counts() == Counter(codec.name_of_kind(kind) for kind in kinds)
    changes = [e for e in entries if isinstance(e.record, ModelChange | RouterChange) and e.position <= position]
    assert same(log.settings(position), changes)


def test_a_batch_sees_its_own_writes(env):
    """An outcome finds the decision that is committed with it."""
    decision, entry = MADE.RECORDS["decision"][2], MADE.LEDGER
    log = Log(env)
    batch = log.begin()
    batch.append(7, 5, decision)
    batch.put_ledger(7, entry)
    assert plain(batch.find_decision(7)) == plain(LogEntry(7, 5, decision))
    assert batch.ledger(7) == entry
    assert batch.find_decision(8) is None
    assert batch.ledger(8) is None
    assert log.get(7) is None
    assert log.ledger(7) is None
    batch.commit()
    assert plain(log.find_decision(7)) == plain(LogEntry(7, 5, decision))
    assert log.ledger(7) == entry


def test_an_aborted_batch_leaves_nothing(env):
    """What was not committed was never there."""
    log = Log(env)
    batch = log.begin()
    batch.append(1, 1, ModelChange("m", 0, None))
    batch.put_ledger(1, LedgerEntry())
    batch.put_counters("books", {"applied": 1})
    batch.abort()
    assert log.last_position == 0
    assert log.ledger(1) is None
    assert log.counters("books") == {}
    assert list(log.settings(9)) == []


@pytest.mark.parametrize("position", [1, 5, 10])
def test_the_log_only_appends(env, position):
    """A record below or at the newest one is a programmer's error, never an overwrite."""
    log = Log(env)
    fill(log, [LogEntry(10, 1, ModelChange("m", 0, None))])
    batch = log.begin()
    with pytest.raises(AssertionError):
        batch.append(position, 2, ModelChange("n", 0, None))
    batch.abort()
    assert log.get(10).record == ModelChange("m", 0, None)


def test_a_decision_that_is_referred_to_is_there(env):
    """An outcome of a decision that is gone is damage, not an empty answer."""
    log = Log(env)
    fill(log, [LogEntry(1, 1, ModelChange("m", 0, None))])
    for position in (1, 2):
        assert log.find_decision(position) is None
        with pytest.raises(DataLossError):
            log.decision(position)


def test_decisions_at_hand_are_those_on_disk(env, monkeypatch):
    """What the writer remembers of a decision is what a later start reads of it."""
    monkeypatch.setattr(log_module, "_DECISIONS_CACHED", 3)
    log = Log(env)
    for position in range(1, 9):
        fill(log, [LogEntry(position, 0, some_decision(random.Random(position), "a"))])
    assert len(log._recent) == 3
    for position in range(1, 9):
        assert plain(log.decision(position)) == plain(Log(env).decision(position))


def test_a_request_id_used_again_is_not_forgotten_with_its_first_use(env):
    """Forgetting day-old decisions leaves alone a key that a newer decision has taken over."""
    log = Log(env)
    key = hashlib.blake2b(b"r", digest_size=16).digest()
    for position in (5, 9):
        batch = log.begin()
        batch.put_request(key, position, 1)
        batch.commit()
    batch = log.begin()
    batch.delete_request(key, 5)
    batch.commit()
    assert log.request(key) == (9, 1)
    batch = log.begin()
    batch.delete_request(key, 9)
    batch.delete_request(b"unknown" * 2, 9)
    batch.commit()
    assert log.request(key) is None


def snapshot(router_id, position):
    """Return a snapshot."""
    return StoredSnapshot(router_id, position, position - 1, "linucb", 10 * position, f"{router_id}{position}".encode())


def test_snapshot_sets_are_pruned_to_the_newest(env):
    """Old states do not pile up, and a set goes as a whole."""
    log, stored = Log(env), Snapshots(env)
    for position in (3, 70, 1000, 2**33):
        batch = log.begin()
        for router_id in ("a", "b"):
            batch.put_snapshot(snapshot(router_id, position), 10 * position)
        batch.keep_snapshots(3)
        batch.commit()
    assert stored.positions() == [2**33, 1000, 70]
    assert stored.of_position(70) == {"a": snapshot("a", 70), "b": snapshot("b", 70)}
    assert stored.of_position(3) == {}
    assert stored.of_router("b") == [snapshot("b", position) for position in (2**33, 1000, 70)]
    assert stored.of_router("c") == []


def test_a_damaged_snapshot_is_left_out(env):
    """A damaged set is refused; what can be restored are the others."""
    log, stored = Log(env), Snapshots(env)
    batch = log.begin()
    for position in (3, 70):
        batch.put_snapshot(snapshot("a", position), 10 * position)
    batch.commit()
    with env.lmdb.begin(write=True, db=env.snapshots) as txn:
        key = position_key(70) + b"a"
        value = bytearray(txn.get(key))
        value[20] ^= 1
        txn.put(key, bytes(value))
    with pytest.raises(DataLossError):
        stored.of_position(70)
    assert stored.of_router("a") == [snapshot("a", 3)]
