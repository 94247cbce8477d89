"""The garbage collector of a server that serves: what was there is permanent, cycles are looked for rarely."""

import gc
import subprocess
import sys

from click.testing import CliRunner

from banditd.cli.main import cli
from banditd.server.app import App

CHILD = """
import gc, weakref
from banditd.server.garbage import settle_garbage

class Knot:
    pass

def knot():
    tied = Knot()
    tied.itself = tied
    return weakref.ref(tied)

gc.disable()
before = knot()
gc.enable()
settle_garbage()
assert before() is None, "garbage of the start is kept for ever"
assert gc.get_freeze_count() > 1000 and len(gc.get_objects()) < 1000
after = knot()
for _ in range(700 * 12):
    knot()
assert after() is not None, "looked for cycles as often as ever"
for _ in range(2 * 20_000):
    knot()
assert after() is None, "cycles are never found"
"""


def test_what_was_there_stays_and_new_cycles_are_found_later():
    """In a process of its own, since it is for good."""
    result = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr


def test_a_server_settles_when_it_serves(monkeypatch, tmp_path):
    """Of the command `banditd serve` only, whose process is the server's."""
    seen = []

    async def run(_app, on_ready):
        seen.append(gc.get_freeze_count())
        on_ready(1)
        seen.append(gc.get_freeze_count())
        return 0

    monkeypatch.setattr(App, "run", run)
    thresholds = gc.get_threshold()
    try:
        result = CliRunner().invoke(cli, ["serve", "--data", str(tmp_path / "data")])
        assert result.exit_code == 0, result.output
        assert seen[1] > seen[0]
        assert gc.get_threshold()[0] > thresholds[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
