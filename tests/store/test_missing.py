"""What has gone missing is never taken for what never was: gaps, short logs, lost keys and older trees are found."""

import random

import pytest

from banditd.errors import DataLossError
from banditd.store.codec import DECISION, Link, decode_record, encode_record, link_of, peek
from banditd.store.env import Env
from banditd.store.log import Log, position_key, request_key

from .test_codec import MADE
from .test_log import some_decision

MAP = 1 << 26
# Positions of the decisions: some were reserved and never used.
POSITIONS = (1, 2, 3, 7, 8, 30, 31, 32, 50)
META = 4096
ROOTS = slice(40, 136)  # of the two databases of LMDB's own, in a meta page
NUMBER = slice(144, 152)


@pytest.fixture
def path(tmp_path):
    """A closed directory with a log that has gaps, a ledger and remembered requests."""
    path = tmp_path / "data"
    rng = random.Random(1)
    with Env(path, MAP) as env:
        log = Log(env)
        for position in POSITIONS:
            batch = log.begin()
            batch.append(position, position, some_decision(rng, "a"))
            batch.put_ledger(position, MADE.LEDGER)
            batch.put_request(request_key("a", str(position)), position, 1)
            batch.commit()
    return path


def tamper(path, database, change):
    """Change a database behind the store's back: `change` gets a transaction of it."""
    with Env(path, MAP) as env, env.lmdb.begin(write=True, db=getattr(env, database)) as txn:
        change(txn)
        env.put_head(txn)


def readers(env):
    """Return what reads the log, by name."""
    log = Log(env)
    return {
        "scan": lambda: list(log.scan(0)),
        "headers": lambda: log.headers(0, 1000),
        "embeddings": lambda: [log.newest_contexts("a", n, 100, 100) for n in (2, 3)],
    }


def test_gaps_that_were_left_are_no_damage(path):
    """Positions that were reserved and never used are simply not there."""
    with Env(path, MAP) as env:
        log = Log(env)
        assert tuple(entry.position for entry in log.scan(0)) == POSITIONS
        assert tuple(entry.position for entry in log.scan(5)) == POSITIONS[3:]
        assert len(log.headers(0, 1000)) == len(POSITIONS)
        assert sum(len(log.newest_contexts("a", n, 100, 100)) for n in (2, 3)) == len(POSITIONS)
        for position in range(60):
            assert (log.get(position) is not None) == (position in POSITIONS)
            assert (log.ledger(position) is not None) == (position in POSITIONS)
        assert log.request(request_key("a", "4")) is None
        log.verify_tables()


@pytest.mark.parametrize("gone", POSITIONS[:-1])
def test_an_entry_that_is_gone_is_missed(path, gone):
    """Whichever entry is gone, whoever reads the log or asks for it is told."""
    with Env(path, MAP) as env:
        with env.lmdb.begin(write=True, db=env.log) as txn:
            txn.delete(position_key(gone))
        for name, read in readers(env).items():
            with pytest.raises(DataLossError):
                pytest.fail(f"{name}: {read()}")
        with pytest.raises(DataLossError):
            Log(env).get(gone)


@pytest.mark.parametrize("gone", POSITIONS)
@pytest.mark.parametrize("bit", range(0, 64, 5))
def test_a_key_that_was_damaged_is_missed(path, gone, bit):
    """An outcome is not learnt twice, nor a request decided twice, because a bit of a key flipped."""
    other = (int.from_bytes(position_key(gone), "big") ^ 1 << bit).to_bytes(8, "big")
    with Env(path, MAP) as env:
        if Log(env).ledger(int.from_bytes(other, "big")) is not None:
            pytest.skip("two entries of one key are not what a flipped bit leaves behind")

    def change(txn):
        value = txn.pop(position_key(gone))
        txn.put(other, value)

    tamper(path, "ledger", change)
    with Env(path, MAP) as env:
        # A search that goes astray ends elsewhere; here the key was put in its order.
        with pytest.raises(DataLossError):
            Log(env).ledger(int.from_bytes(other, "big"))
        with pytest.raises(DataLossError):
            Log(env).verify_tables()


