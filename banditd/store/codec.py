"""Domain values to bytes on disk and back.

Every value of the log is a header of 13 bytes, then a message of banditd.storage.v1:

    | kind: 1 | CRC-32: 4 | time in ms since 1970: 8 | message |      little-endian

The checksum covers key, kind, time and message, so that a record that was changed, cut or put in another's place is
never taken for a fact.

Positions are reserved before it is known whether they are used, so some are left out. The first entry of a transaction
and each that does not follow the position before its own have the highest bit of their kind set and a link before the
message:

    | position of the entry before: 8 | number of the transaction: 8 | entries of the log before this one: 8 |

So an entry that has gone missing is told from one that never was, and the log of an older transaction from the newest.
"""

import math
import struct
import zlib
from collections.abc import Callable
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from banditd.domain.budget import FREE, Budget, BudgetWindow, Pacing
from banditd.domain.comparison import Comparison, ShownFirst, Winner
from banditd.domain.context import Context
from banditd.domain.decision import (
    NO_LIMITS,
    NO_SLOT,
    Choice,
    Decision,
    DecisionSource,
    Limits,
    Objective,
    Resolution,
    Rival,
)
from banditd.domain.health import Health
from banditd.domain.ledger import LedgerEntry, TokenCounts
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Failure, Lesson, Metric, Outcome, OutcomeStatus, Ruling
from banditd.domain.promotion import FIRST_POLICY, Promotion, PromotionCause, PromotionRule
from banditd.domain.records import (
    ChangeAlarm,
    ComparisonRecord,
    Example,
    Expiry,
    FeatureFit,
    HealthChange,
    LeaderboardPrior,
    LogEntry,
    ModelChange,
    OutcomeRecord,
    PastChoice,
    Record,
    Restore,
    RouterChange,
)
from banditd.domain.router import EXPLORATION_SHARE, NamedPolicy, PolicySpec, RouterSpec
from banditd.domain.snapshot import StoredSnapshot
from banditd.errors import DataLossError, Reason
from banditd_proto.storage.v1 import records_pb2 as pb

_HEADER = struct.Struct("<BIq")
_TIME = struct.Struct("<q")
_LINK = struct.Struct("<QQQ")
_DIGEST_BYTES: Final = 8
# Set in the kind of an entry that has a link.
_LINKED: Final = 0x80
_ENABLED, _DISABLED = 1, 2
# Kind of what is kept beside the log.
_DERIVED: Final = 0
DECISION: Final = int(pb.RECORD_KIND_DECISION)
OUTCOME: Final = int(pb.RECORD_KIND_OUTCOME)
EXPIRY: Final = int(pb.RECORD_KIND_EXPIRY)
EXAMPLE: Final = int(pb.RECORD_KIND_EXAMPLE)
COMPARISON: Final = int(pb.RECORD_KIND_COMPARISON)
PRIOR: Final = int(pb.RECORD_KIND_LEADERBOARD_PRIOR)


class Link(NamedTuple):
    """What an entry of the log says of those before it.

    Attributes:
        previous: Position of the entry before; 0 for none.
        transaction: Number of the transaction that wrote the entry.
        entries: How many there were before.
    """

    previous: int
    transaction: int
    entries: int


def seal(key: bytes, kind: int, time_ms: int, message: bytes) -> bytes:
    """Return header and message of the record that is stored under *key*."""
    return _HEADER.pack(kind, _checksum(key, kind, time_ms, message), time_ms) + message


def _checksum(key: bytes, kind: int, time_ms: int, message: bytes) -> int:
    return zlib.crc32(message, zlib.crc32(key + _TIME.pack(time_ms), kind))


def unseal(key: bytes, value: bytes) -> tuple[int, int, bytes]:
    """Return kind, time and message.

    Raises:
        DataLossError: The checksum fails.
    """
    if len(value) >= _HEADER.size:
        kind, crc, time_ms = _HEADER.unpack_from(value)
        message = value[_HEADER.size :]
        if crc == _checksum(key, kind, time_ms, message):
            return kind, time_ms, message
    raise _damaged(key, "checksum failed")


