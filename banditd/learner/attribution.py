"""The ledger: joins outcomes to decisions, each fact once, each decision resolved once. Pure."""

import hashlib
import struct
from dataclasses import replace
from typing import Final

from banditd.catalog.health import HealthSettings
from banditd.domain.decision import Decision, Resolution
from banditd.domain.ledger import NEW_ENTRY, NO_TOKENS, LedgerEntry, TokenCounts
from banditd.domain.model import Price
from banditd.domain.outcome import NO_LESSON, Failure, Lesson, Metric, Outcome, OutcomeStatus, Ruling
from banditd.errors import AlreadyExistsError, InvalidArgumentError, Reason, ResourceExhaustedError

OUTCOMES_PER_DECISION_MAX: Final = 16
CLOCK_SKEW_MS: Final = 300_000
_DIGEST_BYTES: Final = 8
_NUMBERS = struct.Struct("<dddddqqq")
_COUNT = struct.Struct("<q")
_ABSENT: Final = -1.0


def first_entry(decision: Decision) -> LedgerEntry:
    """Return the entry of a decision that has no outcome yet: what cannot be learnt is resolved from the start."""
    return NEW_ENTRY if decision.learnable else NEW_ENTRY.resolved(Resolution.CENSORED)


def content_digest(outcome: Outcome) -> bytes:
    """Return 8 bytes over what an outcome says; its id is no part of it."""
    numbers = _NUMBERS.pack(
        *(_ABSENT if value is None else value for value in (outcome.quality, outcome.cost_usd, outcome.latency_ms)),
        float(outcome.failure),
        float(outcome.served_slot),
        -1 if outcome.input_tokens is None else outcome.input_tokens,
        -1 if outcome.output_tokens is None else outcome.output_tokens,
        outcome.observe_time_ms,
    )
    if outcome.cached_input_tokens is not None:
        # Only where there are any: digests that are on disk were made without.
        numbers += _COUNT.pack(outcome.cached_input_tokens)
    return hashlib.blake2b(numbers, digest_size=_DIGEST_BYTES).digest()


def rule(
    outcome: Outcome,
    *,
    decision: Decision,
    decision_time_ms: int,
    entry: LedgerEntry,
    position: int,
    now_ms: int,
    window_ms: int,
    price: Price | None,
) -> tuple[Ruling, LedgerEntry]:
    """Judge an outcome.

    Args:
        outcome: What came.
        decision: Its decision.
        decision_time_ms: When that was made.
        entry: What is remembered of it.
        position: Log position that the outcome would get.
        now_ms: When it arrived.
        window_ms: Attribution window.
        price: The chosen model's price in force.

    Returns:
        The ruling, and the entry after it. A duplicate leaves the entry as it is.

    Raises:
        AlreadyExistsError: `CONFLICTING_OUTCOME`: the id was used with other content.
        InvalidArgumentError: `BAD_TIMESTAMP` or `UNKNOWN_MODEL`.
        ResourceExhaustedError: `TOO_MANY_OUTCOMES`.
    """
    content = content_digest(outcome)
    # Without an id the content is the id: an exact repetition counts once.
    named = outcome.outcome_id.encode() or content
    identity = hashlib.blake2b(named, digest_size=_DIGEST_BYTES).digest()
    if identity in entry.id_digests:
        if entry.content_digests[entry.id_digests.index(identity)] != content:
            raise AlreadyExistsError(
                Reason.CONFLICTING_OUTCOME,
                "outcome.outcome_id: expected a new id, got one that was used with other content",
            )
        return Ruling(OutcomeStatus.DUPLICATE), entry
    if len(entry.positions) >= OUTCOMES_PER_DECISION_MAX:
        raise ResourceExhaustedError(
            Reason.TOO_MANY_OUTCOMES,
            f"outcome: expected at most {OUTCOMES_PER_DECISION_MAX} per decision, got one more",
        )
    if outcome.observe_time_ms and not decision_time_ms <= outcome.observe_time_ms <= now_ms + CLOCK_SKEW_MS:
        raise InvalidArgumentError(
            Reason.BAD_TIMESTAMP,
            "outcome.observe_time",
            "a time between the decision and five minutes from now",
            f"{outcome.observe_time_ms - decision_time_ms} ms after the decision",
        )
    if outcome.served_slot >= 0 and outcome.served_slot not in decision.slots:
        raise InvalidArgumentError(
            Reason.UNKNOWN_MODEL, "outcome.served_model_id", "a candidate of the decision", "another model"
        )
    grown = replace(
        entry,
        id_digests=(*entry.id_digests, identity),
        content_digests=(*entry.content_digests, content),
        positions=(*entry.positions, position),
    )
    if now_ms - decision_time_ms > window_ms:
        return Ruling(OutcomeStatus.LATE), grown
    if outcome.served_slot not in (-1, decision.slot):
        return _censor(OutcomeStatus.OVERRIDDEN, grown)
    if outcome.failure is not Failure.NONE or not decision.choice.source.learnable:
        return _censor(OutcomeStatus.NOT_LEARNED, grown)
    tokens = _waiting_tokens(outcome, entry)
    lesson = _new_lesson(outcome, entry, tokens, price, decision.context.input_tokens)
    grown = replace(grown, tokens=NO_TOKENS if lesson.cost_usd is not None else tokens)
    if not lesson.metrics:
        return Ruling(OutcomeStatus.NOT_LEARNED), grown
    resolution = None
    if lesson.quality is not None and entry.resolution is Resolution.WAITING:
        resolution = Resolution.OBSERVED
        grown = grown.resolved(resolution)
    grown = replace(grown, learnt=entry.learnt | lesson.metrics)
    return Ruling(OutcomeStatus.APPLIED, lesson, resolution), grown


