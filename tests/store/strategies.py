"""Hypothesis strategies for everything that is written to disk, and a form of it that can be compared."""

import dataclasses
import enum
import struct
from collections.abc import Mapping
from types import MappingProxyType

import msgspec
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from banditd.domain.comparison import Comparison, ShownFirst, Winner
from banditd.domain.context import Context
from banditd.domain.decision import NO_LIMITS, Choice, Decision, DecisionSource, Limits, Objective, Resolution
from banditd.domain.health import Health
from banditd.domain.ledger import LedgerEntry, TokenCounts
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Failure, Lesson, Metric, Outcome, OutcomeStatus, Ruling
from banditd.domain.promotion import FIRST_POLICY, Promotion, PromotionCause, PromotionRule
from banditd.domain.records import (
    ChangeAlarm,
    ComparisonRecord,
    Expiry,
    FeatureFit,
    HealthChange,
    ModelChange,
    OutcomeRecord,
    Restore,
    RouterChange,
)
from banditd.domain.router import NamedPolicy, PolicySpec, RouterSpec
from banditd.domain.snapshot import StoredSnapshot

positions = st.integers(1, 2**48 - 1)
times = st.integers(0, 2**42)
names = st.text(max_size=12)
ids = st.binary(min_size=16, max_size=16)
counts = st.integers(0, 2**40)
numbers = st.floats(0.0, 1e12, allow_nan=False)
shares = st.floats(0.0, 1.0)
slots = st.integers(0, 2**16 - 1)


def optional(strategy):
    """Return *strategy* with None."""
    return st.none() | strategy


def plain(value):
    """Return what can be compared: arrays as dtype, shape and bytes, floats as their bits."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, float):
        return ("float", struct.pack("<d", value))
    if isinstance(value, enum.Enum):
        return (type(value).__name__, value.value)
    if dataclasses.is_dataclass(value):
        return (type(value).__name__, *(plain(getattr(value, f.name)) for f in dataclasses.fields(value)))
    if isinstance(value, msgspec.Struct):
        return (type(value).__name__, *(plain(getattr(value, name)) for name in value.__struct_fields__))
    if isinstance(value, Mapping):
        return tuple((key, plain(item)) for key, item in sorted(value.items()))
    if isinstance(value, tuple | list):
        return tuple(plain(item) for item in value)
    return value


@st.composite
def decisions(draw):
    """A decision with all that the codec may meet: no candidates' limits or all of them, unknown costs, batch rows."""
    chosen = draw(st.lists(slots, min_size=1, max_size=9, unique=True))
    count = len(chosen)
    limits = draw(
        st.just(NO_LIMITS)
        | st.builds(
            Limits,
            optional(numbers),
            optional(numbers),
            optional(shares),
            st.lists(names, max_size=3).map(tuple),
            optional(numbers),
        )
    )
    choice = Choice(
        index=draw(st.integers(0, count - 1)),
        pmf=draw(npst.arrays(np.float64, count, elements=shares)),
        exclusions=draw(npst.arrays(np.uint8, count, elements=st.integers(0, 10)) | st.just(np.zeros(count, np.uint8))),
        expected=draw(npst.arrays(np.float32, (3, count))),
        source=draw(st.sampled_from(DecisionSource)),
    )
    request_id = draw(names)
    return Decision(
        decision_id=draw(ids),
        router_id=draw(names),
        request_id=request_id,
        request_digest=draw(ids) if request_id else b"",
        context=Context(
            embedding=draw(npst.arrays(np.float16, st.integers(0, 20))),
            input_tokens=draw(st.integers(-1, 10**8)),
            category=draw(names),
            session=draw(names),
        ),
        slots=np.array(chosen, np.uint16),
        choice=choice,
        uniform=draw(st.floats(0.0, 1.0, exclude_max=True)),
        objective=draw(st.builds(Objective, numbers, numbers)),
        limits=limits,
        policy=draw(names),
        policy_version=draw(positions),
        learnable=draw(st.booleans()),
        batch_row=draw(st.integers(-1, 1023)),
        batch_row_count=draw(st.integers(0, 1024)),
        previous_slot=draw(st.integers(-1, 2**16 - 1)),
    )


@st.composite
def outcomes(draw):
    """An outcome as it came."""
    return Outcome(
        decision_id=draw(ids),
        outcome_id=draw(names),
        quality=draw(optional(shares)),
        cost_usd=draw(optional(numbers)),
        input_tokens=draw(optional(counts)),
        output_tokens=draw(optional(counts)),
        latency_ms=draw(optional(numbers)),
        failure=draw(st.sampled_from(Failure)),
        served_slot=draw(st.integers(-1, 2**16 - 1)),
        observe_time_ms=draw(times),
        cached_input_tokens=draw(optional(counts)),
    )