def is_sound(key: bytes, value: bytes) -> bool:
    """Return whether *value* is what was sealed under *key*; `unseal` for who needs no more."""
    if len(value) < _HEADER.size:
        return False
    crc = zlib.crc32(value[_HEADER.size :], zlib.crc32(key + value[5 : _HEADER.size], value[0]))
    return crc == int.from_bytes(value[1:5], "little")


def _damaged(key: bytes, what: str) -> DataLossError:
    # Positions are the first eight bytes of most keys; the others are names or digests.
    return DataLossError(Reason.CORRUPT_RECORD, f"record at {int.from_bytes(key[:8], 'big')}: {what}")


def peek(value: bytes) -> tuple[int, int]:
    """Return kind and time of a record without checking it."""
    if len(value) < _HEADER.size:
        raise DataLossError(Reason.CORRUPT_RECORD, f"record: expected {_HEADER.size} bytes or more, got {len(value)}")
    kind, _, time_ms = _HEADER.unpack_from(value)
    return kind & ~_LINKED, time_ms


def link_of(value: bytes) -> Link | None:
    """Return the link of a record, without checking it; None if it has none and follows the position before its own."""
    if len(value) >= _HEADER.size + _LINK.size and value[0] & _LINKED:
        return Link(*_LINK.unpack_from(value, _HEADER.size))
    return None


def name_of_kind(kind: int) -> str:
    """Return what a kind of record is called."""
    return pb.RecordKind.Name(kind).removeprefix("RECORD_KIND_").lower()


def encode_record(key: bytes, time_ms: int, record: Record, link: Link | None = None) -> bytes:
    """Return the bytes that are stored of a record under *key*."""
    kind, message = _ENCODERS[type(record)](record)
    if link is None:
        return seal(key, kind, time_ms, message)
    return seal(key, kind | _LINKED, time_ms, _LINK.pack(*link) + message)


def decode_record(key: bytes, value: bytes) -> LogEntry:
    """Return the record that `encode_record` made *value* of.

    Raises:
        DataLossError: It is not what was written.
    """
    kind, time_ms, message = unseal(key, value)
    if kind & _LINKED:
        kind, message = kind & ~_LINKED, message[_LINK.size :]
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise _damaged(key, f"unknown kind {kind}")
    try:
        record = decoder(message)
    except (DecodeError, ValueError, IndexError) as error:
        raise _damaged(key, "cannot be decoded") from error
    return LogEntry(int.from_bytes(key, "big"), time_ms, record)


def _encode_decision(d: Decision) -> tuple[int, bytes]:
    choice, context = d.choice, d.context
    exclusions = choice.exclusions.tobytes()
    # Field by field, which takes two thirds of the time of a constructor's keywords.
    message = pb.Decision()
    message.router_id = d.router_id
    message.decision_id = d.decision_id
    message.request_id = d.request_id
    message.request_digest = d.request_digest
    message.embedding_float16 = context.embedding.tobytes()
    message.input_token_count = context.input_tokens
    message.category = context.category
    message.session_id = context.session
    if d.previous_slot != NO_SLOT:
        message.previous_slot = d.previous_slot
    message.slots = d.slots.tobytes()
    message.pmf = choice.pmf.tobytes()
    message.exclusions = exclusions if exclusions.strip(b"\0") else b""
    message.expected = choice.expected.tobytes()
    message.slot = d.slot
    message.propensity = choice.propensity
    message.uniform = d.uniform
    message.policy_version = d.policy_version
    message.policy = d.policy
    message.source = choice.source
    message.learnable = d.learnable
    message.usd_weight = d.objective.usd_weight
    message.second_weight = d.objective.second_weight
    message.batch_row = d.batch_row
    message.batch_row_count = d.batch_row_count
    if choice.pacing is not FREE:
        message.shadow_price_low = choice.pacing.low
        message.shadow_price_high = choice.pacing.high
        message.shadow_price_share_high = choice.pacing.share_high
        if choice.pacing.allowance_usd < math.inf:
            message.exploration_allowance_usd = choice.pacing.allowance_usd
    if choice.rival is not None:
        message.rival_slot = int(d.slots[choice.rival.index])
        message.rival_pmf = choice.rival.pmf.tobytes()
    if d.limits is not NO_LIMITS:
        message.limits.CopyFrom(
            pb.Limits(
                cost_usd_max=d.limits.cost_usd_max,
                latency_ms_max=d.limits.latency_ms_max,
                quality_min=d.limits.quality_min,
                required_tags=d.limits.required_tags,
                latency_percentile=d.limits.latency_percentile,
            )
        )
    return DECISION, message.SerializeToString()


