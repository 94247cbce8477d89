"""banditd's export: a log that the store wrote, what comes back, and what is refused."""

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest

from banditd.domain.context import Context
from banditd.domain.decision import NO_LIMITS, Choice, Decision, DecisionSource, Objective
from banditd.domain.outcome import Failure, Lesson, Metric, Outcome, OutcomeStatus, Ruling
from banditd.domain.records import ModelChange, OutcomeRecord
from banditd.store.env import Env
from banditd.store.export import DECISIONS, OUTCOMES, export_parquet
from banditd.store.log import Log
from banditd_sim.datasets import DatasetError, load_banditd, write_banditd

from .made import log, same_log, write_parquet

NAMES = {0: "a", 3: "b", 9: "c"}


def _decision(number, slots, pmf, drawn, exclusions=None, source=DecisionSource.POLICY, **changes):
    values = {
        "decision_id": number.to_bytes(16, "big"),
        "router_id": "r",
        "request_id": "",
        "request_digest": b"",
        "context": Context(np.array([number, -1.5], np.float16), 40 + number, "code" if number % 2 else ""),
        "slots": np.array(slots, np.uint16),
        "choice": Choice(
            index=drawn,
            pmf=np.array(pmf),
            exclusions=np.array(exclusions or [0] * len(slots), np.uint8),
            expected=np.full((3, len(slots)), np.nan, np.float32),
            source=source,
        ),
        "uniform": 0.5,
        "objective": Objective(),
        "limits": NO_LIMITS,
        "policy": "linucb",
        "policy_version": 1,
        "learnable": source is DecisionSource.POLICY,
    }
    return Decision(**values | changes)


def _outcome(number, lesson=None, status=OutcomeStatus.APPLIED, router_id="r", **seen):
    outcome = Outcome(number.to_bytes(16, "big"), **seen)
    if lesson is None:
        lesson = Lesson(**{k: v for k, v in seen.items() if k in {"quality", "cost_usd", "latency_ms"}})
    return OutcomeRecord(router_id, 1, outcome, Ruling(status, lesson))


def _exported(tmp_path, records):
    with Env(tmp_path / "data", 1 << 26) as env:
        batch = Log(env).begin()
        changes = [ModelChange(name, slot, None) for slot, name in NAMES.items()]
        for position, record in enumerate([*changes, *records], start=1):
            batch.append(position, 10**12 + position, record)
        batch.commit()
    export_parquet(tmp_path / "data", tmp_path / "out", None)
    return tmp_path / "out"


RECORDS = [
    _decision(1, [0, 3], [0.25, 0.75], 1),
    _decision(2, [0, 3, 9], [0.5, 0.0, 0.5], 2, [0, 5, 0]),
    _decision(3, [0, 3], [1.0, 0.0], 0, [0, 1], DecisionSource.FALLBACK),
    _decision(4, [0, 9], [0.5, 0.5], 0),
    _decision(5, [0, 9], [0.5, 0.5], 1),
    _outcome(1, cost_usd=0.01),
    _outcome(1, quality=0.75, latency_ms=120.0),
    _outcome(1, Lesson(), OutcomeStatus.DUPLICATE, quality=0.75, latency_ms=120.0),
    _outcome(2, Lesson(quality=1.0, cost_usd=0.5), quality=1.0, output_tokens=7),
    _outcome(3, Lesson(), OutcomeStatus.NOT_LEARNED, quality=0.5),
    _outcome(4, Lesson(), OutcomeStatus.NOT_LEARNED, failure=Failure.TIMEOUT),
    _outcome(5, Lesson(), OutcomeStatus.LATE, quality=1.0),
    _outcome(77, Lesson(), OutcomeStatus.ORPHANED, router_id="", quality=1.0),
]


def test_log_of_the_store_is_read(tmp_path):
    """What the learner learnt is the reward; late, failed and fallback decisions are not observed."""
    loaded = load_banditd(_exported(tmp_path, RECORDS))
    rounds = loaded.rounds
    nan = np.nan
    assert rounds.model_ids == ("a", "b", "c")
    assert rounds.action.tolist() == [1, 2, 0, 0, 2]
    assert np.array_equal(rounds.reward, [0.75, 1.0, nan, nan, nan], equal_nan=True)
    assert np.array_equal(rounds.cost, [0.01, 0.5, nan, nan, nan], equal_nan=True)
    assert rounds.propensity.tolist() == [0.75, 0.5, 1.0, 0.5, 0.5]
    assert rounds.pmf.tolist() == [[0.25, 0.75, 0], [0.5, 0, 0.5], [1, 0, 0], [0.5, 0, 0.5], [0.5, 0, 0.5]]
    assert rounds.eligible.tolist() == [
        [True, True, False],
        [True, False, True],
        [True, False, False],
        [True, False, True],
        [True, False, True],
    ]
    assert rounds.context.tolist() == [[n, -1.5] for n in (1, 2, 3, 4, 5)]
    assert [rounds.category_names[c] for c in rounds.category] == ["code", "", "code", "", "code"]
    assert rounds.decision_ids == [n.to_bytes(16, "big").hex() for n in (1, 2, 3, 4, 5)]
    assert loaded.learnable.tolist() == [True, True, False, True, True]
    assert loaded.source == ("POLICY", "POLICY", "FALLBACK", "POLICY", "POLICY")
    assert loaded.input_tokens.tolist() == [41, 42, 43, 44, 45]
    assert np.array_equal(loaded.latency_ms, [120.0, nan, nan, nan, nan], equal_nan=True)


