"""Makes the golden bytes of the data directory: python tests/golden/disk/make_disk.py.

Run once per file. What exists is left alone: old bytes must decode to the same value for ever.
"""

from pathlib import Path
from types import MappingProxyType

import numpy as np

from banditd.domain.budget import Budget, BudgetWindow, Pacing
from banditd.domain.comparison import Comparison, ShownFirst, Winner
from banditd.domain.context import Context
from banditd.domain.decision import NO_LIMITS, Choice, Decision, DecisionSource, Limits, Objective, Resolution
from banditd.domain.health import Health
from banditd.domain.ledger import LedgerEntry, TokenCounts
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Failure, Lesson, Metric, Outcome, OutcomeStatus, Ruling
from banditd.domain.promotion import Promotion, PromotionCause, PromotionRule
from banditd.domain.records import (
    ChangeAlarm,
    ComparisonRecord,
    Example,
    Expiry,
    FeatureFit,
    HealthChange,
    LeaderboardPrior,
    ModelChange,
    OutcomeRecord,
    PastChoice,
    Restore,
    RouterChange,
)
from banditd.domain.router import NamedPolicy, PolicySpec, RouterSpec
from banditd.domain.snapshot import StoredSnapshot
from banditd.store import codec
from banditd.store.log import position_key

_TIME_MS = 1_790_000_000_123
_ID = bytes(range(16))


def _decision(**changes):
    values = {
        "decision_id": _ID,
        "router_id": "default",
        "request_id": "",
        "request_digest": b"",
        "context": Context(np.array([0.5, -1.25, 65504.0, 6e-8], np.float16)),
        "slots": np.array([0, 3, 65535], np.uint16),
        "choice": Choice(
            index=1,
            pmf=np.array([0.25, 0.75, 0.0]),
            exclusions=np.array([0, 0, 1], np.uint8),
            expected=np.array([[0.5, 0.75, 0.25], [0.001, np.nan, 0.0], [100.0, 2000.0, 1.5]], np.float32),
            source=DecisionSource.POLICY,
        ),
        "uniform": 0.5,
        "objective": Objective(10.0, 0.125),
        "limits": NO_LIMITS,
        "policy": "linucb",
        "policy_version": 41,
        "learnable": True,
    }
    return Decision(**(values | changes))


