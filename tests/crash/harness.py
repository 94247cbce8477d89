"""A real server that is killed, a real client's load, and the client's own ledger of what was acknowledged."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from banditd.domain.decision import Decision
from banditd.domain.outcome import OutcomeStatus as LoggedStatus
from banditd.domain.records import ComparisonRecord, OutcomeRecord
from banditd.learner.recovery import recover, replay
from banditd.learner.state import LearnerState
from banditd.store.env import Env
from banditd.store.log import Log
from banditd.store.snapshots import Snapshots
from banditd_client import Client, Comparison, Outcome, OutcomeStatus, RetryPolicy, Winner
from banditd_client.errors import BanditdError

MAP_BYTES = 1 << 30
DIMENSION = 8
MODELS = ("small", "middle", "large")
ROUTER = "default"
CONFIG = """
[store]
decision_ack = "{ack}"
map_gib = 1

[learner]
snapshot_entries = 100
snapshot_interval_ms = 1000
snapshots_kept = 3

[[routers]]
id = "default"
embedding_dimension = {dimension}
policy = "{policy}"
""" + "".join(
    f'\n[[models]]\nid = "{model}"\ninput_mtok_usd = {price}\noutput_mtok_usd = {4 * price}\n'
    for model, price in zip(MODELS, (0.1, 1.0, 5.0), strict=True)
)
NO_RETRY = RetryPolicy(attempts_max=1)


def environment():
    """Return the environment of a server's process: it finds what the tests find, and keeps byte code."""
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    return found


class Warm:
    """Forks servers from a process that has done its imports."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("warm.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def ask(self, *asked) -> int:
        """Return the answer to a request; see warm.py."""
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Server:
    """One life of a server.

    Args:
        folder: Holds its configuration, its data and its log.
        warm: Where it is forked from; None starts it as `python -m banditd.cli.main serve`.
    """

    def __init__(self, folder: Path, warm: Warm | None, *options: str) -> None:
        arguments = ["serve", "--config", str(folder / "banditd.toml"), "--data", str(folder / "data")]
        arguments += ["--listen", "127.0.0.1:0", *options]
        self._warm = warm
        self.lines: list[str] = []
        started = time.perf_counter()
        pipe = folder / "stderr"
        if not pipe.exists():
            os.mkfifo(pipe)
        if warm is None:
            command = [sys.executable, "-m", "banditd.cli.main", *arguments]
            self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
            self.pid = self._process.pid
            self._stderr = self._process.stderr
        else:
            self.pid = warm.ask(str(pipe), *arguments)
            self._stderr = pipe.open()
        self.port = self._wait_for_start()
        self.start_s = time.perf_counter() - started

    def _wait_for_start(self) -> int:
        for line in self._stderr:
            self.lines.append(line)
            if '"server.started"' in line:
                return int(json.loads(line)["listen"].rpartition(":")[2])
        raise AssertionError("the server did not start:\n" + "".join(self.lines))

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait until the process is gone; returns its wait status."""
        os.kill(self.pid, number)
        if self._warm is None:
            self._process.wait()
            status = self._process.returncode
        else:
            status = self._warm.ask(self.pid)
        self.lines += self._stderr.readlines()
        self._stderr.close()
        return status


@dataclass(frozen=True)
class Vote:
    """A comparison with what it is about.

    Attributes:
        comparison: Who did better.
        decision_id: The decision; empty for a prompt of its own.
    """

    comparison: Comparison
    decision_id: str


def key_of(fact: Outcome | Vote) -> tuple[str, str]:
    """Return what names a fact: an outcome within its decision, a comparison anywhere."""
    if isinstance(fact, Vote):
        return "comparison", fact.comparison.comparison_id
    return fact.decision_id, fact.outcome_id


