"""banditd's own log as `banditd export` writes it: a folder of decisions.parquet and outcomes.parquet.

    decisions.parquet   decision_id         decision_ids     distinct
                        router_id                            one router is read
                        embedding           context          all of one length
                        models, pmf         pmf              a pmf over the candidates of each decision; 0 on the rest
                        excluded            eligible         candidates whose entry is null
                        model, propensity   action, propensity
                        category            category         index in `rounds.category_names`
                        learnable, source, input_tokens      kept beside the rounds
    outcomes.parquet    quality             reward           of the outcome whose `learnt` names QUALITY, in [0, 1]
                        learnt_cost_usd     cost             of the outcome whose `learnt` names COST
                        latency_ms                           of the outcome whose `learnt` names LATENCY
                        failure, status                      see *failure_quality*

A decision without a learnt quality (still waiting, expired, late, failed, or served by another model) has the reward
NaN: it was not observed. Models are all that were ever candidates, in order of appearance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from banditd.store.export import DECISIONS, OUTCOMES
from banditd_sim.datasets.columns import Columns
from banditd_sim.datasets.errors import DatasetError, log_refused, row_of
from banditd_sim.datasets.files import read_columns, required
from banditd_sim.datasets.vectors import read_vectors
from banditd_sim.ope.arrays import PMF_SUM_TOLERANCE, Bool, Float64, Int64, first_bad
from banditd_sim.ope.errors import LogError
from banditd_sim.ope.log import LoggedRounds

DECISIONS_FILE: Final = "decisions.parquet"
OUTCOMES_FILE: Final = "outcomes.parquet"
_DECISION_COLUMNS: Final = (
    "decision_id",
    "router_id",
    "embedding",
    "input_tokens",
    "category",
    "models",
    "pmf",
    "excluded",
    "model",
    "propensity",
    "source",
    "learnable",
)
_OUTCOME_COLUMNS: Final = (
    "decision_id",
    "router_id",
    "quality",
    "latency_ms",
    "failure",
    "status",
    "learnt",
    "learnt_cost_usd",
)
_IDS_HEX_DIGITS: Final = 32
_WRITTEN_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class BanditdLog:
    """The n decisions of one router, in the order of the log.

    Attributes:
        rounds: What off-policy evaluation reads.
        router_id: The router.
        learnable: Bool (n,): whether outcomes could teach the policy.
        source: n of "POLICY" and "FALLBACK".
        input_tokens: Float64 (n,), NaN where unknown.
        latency_ms: Float64 (n,), NaN where not learnt.
    """

    rounds: LoggedRounds
    router_id: str
    learnable: Bool
    source: tuple[str, ...]
    input_tokens: Float64
    latency_ms: Float64


def load_banditd(
    folder: Path,
    *,
    router_id: str = "",
    failure_quality: float | None = None,
    floor: float | None = None,
) -> BanditdLog:
    """Read an export.

    Args:
        folder: The folder.
        router_id: The router to read; may be empty where the export holds one alone.
        failure_quality: In [0, 1]: the reward of a decision whose call failed with the model that was chosen, instead
            of NaN. Failures are not missing at random, so leaving them out flatters models that fail.
        floor: In (0, 1/2], the router's floor / K, if known.

    Raises:
        DatasetError: a file is absent, cut off or malformed, the two do not belong together, or a router must be named;
            the message names file, row and column.
    """
    if failure_quality is not None and not 0.0 <= failure_quality <= 1.0:
        raise DatasetError(str(folder), "failure_quality", "a number in [0, 1]", failure_quality)
    decisions = read_columns(folder / DECISIONS_FILE, lambda names: required(DECISIONS_FILE, names, _DECISION_COLUMNS))
    decisions, router_id = _of_router(decisions, router_id)
    ids = decisions.ids("decision_id")
    model_ids, pmf, eligible = _distributions(decisions)
    category_names, category = np.unique(np.array(decisions.texts("category", blank="")), return_inverse=True)
    seen = _outcomes(folder, router_id, ids, failure_quality)
    try:
        rounds = LoggedRounds(
            action=decisions.indices("model", model_ids, "one of the candidates"),
            reward=seen.quality,
            propensity=decisions.numbers("propensity", least=0.0, gaps=False),
            model_ids=model_ids,
            context=None if _without_embeddings(decisions) else read_vectors(decisions, "embedding"),
            pmf=pmf,
            eligible=eligible,
            cost=None if np.isnan(seen.cost_usd).all() else seen.cost_usd,
            category=category if category_names.any() else None,
            category_names=tuple(category_names.tolist()) if category_names.any() else None,
            decision_ids=ids,
            floor=floor,
        )
    except LogError as error:
        raise log_refused(decisions, error) from error
    return BanditdLog(
        rounds=rounds,
        router_id=router_id,
        learnable=decisions.numbers("learnable", least=0.0, most=1.0, gaps=False) == 1.0,
        source=tuple(decisions.texts("source")),
        input_tokens=decisions.numbers("input_tokens", least=0.0),
        latency_ms=seen.latency_ms,
    )


def write_banditd(log: BanditdLog | LoggedRounds, folder: Path, *, router_id: str = "default") -> None:
    """Write the files that `banditd export` would, with the same columns; `load_banditd` reads them back.

    What the log does not know is null. The context is rounded to float16, as banditd keeps it. Every model of the log
    is a candidate; one that is not eligible is excluded as DISABLED.

    Args:
        log: The decisions; of rounds alone, the source is POLICY and all are learnable.
        folder: Made if absent; files in it are replaced once the new ones are whole.
        router_id: Name of the router where *log* has none.

    Raises:
        DatasetError: a reward is outside [0, 1], a context is beyond float16, or an id is no text.
        OSError: the folder cannot be written.
    """
    beside = log if isinstance(log, BanditdLog) else None
    rounds = log.rounds if isinstance(log, BanditdLog) else log
    row = first_bad((rounds.reward < 0.0) | (rounds.reward > 1.0))
    if row >= 0:
        raise DatasetError(row_of(OUTCOMES_FILE, row), "quality", "a reward in [0, 1]", rounds.reward[row])
    if rounds.context is not None:
        row = first_bad(np.abs(rounds.context) > np.finfo(np.float16).max)
        if row >= 0:
            raise DatasetError(row_of(DECISIONS_FILE, row), "embedding", "numbers within float16", "a greater one")
    folder.mkdir(parents=True, exist_ok=True)
    router_id = beside.router_id if beside is not None else router_id
    ids = _written_ids(rounds)
    starts = range(0, len(rounds), _WRITTEN_ROWS)
    _write(
        folder / DECISIONS_FILE,
        DECISIONS,
        ([_decision(rounds, beside, i, ids[i], router_id) for i in _block(start, len(rounds))] for start in starts),
    )
    _write(
        folder / OUTCOMES_FILE,
        OUTCOMES,
        (
            [seen for i in _block(start, len(rounds)) if (seen := _outcome(rounds, beside, i, ids[i], router_id))]
            for start in starts
        ),
    )


def _block(start: int, count: int) -> range:
    return range(start, min(start + _WRITTEN_ROWS, count))


def _of_router(decisions: Columns, router_id: str) -> tuple[Columns, str]:
    routers = decisions.texts("router_id")
    there = sorted(set(routers))
    if not router_id and len(there) > 1:
        raise DatasetError(DECISIONS_FILE, "router_id", "the choice of one router", f"several: {', '.join(there)}")
    router_id = router_id or there[0]
    if router_id not in there:
        raise DatasetError(DECISIONS_FILE, "router_id", f"one of {', '.join(there)}", repr(router_id))
    return decisions.take(np.flatnonzero(np.array(routers) == router_id).astype(np.int64)), router_id


def _without_embeddings(decisions: Columns) -> bool:
    column = decisions.values["embedding"]
    return isinstance(column, pa.ListArray) and not column.null_count and len(column.flatten()) == 0


def _distributions(decisions: Columns) -> tuple[tuple[str, ...], Float64 | None, Bool]:
    """Return the models, and per decision the pmf and who could be drawn; None for a log without pmfs."""
    models, pmfs, excluded = (decisions.values[name] for name in ("models", "pmf", "excluded"))
    for name, column, kind in (
        ("models", models, pa.types.is_string),
        ("pmf", pmfs, pa.types.is_floating),
        ("excluded", excluded, pa.types.is_string),
    ):
        if not pa.types.is_list(column.type) or not kind(column.type.value_type):
            raise decisions.refuse(0, name, f"lists, as {DECISIONS.field(name).type}", column.type)
    counts = _lengths(models)
    row = first_bad(counts == 0)
    if row >= 0:
        raise decisions.refuse(row, "models", "a list of names", "none")
    row = first_bad(_lengths(excluded) != counts)
    if row >= 0:
        raise decisions.refuse(row, "excluded", f"{counts[row]} entries, one per model", _lengths(excluded)[row])
    # The lists one after another: of each entry, its decision and its model.
    decision = np.repeat(np.arange(decisions.count), counts)
    names = models.flatten().dictionary_encode()
    if names.null_count:
        row = int(decision[first_bad(_nulls(names))])
        raise decisions.refuse(row, "models", "names", "nothing among them")
    model = names.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    model_ids = tuple(names.dictionary.to_pylist())
    cell = decision * len(model_ids) + model
    times = np.bincount(cell, minlength=decisions.count * len(model_ids)).reshape(decisions.count, -1)
    row = first_bad(times > 1)
    if row >= 0:
        raise decisions.refuse(row, "models", "distinct names", "one twice")
    eligible = np.zeros(times.shape, dtype=np.bool_)
    eligible[decision, model] = _nulls(excluded.flatten())
    return model_ids, _pmf(decisions, pmfs, counts, (decision, model), times.shape), eligible


def _pmf(
    decisions: Columns, pmfs: Any, counts: Int64, cells: tuple[Int64, Int64], shape: tuple[int, ...]
) -> Float64 | None:
    missing = _nulls(pmfs)
    if missing.all():
        return None
    row = first_bad(missing)
    if row >= 0:
        raise decisions.refuse(row, "pmf", "probabilities, as in other rows", "nothing")
    row = first_bad(_lengths(pmfs) != counts)
    if row >= 0:
        got = f"{_lengths(pmfs)[row]} entries"
        raise decisions.refuse(row, "pmf", f"{counts[row]} probabilities, one per model", got)
    pmf = np.zeros(shape)
    pmf[cells] = pmfs.flatten().to_numpy(zero_copy_only=False)  # a null is NaN
    total = pmf.sum(axis=1)
    # Written as "not close", so that a NaN is refused as well.
    row = first_bad(~(np.abs(total - 1.0) <= PMF_SUM_TOLERANCE) | (pmf.min(axis=1) < 0.0))
    if row >= 0:
        got = f"a sum of {total[row]:.9g}, least {pmf[row].min():.9g}"
        raise decisions.refuse(row, "pmf", "probabilities that sum to 1", got)
    return pmf


def _lengths(lists: Any) -> Int64:
    lengths: Int64 = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return lengths


def _nulls(column: Any) -> Bool:
    nulls: Bool = column.is_null().to_numpy(zero_copy_only=False)
    return nulls


@dataclass(frozen=True, slots=True)
class _Seen:
    quality: Float64
    cost_usd: Float64
    latency_ms: Float64


def _outcomes(folder: Path, router_id: str, ids: Sequence[str], failure_quality: float | None) -> _Seen:
    seen = _Seen(*(np.full(len(ids), np.nan) for _ in range(3)))
    # No outcomes yet are decisions without rewards, which the log refuses in its own words.
    outcomes = read_columns(
        folder / OUTCOMES_FILE, lambda names: required(OUTCOMES_FILE, names, _OUTCOME_COLUMNS), empty=True
    )
    # Another router's, or an orphan's, whose router is not known, are passed over.
    mine = pc.fill_null(pc.equal(outcomes.values["router_id"], router_id), fill_value=False)
    outcomes = outcomes.take(np.flatnonzero(mine.to_numpy(zero_copy_only=False)).astype(np.int64))
    decision = outcomes.indices("decision_id", ids, f"a decision of {DECISIONS_FILE}")
    learnt = outcomes.values["learnt"]
    outcome = np.repeat(np.arange(outcomes.count), _lengths(learnt))
    metrics = learnt.flatten()
    for name, column, most, into in (
        ("QUALITY", "quality", 1.0, seen.quality),
        ("COST", "learnt_cost_usd", np.inf, seen.cost_usd),
        ("LATENCY", "latency_ms", np.inf, seen.latency_ms),
    ):
        values = outcomes.numbers(column, least=0.0, most=most)
        rows = outcome[pc.equal(metrics, name).to_numpy(zero_copy_only=False).astype(np.bool_)]
        bad = first_bad(np.isnan(values[rows]))
        if bad >= 0:
            row = int(rows[bad])
            raise outcomes.refuse(row, "learnt", f"only what the row holds, as {name} is learnt", "nothing there")
        first = np.full(len(ids), outcomes.count)
        np.minimum.at(first, decision[rows], rows)
        bad = first_bad(first[decision[rows]] != rows)
        if bad >= 0:
            raise outcomes.refuse(int(rows[bad]), "learnt", f"one outcome that teaches {name} per decision", "a second")
        into[decision[rows]] = values[rows]
    if failure_quality is not None:
        statuses = np.array(outcomes.texts("status"), dtype=object)
        failed = decision[(statuses == "NOT_LEARNED") & ~_nulls(outcomes.values["failure"])]
        seen.quality[failed] = np.where(np.isnan(seen.quality[failed]), failure_quality, seen.quality[failed])
    return seen


def _written_ids(rounds: LoggedRounds) -> list[str]:
    if rounds.decision_ids is None:
        return [f"{i:0{_IDS_HEX_DIGITS}x}" for i in range(len(rounds))]
    for i, decision_id in enumerate(rounds.decision_ids):
        if not isinstance(decision_id, str) or not decision_id:
            raise DatasetError(row_of(DECISIONS_FILE, i), "decision_id", "a text", type(decision_id).__name__)
    return [str(decision_id) for decision_id in rounds.decision_ids]


def _decision(
    rounds: LoggedRounds, beside: BanditdLog | None, i: int, decision_id: str, router_id: str
) -> dict[str, Any]:
    eligible = np.ones(rounds.models_count, np.bool_) if rounds.eligible is None else rounds.eligible[i]
    tokens = np.nan if beside is None else beside.input_tokens[i]
    category = None
    if rounds.category is not None:
        number = int(rounds.category[i])
        category = (f"{number:06d}" if rounds.category_names is None else rounds.category_names[number]) or None
    return {
        "decision_id": decision_id,
        "position": i + 1,
        "router_id": router_id,
        "embedding": [] if rounds.context is None else rounds.context[i].astype(np.float16),
        "input_tokens": None if np.isnan(tokens) else int(tokens),
        "category": category,
        "models": list(rounds.model_ids),
        "pmf": None if rounds.pmf is None else rounds.pmf[i],
        "excluded": [None if able else "DISABLED" for able in eligible.tolist()],
        "model": rounds.model_ids[rounds.action[i]],
        "propensity": float(rounds.propensity[i]),
        "source": "POLICY" if beside is None else beside.source[i],
        "learnable": True if beside is None else bool(beside.learnable[i]),
    }


def _outcome(
    rounds: LoggedRounds, beside: BanditdLog | None, i: int, decision_id: str, router_id: str
) -> dict[str, Any] | None:
    values = {
        "QUALITY": rounds.reward[i],
        "COST": np.nan if rounds.cost is None else rounds.cost[i],
        "LATENCY": np.nan if beside is None else beside.latency_ms[i],
    }
    seen = {name: None if np.isnan(value) else float(value) for name, value in values.items()}
    learnt = [name for name, value in seen.items() if value is not None]
    if not learnt:
        return None
    return {
        "decision_id": decision_id,
        "position": len(rounds) + i + 1,
        "router_id": router_id,
        "quality": seen["QUALITY"],
        "cost_usd": seen["COST"],
        "latency_ms": seen["LATENCY"],
        "status": "APPLIED",
        "learnt": learnt,
        "learnt_cost_usd": seen["COST"],
    }


def _write(path: Path, schema: pa.Schema, blocks: Any) -> None:
    partial = path.with_suffix(".partial")
    with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        for rows in blocks:
            writer.write_table(pa.Table.from_pylist(rows, schema))
    partial.replace(path)