@st.composite
def outcome_records(draw):
    """An outcome with a ruling; what is learnt of quality and latency is what was seen of them."""
    outcome = draw(outcomes())
    lesson = Lesson(
        quality=outcome.quality if draw(st.booleans()) else None,
        cost_usd=draw(optional(numbers)),
        price_mtok_usd=draw(optional(numbers)),
        latency_ms=outcome.latency_ms if draw(st.booleans()) else None,
        fee_usd=draw(numbers),
    )
    ruling = Ruling(
        draw(st.sampled_from(OutcomeStatus)),
        lesson,
        draw(optional(st.sampled_from(Resolution))),
        draw(st.just(-1) | slots),
    )
    return OutcomeRecord(draw(names), draw(st.just(0) | positions), outcome, ruling)


@st.composite
def comparison_records(draw):
    """A comparison of a decision or of a prompt of its own."""
    decision_id = draw(st.just(b"") | ids)
    context = Context(
        draw(npst.arrays(np.float16, st.integers(0, 20))), draw(st.integers(-1, 10**8)), draw(names), draw(names)
    )
    comparison = Comparison(
        slot_a=draw(slots),
        slot_b=draw(slots),
        winner=draw(st.sampled_from(Winner)),
        judge=draw(names),
        strength=draw(optional(shares)),
        shown_first=draw(st.sampled_from(ShownFirst)),
        comparison_id=draw(names),
        decision_id=decision_id,
    )
    at = draw(positions) if decision_id else 0
    status = draw(st.sampled_from(OutcomeStatus))
    return ComparisonRecord(draw(names), at, None if decision_id else context, comparison, status)


expiries = st.builds(Expiry, names, st.lists(positions, max_size=20).map(tuple), optional(shares))


@st.composite
def model_changes(draw):
    """A model after a change, or its removal."""
    name, slot = draw(names), draw(slots)
    if draw(st.booleans()):
        return ModelChange(name, slot, None)
    model = ModelSpec(
        slot=slot,
        model_id=name,
        price=draw(optional(st.builds(Price, numbers, numbers, optional(numbers), numbers))),
        context_window_tokens=draw(counts),
        tags=tuple(draw(st.lists(names, max_size=3))),
        enabled=draw(st.booleans()),
        quality_guess=draw(optional(shares)),
        latency_ms_guess=draw(optional(numbers)),
        create_time_ms=draw(times),
        update_time_ms=draw(times),
        sibling_model_id=draw(names),
    )
    return ModelChange(name, slot, model)


named_policies = st.builds(
    NamedPolicy, names, st.builds(PolicySpec, names, st.dictionaries(names, numbers, max_size=2).map(MappingProxyType))
)
promotion_rules = st.builds(PromotionRule, st.booleans(), numbers, numbers, numbers, numbers, times)


@st.composite
def router_changes(draw):
    """A router after a change, or its removal."""
    name = draw(names)
    if draw(st.booleans()):
        return RouterChange(name, None)
    router = RouterSpec(
        router_id=name,
        policy=PolicySpec(draw(names), MappingProxyType(draw(st.dictionaries(names, numbers, max_size=3)))),
        embedding_dimension=draw(st.integers(0, 4096)),
        embedding_model=draw(names),
        model_ids=tuple(draw(st.lists(names, max_size=3))),
        objective=draw(st.builds(Objective, numbers, numbers)),
        fallback_model_id=draw(names),
        attribution_window_ms=draw(times),
        default_quality=draw(optional(shares)),
        quality_guess=draw(shares),
        create_time_ms=draw(times),
        update_time_ms=draw(times),
        switch_usd=draw(numbers),
        policy_name=draw(names) or FIRST_POLICY,
        shadows=tuple(draw(st.lists(named_policies, max_size=2))),
        promotion=draw(promotion_rules),
    )
    return RouterChange(name, router)


fits = st.builds(FeatureFit, names, st.binary(max_size=200), counts)
restores = st.builds(Restore, names, positions, st.binary(max_size=200))
health_changes = st.builds(HealthChange, slots, st.sampled_from(Health), times, st.integers(0, 100))
alarms = st.builds(ChangeAlarm, names, slots, st.sampled_from(Metric), st.booleans(), numbers)
promotions = st.builds(
    Promotion, names, names, names, st.sampled_from(PromotionCause), names, counts, numbers, numbers, numbers, numbers
)
records = (
    decisions()
    | outcome_records()
    | comparison_records()
    | expiries
    | model_changes()
    | router_changes()
    | fits
    | restores
    | health_changes
    | alarms
    | promotions
)


@st.composite
def ledger_entries(draw):
    """What is remembered of a decision: as many digests of ids as of contents as there are positions."""
    recorded = draw(st.lists(positions, max_size=16))
    digests = st.lists(st.binary(min_size=8, max_size=8), min_size=len(recorded), max_size=len(recorded)).map(tuple)
    return LedgerEntry(
        resolution=draw(st.sampled_from(Resolution)),
        learnt=Metric(draw(st.integers(0, 7))),
        id_digests=draw(digests),
        content_digests=draw(digests),
        positions=tuple(recorded),
        tokens=TokenCounts(*(draw(st.none() | st.integers(0, 2**40)) for _ in range(3))),
    )


snapshots = st.builds(StoredSnapshot, names, positions, positions, names, times, st.binary(max_size=200))
