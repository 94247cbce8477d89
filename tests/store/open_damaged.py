"""Opens damaged copies of a data directory, each in a process of its own, and reports what became of each.

Run by test_damage.py: python open_damaged.py ORIGINAL FIRST_SEED COUNT EXPECTED. Writes the digest of the undamaged
original to the file EXPECTED, and prints a line of JSON: outcome to number of cases.
"""

import collections
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import lmdb

from banditd.errors import BanditdError
from banditd.store.codec import encode_record
from banditd.store.env import Env
from banditd.store.log import Log, position_key
from banditd.store.snapshots import Snapshots

PAGE = 4096
EQUAL, FOUND, WRONG, LEAKED = range(4)


def fingerprint(path: Path, *, readonly: bool) -> str:
    """Read everything; return a digest of what was read."""
    hasher = hashlib.blake2b(digest_size=16)
    with Env(path, 1 << 26, readonly=readonly) as env:
        log, snapshots = Log(env), Snapshots(env)
        for entry in log.scan(0):
            hasher.update(encode_record(position_key(entry.position), entry.time_ms, entry.record))
            hasher.update(repr(log.ledger(entry.position)).encode())
        for entry in log.settings(1 << 40):
            hasher.update(encode_record(position_key(entry.position), entry.time_ms, entry.record))
        for position in snapshots.positions():
            hasher.update(repr(snapshots.of_position(position)).encode())
        hasher.update(repr((env.secret, log.counters("books"))).encode())
    return hasher.hexdigest()


def damage(file: Path, rng: random.Random) -> str:
    """Change the data file in one way; return which."""
    size = file.stat().st_size
    how = rng.choice(["bit", "bit", "bit", "bits", "zero page", "zero sector", "cut"])
    with file.open("r+b") as handle:
        if how.startswith("bit"):
            for _ in range(1 if how == "bit" else 50):
                at = rng.randrange(size)
                handle.seek(at)
                byte = handle.read(1)[0] ^ 1 << rng.randrange(8)
                handle.seek(at)
                handle.write(bytes([byte]))
        elif how == "zero page":
            handle.seek(PAGE * rng.randrange(size // PAGE))
            handle.write(bytes(PAGE))
        elif how == "zero sector":
            handle.seek(512 * rng.randrange(size // 512))
            handle.write(bytes(512))
        else:
            handle.truncate(rng.randrange(size))
    return how


def examine(original: Path, folder: Path, expected: str, seed: int, *, readonly: bool) -> int:
    """Damage a copy and read it; return an exit code."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=folder) as copies:
        path = Path(copies) / "data"
        shutil.copytree(original, path)
        damage(path / "data.mdb", rng)
        try:
            return EQUAL if fingerprint(path, readonly=readonly) == expected else WRONG
        except BanditdError:
            return FOUND
        except lmdb.Error:
            return LEAKED


def main() -> None:
    """Examine all cases."""
    original, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    names = {EQUAL: "equal", FOUND: "found", WRONG: "wrong", LEAKED: "leaked"}
    found: collections.Counter[str] = collections.Counter()
    bad = []
    child = os.fork()
    if child == 0:
        Path(sys.argv[4]).write_text(fingerprint(original, readonly=True))
        os._exit(0)
    os.waitpid(child, 0)
    expected = Path(sys.argv[4]).read_text()
    for seed in range(first, first + count):
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            code = 99
            try:
                code = examine(original, Path(sys.argv[4]).parent, expected, seed, readonly=seed % 4 == 0)
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            # LMDB checks its own structure and ends the process where that is wrong: nothing is served.
            name = "stopped" if os.WTERMSIG(status) == signal.SIGABRT else f"signal {os.WTERMSIG(status)}"
        else:
            name = names.get(os.WEXITSTATUS(status), "error")
        found[name] += 1
        if name not in {"equal", "found", "stopped"}:
            bad.append((seed, name))
    print(json.dumps({"counts": found, "bad": bad}))


if __name__ == "__main__":
    main()
