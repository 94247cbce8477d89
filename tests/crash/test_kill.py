"""kill -9 at random moments: nothing acknowledged is lost, nothing applied twice, and the state is that of the log."""

import random
import signal
import time

import pytest

from banditd.store.env import Env
from banditd.store.log import Log
from banditd_client import OutcomeStatus

from .harness import MAP_BYTES, Ledger, Load, Server, Warm, audit, check_recovered, configure


@pytest.fixture(scope="module")
def warm():
    """Where servers are forked from."""
    process = Warm()
    yield process
    process.close()


def last_position(data):
    """Return the newest position of a dead server's log."""
    with Env(data, MAP_BYTES) as env:
        return Log(env).last_position


def cycle(folder, warm, ledger, seed, *, early):
    """Start, compare with the last life, load, kill."""
    data = folder / "data"
    rng = random.Random(seed)
    before = (audit(data, ledger, early=early), last_position(data)) if data.exists() else None
    server = Server(folder, warm)
    if before is not None:
        check_recovered(server, data, *before)
    load = Load(server.address, ledger, seed, early=early)
    # One life in four ends with the first calls on their way, the others in full swing.
    load.wait_for(rng.choice([0, rng.randrange(1, 20), rng.randrange(20, 120), rng.randrange(20, 120)]))
    time.sleep(rng.uniform(0.0, 0.02))
    server.end(signal.SIGKILL)
    load.end()
    return server.start_s


def run(folder, warm, count, *, early, cold_every, seed=0):
    """Run cycles; return the ledger and the start times of cold starts."""
    configure(folder, ack="early" if early else "commit")
    ledger = Ledger()
    cold = []
    for i in range(count):
        if i % cold_every == cold_every - 1:
            cold.append(cycle(folder, None, ledger, f"{seed}.{i}", early=early))
        else:
            cycle(folder, warm, ledger, f"{seed}.{i}", early=early)
    audit(folder / "data", ledger, early=early)
    return ledger, cold


@pytest.mark.parametrize("early", [False, True], ids=["commit", "early"])
def test_nothing_acknowledged_is_lost_or_applied_twice(tmp_path, warm, early):
    """Fifteen lives on one directory in each mode of acknowledgement; two of them started from the command line."""
    ledger, _ = run(tmp_path, warm, 15, early=early, cold_every=7)
    assert ledger.statuses[OutcomeStatus.APPLIED] > 200
    assert ledger.statuses[OutcomeStatus.DUPLICATE] > 20
    assert sum(kind == "comparison" for kind, _ in ledger.told) > 10
    assert early or ledger.statuses[OutcomeStatus.ORPHANED] == 0


@pytest.mark.long
@pytest.mark.parametrize("early", [False, True], ids=["commit", "early"])
@pytest.mark.parametrize("part", range(10))
def test_nothing_is_lost_in_a_thousand_lives(tmp_path, warm, early, part):
    """Twenty times fifty lives, each fifty on a directory of their own."""
    ledger, _ = run(tmp_path, warm, 50, early=early, cold_every=25, seed=part + 1)
    assert ledger.statuses[OutcomeStatus.APPLIED] > 500
