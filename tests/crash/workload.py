"""Writes to a data directory through the real writer, and acknowledges: python workload.py DATA ACKS SEED [UNSAFE...].

Runs under shim.c. Each line of ACKS, JSON, is written when the writer's answer would go to the client: what became of
which decision and outcome. UNSAFE are options of LMDB, like sync=0, for the test's negative control. With
faults=CALL:ERROR:FIRST:LAST it does all that in a fork for each number of the call that is to fail, on DATA/NUMBER.
"""

import json
import os
import random
import sys
import threading
from pathlib import Path

import lmdb

from banditd.domain.ids import issue_decision_id
from banditd.domain.outcome import Outcome
from banditd.errors import BanditdError, StartupError, UnavailableError
from banditd.learner.books import Books
from banditd.learner.commands import ChangeSettings, LogDecisions, RecordOutcomes, TakeSnapshot
from banditd.learner.recovery import recover
from banditd.learner.writer import Job, Writer, WriterSettings
from banditd.store import env as env_module
from banditd.store.env import Env
from banditd.store.log import Log, request_key
from banditd.store.snapshots import Snapshots
from tests.learner.world import FakeClock, decision, model_change, router_change

MAP_BYTES = 1 << 26


def unsafe_open(options: dict[str, bool]):
    """Return an opener of environments that has no assertion."""

    def opened(path, map_bytes, *, readonly):
        return lmdb.open(str(path), map_size=map_bytes, max_dbs=8, readonly=readonly, lib_version=0, **options)

    return opened


def prepare(data: Path) -> None:
    """Make a directory with two models and a router."""
    drive(data, lambda jobs: None, lambda submit, epoch, secret: submit(ChangeSettings(lambda state: START)))


START = (model_change(0), router_change("r", dimension=4), model_change(1))


def drive(data: Path, on_group, work) -> None:
    """Open *data*, run *work* with a function that submits a command and waits, and close it."""
    answered = threading.Semaphore(0)

    def done(jobs: list[Job]) -> None:
        on_group(jobs)
        for _ in jobs:
            answered.release()

    with Env(data, MAP_BYTES) as env:
        log = Log(env)
        clock = FakeClock()
        writer = Writer(
            recover(log, Snapshots(env)),
            log,
            Books(log.counters("books")),
            clock,
            WriterSettings(1000, 100, 100, 1000, 3),
            done,
        )
        epoch = env.next_epoch()
        waiting = 0

        def submit(command, *, wait: bool = True) -> int:
            nonlocal waiting
            clock.advance(7)
            if isinstance(command, RecordOutcomes):
                writer._books.receive(len(command.outcomes))
            position = writer.submit(command, clock.now_ms())
            waiting += 1
            while wait and waiting:
                answered.acquire()
                waiting -= 1
            return position

        def next_position() -> int:
            return writer.next_position

        submit.next_position = next_position
        writer.start()
        try:
            work(submit, epoch, env.secret)
        finally:
            writer.stop()


def main() -> None:
    """Run once, or once per fault."""
    data, acks, seed = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    options = dict(part.split("=") for part in sys.argv[4:])
    faults = options.pop("faults", None)
    if options:
        env_module._open_lmdb = unsafe_open({name: value == "1" for name, value in options.items()})
    if faults is None:
        run(data, acks, seed)
        return
    call, error, first, last = faults.split(":")
    for number in range(int(first), int(last) + 1):
        child = os.fork()
        if child == 0:
            os.environ["SHIM_FAIL"] = f"{call}:{number}:{error}"
            code = 1
            try:
                run(data / str(number), data / str(number) / "acks", seed)
                code = 0
            except (StartupError, UnavailableError) as refusal:
                code = 3
                print(number, refusal)
            finally:
                os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps([number, status]), flush=True)


def run(data: Path, acks: Path, seed: str) -> None:
    """Run some thirty groups of decisions, outcomes and snapshots."""
    rng = random.Random(seed)
    refused: list[str] = []
    handle = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def on_group(jobs: list[Job]) -> None:
        told = []
        for job in jobs:
            if isinstance(job.answer, BanditdError):
                refused.append(type(job.answer).__name__)
            elif isinstance(job.command, LogDecisions):
                told += [["decision", d.decision_id.hex()] for d in job.command.decisions]
            elif isinstance(job.command, RecordOutcomes):
                assert not refused or refused[-1] == "ResourceExhaustedError", "acknowledged after a failure"
                for (_, outcome), ruling in zip(job.command.outcomes, job.answer, strict=True):
                    told.append(["outcome", outcome.decision_id.hex(), outcome.outcome_id, int(ruling.status)])
        os.write(handle, (json.dumps(told) + "\n").encode())

    def work(submit, epoch: int, secret: bytes) -> None:
        made: list[tuple[int, bytes]] = []
        for turn in range(30):
            for part in range(rng.randrange(1, 5)):
                count = rng.randrange(1, 4)
                position = submit.next_position()
                issued = [issue_decision_id(secret, position + i, epoch) for i in range(count)]
                made += [(position + i, decision_id) for i, (decision_id, _) in enumerate(issued)]
                rows = tuple(
                    decision(
                        "r", decision_id=decision_id, uniform=uniform, slots=(0, 1), slot=rng.randrange(2), rng=rng
                    )
                    for decision_id, uniform in issued
                )
                submit(LogDecisions(rows, request_key("r", f"{turn}.{part}")), wait=False)
                reported = rng.sample(made, min(len(made), rng.randrange(1, 6)))
                submit(
                    RecordOutcomes(
                        tuple(
                            # What is said depends on the id alone: a repetition says the same.
                            (at, Outcome(decision_id, f"o{n}", quality=0.25 * n, latency_ms=100.0 + n))
                            for (at, decision_id), n in zip(reported, rng.choices(range(3), k=5), strict=False)
                        )
                    ),
                    wait=part == 0,
                )
            if turn % 10 == 7:
                submit(TakeSnapshot())

    drive(data, on_group, work)


if __name__ == "__main__":
    main()