def _decode_decision(raw: bytes) -> Decision:
    m = pb.Decision.FromString(raw)
    slots = np.frombuffer(m.slots, "<u2")
    limits = NO_LIMITS
    if m.HasField("limits"):
        limits = Limits(
            m.limits.cost_usd_max if m.limits.HasField("cost_usd_max") else None,
            m.limits.latency_ms_max if m.limits.HasField("latency_ms_max") else None,
            m.limits.quality_min if m.limits.HasField("quality_min") else None,
            tuple(m.limits.required_tags),
            m.limits.latency_percentile if m.limits.HasField("latency_percentile") else None,
        )
    exclusions = np.frombuffer(m.exclusions, np.uint8) if m.exclusions else np.zeros(len(slots), np.uint8)
    return Decision(
        decision_id=m.decision_id,
        router_id=m.router_id,
        request_id=m.request_id,
        request_digest=m.request_digest,
        context=Context(
            embedding=np.frombuffer(m.embedding_float16, "<f2"),
            input_tokens=m.input_token_count,
            category=m.category,
            session=m.session_id,
        ),
        slots=slots,
        choice=Choice(
            index=int(np.flatnonzero(slots == m.slot)[0]),
            pmf=np.frombuffer(m.pmf, "<f8"),
            exclusions=exclusions,
            expected=np.frombuffer(m.expected, "<f4").reshape(3, len(slots)),
            source=DecisionSource(m.source),
            pacing=Pacing(
                m.shadow_price_low,
                m.shadow_price_high,
                m.shadow_price_share_high,
                m.exploration_allowance_usd if m.HasField("exploration_allowance_usd") else math.inf,
            )
            if m.shadow_price_high > 0.0 or m.HasField("exploration_allowance_usd")
            else FREE,
            rival=Rival(int(np.flatnonzero(slots == m.rival_slot)[0]), np.frombuffer(m.rival_pmf, "<f8"))
            if m.rival_pmf
            else None,
        ),
        uniform=m.uniform,
        objective=Objective(m.usd_weight, m.second_weight),
        limits=limits,
        policy=m.policy,
        policy_version=m.policy_version,
        learnable=m.learnable,
        batch_row=m.batch_row,
        batch_row_count=m.batch_row_count,
        previous_slot=m.previous_slot if m.HasField("previous_slot") else NO_SLOT,
    )


def _encode_outcome(record: OutcomeRecord) -> tuple[int, bytes]:
    o, ruling = record.outcome, record.ruling
    return OUTCOME, pb.Outcome(
        router_id=record.router_id,
        decision_position=record.decision_position,
        decision_id=o.decision_id,
        outcome_id=o.outcome_id,
        quality=o.quality,
        cost_usd=o.cost_usd,
        input_token_count=o.input_tokens,
        cached_input_token_count=o.cached_input_tokens,
        output_token_count=o.output_tokens,
        latency_ms=o.latency_ms,
        failure=o.failure,
        served_slot=o.served_slot,
        observe_time_ms=o.observe_time_ms,
        status=ruling.status,
        learnt_metrics=ruling.lesson.metrics,
        learnt_cost_usd=ruling.lesson.cost_usd,
        learnt_price_mtok_usd=ruling.lesson.price_mtok_usd,
        learnt_fee_usd=ruling.lesson.fee_usd,
        resolution=0 if ruling.resolution is None else ruling.resolution,
        health_slot=None if ruling.health_slot < 0 else ruling.health_slot,
    ).SerializeToString()