@dataclass
class Ledger:
    """What the client was told, and what it does not know. A fact is an outcome or a comparison.

    Attributes:
        decisions: Acknowledged decisions: request id to decision id and model.
        applied: Facts that were acknowledged, as applied or a duplicate, by `key_of`.
        told: Those that were acknowledged as applied.
        unsure: Facts that were sent and not answered.
        held: Outcomes that are kept for the next life.
        statuses: Acknowledged answers, counted.
        wrong: Promises that were broken.
    """

    decisions: dict = field(default_factory=dict)
    applied: dict = field(default_factory=dict)
    told: set = field(default_factory=set)
    unsure: dict = field(default_factory=dict)
    held: list = field(default_factory=list)
    statuses: Counter = field(default_factory=Counter)
    wrong: list = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def settle(self, fact: Outcome | Vote, status: OutcomeStatus | None) -> None:
        """Take down what became of a fact; None: no answer."""
        key = key_of(fact)
        with self.lock:
            if status is None:
                if key not in self.applied:
                    self.unsure[key] = fact
                return
            self.statuses[status] += 1
            if status is OutcomeStatus.APPLIED:
                # Two threads may send the same, and the second may be quicker to say that it was a duplicate.
                if key in self.told:
                    self.wrong.append(f"applied twice: {key}")
                self.told.add(key)
                self.applied[key] = fact
                self.unsure.pop(key, None)
            elif status is OutcomeStatus.DUPLICATE:
                # It was applied by a try that was not answered: known from now on.
                self.applied.setdefault(key, fact)
                self.unsure.pop(key, None)
            elif status is OutcomeStatus.ORPHANED:
                self.unsure.pop(key, None)
                if key in self.applied:
                    self.wrong.append(f"orphaned after it was applied: {key}")


