"""What is decoded is what was encoded, and nothing else passes for it."""

import contextlib
import importlib.util
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from banditd.domain.records import LogEntry
from banditd.errors import DataLossError
from banditd.store import codec
from banditd.store.log import position_key

from .strategies import ledger_entries, plain, positions, records, snapshots, times

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "disk"


def golden_records():
    """Return the script that made the golden files."""
    spec = importlib.util.spec_from_file_location("make_disk", GOLDEN / "make_disk.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE = golden_records()


def flipped(raw: bytes, bit: int) -> bytes:
    """Return *raw* with one bit changed."""
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@given(positions, times, records)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_decoding_a_record_undoes_encoding(position, time_ms, record):
    """Each kind of record comes back bit for bit: a replay learns what live traffic learnt."""
    key = position_key(position)
    raw = codec.encode_record(key, time_ms, record)
    assert plain(codec.decode_record(key, raw)) == plain(LogEntry(position, time_ms, record))
    assert codec.encode_record(key, time_ms, record) == raw


@given(positions, ledger_entries())
def test_decoding_a_ledger_entry_undoes_encoding(position, entry):
    """What is remembered of a decision comes back."""
    key = position_key(position)
    assert codec.decode_ledger(key, codec.encode_ledger(key, entry)) == entry


@given(snapshots)
def test_decoding_a_snapshot_undoes_encoding(snapshot):
    """A stored state comes back."""
    key = position_key(snapshot.position) + snapshot.router_id.encode()
    assert codec.decode_snapshot(key, codec.encode_snapshot(key, snapshot, snapshot.time_ms)) == snapshot


@given(st.lists(positions, min_size=2, max_size=2, unique=True))
def test_key_order_is_record_order(pair):
    """Bytes sort as positions do, so that LMDB only ever appends and a scan is in order."""
    low, high = sorted(pair)
    assert position_key(low) < position_key(high)


@pytest.mark.parametrize("name", sorted(MADE.RECORDS))
def test_the_golden_records_survive_their_bytes(name):
    """What the golden files were made of is still what its bytes say."""
    position, time_ms, record = MADE.RECORDS[name]
    key = position_key(position)
    assert plain(codec.decode_record(key, codec.encode_record(key, time_ms, record))) == plain(
        LogEntry(position, time_ms, record)
    )


@pytest.mark.parametrize("name", sorted(MADE.RECORDS))
def test_any_flipped_bit_of_a_record_is_found(name):
    """Whatever bit of header or message changes on disk, the record is refused."""
    position, time_ms, record = MADE.RECORDS[name]
    key = position_key(position)
    raw = codec.encode_record(key, time_ms, record)
    for bit in range(8 * len(raw)):
        with pytest.raises(DataLossError):
            codec.decode_record(key, flipped(raw, bit))


@pytest.mark.parametrize(
    "raw, key, decode",
    [
        (MADE.LEDGER_BYTES, MADE.LEDGER_KEY, codec.decode_ledger),
        (MADE.SNAPSHOT_BYTES, MADE.SNAPSHOT_KEY, codec.decode_snapshot),
    ],
    ids=["ledger", "snapshot"],
)
def test_any_flipped_bit_beside_the_log_is_found(raw, key, decode):
    """Ledger entries and snapshots are protected as records are."""
    decode(key, raw)
    for bit in range(8 * len(raw)):
        with pytest.raises(DataLossError):
            decode(key, flipped(raw, bit))


@given(positions, times, records, st.data())
def test_a_record_under_another_key_is_found(position, time_ms, record, data):
    """A record that was moved or copied to another position is refused there."""
    other = data.draw(positions.filter(lambda p: p != position))
    raw = codec.encode_record(position_key(position), time_ms, record)
    with pytest.raises(DataLossError):
        codec.decode_record(position_key(other), raw)


@given(positions, times, records, st.integers(0, 400))
def test_a_cut_record_is_found(position, time_ms, record, length):
    """A record that lost its end is refused."""
    key = position_key(position)
    raw = codec.encode_record(key, time_ms, record)
    with pytest.raises(DataLossError):
        codec.decode_record(key, raw[: min(length, len(raw) - 1)])


@given(positions, times, records)
def test_a_log_record_is_no_ledger_entry(position, time_ms, record):
    """A whole record of another database under the same key is refused: both have positions for keys."""
    key = position_key(position)
    with pytest.raises(DataLossError):
        codec.decode_ledger(key, codec.encode_record(key, time_ms, record))
    with pytest.raises(DataLossError):
        codec.decode_record(key, codec.encode_ledger(key, MADE.LEDGER))


@given(st.binary(max_size=64), positions)
def test_any_bytes_give_damage_and_nothing_else(raw, position):
    """Garbage is DataLossError, whatever it is."""
    key = position_key(position)
    for decode in (codec.decode_record, codec.decode_ledger, codec.decode_snapshot):
        with pytest.raises(DataLossError):
            decode(key, raw)


@given(st.binary(max_size=64), st.integers(0, 20), positions, times)
def test_a_sealed_message_that_is_none_is_damage(message, kind, position, time_ms):
    """Even under a right checksum, what cannot be decoded is DataLossError and not a crash."""
    key = position_key(position)
    raw = codec.seal(key, kind, time_ms, message)
    for decode in (codec.decode_record, codec.decode_ledger, codec.decode_snapshot):
        with contextlib.suppress(DataLossError):
            decode(key, raw)


@pytest.mark.parametrize("name", sorted(MADE.RECORDS))
def test_old_bytes_decode_to_the_same_value(name):
    """Data directories stay readable: golden files are never made anew."""
    position, time_ms, record = MADE.RECORDS[name]
    raw = (GOLDEN / f"{name}.bin").read_bytes()
    assert plain(codec.decode_record(position_key(position), raw)) == plain(LogEntry(position, time_ms, record))


def test_old_bytes_beside_the_log_decode_to_the_same_value():
    """So do ledger entries, snapshots, and records with a link."""
    position, time_ms, record = MADE.RECORDS[MADE.LINKED]
    linked = (GOLDEN / "outcome_with_a_link.bin").read_bytes()
    assert plain(codec.decode_record(position_key(position), linked)) == plain(LogEntry(position, time_ms, record))
    assert codec.link_of(linked) == MADE.LINK
    assert codec.decode_ledger(MADE.LEDGER_KEY, (GOLDEN / "ledger.bin").read_bytes()) == MADE.LEDGER
    of_tokens = (GOLDEN / "ledger_of_tokens.bin").read_bytes()
    assert codec.decode_ledger(MADE.LEDGER_KEY, of_tokens) == MADE.LEDGER_OF_TOKENS
    assert codec.decode_snapshot(MADE.SNAPSHOT_KEY, (GOLDEN / "snapshot.bin").read_bytes()) == MADE.SNAPSHOT


def test_every_kind_of_record_has_a_golden_file():
    """A new kind of record comes with its bytes."""
    kinds = {type(record) for _, _, record in MADE.RECORDS.values()}
    assert kinds == set(codec._ENCODERS)
    beside = {"outcome_with_a_link", "ledger", "ledger_of_tokens", "snapshot"}
    assert {path.stem for path in GOLDEN.glob("*.bin")} == {*MADE.RECORDS, *beside}