def test_failed_calls_can_count(tmp_path):
    """Leaving them out would flatter a model that fails; one after the window, or of another model, is not its."""
    late = _outcome(5, Lesson(), OutcomeStatus.LATE, failure=Failure.TIMEOUT)
    other = _outcome(3, Lesson(), OutcomeStatus.OVERRIDDEN, failure=Failure.REFUSAL, served_slot=3)
    folder = _exported(tmp_path, [*RECORDS, late, other])
    reward = load_banditd(folder, failure_quality=0.0).rounds.reward
    assert np.array_equal(reward, [0.75, 1.0, np.nan, 0.0, np.nan], equal_nan=True)
    with pytest.raises(DatasetError, match=r"failure_quality: expected a number in \[0, 1\], got 2"):
        load_banditd(folder, failure_quality=2)


def test_one_router_is_read(tmp_path):
    """Two policies in one log are not one logging policy; another router's embeddings may have another length."""
    other = _decision(6, [0, 9], [0.5, 0.5], 1, router_id="s", context=Context(np.zeros(3, np.float16)))
    folder = _exported(tmp_path, [*RECORDS, other, _outcome(6, router_id="s", quality=0.25)])
    with pytest.raises(DatasetError, match=r"router_id: expected the choice of one router, got several: r, s"):
        load_banditd(folder)
    with pytest.raises(DatasetError, match=r"router_id: expected one of r, s, got 'x'"):
        load_banditd(folder, router_id="x")
    assert len(load_banditd(folder, router_id="r").rounds) == 5
    loaded = load_banditd(folder, router_id="s")
    assert (loaded.router_id, loaded.rounds.reward.tolist()) == ("s", [0.25])
    assert loaded.rounds.category is None


def test_what_is_written_comes_back(tmp_path):
    """Rounds, and what banditd keeps beside them."""
    made = log()
    write_banditd(made, tmp_path / "one")
    loaded = load_banditd(tmp_path / "one")
    assert loaded.rounds.category_names == ("000000", "000001", "000002")
    assert same_log(loaded.rounds, made)
    assert loaded.rounds.decision_ids == made.decision_ids
    beside = dataclasses.replace(
        loaded,
        rounds=dataclasses.replace(loaded.rounds, category_names=("", "code", "math")),
        router_id="other",
        learnable=np.arange(200) % 3 > 0,
        source=("POLICY", "FALLBACK") * 100,
        input_tokens=np.where(np.arange(200) % 2, np.nan, 12.0),
        latency_ms=np.where(np.arange(200) % 5, 1.5, np.nan),
    )
    write_banditd(beside, tmp_path / "two")
    again = load_banditd(tmp_path / "two")
    assert same_log(again.rounds, made)
    for name in ("router_id", "source"):
        assert getattr(again, name) == getattr(beside, name)
    assert again.rounds.category_names == ("", "code", "math")
    for name in ("learnable", "input_tokens", "latency_ms"):
        assert np.array_equal(getattr(again, name), getattr(beside, name), equal_nan=True)


def test_written_files_have_the_exports_columns(tmp_path):
    """So that whatever reads an export reads them."""
    write_banditd(log(), tmp_path)
    assert pq.read_schema(tmp_path / "decisions.parquet").equals(DECISIONS)
    assert pq.read_schema(tmp_path / "outcomes.parquet").equals(OUTCOMES)
    assert not list(tmp_path.glob("*.partial"))


def test_log_without_extras_comes_back(tmp_path):
    """No pmf, no context, no ids."""
    made = log(pmf=None, eligible=None, context=None, cost=None, category=None, decision_ids=None)
    write_banditd(made, tmp_path)
    assert same_log(load_banditd(tmp_path).rounds, made)