def _decode_outcome(raw: bytes) -> OutcomeRecord:
    m = pb.Outcome.FromString(raw)
    outcome = Outcome(
        decision_id=m.decision_id,
        outcome_id=m.outcome_id,
        quality=m.quality if m.HasField("quality") else None,
        cost_usd=m.cost_usd if m.HasField("cost_usd") else None,
        input_tokens=m.input_token_count if m.HasField("input_token_count") else None,
        output_tokens=m.output_token_count if m.HasField("output_token_count") else None,
        latency_ms=m.latency_ms if m.HasField("latency_ms") else None,
        failure=Failure(m.failure),
        served_slot=m.served_slot,
        observe_time_ms=m.observe_time_ms,
        cached_input_tokens=m.cached_input_token_count if m.HasField("cached_input_token_count") else None,
    )
    lesson = Lesson(
        quality=outcome.quality if m.learnt_metrics & Metric.QUALITY else None,
        cost_usd=m.learnt_cost_usd if m.HasField("learnt_cost_usd") else None,
        price_mtok_usd=m.learnt_price_mtok_usd if m.HasField("learnt_price_mtok_usd") else None,
        latency_ms=outcome.latency_ms if m.learnt_metrics & Metric.LATENCY else None,
        fee_usd=m.learnt_fee_usd,
    )
    ruling = Ruling(
        OutcomeStatus(m.status),
        lesson,
        Resolution(m.resolution) if m.resolution else None,
        m.health_slot if m.HasField("health_slot") else -1,
    )
    return OutcomeRecord(m.router_id, m.decision_position, outcome, ruling)


def _encode_expiry(record: Expiry) -> tuple[int, bytes]:
    return EXPIRY, pb.Expiry(
        router_id=record.router_id, decision_positions=record.decision_positions, quality=record.quality
    ).SerializeToString()


def _decode_expiry(raw: bytes) -> Expiry:
    m = pb.Expiry.FromString(raw)
    return Expiry(m.router_id, tuple(m.decision_positions), m.quality if m.HasField("quality") else None)


def _encode_example(record: Example) -> tuple[int, bytes]:
    context, choice = record.context, record.choice
    return EXAMPLE, pb.Example(
        router_id=record.router_id,
        embedding_float16=context.embedding.tobytes(),
        input_token_count=context.input_tokens,
        category=context.category,
        lessons=[
            pb.ExampleLesson(
                slot=slot,
                quality=lesson.quality,
                cost_usd=lesson.cost_usd,
                price_mtok_usd=lesson.price_mtok_usd,
                latency_ms=lesson.latency_ms,
                weight=None if lesson.weight == 1.0 else lesson.weight,
                fee_usd=lesson.fee_usd,
            )
            for slot, lesson in record.lessons
        ],
        import_id=record.import_id,
        propensity=None if choice is None else choice.propensity,
        slots=b"" if choice is None else np.array(choice.slots, "<u2").tobytes(),
        pmf=b"" if choice is None else np.array(choice.pmf, "<f8").tobytes(),
    ).SerializeToString()


def _decode_example(raw: bytes) -> Example:
    m = pb.Example.FromString(raw)
    lessons = []
    for lesson in m.lessons:
        known = {name: getattr(lesson, name) for name in _LESSON_FIELDS if lesson.HasField(name)}
        lessons.append((lesson.slot, Lesson(**known, fee_usd=lesson.fee_usd)))
    context = Context(np.frombuffer(m.embedding_float16, "<f2"), m.input_token_count, m.category)
    choice = None
    if m.HasField("propensity"):
        slots, pmf = np.frombuffer(m.slots, "<u2"), np.frombuffer(m.pmf, "<f8")
        choice = PastChoice(m.propensity, tuple(slots.tolist()), tuple(pmf.tolist()))
    return Example(m.router_id, context, tuple(lessons), m.import_id, choice)