# Name to position, time and record.
RECORDS = {
    "comparison": (
        49,
        _TIME_MS,
        ComparisonRecord(
            "default",
            0,
            Context(np.array([1.0, -0.5], np.float16), 40, "code", "s-7"),
            Comparison(3, 1, Winner.B, "ann", 0.5, ShownFirst.A, "c-1"),
            OutcomeStatus.APPLIED,
        ),
    ),
    "comparison_of_a_decision": (
        50,
        _TIME_MS,
        ComparisonRecord("default", 42, None, Comparison(0, 3, Winner.TIE, decision_id=_ID), OutcomeStatus.LATE),
    ),
    "decision": (42, _TIME_MS, _decision()),
    "decision_of_a_batch": (
        2**40,
        _TIME_MS,
        _decision(
            request_id="r-1",
            request_digest=_ID[::-1],
            context=Context(np.array([1.0, 0.0], np.float16), 350, "code", "s-7"),
            limits=Limits(0.01, 5000.0, 0.25, ("eu", "vision")),
            choice=Choice(
                index=0,
                pmf=np.array([1.0]),
                exclusions=np.zeros(1, np.uint8),
                expected=np.array([[0.5], [0.001], [2000.0]], np.float32),
                source=DecisionSource.FALLBACK,
            ),
            slots=np.array([7], np.uint16),
            learnable=False,
            batch_row=3,
            batch_row_count=8,
        ),
    ),
    "decision_in_a_session": (
        41,
        _TIME_MS,
        _decision(
            context=Context(np.array([1.0, 0.0], np.float16), 350, "", "s-7"),
            limits=Limits(None, 5000.0, 0.5, (), 99.5),
            previous_slot=0,
        ),
    ),
    "outcome": (
        43,
        _TIME_MS + 1,
        OutcomeRecord(
            "default",
            42,
            Outcome(_ID, "o-1", 0.75, 0.002, 350, 120, 1250.5, Failure.NONE, -1, _TIME_MS),
            Ruling(OutcomeStatus.APPLIED, Lesson(0.75, 0.002, 1.5, 1250.5), Resolution.OBSERVED),
        ),
    ),
    "outcome_with_a_fee_and_cached_tokens": (
        43,
        _TIME_MS + 1,
        OutcomeRecord(
            "default",
            42,
            Outcome(_ID, "o-2", input_tokens=350, output_tokens=120, cached_input_tokens=300),
            Ruling(OutcomeStatus.APPLIED, Lesson(cost_usd=0.012, price_mtok_usd=1.5, fee_usd=0.01)),
        ),
    ),
    "outcome_of_a_failure": (
        44,
        _TIME_MS + 2,
        OutcomeRecord(
            "default",
            42,
            Outcome(_ID, failure=Failure.REFUSAL, served_slot=0, quality=0.0),
            Ruling(OutcomeStatus.OVERRIDDEN, resolution=Resolution.CENSORED),
        ),
    ),
    "expiry": (45, _TIME_MS, Expiry("default", (1, 2, 40), 0.0)),
    "expiry_without_quality": (46, _TIME_MS, Expiry("other", (3,), None)),
    "model_change": (
        47,
        _TIME_MS,
        ModelChange(
            "vendor/model-1",
            3,
            ModelSpec(3, "vendor/model-1", Price(0.25, 1.25), 128_000, ("eu",), False, 0.5, 900.0, 1, 2),
        ),
    ),
    "model_with_a_whole_price": (47, _TIME_MS, ModelChange("m", 0, ModelSpec(0, "m", Price(2.5, 10.0, 0.0, 0.125)))),
    "model_without_price": (48, _TIME_MS, ModelChange("m", 0, ModelSpec(0, "m"))),
    "model_removal": (49, _TIME_MS, ModelChange("m", 0, None)),
    "router_change": (
        50,
        _TIME_MS,
        RouterChange(
            "support",
            RouterSpec(
                router_id="support",
                policy=PolicySpec("linucb", MappingProxyType({"alpha": 0.5, "floor": 0.01})),
                embedding_dimension=384,
                embedding_model="minilm",
                model_ids=("m", "vendor/model-1"),
                objective=Objective(10.0, 0.0),
                fallback_model_id="m",
                attribution_window_ms=3_600_000,
                default_quality=0.0,
                quality_guess=0.625,
                create_time_ms=3,
                update_time_ms=4,
            ),
        ),
    ),
    "router_with_a_switch_price": (
        50,
        _TIME_MS,
        RouterChange("sticky", RouterSpec("sticky", PolicySpec("linucb", MappingProxyType({})), switch_usd=0.0625)),
    ),
    "router_removal": (51, _TIME_MS, RouterChange("support", None)),
    "router_with_budget": (
        54,
        _TIME_MS,
        RouterChange(
            "support",
            RouterSpec(
                "support", PolicySpec("linucb"), budget=Budget(2.5, BudgetWindow.DAY, True), exploration_share=0.125
            ),
        ),
    ),
    "decision_within_a_budget": (
        55,
        _TIME_MS,
        _decision(
            choice=Choice(
                index=1,
                pmf=np.array([0.25, 0.75, 0.0]),
                exclusions=np.array([0, 0, 8], np.uint8),
                expected=np.array([[0.5, 0.75, 0.25], [0.001, 0.002, 0.5], [100.0, 2000.0, 1.5]], np.float32),
                source=DecisionSource.POLICY,
                pacing=Pacing(10.0, 12.5, 0.25),
            )
        ),
    ),
    "decision_within_an_allowance": (
        60,
        _TIME_MS,
        _decision(
            choice=Choice(
                index=1,
                pmf=np.array([0.25, 0.75, 0.0]),
                exclusions=np.array([0, 0, 8], np.uint8),
                expected=np.array([[0.5, 0.75, 0.25], [0.001, 0.002, 0.5], [100.0, 2000.0, 1.5]], np.float32),
                source=DecisionSource.POLICY,
                pacing=Pacing(0.0, 0.0, 0.0, 0.0005),
            )
        ),
    ),
    "example": (
        56,
        _TIME_MS,
        Example(
            "support",
            Context(np.array([1.0, 0.0], np.float16), 350, "code"),
            ((0, Lesson(0.5, 0.001, 2.0, 100.0)), (3, Lesson(quality=1.0))),
        ),
    ),
    "past_choice": (
        58,
        _TIME_MS,
        Example(
            "support",
            Context(np.array([1.0, 0.0], np.float16), 350, "code"),
            ((3, Lesson(0.5, 0.001, 2.0, 100.0, 0.0005, 0.25)),),
            "import-1",
            PastChoice(0.25, (0, 3), (0.75, 0.25)),
        ),
    ),
    "leaderboard_prior": (59, _TIME_MS, LeaderboardPrior("support", "import-1", ((0, 0.75, 5.0), (3, 0.25, 0.5)))),
    "feature_fit": (52, _TIME_MS, FeatureFit("support", b"\x00\x01spec\xff", 1024)),
    "restore": (53, _TIME_MS, Restore("support", 40, b"\x00\x01state\xff")),
    "outcome_of_an_outage": (
        54,
        _TIME_MS,
        OutcomeRecord(
            "default",
            42,
            Outcome(_ID, failure=Failure.UNAVAILABLE),
            Ruling(OutcomeStatus.NOT_LEARNED, resolution=Resolution.CENSORED, health_slot=0),
        ),
    ),
    "model_with_sibling": (55, _TIME_MS, ModelChange("n", 4, ModelSpec(4, "n", sibling_model_id="vendor/model-1"))),
    "health_change": (56, _TIME_MS, HealthChange(3, Health.BACKING_OFF, _TIME_MS + 20_000, 3)),
    "change_alarm": (57, _TIME_MS, ChangeAlarm("support", 3, Metric.LATENCY, True, 10.25)),
    "promotion": (
        58,
        _TIME_MS,
        Promotion("support", "greedy", "first", PromotionCause.RULE, "", 8171, 0.0125, 0.001, 0.024, 6400.5),
    ),
    "router_with_shadows": (
        59,
        _TIME_MS,
        RouterChange(
            "support",
            RouterSpec(
                "support",
                PolicySpec("linucb"),
                policy_name="greedy",
                shadows=(NamedPolicy("first", PolicySpec("softmax", MappingProxyType({"temperature": 0.1}))),),
                promotion=PromotionRule(True, 0.005, 1000.0, 1.2, 0.0, 3_600_000),
            ),
        ),
    ),
}

