"""kill -9 while an encoding is fitted and a belief is rebuilt under it: it is fitted whole or not at all."""

import random
import signal
import time

import numpy as np
import pytest

from banditd.domain.records import FeatureFit
from banditd.store.env import Env
from banditd.store.log import Log
from banditd_client import Client, Outcome

from .harness import MAP_BYTES, Ledger, Server, Warm, audit, check_recovered, configure

DIMENSION = 1024


@pytest.fixture(scope="module")
def warm():
    """Where servers are forked from."""
    process = Warm()
    yield process
    process.close()


def look(data):
    """Return the newest position of a dead server's log, and how many fits it holds."""
    with Env(data, MAP_BYTES) as env:
        log = Log(env)
        fits = [e for e in log.scan(0) if isinstance(e.record, FeatureFit) and e.record.prompt_count]
        return log.last_position, len(fits)


def feed(client, rng, count):
    """Log decisions and an outcome of each."""
    for _ in range(0, count, 128):
        batch = client.route_batch(rng.standard_normal((128, DIMENSION)).astype(np.float32), timeout=30)
        outcomes = [Outcome(route.decision_id, quality=float(rng.random()), latency_ms=100.0) for route in batch]
        client.record_outcomes(outcomes, timeout=30)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 21))])
def test_a_fit_that_is_cut_short_is_done_again(tmp_path, warm, seed):
    """Killed before, while and after it fits, the server comes back with the state of its log, and fits in the end."""
    rng = random.Random(seed)
    numbers = np.random.default_rng(seed)
    configure(tmp_path, policy="nonlinear", dimension=DIMENSION)
    data = tmp_path / "data"
    ledger = Ledger()
    before = None
    for life in range(5):
        server = Server(tmp_path, warm)
        if before is not None:
            check_recovered(server, data, *before)
        with Client(server.address) as client:
            # The first life ends about when the encoding is fitted, the others soon after a start, when what is due is
            # done.
            if life == 0:
                feed(client, numbers, 256)
        time.sleep(rng.uniform(0.0, 0.3))
        server.end(signal.SIGKILL)
        before = (audit(data, ledger, early=False), look(data)[0])
    server = Server(tmp_path, warm)
    check_recovered(server, data, *before)
    deadline = time.monotonic() + 60
    with Client(server.address) as client:
        while client.policy_status().feature_fit_position == 0 and time.monotonic() < deadline:
            time.sleep(0.1)
    assert server.end(signal.SIGTERM) == 0
    _, fits = look(data)
    assert fits >= 1
    audit(data, ledger, early=False)