_LESSON_FIELDS: Final = ("quality", "cost_usd", "price_mtok_usd", "latency_ms", "weight")


def _encode_prior(record: LeaderboardPrior) -> tuple[int, bytes]:
    standings = [pb.PriorStanding(slot=slot, quality=q, strength=n) for slot, q, n in record.standings]
    message = pb.LeaderboardPrior(router_id=record.router_id, import_id=record.import_id, standings=standings)
    return PRIOR, message.SerializeToString()


def _decode_prior(raw: bytes) -> LeaderboardPrior:
    m = pb.LeaderboardPrior.FromString(raw)
    return LeaderboardPrior(m.router_id, m.import_id, tuple((s.slot, s.quality, s.strength) for s in m.standings))


def _encode_comparison(record: ComparisonRecord) -> tuple[int, bytes]:
    c, context = record.comparison, record.context
    message = pb.Comparison(
        router_id=record.router_id,
        decision_position=record.decision_position,
        decision_id=c.decision_id,
        comparison_id=c.comparison_id,
        slot_a=c.slot_a,
        slot_b=c.slot_b,
        winner=c.winner,
        judge=c.judge,
        strength=c.strength,
        shown_first=c.shown_first,
        status=record.status,
        weight=None if c.weight == 1.0 else c.weight,
    )
    if context is not None:
        message.embedding_float16 = context.embedding.tobytes()
        message.input_token_count = context.input_tokens
        message.category = context.category
        message.session_id = context.session
    return COMPARISON, message.SerializeToString()


def _decode_comparison(raw: bytes) -> ComparisonRecord:
    m = pb.Comparison.FromString(raw)
    comparison = Comparison(
        slot_a=m.slot_a,
        slot_b=m.slot_b,
        winner=Winner(m.winner),
        judge=m.judge,
        strength=m.strength if m.HasField("strength") else None,
        shown_first=ShownFirst(m.shown_first),
        comparison_id=m.comparison_id,
        decision_id=m.decision_id,
        weight=m.weight if m.HasField("weight") else 1.0,
    )
    context = None
    if not m.decision_id:
        context = Context(np.frombuffer(m.embedding_float16, "<f2"), m.input_token_count, m.category, m.session_id)
    return ComparisonRecord(m.router_id, m.decision_position, context, comparison, OutcomeStatus(m.status))


def _encode_model(record: ModelChange) -> tuple[int, bytes]:
    message = pb.ModelChange(slot=record.slot, model_id=record.model_id, deleted=record.model is None)
    model = record.model
    if model is not None:
        price = model.price
        message.MergeFrom(
            pb.ModelChange(
                input_mtok_usd=None if price is None else price.input_mtok_usd,
                output_mtok_usd=None if price is None else price.output_mtok_usd,
                cached_input_mtok_usd=None if price is None else price.cached_input_mtok_usd,
                request_usd=0.0 if price is None else price.request_usd,
                context_window_token_count=model.context_window_tokens,
                tags=model.tags,
                state=_ENABLED if model.enabled else _DISABLED,
                quality_guess=model.quality_guess,
                latency_ms_guess=model.latency_ms_guess,
                create_time_ms=model.create_time_ms,
                update_time_ms=model.update_time_ms,
                sibling_model_id=model.sibling_model_id,
            )
        )
    return int(pb.RECORD_KIND_MODEL_CHANGE), message.SerializeToString()


def _decode_model(raw: bytes) -> ModelChange:
    m = pb.ModelChange.FromString(raw)
    if m.deleted:
        return ModelChange(m.model_id, m.slot, None)
    price = None
    if m.HasField("input_mtok_usd"):
        cached = m.cached_input_mtok_usd if m.HasField("cached_input_mtok_usd") else None
        price = Price(m.input_mtok_usd, m.output_mtok_usd, cached, m.request_usd)
    return ModelChange(
        m.model_id,
        m.slot,
        ModelSpec(
            slot=m.slot,
            model_id=m.model_id,
            price=price,
            context_window_tokens=m.context_window_token_count,
            tags=tuple(m.tags),
            enabled=m.state == _ENABLED,
            quality_guess=m.quality_guess if m.HasField("quality_guess") else None,
            latency_ms_guess=m.latency_ms_guess if m.HasField("latency_ms_guess") else None,
            create_time_ms=m.create_time_ms,
            update_time_ms=m.update_time_ms,
            sibling_model_id=m.sibling_model_id,
        ),
    )