# One of the records above as it is where a transaction begins.
LINKED = "outcome"
LINK = codec.Link(previous=40, transaction=9, entries=31)
LEDGER_KEY = position_key(42)
LEDGER = LedgerEntry(
    resolution=Resolution.OBSERVED,
    learnt=Metric.QUALITY | Metric.LATENCY,
    id_digests=(b"identity", b"identit2"),
    content_digests=(b"content1", b"content2"),
    positions=(43, 44),
)
LEDGER_BYTES = codec.encode_ledger(LEDGER_KEY, LEDGER)
LEDGER_OF_TOKENS = LedgerEntry(
    id_digests=(b"identity",),
    content_digests=(b"content1",),
    positions=(43,),
    tokens=TokenCounts(input=1200, cached_input=0),
)
SNAPSHOT = StoredSnapshot("support", 60, 52, "linucb", _TIME_MS, b"state\x00\xff")
SNAPSHOT_KEY = position_key(60) + b"support"
SNAPSHOT_BYTES = codec.encode_snapshot(SNAPSHOT_KEY, SNAPSHOT, _TIME_MS)


def linked_bytes():
    """Return a record with a link."""
    position, time_ms, record = RECORDS[LINKED]
    return codec.encode_record(position_key(position), time_ms, record, LINK)


def main() -> None:
    """Write the files that are missing."""
    here = Path(__file__).resolve().parent
    made = {
        name: codec.encode_record(position_key(position), time_ms, record)
        for name, (position, time_ms, record) in RECORDS.items()
    }
    beside = {
        "outcome_with_a_link": linked_bytes(),
        "ledger": LEDGER_BYTES,
        "ledger_of_tokens": codec.encode_ledger(LEDGER_KEY, LEDGER_OF_TOKENS),
        "snapshot": SNAPSHOT_BYTES,
    }
    for name, raw in {**made, **beside}.items():
        file = here / f"{name}.bin"
        if not file.exists():
            file.write_bytes(raw)


if __name__ == "__main__":
    main()
