"""The data directory: one writer, one format, never anything recreated over what is there."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from banditd.domain.records import FeatureFit, ModelChange
from banditd.errors import DataLossError, Reason, StartupError
from banditd.store import env as env_module
from banditd.store.env import Env
from banditd.store.log import Log, _decode_request, position_key

MODEL = ModelChange("m", 0, None)
MAP = 1 << 26
READER = """
import sys
from pathlib import Path
from banditd.errors import StartupError
from banditd.store.env import Env
from banditd.store.log import Log
try:
    with Env(Path(sys.argv[1]), 1 << 26, readonly=sys.argv[2] == "read") as env:
        print(Log(env).last_position)
except StartupError as error:
    print(error.message)
    sys.exit(error.exit_code)
"""


def other_process(path, how):
    """Open *path* in another process; return exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", READER, str(path), how],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.returncode, done.stdout.strip() or done.stderr


def reading_processes(env):
    """Return the processes that hold a reader's place."""
    return {int(line.split()[0]) for line in env.lmdb.readers().splitlines()[1:]}


def append(env, count):
    """Write *count* entries."""
    log = Log(env)
    batch = log.begin()
    for position in range(log.last_position + 1, log.last_position + 1 + count):
        batch.append(position, 1, MODEL)
    batch.commit()


def refusal(path, **options):
    """Return the error with which *path* is refused."""
    with pytest.raises(StartupError) as caught:
        Env(path, MAP, **options)
    assert "\n" not in caught.value.message
    return caught.value


def test_a_directory_is_made_and_kept(tmp_path):
    """What was made at the first start is what the next one finds: secret, format, and one more epoch."""
    path = tmp_path / "deep" / "data"
    with Env(path, MAP) as env:
        secret = env.secret
        assert env.next_epoch() == 1
    with Env(path, MAP) as env:
        assert env.secret == secret
        assert env.next_epoch() == 2
    assert oct((path / "data.mdb").stat().st_mode & 0o777) == "0o600"


def test_two_directories_have_two_secrets(tmp_path):
    """A decision id of one server means nothing to another."""
    with Env(tmp_path / "a", MAP) as one, Env(tmp_path / "b", MAP) as two:
        assert one.secret != two.secret


def test_a_second_writer_is_refused(tmp_path):
    """Two writers would each believe that theirs is the log."""
    with Env(tmp_path, MAP):
        error = refusal(tmp_path)
        assert (error.reason, error.exit_code) == (Reason.WRITER_LOCKED, 3)
        assert error.message == f"another writer holds {tmp_path}"
        assert other_process(tmp_path, "write") == (3, f"another writer holds {tmp_path}")
    Env(tmp_path, MAP).close()


def test_a_reader_reads_beside_the_writer(tmp_path):
    """Inspection and export work on a running server's directory and see what is committed."""
    with Env(tmp_path, MAP) as env:
        append(env, 3)
        assert other_process(tmp_path, "read") == (0, "3")
        append(env, 2)
        assert other_process(tmp_path, "read") == (0, "5")


def test_a_reader_makes_nothing(tmp_path):
    """Looking at a directory that holds no data leaves it as it is."""
    error = refusal(tmp_path, readonly=True)
    assert error.message == f"{tmp_path} holds no banditd data"
    assert list(tmp_path.iterdir()) == []
    assert refusal(tmp_path / "missing", readonly=True).reason is Reason.DATA_DIRECTORY


def test_a_foreign_directory_is_refused(tmp_path):
    """A mistyped path does not end among somebody's files."""
    (tmp_path / "holiday.jpg").write_bytes(b"...")
    error = refusal(tmp_path)
    assert error.message == f"{tmp_path} is not empty and holds no banditd data (found 'holiday.jpg')"
    assert not (tmp_path / "data.mdb").exists()


def test_a_fresh_volume_is_taken(tmp_path):
    """A volume of its own comes with lost+found."""
    (tmp_path / "lost+found").mkdir()
    Env(tmp_path, MAP).close()


@pytest.mark.parametrize("left", [["making"], ["making/data.mdb"], ["making/data.mdb", "making/lock.mdb"]])
def test_a_first_start_that_was_cut_short_is_done_again(tmp_path, left):
    """A crash at the very first moment leaves nothing that a person has to clear away."""
    (tmp_path / "making").mkdir()
    for name in left[left[0] == "making" :]:
        (tmp_path / name).write_bytes(b"\0" * 100)
    with Env(tmp_path, MAP) as env:
        append(env, 1)
    assert not (tmp_path / "making").exists()


@pytest.mark.parametrize("step", range(12))
def test_a_first_start_cut_at_any_call_is_done_again(tmp_path, monkeypatch, step):
    """Wherever the first start ends, the next one succeeds."""
    calls = iter(range(1000))

    class CutShortError(Exception):
        pass

    def cutting(real):
        def call(*args, **kwargs):
            if next(calls) == step:
                raise CutShortError
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(env_module.lmdb, "open", cutting(lmdb.open))
        patch.setattr(env_module.secrets, "token_bytes", cutting(env_module.secrets.token_bytes))
        patch.setattr(env_module.Path, "rename", cutting(env_module.Path.rename))
        patch.setattr(env_module.shutil, "rmtree", cutting(env_module.shutil.rmtree))
        patch.setattr(env_module.os, "fsync", cutting(os.fsync))
        with contextlib.suppress(CutShortError):
            Env(tmp_path / "data", MAP).close()
    with Env(tmp_path / "data", MAP) as env:
        assert env.next_epoch() == 1


def test_another_format_is_refused(tmp_path):
    """A directory of a later version is not touched."""
    with Env(tmp_path, MAP) as env, env.lmdb.begin(write=True, db=env.meta) as txn:
        txn.put(b"format", b"2")
    error = refusal(tmp_path)
    assert error.reason is Reason.DATA_FORMAT
    assert error.message == f"{tmp_path}: expected a data directory of format 1, got format 2"