def health_slot(
    outcome: Outcome, ruling: Ruling, decision: Decision, entry: LedgerEntry, age_ms: int, settings: HealthSettings
) -> int:
    """Return the number of the model whose health an outcome tells of; -1 for none.

    A failure is the chosen model's, whoever stepped in. Each call counts once: by the first outcome of its decision.
    What comes later than the window of health is a judgement of an answer, not news of the model.

    Args:
        outcome: What came; no duplicate.
        ruling: What became of it.
        decision: Its decision.
        entry: What is remembered of that, this outcome included.
        age_ms: How long ago it was made.
        settings: The window.
    """
    if ruling.status is OutcomeStatus.LATE or len(entry.positions) != 1 or age_ms > settings.window_ms:
        return -1
    return decision.slot if outcome.failure is not Failure.NONE or outcome.served_slot < 0 else outcome.served_slot


def _censor(status: OutcomeStatus, entry: LedgerEntry) -> tuple[Ruling, LedgerEntry]:
    if entry.resolution is not Resolution.WAITING:
        return Ruling(status), entry
    return Ruling(status, resolution=Resolution.CENSORED), entry.resolved(Resolution.CENSORED)


def _waiting_tokens(outcome: Outcome, entry: LedgerEntry) -> TokenCounts:
    """Return the tokens from which a cost may still be made, those of *outcome* included."""
    if Metric.COST in entry.learnt or entry.resolution is Resolution.CENSORED:
        return NO_TOKENS
    return entry.tokens.joined(outcome)


def _new_lesson(
    outcome: Outcome, entry: LedgerEntry, tokens: TokenCounts, price: Price | None, prompt_tokens: int
) -> Lesson:
    """Return what the outcome says that was not learnt before.

    A decision that is resolved teaches no quality. One that is censored teaches nothing: its call failed, or another
    model served, so that what is reported next is not what the chosen model costs and takes.

    Args:
        outcome: What came.
        entry: What is remembered of its decision.
        tokens: Counts that were reported so far, by this outcome or others.
        price: In force; None means unknown.
        prompt_tokens: Length of the prompt as the request told it; negative for unknown.
    """
    if entry.resolution is Resolution.CENSORED:
        return NO_LESSON
    cost = outcome.cost_usd
    brings_tokens = outcome.input_tokens is not None or outcome.output_tokens is not None
    if cost is None and price is not None and brings_tokens and tokens.output is not None:
        # The prompt's length may be known from the request.
        read = prompt_tokens if tokens.input is None else tokens.input
        if read >= 0:
            # The caller's own count of the prompt may be below what was billed as cached.
            cost = price.cost_usd(read, tokens.output, min(tokens.cached_input or 0, read))
    takes_quality = Metric.QUALITY not in entry.learnt and entry.resolution is Resolution.WAITING
    takes_cost = cost is not None and Metric.COST not in entry.learnt
    return Lesson(
        quality=outcome.quality if takes_quality else None,
        cost_usd=cost if takes_cost else None,
        price_mtok_usd=price.blended_mtok_usd if takes_cost and price is not None else None,
        latency_ms=None if Metric.LATENCY in entry.learnt else outcome.latency_ms,
        fee_usd=price.request_usd if takes_cost and price is not None else 0.0,
    )
