"""Parquet holds what the log holds, row by row."""

import random

import pytest

from banditd.domain.decision import Decision, Exclusion
from banditd.domain.outcome import Metric
from banditd.domain.records import ModelChange, OutcomeRecord
from banditd.errors import StartupError
from banditd.store.env import Env
from banditd.store.log import Log

from .test_codec import MADE
from .test_log import some_decision

pq = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow, the extra banditd[parquet]")
export = pytest.importorskip("banditd.store.export")

NAMES = {0: "m", 3: "vendor/model-1", 7: "seven", 65535: "last"}


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A directory with decisions and outcomes of two routers; row groups are small."""
    monkeypatch.setattr(export, "_ROWS_PER_GROUP", 7)
    path = tmp_path / "data"
    rng = random.Random(3)
    with Env(path, 1 << 26) as env:
        batch = Log(env).begin()
        position = 0
        for slot, name in NAMES.items():
            position += 1
            batch.append(position, 1, ModelChange(name, slot, None))
        for turn in range(40):
            position += 1
            batch.append(position, 10**12 + turn, some_decision(rng, rng.choice("ab")))
            _, _, record = MADE.RECORDS[rng.choice(["outcome", "outcome_of_a_failure", "expiry"])]
            position += 1
            batch.append(position, 10**12 + turn, record)
        batch.commit()
    return path


def entries_of(path, kind, router_id=None):
    """Return the entries of one kind of record."""
    with Env(path, 1 << 26, readonly=True) as env:
        return [
            entry
            for entry in Log(env).scan(0)
            if isinstance(entry.record, kind) and router_id in {None, entry.record.router_id}
        ]


@pytest.mark.parametrize("router_id", [None, "a"])
def test_parquet_holds_what_the_log_holds(data, tmp_path, router_id):
    """Every decision and outcome is a row, with the values of the log under their names."""
    counts = export.export_parquet(data, tmp_path / "out", router_id)
    decisions = pq.read_table(tmp_path / "out" / "decisions.parquet").to_pylist()
    outcomes = pq.read_table(tmp_path / "out" / "outcomes.parquet").to_pylist()
    logged = entries_of(data, Decision, router_id)
    assert counts == (len(decisions), len(outcomes), 0)
    assert len(decisions) == len(logged)
    for row, entry in zip(decisions, logged, strict=True):
        record = entry.record
        assert row["position"] == entry.position
        assert row["time"].timestamp() * 1000 == pytest.approx(entry.time_ms)
        assert row["decision_id"] == record.decision_id.hex()
        assert row["router_id"] == record.router_id
        assert row["request_id"] == (record.request_id or None)
        assert row["embedding"] == record.context.embedding.tolist()
        assert row["pmf"] == record.choice.pmf.tolist()
        assert row["models"] == [NAMES[slot] for slot in record.slots.tolist()]
        assert row["model"] == NAMES[record.slot]
        assert row["propensity"] == record.choice.propensity
        excluded = [Exclusion(code).name if code else None for code in record.choice.exclusions.tolist()]
        assert row["excluded"] == excluded
        for name, expected in zip(("quality", "cost_usd", "latency_ms"), record.choice.expected, strict=True):
            assert row[f"expected_{name}"] == pytest.approx(expected.tolist(), nan_ok=True)
        assert (row["policy"], row["policy_version"]) == (record.policy, record.policy_version)
        assert (row["source"], row["learnable"]) == (record.choice.source.name, record.learnable)
        assert (row["usd_weight"], row["second_weight"]) == (
            record.objective.usd_weight,
            record.objective.second_weight,
        )
    reported = entries_of(data, OutcomeRecord, router_id)
    assert len(outcomes) == len(reported)
    for row, entry in zip(outcomes, reported, strict=True):
        outcome, ruling = entry.record.outcome, entry.record.ruling
        for name in ("quality", "cost_usd", "input_tokens", "output_tokens", "latency_ms"):
            assert row[name] == getattr(outcome, name)
        assert row["decision_id"] == outcome.decision_id.hex()
        assert row["outcome_id"] == (outcome.outcome_id or None)
        assert row["failure"] == (outcome.failure.name if outcome.failure else None)
        assert row["served_model"] == (None if outcome.served_slot < 0 else NAMES[outcome.served_slot])
        assert row["status"] == ruling.status.name
        assert row["learnt"] == [metric.name for metric in Metric if metric in ruling.lesson.metrics]
        assert row["learnt_cost_usd"] == ruling.lesson.cost_usd


def test_an_empty_log_gives_empty_tables(tmp_path):
    """Tables have their columns even without a row."""
    Env(tmp_path / "data", 1 << 26).close()
    assert export.export_parquet(tmp_path / "data", tmp_path / "out", None) == (0, 0, 0)
    assert pq.read_schema(tmp_path / "out" / "decisions.parquet").names == export.DECISIONS.names
    assert pq.read_schema(tmp_path / "out" / "outcomes.parquet").names == export.OUTCOMES.names


def test_no_data_no_tables(tmp_path):
    """A mistyped path leaves nothing behind that looks like an export."""
    with pytest.raises(StartupError):
        export.export_parquet(tmp_path / "nothing", tmp_path / "out", None)
    assert not list(tmp_path.glob("out/*"))


def test_a_damaged_log_leaves_no_half_table(data, tmp_path):
    """What could not be read to its end does not appear under the name of a whole table."""
    with Env(data, 1 << 26) as env, env.lmdb.begin(write=True, db=env.log) as txn, txn.cursor() as cursor:
        assert cursor.last()
        value = bytearray(cursor.value())
        value[-1] ^= 1
        txn.put(cursor.key(), bytes(value))
        env.put_head(txn)
    with pytest.raises(Exception, match="checksum"):
        export.export_parquet(data, tmp_path / "out", None)
    assert not list((tmp_path / "out").iterdir())
