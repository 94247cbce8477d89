"""Damage of the data file itself: found or harmless, never served, and never the end of the process."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from banditd.domain.snapshot import StoredSnapshot
from banditd.store.env import Env
from banditd.store.log import Log

from .test_codec import MADE
from .test_log import some_decision

SCRIPT = Path(__file__).with_name("open_damaged.py")


@pytest.fixture
def original(tmp_path):
    """A data directory of some hundred pages."""
    path = tmp_path / "original"
    rng = random.Random(1)
    outcome = MADE.RECORDS["outcome"][2]
    with Env(path, 1 << 26) as env:
        log = Log(env)
        position = 0
        for turn in range(30):
            batch = log.begin()
            for _ in range(30):
                position += 1
                batch.append(position, position, some_decision(rng, "a"))
                batch.put_ledger(position, MADE.LEDGER)
            batch.append(position + 1, position, outcome)
            batch.append(position + 2, position, MADE.RECORDS["router_change"][2])
            position += 2
            batch.put_counters("books", {"applied": turn})
            if turn % 5 == 4:
                state = rng.randbytes(50_000)
                batch.put_snapshot(StoredSnapshot("a", position, position, "linucb", turn, state), turn)
                batch.keep_snapshots(2)
            batch.commit()
    return path


def examine(original, first, count, tmp_path):
    """Run the script; return what it found."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(original), str(first), str(count), str(tmp_path / "expected")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_damage_is_found_or_harmless(original, tmp_path):
    """Flipped bits, zeroed pages and a cut file: what is read is what was written, or nothing is."""
    found = examine(original, 0, 40, tmp_path)
    assert found["bad"] == []
    assert found["counts"]["found"] > 8
    assert found["counts"]["equal"] > 3  # damage where nothing is kept


@pytest.mark.long
def test_much_damage_is_found_or_harmless(original, tmp_path):
    """The same, a thousand times."""
    assert examine(original, 1000, 1000, tmp_path)["bad"] == []
