"""banditd import: against a real server, with files of our own making and a shared set."""

import asyncio
import json
import secrets

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from banditd.cli.main import cli
from banditd.domain.records import ComparisonRecord, Example, LeaderboardPrior
from banditd_proto.v1 import context_pb2
from banditd_proto.v1 import routing_service_pb2 as routing_pb
from banditd_sim.datasets.shared import load_shared
from tests.server.conftest import furnish
from tests.server.harness import config_for, embedding, running

VECTOR = embedding().tolist()
LINES = [
    {"model": "small", "rating": 1200, "strength": 4},
    {"model": "large", "rating": 1000, "strength": 4},
    {"embedding": VECTOR, "category": "code", "scores": {"small": 0.9, "large": {"quality": 0.5, "output_tokens": 10}}},
    {"embedding": VECTOR, "input_tokens": 20, "model": "small", "quality": 1, "latency_ms": 5.5},
    {"embedding": VECTOR, "model_a": "small", "model_b": "large", "winner": "b", "judge": "me", "first": "large"},
    {
        "embedding": VECTOR,
        "model": "large",
        "propensity": 0.5,
        "quality": 0.0,
        "probabilities": {"small": 0.5, "large": 0.5},
    },
]


@pytest.fixture
async def server(tmp_path):
    """A server with three models."""
    async with running(config_for(tmp_path / "data")) as fresh:
        await furnish(fresh)
        yield fresh


async def run(server, file, *arguments):
    """Return exit code and output of the command, which must not hold up the server in this event loop."""
    words = ["import", str(file), "--address", server.address, *map(str, arguments)]
    result = await asyncio.to_thread(lambda: CliRunner().invoke(cli, words))
    return result.exit_code, result.output


def written(path, lines):
    """Write JSON lines; return the path."""
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def logged(server):
    """Return what the log has of imports."""
    kinds = (Example, ComparisonRecord, LeaderboardPrior)
    return [entry.record for entry in server.bridge.log.scan(0) if isinstance(entry.record, kinds)]


async def test_lines_of_every_kind_are_learnt_once(server, tmp_path):
    """Consecutive lines of a leaderboard are one row; the second run of the command finds everything there."""
    file = written(tmp_path / "history.jsonl", LINES)
    assert await run(server, file, "--weight", 0.5) == (0, "learnt 5, learnt before 0\n")
    prior, scores, score, comparison, decision = logged(server)
    assert [slot for slot, _, _ in prior.standings] == [0, 2]
    assert (scores.context.category, len(scores.lessons), scores.lessons[0][1].weight) == ("code", 2, 0.5)
    assert (score.context.input_tokens, score.lessons[0][1].latency_ms) == (20, 5.5)
    assert (comparison.comparison.judge, comparison.comparison.order) == ("me", -1.0)
    assert decision.choice.propensity == 0.5
    assert await run(server, file, "--weight", 0.5) == (0, "learnt 0, learnt before 5\n")


async def test_parquet_says_the_same(server, tmp_path):
    """Columns with nulls, a map or a struct by model, embeddings in float32."""
    table = pa.table(
        {
            "embedding": pa.array([VECTOR, VECTOR], pa.list_(pa.float32())),
            "category": pa.array(["code", None]),
            "scores": pa.array([{"small": 0.75, "large": None}, {"small": None, "large": 0.5}]),
        }
    )
    pq.write_table(table, tmp_path / "history.parquet")
    assert await run(server, tmp_path / "history.parquet") == (0, "learnt 2, learnt before 0\n")
    assert [record.lessons[0][0] for record in logged(server)] == [0, 2]


