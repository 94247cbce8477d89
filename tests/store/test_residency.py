"""A process stays small beside a large log: mapped pages are given back, and reading goes on."""

import sys
import threading

import pytest

from banditd.domain.records import FeatureFit
from banditd.store import residency
from banditd.store.env import Env
from banditd.store.log import Log
from banditd.store.residency import Residency

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident pages are told by Linux's /proc")
COUNT, BYTES = 24, 2 << 20


@pytest.fixture
def env(tmp_path):
    """A log of 48 MB."""
    with Env(tmp_path, 1 << 28) as opened:
        for position in range(1, COUNT + 1):
            batch = Log(opened).begin()
            batch.append(position, 1, FeatureFit("r", bytes([position]) * BYTES, 1))
            batch.commit()
        opened._residency = Residency(tmp_path / "data.mdb")
        yield opened


def read_all(env):
    """Read the whole log; return whether it is what was written."""
    return [entry.record.spec[:1] for entry in Log(env).scan(0)] == [bytes([i]) for i in range(1, COUNT + 1)]


def test_reading_a_large_log_leaves_nothing_resident(env):
    """What was read through the map is given back at the next turn; without that it stays."""
    before = residency._shared_bytes()
    assert read_all(env)
    assert residency._shared_bytes() - before > 40 << 20
    assert env._residency.trim() is True
    assert residency._shared_bytes() - before < 4 << 20
    assert read_all(env)


def test_a_little_is_left_alone(env):
    """Nothing is given back where there is little to give: pages that are used again and again stay mapped."""
    Log(env).get(1)
    assert env._residency.trim() is False


def test_readers_are_not_disturbed(env):
    """Pages are given back under a thread that reads them, and it reads what was written."""
    stopping = threading.Event()
    good = []

    def read():
        while not stopping.is_set():
            good.append(read_all(env))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        while len(good) < 3:
            env._residency._base = 0
            env._residency.trim()
    finally:
        stopping.set()
        reader.join()
    assert all(good)


def test_without_proc_nothing_is_done(tmp_path, monkeypatch):
    """Where residency cannot be seen, trimming is no error."""
    monkeypatch.setattr(residency, "_STATM", tmp_path / "missing")
    assert Residency(tmp_path / "data.mdb").trim() is False
