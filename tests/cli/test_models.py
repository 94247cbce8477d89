"""banditd models import: against a real server, with files of our own making."""

import asyncio
import json
import sys

import pytest
from click.testing import CliRunner

from banditd.cli.main import cli
from banditd_proto.v1 import catalog_service_pb2 as pb
from banditd_proto.v1 import model_pb2
from tests.catalog.test_litellm import FILES
from tests.server.harness import config_for, running

TABLE, CONFIG = FILES / "prices.json", FILES / "config.yaml"


@pytest.fixture
async def server(tmp_path):
    """A server without models."""
    async with running(config_for(tmp_path / "data")) as fresh:
        yield fresh


async def run(*arguments):
    """Return exit code and output of the command, which must not hold up the server in this event loop."""
    words = ["models", "import", *map(str, arguments)]
    result = await asyncio.to_thread(lambda: CliRunner().invoke(cli, words))
    return result.exit_code, result.output


async def listed(server):
    """Return the server's models by name."""
    models = (await server.catalog.ListModels(pb.ListModelsRequest())).models
    return {model.model_id: model for model in models}


async def test_a_price_table_makes_models(server):
    """Prices with all parts, windows and tags; the second time nothing changes."""
    told = ("--address", server.address, "--only", "acme-*", "--only", "seeker/*")
    code, output = await run(TABLE, *told)
    assert code == 0, output
    assert output.splitlines()[0] == (
        "+ acme-large: price 2.5/10.0 cached 1.25, window 128000, "
        "tags +mode:chat +provider:acme +supports:function_calling +supports:vision"
    )
    assert "+ seeker/online-7b: price 0.0/0.28 + 0.005 a call, window unknown" in output
    assert output.splitlines()[-2:] == ["created 4, updated 0, unchanged 0", "skipped 1: mode embedding"]
    models = await listed(server)
    assert list(models) == ["acme-large", "acme-small", "seeker/online-7b", "acme-by-the-second"]
    large = models["acme-large"]
    assert large.price == model_pb2.Price(input_mtok_usd=2.5, output_mtok_usd=10.0, cached_input_mtok_usd=1.25)
    assert large.context_window_token_count == 128_000
    assert not models["acme-by-the-second"].HasField("price")
    assert models["seeker/online-7b"].price.request_usd == 0.005
    position = server.bridge.log.last_position
    code, output = await run(TABLE, *told)
    assert (code, output.splitlines()[0]) == (0, "created 0, updated 0, unchanged 4")
    assert server.bridge.log.last_position == position


async def test_a_dry_run_shows_the_difference_and_changes_nothing(server):
    """The same lines as the run after it."""
    await server.add_model("acme-small", price=(9.0, 9.0))
    told = (TABLE, "--address", server.address, "--only", "acme-?????")
    before = await listed(server)
    _, shown = await run(*told, "--dry-run")
    assert await listed(server) == before
    assert "~ acme-small: price 9.0/9.0 -> 0.15/0.6, window unknown -> 128000, tags +mode:chat" in shown
    assert "would be created 1, would be updated 1, unchanged 0" in shown
    _, done = await run(*told)
    assert done == shown.replace("would be ", "")
    assert await listed(server) != before


async def test_an_update_leaves_what_the_file_says_nothing_of(server):
    """The operator's tags, state and guesses; a price that the file does not have; tags that it withdraws go."""
    price = model_pb2.Price(input_mtok_usd=1.0, output_mtok_usd=1.0)
    own = {"state": model_pb2.MODEL_STATE_DISABLED, "quality_guess": 0.75, "latency_ms_guess": 5.0}
    await server.add_model("acme-by-the-second", tags=["eu", "provider:old"], context_window_token_count=7, **own)
    await server.change_model("acme-by-the-second", price=price)
    await server.add_model("acme-small", tags=["supports:vision", "eu"])
    code, output = await run(TABLE, "--address", server.address, "--only", "acme-[bs]*")
    assert code == 0, output
    models = await listed(server)
    kept = models["acme-by-the-second"]
    assert (kept.price, kept.context_window_token_count) == (price, 7)
    assert (kept.state, kept.quality_guess, kept.latency_ms_guess) == tuple(own.values())
    assert list(kept.tags) == ["eu", "mode:completion", "provider:acme"]
    assert list(models["acme-small"].tags) == ["eu", "mode:chat", "provider:acme", "supports:function_calling"]
    assert "-supports:vision" in output