class Load:
    """Clients that route and report until the server is gone.

    Args:
        address: The server.
        ledger: Taken along from life to life.
        seed: Of what is asked and reported.
        early: Whether decisions may be lost, by the server's setting.
    """

    def __init__(self, address: str, ledger: Ledger, seed: int, *, early: bool, threads: int = 4) -> None:
        self._ledger = ledger
        self._early = early
        self._stopping = threading.Event()
        self._client = Client(address, retry=NO_RETRY, route_timeout=10.0, timeout=10.0)
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(f"{seed}.{i}"), f"{seed}-{i}"))
            for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def wait_for(self, answers: int) -> None:
        """Wait until so many outcomes have been answered in this life."""
        enough = self._ledger.statuses.total() + answers
        deadline = time.monotonic() + 60.0
        while self._ledger.statuses.total() < enough and time.monotonic() < deadline:
            time.sleep(0.001)

    def end(self) -> None:
        """Wait until all have noticed."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._client.close()

    def _run(self, rng: random.Random, name: str) -> None:
        try:
            self._repeat_old(rng)
            for turn in range(1_000_000):
                if self._stopping.is_set():
                    return
                if rng.random() < 0.2:
                    self._batch(rng, f"{name}-{turn}")
                else:
                    self._one(rng, f"{name}-{turn}")
        except BanditdError as error:
            if not self._stopping.is_set() and error.reason not in {"", "DRAINING", None}:
                with self._ledger.lock:
                    self._ledger.wrong.append(f"refused: {error.reason} {error}")

    def _repeat_old(self, rng: random.Random) -> None:
        """Send again what was not answered, and some of what was."""
        with self._ledger.lock:
            unsure = list(self._ledger.unsure.values())
            known = list(self._ledger.applied.values())
            decisions = list(self._ledger.decisions.items())
            held = self._ledger.held[-20:]
            self._ledger.held.clear()
        for outcome in reversed(held):
            self._report(outcome)
        again = rng.sample(unsure, min(len(unsure), 20)) + rng.sample(known, min(len(known), 10))
        for fact in again:
            self._report(fact)
        for request_id, (decision_id, model) in rng.sample(decisions, min(len(decisions), 5)):
            self._route(request_id, decision_id, model)

    def _route(self, request_id: str, decision_id: str = "", model: str = ""):
        # The embedding depends on the request id, so that a repetition has the same content.
        content = random.Random(request_id)
        route = self._client.route([content.gauss(0, 1) for _ in range(DIMENSION)], request_id=request_id)
        with self._ledger.lock:
            known = self._ledger.decisions.setdefault(request_id, (route.decision_id, route.model))
            if known != (route.decision_id, route.model) and not self._early:
                self._ledger.wrong.append(f"another decision for request {request_id}: {known}, {route.decision_id}")
        return route

    def _one(self, rng: random.Random, name: str) -> None:
        route = self._route(name)
        for outcome in self._pieces(rng, route.decision_id, route.model, name):
            if self._early and rng.random() < 0.3:
                # Its decision may be lost meanwhile.
                with self._ledger.lock:
                    self._ledger.held.append(outcome)
                continue
            for _ in range(rng.choice([1, 1, 1, 2, 3])):
                self._report(outcome)
        if rng.random() < 0.7:
            vote = self._vote(rng, rng.choice([route.decision_id, ""]), route.model, f"{name}v")
            for _ in range(rng.choice([1, 1, 2])):
                self._report(vote)

    def _batch(self, rng: random.Random, name: str) -> None:
        rows = rng.randrange(2, 12)
        batch = self._client.route_batch(
            [[rng.gauss(0, 1) for _ in range(DIMENSION)] for _ in range(rows)], request_id=name
        )
        outcomes = [
            outcome
            for row, route in enumerate(batch)
            for outcome in self._pieces(rng, route.decision_id, route.model, f"{name}.{row}")
        ]
        rng.shuffle(outcomes)
        sent = outcomes + rng.sample(outcomes, len(outcomes) // 3)
        try:
            results = self._client.record_outcomes(sent)
        except BanditdError:
            for outcome in sent:
                self._ledger.settle(outcome, None)
            raise
        for outcome, result in zip(sent, results, strict=True):
            assert result.error is None, result.error
            self._ledger.settle(outcome, result.status)

    @staticmethod
    def _pieces(rng: random.Random, decision_id: str, model: str, name: str):
        """Return the outcome of a decision, whole or in pieces, in any order."""
        quality = min(1.0, max(0.0, rng.gauss(0.3 + 0.2 * MODELS.index(model), 0.1)))
        tokens = {"input_tokens": 100, "output_tokens": rng.randrange(1, 500)}
        latency_ms = rng.uniform(100, 3000)
        if rng.random() < 0.5:
            return [Outcome(decision_id, outcome_id=name, quality=quality, latency_ms=latency_ms, **tokens)]
        pieces = [
            Outcome(decision_id, outcome_id=f"{name}q", quality=quality),
            Outcome(decision_id, outcome_id=f"{name}t", **tokens),
            Outcome(decision_id, outcome_id=f"{name}l", latency_ms=latency_ms),
        ]
        rng.shuffle(pieces)
        return pieces

    @staticmethod
    def _vote(rng: random.Random, decision_id: str, model: str, name: str) -> Vote:
        """Return a comparison of a model with another one."""
        other = rng.choice([each for each in MODELS if each != model])
        better = Winner.A if MODELS.index(model) > MODELS.index(other) else Winner.B
        said = Comparison(
            model,
            other,
            rng.choice([better, better, Winner.TIE, Winner.BOTH_BAD]),
            judge=rng.choice(["", "ann", "ben"]),
            first=rng.choice(["", model, other]),
            comparison_id=name,
        )
        return Vote(said, decision_id)

    def _report(self, fact: Outcome | Vote) -> None:
        try:
            status = self._record(fact)
        except BanditdError:
            self._ledger.settle(fact, None)
            raise
        self._ledger.settle(fact, status)

    def _record(self, fact: Outcome | Vote) -> OutcomeStatus:
        if isinstance(fact, Outcome):
            (result,) = self._client.record_outcomes([fact])
            assert result.error is None, result.error
            assert result.status is not None
            return result.status
        if fact.decision_id:
            return self._client.record_comparison(fact.comparison, decision_id=fact.decision_id)
        content = random.Random(fact.comparison.comparison_id)
        embedding = [content.gauss(0, 1) for _ in range(DIMENSION)]
        return self._client.record_comparison(fact.comparison, embedding=embedding, router=ROUTER)


def configure(folder: Path, *, ack: str = "commit", policy: str = "linucb", dimension: int = DIMENSION) -> None:
    """Write a server's configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "banditd.toml").write_text(CONFIG.format(ack=ack, dimension=dimension, policy=policy))


