"""The demo as a whole: a real server, killed and started again, on prompts that are quickly learnt."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from banditd_sim.demo.__main__ import demo
from banditd_sim.demo.run import DemoError, Settings, run
from banditd_sim.demo.server import ServerError, ServerProcess

_SECONDS_MAX = 240.0


@pytest.fixture
def command(root_dir, tmp_path):
    """Return a function that starts the demo as a process; it is killed at the end of the test if it still runs."""
    started = []
    path = os.pathsep.join(str(root_dir / part) for part in ("", "clients/python", "sim"))

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "banditd_sim.demo", "--out", str(tmp_path / "out"), *arguments],
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A process group of its own, as a terminal gives it.
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_it_learns_is_killed_forgets_nothing_and_says_so(command, make_folder, tmp_path):
    """Every outcome that was sent is applied, over a restart; what was easy to learn was learnt."""
    process = command("--data", str(make_folder(100, 100)), "--seed", "3")
    said, _ = process.communicate(timeout=_SECONDS_MAX)
    assert process.returncode == 0, said
    found = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert found["restarts"] == 1
    assert found["outcomes_sent"] == found["outcomes_applied"] == 200
    assert found["seed"] == 3
    assert found["gain_over_fixed_mix"] > 0.05
    states = re.search(r"all 100 there, learnt state (\w+) = (\w+)", said)
    assert states is not None, said
    assert states[1] == states[2]
    for name in ("quality_cost.png", "quality_cost.svg", "server.log"):
        assert (tmp_path / "out" / name).stat().st_size > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_its_server_without_a_traceback(command, make_folder, tmp_path, number):
    """Ctrl-C and SIGTERM: the exit code of the signal, one line, no server left, no half summary."""
    process = command("--data", str(make_folder(5000, 10)), "--in-flight", "1")
    log = tmp_path / "out" / "server.log"
    deadline = time.monotonic() + _SECONDS_MAX
    while not (log.exists() and '"server.started"' in log.read_text(encoding="utf-8")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    host, _, port = json.loads(log.read_text(encoding="utf-8").splitlines()[0])["listen"].rpartition(":")
    socket.create_connection((host, int(port))).close()
    time.sleep(0.5)
    process.send_signal(number)
    said, _ = process.communicate(timeout=_SECONDS_MAX)
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "Stopped; the server is stopped, too."
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
    assert not (tmp_path / "out" / "summary.json").exists()


class TestArguments:
    """What the command line and the folder for results may be."""

    @pytest.mark.parametrize(
        "arguments", [["--seed", "-1"], ["--in-flight", "0"], ["--usd-weight", "-5"], ["--usd-weight", "x"], ["extra"]]
    )
    def test_nonsense_is_refused(self, arguments):
        """By click, before anything is touched."""
        result = CliRunner().invoke(demo, arguments)
        assert result.exit_code == 2

    def test_a_folder_of_somebody_else_is_left_alone(self, tmp_path):
        """A folder that no demo made may hold anything, for example a server's data."""
        keepsake = tmp_path / "data" / "data.mdb"
        keepsake.parent.mkdir()
        keepsake.write_bytes(b"precious")
        result = CliRunner().invoke(demo, ["--out", str(tmp_path)])
        assert result.exit_code == 1
        assert "--out: expected a new folder or an earlier demo's" in result.output
        assert keepsake.read_bytes() == b"precious"

    def test_a_running_demo_is_left_alone(self, tmp_path):
        """Two at once would take each other's data away."""
        with (tmp_path / ".banditd-demo").open("wb") as marker:
            fcntl.flock(marker, fcntl.LOCK_EX)
            result = CliRunner().invoke(demo, ["--out", str(tmp_path)])
        assert result.exit_code == 1
        assert "another demo is using" in result.output

    def test_a_file_in_the_place_of_the_folder_is_one_sentence(self, tmp_path):
        """The system's own words, with the path."""
        (tmp_path / "file").touch()
        result = CliRunner().invoke(demo, ["--out", str(tmp_path / "file")])
        assert result.exit_code == 1
        assert "--out: " in result.output

    @pytest.mark.parametrize(
        "embedder, message", [("nothing", "expected column:NAME"), ("column:x", "expected one that reads texts")]
    )
    def test_an_unknown_embedder_is_one_sentence(self, embedder, message, make_folder, tmp_path):
        """Before a server is started."""
        settings = Settings(0, 275.0, 8, embedder, make_folder(2, 2), tmp_path / "out")
        with pytest.raises(DemoError, match=message):
            run(settings)
        assert not (tmp_path / "out" / "server.log").exists()

    def test_missing_data_is_one_sentence(self, tmp_path):
        """It names what was looked for."""
        with pytest.raises(DemoError, match=r"expected a file val\.jsonl"):
            run(Settings(0, 275.0, 8, "ngram", tmp_path, tmp_path / "out"))


def test_a_server_that_does_not_start_says_why(tmp_path):
    """The last line that it wrote, and where the rest is."""
    (tmp_path / "data").write_text("a file in the place of the folder", encoding="utf-8")
    with ServerProcess(tmp_path / "data", tmp_path / "log") as server, pytest.raises(ServerError) as caught:
        server.start()
    assert "the server did not start (exit code" in str(caught.value)
    assert str(tmp_path / "log") in str(caught.value)