@pytest.mark.parametrize(
    "made, message",
    [
        (log(reward=np.full(200, -1.0), reward_min=-1.0), r"outcomes\.parquet row 1: quality: .* \[0, 1\], got -1\.0"),
        (log(context=np.full((200, 1), 1e6)), r"decisions\.parquet row 1: embedding: expected numbers within float16"),
        (log(decision_ids=range(200)), r"decisions\.parquet row 1: decision_id: expected a text, got int"),
    ],
)
def test_log_that_the_form_cannot_hold_is_refused(tmp_path, made, message):
    """Rather than written as something else."""
    with pytest.raises(DatasetError, match=message):
        write_banditd(made, tmp_path)


def _changed(tmp_path, file, row, **changes):
    write_banditd(log(), tmp_path)
    path = tmp_path / f"{file}.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[row] |= changes
    write_parquet(path, rows, DECISIONS if file == "decisions" else OUTCOMES)
    return tmp_path


@pytest.mark.parametrize(
    "file, row, changes, message",
    [
        ("decisions", 3, {"propensity": 0.0}, r"decisions\.parquet row 4: propensity: expected in \(0, 1\], got 0\.0"),
        ("decisions", 3, {"propensity": 1.5}, r"decisions\.parquet row 4: propensity: .* got 1\.5"),
        ("decisions", 3, {"propensity": np.nan}, r"decisions\.parquet row 4: propensity: .* got nan"),
        ("decisions", 3, {"propensity": None}, r"decisions\.parquet row 4: propensity: .* got nothing"),
        ("decisions", 0, {"pmf": [0.5, 0.25, 0.2]}, r"decisions\.parquet row 1: pmf: .* sum to 1, got a sum of 0\.95"),
        ("decisions", 0, {"pmf": [1.5, -0.5, 0.0]}, r"decisions\.parquet row 1: pmf: .* least -0\.5"),
        ("decisions", 0, {"pmf": [np.nan, 0.5, 0.5]}, r"decisions\.parquet row 1: pmf: .* a sum of nan"),
        ("decisions", 0, {"pmf": [0.5, 0.5]}, r"decisions\.parquet row 1: pmf: expected 3 probabilities, .* 2 entries"),
        ("decisions", 5, {"pmf": None}, r"row 6: pmf: expected probabilities, as in other rows, got nothing"),
        ("decisions", 5, {"models": ["x", "x", "y"]}, r"row 6: models: expected distinct names, got one twice"),
        ("decisions", 5, {"models": []}, r"row 6: models: expected a list of names, got none"),
        ("decisions", 5, {"model": "x"}, r"row 6: model: expected one of the candidates, got 'x'"),
        ("decisions", 5, {"excluded": [None]}, r"row 6: excluded: expected 3 entries, one per model"),
        ("decisions", 5, {"embedding": [1.0]}, r"row 6: embedding: expected 4 numbers, got 1"),
        ("decisions", 5, {"decision_id": f"{4:032x}"}, r"row 6: decision_id: expected distinct ids, .* row 5"),
        ("decisions", 5, {"decision_id": "new"}, r"outcomes\.parquet row \d+: decision_id: .* got '0+5'"),
        ("outcomes", 2, {"quality": 1.5}, r"outcomes\.parquet row 3: quality: .* \[0, 1\], got 1\.5"),
        ("outcomes", 2, {"quality": np.nan}, r"outcomes\.parquet row 3: quality: .* got nan"),
        ("outcomes", 2, {"quality": None, "learnt": ["QUALITY"]}, r"row 3: learnt: .* QUALITY is learnt, got nothing"),
        ("outcomes", 2, {"learnt_cost_usd": -1.0}, r"outcomes\.parquet row 3: learnt_cost_usd: .* got -1\.0"),
        ("outcomes", 2, {"decision_id": f"{1:032x}"}, r"row 3: learnt: expected one outcome that teaches"),
    ],
)
def test_broken_export_is_named(tmp_path, file, row, changes, message):
    """File, row and column."""
    with pytest.raises(DatasetError, match=message):
        load_banditd(_changed(tmp_path, file, row, **changes))


@pytest.mark.parametrize("name", ["decisions.parquet", "outcomes.parquet"])
def test_half_an_export_is_refused(tmp_path, name):
    """A file that is cut or absent is told as such."""
    write_banditd(log(), tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DatasetError, match=rf"{name}: expected a whole Parquet file"):
        load_banditd(tmp_path)
    path.unlink()
    with pytest.raises(DatasetError, match=rf"{name}: expected a file, got none"):
        load_banditd(tmp_path)


def test_log_without_rewards_is_refused(tmp_path):
    """Decisions whose outcomes have not come yet answer no question."""
    folder = _exported(tmp_path, RECORDS[:5])
    with pytest.raises(DatasetError, match=r"reward: expected at least one observed reward, got only nan"):
        load_banditd(folder)


def test_what_is_learnt_has_the_names_of_the_store():
    """Renaming a metric there would make every reward here unobserved."""
    assert {metric.name for metric in Metric} == {"QUALITY", "COST", "LATENCY"}
