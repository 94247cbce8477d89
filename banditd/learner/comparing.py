"""What becomes of a comparison: each counts once, and one about a decision keeps to that decision's rules. Pure."""

import hashlib
import struct
from typing import Final

from banditd.domain.comparison import Comparison
from banditd.domain.context import Context
from banditd.domain.decision import Decision
from banditd.domain.outcome import OutcomeStatus
from banditd.domain.records import ComparisonRecord
from banditd.errors import AlreadyExistsError, InvalidArgumentError, Reason

_DIGEST_BYTES: Final = 16
_NUMBERS: Final = struct.Struct("<iiiidq")
_ABSENT: Final = -1.0


def content_digest(comparison: Comparison, context: Context | None) -> bytes:
    """Return 16 bytes over what a comparison says and of which prompt; its id is no part of it."""
    strength = _ABSENT if comparison.strength is None else comparison.strength
    tokens = -1 if context is None else context.input_tokens
    digest = hashlib.blake2b(
        _NUMBERS.pack(
            comparison.slot_a,
            comparison.slot_b,
            comparison.winner,
            comparison.shown_first,
            strength,
            tokens,
        ),
        digest_size=_DIGEST_BYTES,
        person=b"comparison",
    )
    texts = [comparison.judge.encode(), comparison.decision_id]
    if context is not None:
        texts += [context.category.encode(), context.session.encode(), context.embedding.tobytes()]
    for text in texts:
        digest.update(len(text).to_bytes(8, "little"))
        digest.update(text)
    return digest.digest()


def identity(router_id: str, comparison: Comparison, context: Context | None) -> bytes:
    """Return the key under which a comparison is remembered: its id or, without one, its content."""
    named = comparison.comparison_id.encode()
    # Ids have no byte 0 in them, so that none can pass for a content.
    what = b"id\0" + named if named else b"content\0" + content_digest(comparison, context)
    text = router_id.encode() + b"\0" + what
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES, person=b"comparison").digest()


def check_repetition(comparison: Comparison, context: Context | None, known: ComparisonRecord) -> None:
    """Raise unless a comparison says what the one with its id said.

    Raises:
        AlreadyExistsError: `CONFLICTING_COMPARISON`.
    """
    if content_digest(comparison, context) != content_digest(known.comparison, known.context):
        raise AlreadyExistsError(
            Reason.CONFLICTING_COMPARISON,
            "comparison.comparison_id: expected a new id, got one that was used with other content",
        )


def rule_comparison(
    comparison: Comparison, decision: Decision, *, decision_time_ms: int, now_ms: int, window_ms: int
) -> OutcomeStatus:
    """Judge a comparison of two candidates of a decision.

    It is learnt whoever made the decision, a fallback included: it says nothing of how the choice was made.

    Raises:
        InvalidArgumentError: `UNKNOWN_MODEL`: one of the two was no candidate.
    """
    for field, slot in (("model_a_id", comparison.slot_a), ("model_b_id", comparison.slot_b)):
        if slot not in decision.slots:
            raise InvalidArgumentError(
                Reason.UNKNOWN_MODEL, f"comparison.{field}", "a candidate of the decision", "another model"
            )
    return OutcomeStatus.LATE if now_ms - decision_time_ms > window_ms else OutcomeStatus.APPLIED