def audit(data: Path, ledger: Ledger, *, early: bool) -> str:
    """Compare the directory of a dead server with the client's ledger; return the digest of the folded log.

    Raises:
        AssertionError: A promise is broken.
    """
    assert ledger.wrong == []
    with Env(data, MAP_BYTES) as env:
        log = Log(env)
        decisions: dict[str, Decision] = {}
        requests: Counter[str] = Counter()
        logged: Counter[tuple[str, str]] = Counter()
        statuses: Counter[LoggedStatus] = Counter()
        for entry in log.scan(0):
            record = entry.record
            if isinstance(record, Decision):
                decisions[record.decision_id.hex()] = record
                if record.batch_row <= 0:
                    requests[record.request_id] += 1
            elif isinstance(record, OutcomeRecord):
                statuses[record.ruling.status] += 1
                if record.ruling.status is not LoggedStatus.ORPHANED:
                    logged[record.outcome.decision_id.hex(), record.outcome.outcome_id] += 1
            elif isinstance(record, ComparisonRecord):
                statuses[record.status] += 1
                if record.status is not LoggedStatus.ORPHANED:
                    logged["comparison", record.comparison.comparison_id] += 1
        lost = [key for key in ledger.applied if logged[key] == 0]
        assert lost == [], f"{len(lost)} acknowledged outcomes and comparisons lost"
        twice = [key for key, count in logged.items() if count > 1]
        assert twice == [], f"{len(twice)} outcomes and comparisons applied twice"
        for decision_id, model in ledger.decisions.values():
            assert early or decision_id in decisions, f"acknowledged decision lost: {decision_id} for {model}"
        assert early or all(count == 1 for count in requests.values()), "a request was decided twice"
        books = log.counters("books")
        assert books.get("applied", 0) == statuses[LoggedStatus.APPLIED]
        assert books.get("orphaned", 0) == statuses[LoggedStatus.ORPHANED]
        assert books.get("late", 0) == books.get("rejected", 0) == 0
        folded = replay(LearnerState(), log)
        recovered = recover(log, Snapshots(env))
        assert folded.position == recovered.position == log.last_position
        assert folded.routers[ROUTER].digest() == recovered.routers[ROUTER].digest(), "snapshot and tail differ"
        return folded.routers[ROUTER].digest()


def check_recovered(server: Server, data: Path, digest: str, position: int) -> None:
    """Compare what the running server believes with a fold of the log that its last life left.

    It may have fitted an encoding since: then its digest is that of the log after one of the newest entries.
    """
    with Client(server.address) as client:
        status = client.policy_status()
    books = status.outcomes
    parts = ("applied", "duplicate", "late", "rejected", "overridden", "not_learned", "orphaned", "waiting")
    assert books.received_count == sum(getattr(books, f"{part}_count") for part in parts)
    if status.state_digest == digest:
        return
    with Env(data, MAP_BYTES, readonly=True) as env:
        log = Log(env)
        state = LearnerState()
        digests = []
        for entry in log.scan(0):
            state.apply(entry, log)
            if entry.position > position:
                digests.append(state.routers[ROUTER].digest())
    assert status.state_digest in digests, "the recovered state is not the folded log"