def _encode_router(record: RouterChange) -> tuple[int, bytes]:
    kind = int(pb.RECORD_KIND_ROUTER_CHANGE)
    r = record.router
    if r is None:
        return kind, pb.RouterChange(router_id=record.router_id, deleted=True).SerializeToString()
    return kind, pb.RouterChange(
        router_id=r.router_id,
        embedding_dimension=r.embedding_dimension,
        embedding_model=r.embedding_model,
        model_ids=r.model_ids,
        preset=r.policy.preset,
        parameters=dict(sorted(r.policy.parameters.items())),
        texts=dict(sorted(r.policy.texts.items())),
        usd_weight=r.objective.usd_weight,
        second_weight=r.objective.second_weight,
        switch_usd=r.switch_usd,
        fallback_model_id=r.fallback_model_id,
        attribution_window_ms=r.attribution_window_ms,
        default_quality=r.default_quality,
        quality_guess=r.quality_guess,
        create_time_ms=r.create_time_ms,
        update_time_ms=r.update_time_ms,
        budget_usd=None if r.budget is None else r.budget.usd,
        budget_window=0 if r.budget is None else r.budget.window,
        budget_is_hard=r.budget is not None and r.budget.is_hard,
        exploration_share=None if r.exploration_share == EXPLORATION_SHARE else r.exploration_share,
        policy_name="" if r.policy_name == FIRST_POLICY else r.policy_name,
        shadows=[
            pb.Shadow(
                name=s.name,
                preset=s.policy.preset,
                parameters=dict(sorted(s.policy.parameters.items())),
                texts=dict(sorted(s.policy.texts.items())),
            )
            for s in r.shadows
        ],
        promotion=None if r.promotion == PromotionRule() else _encode_rule(r.promotion),
    ).SerializeToString(deterministic=True)


def _decode_router(raw: bytes) -> RouterChange:
    m = pb.RouterChange.FromString(raw)
    if m.deleted:
        return RouterChange(m.router_id, None)
    return RouterChange(
        m.router_id,
        RouterSpec(
            router_id=m.router_id,
            policy=_policy(m),
            embedding_dimension=m.embedding_dimension,
            embedding_model=m.embedding_model,
            model_ids=tuple(m.model_ids),
            objective=Objective(m.usd_weight, m.second_weight),
            switch_usd=m.switch_usd,
            fallback_model_id=m.fallback_model_id,
            attribution_window_ms=m.attribution_window_ms,
            default_quality=m.default_quality if m.HasField("default_quality") else None,
            quality_guess=m.quality_guess,
            create_time_ms=m.create_time_ms,
            update_time_ms=m.update_time_ms,
            budget=Budget(m.budget_usd, BudgetWindow(m.budget_window), m.budget_is_hard)
            if m.HasField("budget_usd")
            else None,
            exploration_share=m.exploration_share if m.HasField("exploration_share") else EXPLORATION_SHARE,
            policy_name=m.policy_name or FIRST_POLICY,
            shadows=tuple(NamedPolicy(s.name, _policy(s)) for s in m.shadows),
            promotion=_decode_rule(m.promotion) if m.HasField("promotion") else PromotionRule(),
        ),
    )


def _policy(m: pb.RouterChange | pb.Shadow) -> PolicySpec:
    return PolicySpec(
        m.preset,
        MappingProxyType(dict(sorted(m.parameters.items()))),
        MappingProxyType(dict(sorted(m.texts.items()))),
    )


