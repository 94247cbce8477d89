"""Memory and start-up beside a large log: python tests/bench/bench_memory.py [--decisions N].

Starts a real server, logs a million decisions through RouteBatch, and prints what the process holds before and after,
and how long it takes to start again after SIGKILL and after SIGTERM. Resident memory is told apart: RssAnon is the
process's own, RssFile are pages of files that it has mapped, of libraries and of the log.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from banditd_client import Client

DIMENSION = 384
MODELS = 10
BATCH_ROWS = 1000
CONFIG = """
[[routers]]
id = "default"
embedding_dimension = {dimension}
attribution_window_ms = {window_ms}
default_quality = 0.0

""" + "".join(
    f'[[models]]\nid = "m{k}"\ninput_mtok_usd = {k + 1}\noutput_mtok_usd = {4 * (k + 1)}\n' for k in range(MODELS)
)


class Server:
    """A server process."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, "-m", "banditd.cli.main", "serve", "--listen", "127.0.0.1:0"]
        command += ["--config", str(folder / "banditd.toml"), "--data", str(folder / "data")]
        started = time.perf_counter()
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        for line in self.process.stderr:
            if '"server.started"' in line:
                break
        else:
            raise RuntimeError("the server did not start")
        self.start_s = time.perf_counter() - started
        told = json.loads(line)
        self.inner_s = told["seconds"]
        self.address = told["listen"]

    def memory(self) -> dict[str, float]:
        """Return resident memory in MB."""
        found = {}
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in {"VmRSS", "RssAnon", "RssFile"}:
                found[name] = int(value.split()[0]) / 1024
        return found

    def end(self, number: int) -> float:
        """Send a signal; return how long the process took to end."""
        started = time.perf_counter()
        self.process.send_signal(number)
        self.process.wait()
        self.process.stderr.close()
        return time.perf_counter() - started


def fill(client: Client, count: int, seed: int) -> float:
    """Log decisions; return decisions per second."""
    rng = np.random.default_rng(seed)
    started = time.perf_counter()
    for first in range(0, count, BATCH_ROWS):
        rows = rng.standard_normal((min(BATCH_ROWS, count - first), DIMENSION)).astype(np.float32)
        client.route_batch(rows, timeout=60.0)
    return count / (time.perf_counter() - started)


def measure(count: int, *, window_ms: int = 86_400_000, settle_s: float = 3.0) -> dict[str, float]:
    """Return the figures.

    Args:
        count: Decisions to log.
        window_ms: Attribution window: a short one makes the server read every decision again, to expire it.
        settle_s: Time to let the server do what is due once a second.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "banditd.toml").write_text(CONFIG.format(dimension=DIMENSION, window_ms=window_ms))
        server = Server(folder)
        figures = {"fresh_start_s": server.start_s, **{f"fresh_{k}_mb": v for k, v in server.memory().items()}}
        with Client(server.address) as client:
            fill(client, min(count, 2 * BATCH_ROWS), 0)
            figures["decisions_per_s"] = fill(client, count, 1)
        time.sleep(settle_s)
        figures |= {f"full_{k}_mb": v for k, v in server.memory().items()}
        figures["growth_mb"] = figures["full_VmRSS_mb"] - figures["fresh_VmRSS_mb"]
        server.end(signal.SIGKILL)
        figures["data_mb"] = (folder / "data" / "data.mdb").stat().st_size / 2**20
        server = Server(folder)
        figures |= {"start_after_sigkill_s": server.start_s, "recovery_after_sigkill_s": server.inner_s}
        time.sleep(settle_s)
        figures |= {f"restarted_{k}_mb": v for k, v in server.memory().items()}
        figures["stop_s"] = server.end(signal.SIGTERM)
        server = Server(folder)
        figures |= {"start_after_sigterm_s": server.start_s, "recovery_after_sigterm_s": server.inner_s}
        server.end(signal.SIGKILL)
    return figures


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--window-ms", type=int, default=86_400_000)
    arguments = parser.parse_args()
    for key, value in measure(arguments.decisions, window_ms=arguments.window_ms).items():
        print(f"{key:28} {value:12.2f}")


if __name__ == "__main__":
    main()
