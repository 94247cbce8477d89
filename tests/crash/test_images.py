"""Power cuts: every image that a disk may hold after one opens, with all that was acknowledged.

SIGKILL tests are blind to lost writes, for the kernel keeps what a dead process wrote. Here the order of writes, syncs
and acknowledgements is recorded under the process, and images are built of it: at some moment, everything synced is
there, and of the rest any sectors of 512 bytes.
"""

import errno
import json
import os
import random
import shutil
import struct
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from banditd.domain.decision import Decision
from banditd.domain.outcome import OutcomeStatus
from banditd.domain.records import OutcomeRecord
from banditd.learner.recovery import recover, replay
from banditd.learner.state import LearnerState
from banditd.store.env import Env
from banditd.store.log import Log
from banditd.store.snapshots import Snapshots

from . import workload

HERE = Path(__file__).resolve().parent
SECTOR = 512
WRITE, SYNC, ACK, TRUNCATE, DSYNC, OTHER = range(1, 7)
_RECORD = struct.Struct("<IIQ")


@dataclass
class Trace:
    """What a process did: the file as it was before, then calls in order."""

    base: bytes
    calls: list


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    """Return the compiled recorder."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("recording writes needs Linux and a C compiler, gcc or cc")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, HERE / "shim.c", "-ldl"], check=True)
    return library


def record(shim, folder, seed, *unsafe):
    """Run the workload under the recorder; return its trace."""
    data = folder / f"data-{seed}-{'-'.join(unsafe)}"
    workload.prepare(data)
    base = (data / "data.mdb").read_bytes()
    trace = folder / f"{data.name}.trace"
    (folder / data.name / "acks-folder").mkdir(parents=True, exist_ok=True)
    acks = folder / data.name / "acks-folder" / "acks"
    subprocess.run(
        [sys.executable, HERE / "workload.py", data, acks, str(seed), *unsafe],
        check=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in [str(HERE.parents[1]), *sys.path] if path),
            "LD_PRELOAD": str(shim),
            "SHIM_TRACE": str(trace),
        },
    )
    raw = trace.read_bytes()
    calls, at = [], 0
    while at < len(raw):
        op, length, offset = _RECORD.unpack_from(raw, at)
        at += _RECORD.size
        body = raw[at : at + length]
        at += length
        calls.append((op, offset, json.loads(body) if op == ACK else body))
    return Trace(base, calls)


def image(trace, moment, rng):
    """Return a file that a power cut after *moment* calls may leave, and what was acknowledged before it."""
    file = bytearray(trace.base)
    pending, told = [], []
    for op, offset, body in trace.calls[:moment]:
        if op == WRITE:
            pending.append((offset, body))
        elif op == SYNC:
            for write in pending:
                put(file, *write)
            pending.clear()
        elif op == DSYNC:
            put(file, *pending.pop())
        elif op == ACK:
            told += body
        elif op == TRUNCATE:
            file.extend(bytes(max(0, offset - len(file))))
    share = rng.choice([0.0, 1.0, 0.5, rng.random()])
    whole = rng.random() < 0.3
    for offset, body in pending:
        if whole:
            if rng.random() < share:
                put(file, offset, body)
            continue
        for start in range(0, len(body), SECTOR):
            if rng.random() < share:
                put(file, offset + start, body[start : start + SECTOR])
    return bytes(file), told


def put(file, offset, body):
    """Write into *file*, which grows as a sparse file does."""
    if len(file) < offset:
        file.extend(bytes(offset - len(file)))
    file[offset : offset + len(body)] = body


def check(folder, content, told):
    """Open an image; return what is wrong with it."""
    data = folder / "image"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    (data / "data.mdb").write_bytes(content)
    with Env(data, workload.MAP_BYTES) as env:
        log = Log(env)
        decisions, outcomes, statuses = set(), Counter(), Counter()
        for entry in log.scan(0):
            if isinstance(entry.record, Decision):
                decisions.add(entry.record.decision_id.hex())
            elif isinstance(entry.record, OutcomeRecord):
                outcome = entry.record.outcome
                statuses[entry.record.ruling.status] += 1
                if entry.record.ruling.status is not OutcomeStatus.ORPHANED:
                    outcomes[outcome.decision_id.hex(), outcome.outcome_id] += 1
        for what, decision_id, *rest in told:
            if what == "decision" and decision_id not in decisions:
                return "an acknowledged decision is lost"
            if what == "outcome" and rest[1] != OutcomeStatus.ORPHANED and outcomes[decision_id, rest[0]] != 1:
                return f"an acknowledged outcome is there {outcomes[decision_id, rest[0]]} times"
        if any(count > 1 for count in outcomes.values()):
            return "an outcome was applied twice"
        books = log.counters("books")
        if books.get("applied", 0) != statuses[OutcomeStatus.APPLIED]:
            return "the books differ from the log"
        folded, recovered = replay(LearnerState(), log), recover(log, Snapshots(env))
        if folded.routers["r"].digest() != recovered.routers["r"].digest():
            return "snapshot and tail differ from the folded log"
    return None


def problems(folder, trace, seeds, *, stop_at_first=False):
    """Check an image per seed; return what is wrong."""
    assert all(op != OTHER for op, _, _ in trace.calls), "the data file is written through a map: nothing was recorded"
    found = Counter()
    for seed in seeds:
        rng = random.Random(seed)
        content, told = image(trace, rng.randrange(len(trace.calls) + 1), rng)
        try:
            wrong = check(folder, content, told)
        except Exception as error:  # noqa: BLE001 - any failure to open is a finding
            wrong = f"cannot be opened: {type(error).__name__}"
        if wrong:
            found[wrong] += 1
            if stop_at_first:
                break
    return found


def test_the_trace_sees_syncs_before_acknowledgements(shim, tmp_path):
    """The recording is of what matters: each acknowledgement comes after a sync of data and one of the meta page."""
    trace = record(shim, tmp_path, 0)
    kinds = [op for op, _, _ in trace.calls]
    assert kinds.count(ACK) > 30
    for at, kind in enumerate(kinds):
        if kind == ACK and WRITE in (since := kinds[max((i for i in range(at) if kinds[i] == ACK), default=0) : at]):
            assert since[-1] == DSYNC
            assert SYNC in since


def test_a_power_cut_loses_nothing_acknowledged(shim, tmp_path):
    """Two hundred images: each opens, nothing acknowledged is lost or doubled, state and books are those of the log."""
    trace = record(shim, tmp_path, 1)
    assert problems(tmp_path, trace, range(200)) == {}


@pytest.mark.parametrize("unsafe", ["sync=0", "metasync=0"])
def test_the_images_find_lost_writes(shim, tmp_path, unsafe):
    """Negative control: without syncs the same check fails, so it can see what it looks for."""
    trace = record(shim, tmp_path, 1, unsafe)
    assert problems(tmp_path, trace, range(200), stop_at_first=True) != {}


def inject(shim, folder, call, error, first, last):
    """Let one call after the other fail; return how each run ended and what is wrong with its directory."""
    template = folder / "template"
    workload.prepare(template)
    runs = folder / "runs"
    for number in range(first, last + 1):
        shutil.copytree(template, runs / str(number))
    done = subprocess.run(
        [sys.executable, HERE / "workload.py", runs, "-", "1", f"faults={call}:{error}:{first}:{last}"],
        check=True,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in [str(HERE.parents[1]), *sys.path] if path),
            "LD_PRELOAD": str(shim),
        },
    )
    ends = Counter()
    wrong = {}
    for line in done.stdout.splitlines():
        if not line.startswith("["):
            continue
        number, code = json.loads(line)
        ends[code] += 1
        data = runs / str(number)
        acks = data / "acks"
        told = [fact for row in acks.read_text().splitlines() for fact in json.loads(row)] if acks.exists() else []
        found = check(folder, (data / "data.mdb").read_bytes(), told)
        if found or code not in {0, 3}:
            wrong[number] = (code, found)
    assert ends.total() == last - first + 1
    return ends, wrong


@pytest.mark.parametrize("call,code", [("sync", errno.EIO), ("write", errno.EIO), ("write", errno.ENOSPC)], ids=str)
@pytest.mark.parametrize("last", [8, pytest.param(200, marks=pytest.mark.long)])
def test_a_call_that_fails_loses_nothing_acknowledged(shim, tmp_path, call, code, last):
    """Whichever sync or write fails: a broken disk stops the writer, a full one does not; what was answered stays."""
    ends, wrong = inject(shim, tmp_path, call, code, 1, last)
    assert wrong == {}
    # Zero: the run came to its end, for the disk was only full, or the call was never reached. Three: it stopped, which
    # it does as well where it was the page of an LMDB transaction's end that found no room, for then LMDB gives up.
    assert ends[3] >= 8 if code == errno.EIO else ends[0] > 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_many_power_cuts_lose_nothing_acknowledged(shim, tmp_path, seed):
    """Ten runs, five hundred images each."""
    trace = record(shim, tmp_path, 100 + seed)
    assert problems(tmp_path, trace, range(1000 * seed, 1000 * seed + 500)) == {}
