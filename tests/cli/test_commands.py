"""The command line: what it prints, and how it ends. Runs in the test's process; servers are started in tests/crash."""

import json
import sys

import pytest
from click.testing import CliRunner

from banditd.cli import inspect as inspect_module
from banditd.cli import main as main_module
from banditd.cli.main import cli
from banditd.domain.outcome import Outcome
from banditd.learner.commands import RecordOutcomes
from banditd.store.env import Env
from tests.learner.conftest import start_of
from tests.learner.rig import Rig
from tests.learner.world import FakeClock, model_change, router_change


@pytest.fixture
def data(tmp_path):
    """A directory in which something was learnt."""
    path = tmp_path / "data"
    rig = Rig(path, FakeClock())
    rig.change(model_change(0))
    rig.change(model_change(1, price=None))
    rig.change(router_change())
    rig.change(*start_of(rig))
    made = rig.decide(10)
    rig.take_snapshot()
    rig.do(RecordOutcomes(tuple((at, Outcome(decision_id, quality=0.5)) for at, decision_id in made[:4])))
    rig.crash()
    return path


def run(*arguments):
    """Return exit code, standard output and standard error of the command, errors mapped as by `banditd`."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    return result.exit_code, result.output, result.exception


def run_main(monkeypatch, capsys, *arguments):
    """Return exit code, standard output and standard error of the whole program."""
    monkeypatch.setattr(sys, "argv", ["banditd", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main_module.main()
    captured = capsys.readouterr()
    return caught.value.code or 0, captured.out, captured.err


def test_inspect_tells_what_is_there(data):
    """Counts, the newest snapshot, and what is believed of each model."""
    code, output, _ = run("inspect", "--data", data, "--json", "--verify")
    assert code == 0
    found = json.loads(output)
    assert found["records"] == {
        "decision": 10,
        "outcome": 4,
        "model_change": 2,
        "router_change": 1,
        "feature_fit": 1,
    }
    assert found["outcomes"]["applied"] == 4
    assert found["verified"] is True
    assert found["newest_snapshot"] < found["last_position"]
    router = found["routers"]["r"]
    assert (router["decisions"], router["observed"], router["embedding_dimension"]) == (10, 4, 4)
    assert router["models"]["m0"]["qualities"] == 4
    assert router["models"]["m1"]["cost_usd"] is None
    assert router["models"]["m0"]["price"]["input_mtok_usd"] == 0.5
    assert router["models"]["m1"]["price"] is None
    of_change = {name: router["models"]["m0"][name] for name in ("health", "newcomer", "alarms")}
    assert of_change == {"health": "healthy", "newcomer": False, "alarms": {"quality": 0, "cost": 0, "latency": 0}}


def test_inspect_prints_a_table(data):
    """For people, the same as a table."""
    code, output, _ = run("inspect", "--data", data, "--verify")
    assert code == 0
    assert "m0" in output
    assert "without a price, so not chosen where money matters: m1\n" in output
    assert "equals" in output


def test_a_table_is_whole_however_narrow_the_terminal_is(data, monkeypatch):
    """A value that was cut would have to be asked for once more."""
    monkeypatch.setenv("COLUMNS", "40")
    code, output, _ = run("inspect", "--data", data)
    assert code == 0
    assert "…" not in output
    assert "decisions" in output
    assert all(line.count("│") in {0, 12} for line in output.splitlines())
    assert "records: decision 10, outcome 4, model_change 2, router_change 1" in output


@pytest.mark.parametrize("listen", ["", "nowhere", ":50051", "localhost:", "localhost:x", "localhost:65536", "h:99999"])
def test_an_address_that_is_none_is_one_sentence_and_a_code(tmp_path, monkeypatch, capsys, listen):
    """In particular a port that gRPC would take for another one."""
    code, _, err = run_main(monkeypatch, capsys, "serve", "--data", tmp_path / "data", "--listen", listen)
    assert code == 2
    assert err == f"banditd: server.listen: expected HOST:PORT with a port of 0..65535, got {listen!r}\n"


def test_a_difference_is_an_exit_code(data, monkeypatch):
    """If the folded log were not the recovered state, a script would notice."""
    monkeypatch.setattr(
        inspect_module,
        "describe",
        lambda *_, **__: {
            "data": "d",
            "last_position": 1,
            "newest_snapshot": None,
            "records": {},
            "outcomes": {},
            "routers": {},
            "verified": False,
        },
    )
    for flags in ([], ["--json"]):
        code, output, _ = run("inspect", "--data", data, "--verify", *flags)
        assert code == 1
        assert "DIFFERS" in output or flags


def test_damage_is_one_sentence_and_a_code(data, monkeypatch, capsys):
    """A damaged record is told plainly, without a traceback."""
    with Env(data, 1 << 28) as env, env.lmdb.begin(write=True, db=env.log) as txn, txn.cursor() as cursor:
        assert cursor.last()
        value = bytearray(cursor.value())
        value[-1] ^= 1
        txn.put(cursor.key(), bytes(value))
        env.put_head(txn)
    code, output, error = run_main(monkeypatch, capsys, "inspect", "--data", data)
    assert (code, output) == (4, "")
    assert error.startswith("banditd: record at ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("verb", ["inspect", "export"])
def test_no_data_is_one_sentence_and_a_code(tmp_path, monkeypatch, capsys, verb):
    """A mistyped directory is told plainly and stays as it is."""
    if verb == "export":
        pytest.importorskip("pyarrow", reason="needs pyarrow, the extra banditd[parquet]")
    extra = ["--out", tmp_path / "out"] if verb == "export" else []
    code, _, error = run_main(monkeypatch, capsys, verb, "--data", tmp_path / "nothing", *extra)
    assert (code, error) == (2, f"banditd: {tmp_path / 'nothing'} holds no banditd data\n")
    assert not (tmp_path / "nothing").exists()


def test_export_tells_how_much(data, tmp_path):
    """The counts are the log's."""
    pytest.importorskip("pyarrow", reason="needs pyarrow, the extra banditd[parquet]")
    code, output, _ = run("export", "--data", data, "--out", tmp_path / "out")
    assert (code, output) == (0, f"{tmp_path / 'out'}: 10 decisions, 4 outcomes, 0 comparisons\n")