def _encode_rule(rule: PromotionRule) -> pb.PromotionRule:
    return pb.PromotionRule(
        automatic=rule.is_automatic,
        margin=rule.margin,
        effective_sample_count_min=rule.effective_samples_min,
        cost_ratio_max=rule.cost_ratio_max,
        latency_ratio_max=rule.latency_ratio_max,
        rollback_window_ms=rule.rollback_window_ms,
    )


def _decode_rule(m: pb.PromotionRule) -> PromotionRule:
    return PromotionRule(
        is_automatic=m.automatic,
        margin=m.margin,
        effective_samples_min=m.effective_sample_count_min,
        cost_ratio_max=m.cost_ratio_max,
        latency_ratio_max=m.latency_ratio_max,
        rollback_window_ms=m.rollback_window_ms,
    )


def _encode_fit(record: FeatureFit) -> tuple[int, bytes]:
    message = pb.FeatureFit(router_id=record.router_id, spec=record.spec, prompt_count=record.prompt_count)
    return int(pb.RECORD_KIND_FEATURE_FIT), message.SerializeToString()


def _decode_fit(raw: bytes) -> FeatureFit:
    m = pb.FeatureFit.FromString(raw)
    return FeatureFit(m.router_id, m.spec, m.prompt_count)


def _encode_restore(record: Restore) -> tuple[int, bytes]:
    message = pb.Restore(router_id=record.router_id, policy_version=record.policy_version, state=record.state)
    return int(pb.RECORD_KIND_RESTORE), message.SerializeToString()


def _decode_restore(raw: bytes) -> Restore:
    m = pb.Restore.FromString(raw)
    return Restore(m.router_id, m.policy_version, m.state)


def _encode_health(record: HealthChange) -> tuple[int, bytes]:
    message = pb.HealthChange(slot=record.slot, state=record.state, until_ms=record.until_ms, trip_count=record.trips)
    return int(pb.RECORD_KIND_HEALTH_CHANGE), message.SerializeToString()


def _decode_health(raw: bytes) -> HealthChange:
    m = pb.HealthChange.FromString(raw)
    return HealthChange(m.slot, Health(m.state), m.until_ms, m.trip_count)


def _encode_alarm(record: ChangeAlarm) -> tuple[int, bytes]:
    message = pb.ChangeAlarm(
        router_id=record.router_id,
        slot=record.slot,
        metric=record.metric,
        rising=record.rising,
        statistic=record.statistic,
    )
    return int(pb.RECORD_KIND_CHANGE_ALARM), message.SerializeToString()


def _decode_alarm(raw: bytes) -> ChangeAlarm:
    m = pb.ChangeAlarm.FromString(raw)
    return ChangeAlarm(m.router_id, m.slot, Metric(m.metric), m.rising, m.statistic)


def _encode_promotion(record: Promotion) -> tuple[int, bytes]:
    message = pb.Promotion(
        router_id=record.router_id,
        name=record.name,
        former=record.former,
        cause=record.cause,
        reason=record.reason,
        decision_count=record.decisions,
        difference=record.difference,
        low=record.low,
        high=record.high,
        effective_sample_count=record.effective_samples,
    )
    return int(pb.RECORD_KIND_PROMOTION), message.SerializeToString()


def _decode_promotion(raw: bytes) -> Promotion:
    m = pb.Promotion.FromString(raw)
    return Promotion(
        router_id=m.router_id,
        name=m.name,
        former=m.former,
        cause=PromotionCause(m.cause),
        reason=m.reason,
        decisions=m.decision_count,
        difference=m.difference,
        low=m.low,
        high=m.high,
        effective_samples=m.effective_sample_count,
    )