async def test_a_configuration_makes_models(server):
    """By the names that the proxy offers; a price table tells the rest; no key is printed."""
    code, output = await run(CONFIG, "--address", server.address, "--prices", TABLE)
    assert code == 0, output
    models = await listed(server)
    assert set(models) == {"large", "tuned", "shared", "by-base"}
    assert models["tuned"].price == model_pb2.Price(input_mtok_usd=1.0, output_mtok_usd=4.0)
    assert models["large"].price.cached_input_mtok_usd == 1.25
    assert "secret" not in output
    code, output = await run(CONFIG, "--address", server.address, "--format", "litellm-config", "--dry-run")
    assert (code, output.splitlines()[0]) == (0, "would be created 0, would be updated 0, unchanged 4")


async def test_what_is_imported_is_routed_to(server):
    """A price that was imported acts on the next decision."""
    await run(TABLE, "--address", server.address, "--only", "acme-large", "--only", "acme-small")
    answer = await server.route(objective={"usd_weight": 1000.0})
    assert answer.model_id == "acme-small"


async def test_more_models_than_the_catalogue_holds_are_refused_before_anything_is_made(server, tmp_path):
    """The message says how to narrow them."""
    await server.add_model("there")
    many = tmp_path / "many.json"
    many.write_text(json.dumps({f"m{i}": {"mode": "chat"} for i in range(256)}))
    code, output = await run(many, "--address", server.address)
    assert code == 1
    assert "256 models would come to the 1 that are there, and the catalogue holds 256; narrow them with" in output
    assert set(await listed(server)) == {"there"}


async def test_more_tags_than_a_model_holds_are_refused(server, tmp_path):
    """Naming the model."""
    many = tmp_path / "tags.json"
    many.write_text(json.dumps({"m": {f"supports_{i}": True for i in range(33)}}))
    code, output = await run(many, "--address", server.address)
    assert (code, output) == (1, f"Error: {many}: m: expected at most 32 tags, got 33\n")


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("a.json", b'{"m": {"input_cost_per_token": "x"}}', "m.input_cost_per_token: expected a number in 0..1"),
        ("b.json", b'{"m": {,}}', "not valid JSON: line 1: "),
        ("c.yaml", b"model_list:\n  - {api_key: sk-secret\n", "not valid YAML: line "),
        ("d.yaml", b"\xff\xfe", "expected UTF-8 text"),
        ("e.yaml", b"", "the file: expected a mapping of model names to entries, got nothing"),
        ("f.json", b'{"a":' * 200_000, "not valid JSON: "),
        ("g.yaml", b"!!python/object/apply:os.system ['true']", "not valid YAML: line 1"),
        ("h.yaml", b"model_list: 7", "model_list: expected a list, got a value of type int"),
    ],
)
async def test_a_bad_file_is_one_plain_sentence(tmp_path, name, content, says):
    """With the file's name, without a traceback, and before a server is asked."""
    file = tmp_path / name
    file.write_bytes(content)
    code, output = await run(file, "--address", "127.0.0.1:1")
    assert code == 1
    assert output.startswith(f"Error: {file}: ")
    assert says in output
    assert output.count("\n") == 1
    assert "secret" not in output


async def test_what_cannot_be_done_is_one_plain_sentence(tmp_path, monkeypatch):
    """No file, no server, no PyYAML, a price table for a price table."""
    code, output = await run(tmp_path / "none.json")
    assert (code, output) == (1, f"Error: {tmp_path / 'none.json'}: cannot be read: No such file or directory\n")
    code, output = await run(TABLE, "--only", "acme-*", "--address", "127.0.0.1:1", "--timeout-ms", 200)
    assert code == 1
    assert output.startswith("Error: 127.0.0.1:1: ")
    code, output = await run(TABLE, "--prices", TABLE)
    assert (code, "is a price table" in output) == (1, True)
    monkeypatch.setitem(sys.modules, "yaml", None)
    code, output = await run(CONFIG)
    assert (code, output) == (1, f"Error: {CONFIG}: reading YAML needs PyYAML: pip install 'banditd[yaml]'\n")