def test_export_into_a_file_is_one_sentence(data, tmp_path):
    """Where nothing can be written, that is said."""
    pytest.importorskip("pyarrow", reason="needs pyarrow, the extra banditd[parquet]")
    (tmp_path / "out").write_text("")
    code, output, _ = run("export", "--data", data, "--out", tmp_path / "out")
    assert code == 1
    assert "cannot be written" in output


def test_config_show_prints_what_holds(tmp_path):
    """The printed configuration is valid, with and without what each key means."""
    for flags in ([], ["--plain"]):
        code, output, _ = run("config", "show", *flags)
        assert code == 0
        file = tmp_path / "shown.toml"
        file.write_text(output)
        code, output, _ = run("config", "validate", "--config", file)
        assert (code, output) == (0, f"{file}: valid\n")


@pytest.mark.parametrize(
    "text", ["[sever]", "[[routers]]\npolicy = 'magic'", "[[routers]]\nid = 'a'\n[[routers]]\nid = 'a'"]
)
def test_a_broken_configuration_exits_with_two(tmp_path, monkeypatch, capsys, text):
    """One sentence, and the code that a supervisor does not restart for."""
    file = tmp_path / "banditd.toml"
    file.write_text(text)
    for verb in (["config", "validate"], ["serve", "--data", tmp_path / "data"]):
        code, output, error = run_main(monkeypatch, capsys, *verb, "--config", file)
        assert (code, output) == (2, "")
        assert error.startswith("banditd: ")
        assert error.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_health_of_nobody_is_one(capsys):
    """A server that is not there does not serve."""
    code, output, _ = run("health", "--address", "127.0.0.1:1", "--timeout-ms", 500)
    assert code == 1
    assert "127.0.0.1:1" in output