_ENCODERS: Final[dict[type, Callable[..., tuple[int, bytes]]]] = {
    Decision: _encode_decision,
    OutcomeRecord: _encode_outcome,
    ComparisonRecord: _encode_comparison,
    Expiry: _encode_expiry,
    Example: _encode_example,
    LeaderboardPrior: _encode_prior,
    ModelChange: _encode_model,
    RouterChange: _encode_router,
    FeatureFit: _encode_fit,
    Restore: _encode_restore,
    HealthChange: _encode_health,
    ChangeAlarm: _encode_alarm,
    Promotion: _encode_promotion,
}
_DECODERS: Final[dict[int, Callable[[bytes], Record]]] = {
    DECISION: _decode_decision,
    OUTCOME: _decode_outcome,
    COMPARISON: _decode_comparison,
    EXPIRY: _decode_expiry,
    EXAMPLE: _decode_example,
    PRIOR: _decode_prior,
    int(pb.RECORD_KIND_MODEL_CHANGE): _decode_model,
    int(pb.RECORD_KIND_ROUTER_CHANGE): _decode_router,
    int(pb.RECORD_KIND_FEATURE_FIT): _decode_fit,
    int(pb.RECORD_KIND_RESTORE): _decode_restore,
    int(pb.RECORD_KIND_HEALTH_CHANGE): _decode_health,
    int(pb.RECORD_KIND_CHANGE_ALARM): _decode_alarm,
    int(pb.RECORD_KIND_PROMOTION): _decode_promotion,
}


def encode_ledger(key: bytes, entry: LedgerEntry) -> bytes:
    """Return the bytes of a ledger entry that is stored under *key*."""
    message = pb.LedgerEntry(
        resolution=entry.resolution,
        learnt_metrics=entry.learnt,
        id_digests=b"".join(entry.id_digests),
        content_digests=b"".join(entry.content_digests),
        positions=entry.positions,
        input_token_count=entry.tokens.input,
        output_token_count=entry.tokens.output,
        cached_input_token_count=entry.tokens.cached_input,
    )
    return seal(key, _DERIVED, 0, message.SerializeToString())


def decode_ledger(key: bytes, value: bytes) -> LedgerEntry:
    """Return the entry that `encode_ledger` made *value* of; raises DataLossError."""
    kind, _, message = unseal(key, value)
    if kind != _DERIVED:
        raise _damaged(key, f"expected a ledger entry, got a log record of kind {kind}")
    try:
        m = pb.LedgerEntry.FromString(message)
        return LedgerEntry(
            resolution=Resolution(m.resolution),
            learnt=Metric(m.learnt_metrics),
            id_digests=_split(m.id_digests),
            content_digests=_split(m.content_digests),
            positions=tuple(m.positions),
            tokens=TokenCounts(
                m.input_token_count if m.HasField("input_token_count") else None,
                m.output_token_count if m.HasField("output_token_count") else None,
                m.cached_input_token_count if m.HasField("cached_input_token_count") else None,
            ),
        )
    except (DecodeError, ValueError) as error:
        raise _damaged(key, "cannot be decoded") from error


def encode_snapshot(key: bytes, snapshot: StoredSnapshot, time_ms: int) -> bytes:
    """Return the bytes of a snapshot that is stored under *key*."""
    message = pb.Snapshot(
        router_id=snapshot.router_id,
        position=snapshot.position,
        policy_version=snapshot.version,
        create_time_ms=time_ms,
        policy=snapshot.policy,
        state=snapshot.state,
    )
    return seal(key, _DERIVED, time_ms, message.SerializeToString())


def decode_snapshot(key: bytes, value: bytes) -> StoredSnapshot:
    """Return the snapshot that `encode_snapshot` made *value* of; raises DataLossError."""
    kind, _, message = unseal(key, value)
    if kind != _DERIVED:
        raise _damaged(key, f"expected a snapshot, got a log record of kind {kind}")
    try:
        m = pb.Snapshot.FromString(message)
    except DecodeError as error:
        raise _damaged(key, "cannot be decoded") from error
    return StoredSnapshot(m.router_id, m.position, m.policy_version, m.policy, m.create_time_ms, m.state)


def _split(raw: bytes) -> tuple[bytes, ...]:
    return tuple(raw[i : i + _DIGEST_BYTES] for i in range(0, len(raw), _DIGEST_BYTES))