def test_a_foreign_lmdb_is_refused(tmp_path):
    """Somebody else's LMDB file is not ours to write to."""
    lmdb.open(str(tmp_path), map_size=MAP).close()
    assert refusal(tmp_path).reason is Reason.DATA_FORMAT


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"\0" * 65536, b"garbage" * 10_000], ids=len)
def test_garbage_is_refused_and_left_alone(tmp_path, content):
    """A data file that is none is never made anew: it may be somebody's last copy."""
    (tmp_path / "data.mdb").write_bytes(content)
    refusal(tmp_path)
    assert (tmp_path / "data.mdb").read_bytes() == content


def test_a_directory_for_a_data_file_is_refused(tmp_path):
    """A directory in the data file's place is refused."""
    (tmp_path / "data.mdb").mkdir()
    refusal(tmp_path)


def test_a_dangling_link_for_a_data_file_is_refused(tmp_path):
    """A link to a volume that is not mounted is no empty directory."""
    (tmp_path / "data.mdb").symlink_to(tmp_path / "unmounted" / "data.mdb")
    refusal(tmp_path)
    assert (tmp_path / "data.mdb").is_symlink()


def test_a_file_for_a_directory_is_refused(tmp_path):
    """A file in the directory's place is refused."""
    path = tmp_path / "data"
    path.write_text("")
    assert refusal(path).reason is Reason.DATA_DIRECTORY
    assert refusal(path, readonly=True).reason is Reason.DATA_DIRECTORY


def test_an_unwritable_directory_is_refused(tmp_path):
    """What cannot be written is refused with the reason; /proc cannot, not even by root."""
    if not Path("/proc/self").is_dir():
        pytest.skip("needs a folder that nobody can write to, such as /proc")
    error = refusal(Path("/proc/self/task"))
    assert error.reason is Reason.DATA_DIRECTORY
    assert "cannot be written" in error.message


def test_a_cut_data_file_is_refused(tmp_path):
    """A copy that broke off is refused, rather than killing the process at the first read beyond its end."""
    with Env(tmp_path, MAP) as env:
        batch = Log(env).begin()
        batch.append(1, 1, FeatureFit("r", b"x" * 3_000_000, 1))
        batch.commit()
    os.truncate(tmp_path / "data.mdb", 500_000)
    for readonly in (False, True):
        error = refusal(tmp_path, readonly=readonly)
        assert error.reason is Reason.DATA_FORMAT
        assert "was cut" in error.message
    assert (tmp_path / "data.mdb").stat().st_size == 500_000


@pytest.mark.parametrize(
    "unsafe", [{"sync": False}, {"metasync": False}, {"writemap": True}, {"writemap": True, "map_async": True}], ids=str
)
def test_unsafe_modes_are_forbidden(tmp_path, monkeypatch, unsafe):
    """No option that lets a power cut take back an acknowledged fact gets past the assertion."""
    monkeypatch.setattr(env_module.lmdb, "open", lambda path, **options: lmdb.Environment(path, **(options | unsafe)))
    with pytest.raises(AssertionError):
        Env(tmp_path, MAP)


@pytest.mark.parametrize("key", [b"secret", b"epoch", b"books"])
def test_damage_beside_the_log_is_found(tmp_path, key):
    """The key of decision ids, the count of starts and the books are sealed, too."""
    with Env(tmp_path, MAP) as env:
        log = Log(env)
        batch = log.begin()
        batch.put_counters("books", {"applied": 7})
        batch.commit()
        assert log.counters("books") == {"applied": 7}
        with env.lmdb.begin(write=True, db=env.meta) as txn:
            value = bytearray(txn.get(key))
            value[-1] ^= 1
            txn.put(key, bytes(value))
        with pytest.raises(DataLossError):
            env.get_meta(key)


def test_damaged_remembered_requests_are_found(tmp_path):
    """A retry is never answered with another request's decision because of a flipped bit."""
    key = bytes(16)
    with Env(tmp_path, MAP) as env:
        log = Log(env)
        batch = log.begin()
        batch.put_request(key, 5, 2)
        batch.commit()
        assert log.request(key) == (5, 2)
        with env.lmdb.begin(write=True, db=env.requests) as txn:
            value = txn.get(key)
            for bit in range(8 * len(value)):
                changed = bytearray(value)
                changed[bit // 8] ^= 1 << bit % 8
                txn.put(key, bytes(changed))
                with pytest.raises(DataLossError):
                    _decode_request(key, txn.get(key))


def test_damaged_records_are_never_served(tmp_path):
    """A record that was changed on disk is DataLossError wherever it is read."""
    with Env(tmp_path, MAP) as env:
        append(env, 3)
        with env.lmdb.begin(write=True, db=env.log) as txn:
            value = bytearray(txn.get(position_key(2)))
            value[-1] ^= 4
            txn.put(position_key(2), bytes(value))
        log = Log(env)
        assert log.get(1).position == 1
        with pytest.raises(DataLossError):
            log.get(2)
        with pytest.raises(DataLossError):
            list(log.scan(0))
        assert [entry.position for entry in log.scan(2)] == [3]


def test_dead_readers_are_forgotten(tmp_path):
    """A reader that was killed does not keep old pages from being used again for ever."""
    with Env(tmp_path, MAP) as env:
        append(env, 1)
        script = READER.replace("print(Log(env).last_position)", "env.lmdb.begin(); import os; os.kill(os.getpid(), 9)")
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path), "read"],
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert len(reading_processes(env)) == 2
        env.forget_dead_readers()
        assert reading_processes(env) == {os.getpid()}