def test_a_flipped_bit_of_any_key_in_the_file_is_missed(path):
    """Found by the key itself, in the page where it stands."""
    file = path / "data.mdb"
    whole = file.read_bytes()
    with Env(path, MAP) as env, env.lmdb.begin(db=env.ledger) as txn:
        entries = [bytes(key) + bytes(value) for key, value in txn.cursor()]
    wrong = 0
    for position, entry in zip(POSITIONS, entries, strict=True):
        at = whole.rindex(entry)  # older transactions left copies; any that is not in use is no damage
        for bit in range(64):
            spoilt = bytearray(whole)
            spoilt[at + 7 - bit // 8] ^= 1 << bit % 8
            file.write_bytes(spoilt)
            with Env(path, MAP, readonly=True) as env:
                try:
                    assert Log(env).ledger(position) == MADE.LEDGER
                except DataLossError:
                    wrong += 1
    assert wrong > 64


def test_an_older_tree_is_not_served(path):
    """Where the newest meta page is damaged so that LMDB would serve the tree before, the start is refused."""
    file = path / "data.mdb"
    whole = file.read_bytes()
    pages = [whole[:META], whole[META : 2 * META]]
    numbers = [int.from_bytes(page[NUMBER], "little") for page in pages]
    newest = numbers.index(max(numbers))

    def refused(page):
        spoilt = bytearray(whole)
        spoilt[newest * META : (newest + 1) * META] = page
        file.write_bytes(spoilt)
        for readonly in (False, True):
            with pytest.raises(DataLossError), Env(path, MAP, readonly=readonly):
                pass

    for bit in range(64):
        page = bytearray(pages[newest])
        if numbers[newest] ^ 1 << bit == numbers[newest] - 2:
            continue  # what a meta page says whose write never came: nothing in the file tells of it
        page[NUMBER] = (numbers[newest] ^ 1 << bit).to_bytes(8, "little")
        refused(page)
    page = bytearray(pages[newest])
    page[ROOTS] = pages[1 - newest][ROOTS]
    refused(page)
    file.write_bytes(whole)
    Env(path, MAP).close()


def test_a_compacted_copy_is_served(path, tmp_path):
    """A backup that LMDB made and compacted counts its transactions anew; it is whole all the same."""
    copy = tmp_path / "copy"
    copy.mkdir()
    with Env(path, MAP) as env:
        env.lmdb.copy(str(copy), compact=True)
    for _ in range(2):
        with Env(copy, MAP) as env:
            log = Log(env)
            assert [entry.position for entry in log.scan(0)][: len(POSITIONS)] == list(POSITIONS)
            batch = log.begin()
            batch.append(log.last_position + 2, 1, MADE.RECORDS["outcome"][2])
            batch.commit()
            env.next_epoch()


def test_a_directory_without_a_head_is_taken_over(path):
    """An older version named no entry before another: what it wrote is read, what comes now is chained."""

    def age(txn):
        cursor = txn.cursor()
        for key, value in list(cursor):
            entry = decode_record(key, value)
            txn.put(key, encode_record(key, entry.time_ms, entry.record))

    with Env(path, MAP) as env, env.lmdb.begin(write=True, db=env.log) as txn:
        age(txn)
        txn.delete(b"head", db=env.meta)
    with Env(path, MAP, readonly=True) as env:
        assert tuple(entry.position for entry in Log(env).scan(0)) == POSITIONS
    with Env(path, MAP) as env:
        log = Log(env)
        batch = log.begin()
        batch.append(60, 1, MADE.RECORDS["outcome"][2])
        batch.append(70, 1, MADE.RECORDS["outcome"][2])
        batch.commit()
        assert [entry.position for entry in log.scan(0)] == [*POSITIONS, 60, 70]
    tamper(path, "log", lambda txn: txn.delete(position_key(60)))
    with pytest.raises(DataLossError), Env(path, MAP):
        pass


def test_what_changes_nothing_writes_nothing(path):
    """A turn of the clock with nothing to do costs no sync."""
    with Env(path, MAP) as env:
        before = env.lmdb.info()["last_txnid"]
        Log(env).begin().commit()
        assert env.lmdb.info()["last_txnid"] == before


def test_a_missing_change_of_settings_is_missed(path):
    """A snapshot is never put on models that are not all there."""
    record = MADE.RECORDS["router_change"][2]
    with Env(path, MAP) as env:
        log = Log(env)
        batch = log.begin()
        for position in (60, 61):
            batch.append(position, 1, record)
        batch.commit()
        assert [entry.position for entry in log.settings(100)] == [60, 61]
        assert [entry.position for entry in log.settings(60)] == [60]


def test_an_entry_with_a_link_names_what_was_before():
    """In its bytes, under its checksum; the record is the same with and without."""
    position, time_ms, record = MADE.RECORDS["decision"]
    key = position_key(position)
    plain = encode_record(key, time_ms, record)
    link = Link(position - 5, 1 << 40, 12)
    linked = encode_record(key, time_ms, record, link)
    assert len(linked) == len(plain) + 24
    assert (link_of(plain), link_of(linked)) == (None, link)
    assert peek(linked) == peek(plain) == (DECISION, time_ms)
    assert [link_of(linked[:length]) for length in range(37)] == [None] * 37  # cut anywhere, down to nothing
    entries = [decode_record(key, value) for value in (plain, linked)]
    assert encode_record(key, time_ms, entries[1].record) == encode_record(key, time_ms, entries[0].record) == plain
    for bit in range(8 * 40):
        spoilt = bytearray(linked)
        spoilt[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataLossError):
            decode_record(key, bytes(spoilt))


def test_newest_entries_that_are_gone_are_missed(path):
    """The last of a transaction can go without the others: a page whose count of entries was damaged hides its end."""
    record = MADE.RECORDS["outcome"][2]
    with Env(path, MAP) as env:
        batch = Log(env).begin()
        for position in range(60, 64):
            batch.append(position, 1, record)
        batch.commit()
        with env.lmdb.begin(db=env.log) as txn, txn.cursor() as cursor:
            values = [bytes(value) for _, value in cursor.iterprev()][:2]
    file = path / "data.mdb"
    whole = bytearray(file.read_bytes())
    # Both stand in one page, at whose byte 12 stands where the list of its entries ends, two bytes for each.
    page = META * (whole.rindex(values[0]) // META)
    assert page == META * (whole.rindex(values[1]) // META)
    for hidden in (1, 2):
        spoilt = bytearray(whole)
        end = int.from_bytes(whole[page + 12 : page + 14], "little") - 2 * hidden
        spoilt[page + 12 : page + 14] = end.to_bytes(2, "little")
        file.write_bytes(spoilt)
        with pytest.raises(DataLossError), Env(path, MAP):
            pass
