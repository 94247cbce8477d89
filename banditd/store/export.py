"""The log as Parquet: one row per decision, one per outcome, one per comparison. Needs pyarrow."""

import hashlib
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from banditd.domain.decision import NO_SLOT, Decision, Exclusion
from banditd.domain.outcome import Metric, OutcomeStatus
from banditd.domain.records import ComparisonRecord, Example, ModelChange, OutcomeRecord, PastChoice
from banditd.store.env import Env
from banditd.store.log import Log

_ROWS_PER_GROUP: Final = 10_000
_MAP_BYTES: Final = 64 << 30
_TIME = pa.timestamp("ms", tz="UTC")

DECISIONS: Final = pa.schema(
    [
        ("decision_id", pa.string()),
        ("position", pa.int64()),
        ("time", _TIME),
        ("router_id", pa.string()),
        ("request_id", pa.string()),
        ("embedding", pa.list_(pa.float16())),
        ("input_tokens", pa.int64()),
        ("category", pa.string()),
        ("session", pa.string()),
        ("previous_model", pa.string()),
        ("models", pa.list_(pa.string())),
        ("pmf", pa.list_(pa.float64())),
        ("excluded", pa.list_(pa.string())),
        ("expected_quality", pa.list_(pa.float32())),
        ("expected_cost_usd", pa.list_(pa.float32())),
        ("expected_latency_ms", pa.list_(pa.float32())),
        ("model", pa.string()),
        ("propensity", pa.float64()),
        ("rival_model", pa.string()),
        ("rival_pmf", pa.list_(pa.float64())),
        ("pair_propensity", pa.float64()),
        ("policy", pa.string()),
        ("policy_version", pa.int64()),
        ("source", pa.string()),
        ("learnable", pa.bool_()),
        ("usd_weight", pa.float64()),
        ("second_weight", pa.float64()),
    ]
)
OUTCOMES: Final = pa.schema(
    [
        ("decision_id", pa.string()),
        ("position", pa.int64()),
        ("time", _TIME),
        ("router_id", pa.string()),
        ("outcome_id", pa.string()),
        ("quality", pa.float64()),
        ("cost_usd", pa.float64()),
        ("input_tokens", pa.int64()),
        ("cached_input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("latency_ms", pa.float64()),
        ("failure", pa.string()),
        ("served_model", pa.string()),
        ("status", pa.string()),
        ("learnt", pa.list_(pa.string())),
        ("learnt_cost_usd", pa.float64()),
        ("learnt_fee_usd", pa.float64()),
    ]
)

# Where a comparison has a prompt of its own, its embedding and category stand here; else those of the decision hold.
COMPARISONS: Final = pa.schema(
    [
        ("decision_id", pa.string()),
        ("position", pa.int64()),
        ("time", _TIME),
        ("router_id", pa.string()),
        ("comparison_id", pa.string()),
        ("embedding", pa.list_(pa.float16())),
        ("input_tokens", pa.int64()),
        ("category", pa.string()),
        ("session", pa.string()),
        ("model_a", pa.string()),
        ("model_b", pa.string()),
        ("winner", pa.string()),
        ("judge", pa.string()),
        ("strength", pa.float64()),
        ("shown_first", pa.string()),
        ("status", pa.string()),
    ]
)


def export_parquet(data: Path, out: Path, router_id: str | None) -> tuple[int, int, int]:
    """Write `decisions.parquet`, `outcomes.parquet` and `comparisons.parquet` into *out*; returns the rows of each.

    Args:
        data: Data directory; a server may run on it.
        out: Folder; made if it is missing.
        router_id: Only this router; None means all.

    Raises:
        StartupError: *data* is no data directory.
        DataLossError: A record is damaged.
    """
    out.mkdir(parents=True, exist_ok=True)
    names: dict[int, str] = {}
    with (
        Env(data, _MAP_BYTES, readonly=True) as env,
        _Table(out / "decisions.parquet", DECISIONS) as decisions,
        _Table(out / "outcomes.parquet", OUTCOMES) as outcomes,
        _Table(out / "comparisons.parquet", COMPARISONS) as comparisons,
    ):
        for entry in Log(env).scan(0):
            record = entry.record
            if isinstance(record, ModelChange):
                names[record.slot] = record.model_id
            elif isinstance(record, Decision) and router_id in (None, record.router_id):
                decisions.add({"position": entry.position, "time": entry.time_ms, **_decision(record, names)})
            elif isinstance(record, OutcomeRecord) and router_id in (None, record.router_id):
                outcomes.add({"position": entry.position, "time": entry.time_ms, **_outcome(record, names)})
            elif isinstance(record, ComparisonRecord) and router_id in (None, record.router_id):
                comparisons.add({"position": entry.position, "time": entry.time_ms, **_comparison(record, names)})
            elif isinstance(record, Example) and router_id in (None, record.router_id):
                choice = record.choice
                # Without its distribution a choice is nothing that evaluation could weigh; it stays in the log.
                if choice is not None and choice.pmf:
                    stamp = {"position": entry.position, "time": entry.time_ms, "router_id": record.router_id}
                    stamp["decision_id"] = _imported_id(record.router_id, entry.position)
                    decisions.add({**stamp, **_imported_decision(record, choice, names)})
                    outcomes.add({**stamp, **_imported_outcome(record)})
        return decisions.count, outcomes.count, comparisons.count


class _Table:
    """A Parquet file that is written in row groups and appears under its name once it is whole."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._partial = path.with_suffix(".partial")
        self._schema = schema
        self._writer = pq.ParquetWriter(self._partial, schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self.count = 0

    def add(self, row: dict[str, Any]) -> None:
        """Add a row."""
        self._rows.append(row)
        self.count += 1
        if len(self._rows) == _ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None and (self._rows or not self.count):
            self._flush()
        self._writer.close()
        if error is None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink()


def _decision(d: Decision, names: dict[int, str]) -> dict[str, Any]:
    quality, cost, latency = d.choice.expected
    rival = d.choice.rival
    return {
        "decision_id": d.decision_id.hex(),
        "router_id": d.router_id,
        "request_id": d.request_id or None,
        "embedding": d.context.embedding,
        "input_tokens": d.context.input_tokens if d.context.input_tokens >= 0 else None,
        "category": d.context.category or None,
        "session": d.context.session or None,
        "previous_model": None if d.previous_slot == NO_SLOT else names[d.previous_slot],
        "models": [names[slot] for slot in d.slots.tolist()],
        "pmf": d.choice.pmf,
        "excluded": [Exclusion(code).name if code else None for code in d.choice.exclusions.tolist()],
        "expected_quality": quality,
        "expected_cost_usd": cost,
        "expected_latency_ms": latency,
        "model": names[d.slot],
        "propensity": d.choice.propensity,
        "rival_model": None if rival is None else names[int(d.slots[rival.index])],
        "rival_pmf": None if rival is None else rival.pmf,
        "pair_propensity": None if rival is None else d.choice.pair_propensity,
        "policy": d.policy,
        "policy_version": d.policy_version,
        "source": d.choice.source.name,
        "learnable": d.learnable,
        "usd_weight": d.objective.usd_weight,
        "second_weight": d.objective.second_weight,
    }


# What a decision that was imported has in the place of the preset and of the source that decided.
IMPORTED: Final = "IMPORTED"


def _imported_id(router_id: str, position: int) -> str:
    """Return what stands for the id of a decision that this server did not issue."""
    return hashlib.blake2b(f"{router_id}\0{position}".encode(), digest_size=16, person=b"imported").hexdigest()


def _imported_decision(record: Example, choice: PastChoice, names: dict[int, str]) -> dict[str, Any]:
    context = record.context
    return {
        "request_id": record.import_id,
        "embedding": context.embedding,
        "input_tokens": context.input_tokens if context.input_tokens >= 0 else None,
        "category": context.category or None,
        "models": [names[slot] for slot in choice.slots],
        "pmf": choice.pmf,
        "excluded": [None] * len(choice.slots),
        "model": names[record.lessons[0][0]],
        "propensity": choice.propensity,
        "policy": IMPORTED,
        "source": IMPORTED,
        "learnable": True,
    }


def _imported_outcome(record: Example) -> dict[str, Any]:
    lesson = record.lessons[0][1]
    return {
        "quality": lesson.quality,
        "cost_usd": lesson.cost_usd,
        "latency_ms": lesson.latency_ms,
        "status": OutcomeStatus.APPLIED.name,
        "learnt": [metric.name for metric in Metric if metric in lesson.metrics],
        "learnt_cost_usd": lesson.cost_usd,
        "learnt_fee_usd": None if lesson.cost_usd is None else lesson.fee_usd,
    }


def _outcome(record: OutcomeRecord, names: dict[int, str]) -> dict[str, Any]:
    o, ruling = record.outcome, record.ruling
    return {
        "decision_id": o.decision_id.hex(),
        "router_id": record.router_id,
        "outcome_id": o.outcome_id or None,
        "quality": o.quality,
        "cost_usd": o.cost_usd,
        "input_tokens": o.input_tokens,
        "cached_input_tokens": o.cached_input_tokens,
        "output_tokens": o.output_tokens,
        "latency_ms": o.latency_ms,
        "failure": o.failure.name if o.failure else None,
        "served_model": names[o.served_slot] if o.served_slot >= 0 else None,
        "status": ruling.status.name,
        "learnt": [metric.name for metric in Metric if metric in ruling.lesson.metrics],
        "learnt_cost_usd": ruling.lesson.cost_usd,
        "learnt_fee_usd": None if ruling.lesson.cost_usd is None else ruling.lesson.fee_usd,
    }


def _comparison(record: ComparisonRecord, names: dict[int, str]) -> dict[str, Any]:
    c, context = record.comparison, record.context
    return {
        "decision_id": c.decision_id.hex() or None,
        "router_id": record.router_id,
        "comparison_id": c.comparison_id or None,
        "embedding": None if context is None else context.embedding,
        "input_tokens": None if context is None or context.input_tokens < 0 else context.input_tokens,
        "category": None if context is None else context.category or None,
        "session": None if context is None else context.session or None,
        "model_a": names[c.slot_a],
        "model_b": names[c.slot_b],
        "winner": c.winner.name,
        "judge": c.judge or None,
        "strength": c.strength,
        "shown_first": c.shown_first.name if c.shown_first else None,
        "status": record.status.name,
    }