BAD = {
    "json": ("{", "line 2: not valid JSON"),
    "array": ([1], "line 2: expected an object, got a list"),
    "nothing": ({"embedding": VECTOR}, "line 2: expected scores, model, or model_a and model_b, got none of them"),
    "column": ({"embedding": VECTOR, "model": "small", "qualty": 1}, "line 2: qualty: expected one of"),
    "embedding": ({"embedding": "x", "model": "small", "quality": 1}, "line 2: embedding: expected a list of numbers"),
    "number": ({"embedding": [1.0, None], "model": "small", "quality": 1}, "line 2: embedding[1]: expected a number"),
    "quality": ({"embedding": VECTOR, "scores": {"small": "good"}}, "line 2: scores.small: expected a number"),
    "winner": (
        {"embedding": VECTOR, "model_a": "small", "model_b": "large", "winner": "c"},
        "line 2: winner: expected",
    ),
    "range": ({"embedding": VECTOR, "model": "small", "quality": 7}, "line 2: QUALITY_OUT_OF_RANGE: rows[1]"),
    "model": ({"embedding": VECTOR, "model": "nobody", "quality": 1}, "line 2: UNKNOWN_MODEL: rows[1]"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_line_is_named(server, tmp_path, name):
    """By the file's line, by the command or by the server; nothing of its portion is learnt."""
    line, message = BAD[name]
    code, output = await run(server, written(tmp_path / "history.jsonl", [LINES[2], line]))
    assert code == 1
    assert message in output
    assert logged(server) == []


async def test_a_mended_file_goes_on_under_the_import_s_id(server, tmp_path):
    """The portion before the bad line stays learnt once."""
    lines = [LINES[3]] * 300
    code, output = await run(
        server, written(tmp_path / "h.jsonl", [*lines, {"embedding": VECTOR, "model": "nobody", "quality": 1}])
    )
    assert code == 1
    assert "line 301" in output
    import_id = output.split("--import-id ")[1].strip()
    assert len(logged(server)) == 256
    mended = written(tmp_path / "h.jsonl", [*lines, LINES[2]])
    assert await run(server, mended, "--import-id", import_id) == (0, "learnt 45, learnt before 256\n")


async def test_the_first_decisions_after_an_import_are_good(tmp_path, shared_dir, capsys, monkeypatch):
    """The train split of a shared set through the command, a restart, and the test split: against a cold server."""
    # The same draws every time: fifty cold ones are sometimes lucky.
    monkeypatch.setattr(secrets, "token_bytes", bytes)
    table = load_shared(shared_dir / "data" / "routerbench")
    train, test = (np.flatnonzero(np.array(table.split) == name) for name in ("train", "test"))
    test = np.random.default_rng(0).permutation(test)[:200]
    quality = table.quality
    names = [model.model_id for model in table.models]
    lines = [
        {
            "embedding": table.embeddings[row].astype(float).tolist(),
            "scores": {
                name: {"quality": float(quality[row, k]), "cost_usd": float(table.cost_usd[row, k])}
                for k, name in enumerate(names)
                if np.isfinite(quality[row, k])
            },
        }
        for row in train
    ]
    file = written(tmp_path / "train.jsonl", lines)
    means = {}
    for name in ("cold", "warm"):
        config = config_for(tmp_path / name)
        async with running(config) as server:
            for model in names:
                await server.add_model(model)
            if name == "warm":
                code, output = await run(server, file, "--weight", 0.5)
                assert (code, output) == (0, f"learnt {len(lines)}, learnt before 0\n")
        async with running(config) as server:
            got = []
            for row in test:
                vector = table.embeddings[row].astype("<f4").tobytes()
                answer = await server.routing.Route(
                    routing_pb.RouteRequest(context=context_pb2.Context(embedding_float32=vector))
                )
                got.append(quality[row, names.index(answer.model_id)])
                await server.record(answer.decision_id, quality=float(got[-1]))
            means[name] = (float(np.mean(got[:50])), float(np.mean(got)))
    best = float(np.nanmean(quality[test], axis=0).max())
    with capsys.disabled():
        print(f"\nfirst 50, all 200: warm {means['warm']}, cold {means['cold']}; best model {best:.3f}")
    assert means["warm"][0] > best - 0.03
    assert means["warm"][1] > means["cold"][1] + 0.03
    assert means["warm"][1] > best - 0.03
