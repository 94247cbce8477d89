"""A banditd server as a process of our own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

# Compiling the kernels takes half a minute on a free core; a machine may have none free.
_START_SECONDS_MAX: Final = 300.0
_POLL_SECONDS: Final = 0.05
_STOP_SECONDS_MAX: Final = 15.0


class ServerError(Exception):
    """The server did not start; the message holds what it said last."""


class ServerProcess:
    """`banditd serve` on one data directory and a free port; ended on leaving the context.

    It stays in our process group: what closes the terminal ends both.

    Args:
        data: Data directory; made by the server if absent.
        log: File that the server's log lines are added to.
    """

    def __init__(self, data: Path, log: Path) -> None:
        self._data = data
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> float:
        """Start the server and wait until it serves; returns the seconds that took.

        Raises:
            ServerError: It ended, or said nothing for too long.
        """
        assert self._process is None
        begin = time.monotonic()
        # What the user's own server is told is not meant for this one.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BANDITD__")}
        environment["BANDITD__LOG__FORMAT"] = "json"
        offset = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [
                    *(sys.executable, "-m", "banditd.cli.main", "serve"),
                    *("--data", str(self._data), "--listen", "127.0.0.1:0"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=environment,
            )
        while True:
            # Asked before the log is read, so that nothing it said before its end is missed.
            code = self._process.poll()
            said = self._log.read_bytes()[offset:].decode("utf-8", "replace")
            address = _address(said)
            if address:
                self.address = address
                return time.monotonic() - begin
            if code is not None or time.monotonic() - begin > _START_SECONDS_MAX:
                ended = "not ready in time" if code is None else f"exit code {code}"
                last = said.strip().rpartition("\n")[2] or "nothing"
                raise ServerError(f"the server did not start ({ended}); it said, in {self._log}: {last}")
            time.sleep(_POLL_SECONDS)

    def kill(self) -> None:
        """End the server with SIGKILL: it can neither finish nor save anything."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """End the server with SIGTERM, which drains it, or with SIGKILL if that takes too long; may be repeated."""
        if self._process is None:
            return
        try:
            self._process.terminate()
            self._process.wait(_STOP_SECONDS_MAX)
        except BaseException as error:
            # A second Ctrl-C means: at once.
            self._process.kill()
            self._process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
        finally:
            self._process = None


def _address(said: str) -> str:
    """Return the address that the server says it serves on, or nothing as long as it does not."""
    # The last piece may be half a line.
    for line in said.split("\n")[:-1]:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") == "server.started":
            return str(event["listen"])
    return ""
