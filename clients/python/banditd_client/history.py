"""What was seen before a router decided: rows of an import, and the requests that they travel in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from banditd_client import convert
from banditd_client.types import Comparison
from banditd_client.vectors import Embedding, float32_bytes
from banditd_proto.v1 import context_pb2, history_pb2

ROWS_MAX = 256
"""Rows of one request."""
_REQUEST_BYTES_MAX = 2 << 20


@dataclass(frozen=True, slots=True)
class Score:
    """What one model did on a prompt. None means not known."""

    model: str
    quality: float | None = None
    cost_usd: float | None = None
    """None means: computed by the server from the tokens at the price in force."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ScoredPrompt:
    """A prompt with what models did on it."""

    embedding: Embedding
    scores: Sequence[Score]
    input_tokens: int | None = None
    category: str = ""


@dataclass(frozen=True, slots=True)
class ComparedPrompt:
    """A prompt on which two models were compared."""

    embedding: Embedding
    comparison: Comparison
    input_tokens: int | None = None
    category: str = ""


@dataclass(frozen=True, slots=True)
class PastDecision:
    """A choice that somebody else made: learnt as an outcome, logged with its propensity."""

    embedding: Embedding
    outcome: Score
    propensity: float
    """The probability with which the model was drawn, in (0, 1]."""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Of all models that could have been drawn. Empty means not known."""
    input_tokens: int | None = None
    category: str = ""


@dataclass(frozen=True, slots=True)
class LeaderboardEntry:
    """What a leaderboard says of one model: a quality or a rating, the same of all."""

    model: str
    strength: float
    """Pseudo-observations that it counts for."""
    quality: float | None = None
    rating: float | None = None
    """400 points are odds of 10 to 1."""


@dataclass(frozen=True, slots=True)
class LeaderboardGuess:
    """What a leaderboard says of models before anything is seen of them: the prior of their level."""

    entries: Sequence[LeaderboardEntry]


HistoryRow: TypeAlias = ScoredPrompt | ComparedPrompt | PastDecision | LeaderboardGuess


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of the rows of an import."""

    learnt_count: int
    duplicate_count: int
    """Rows that had been learnt before, by the id of the import and their number."""

    def __add__(self, other: "ImportResult") -> "ImportResult":
        return ImportResult(self.learnt_count + other.learnt_count, self.duplicate_count + other.duplicate_count)


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows that are sent together."""

    first_row: int
    rows: Sequence[history_pb2.HistoryRow]


def portions(rows: Iterable[HistoryRow], first_row: int, embedding_model: str) -> Iterator[Portion]:
    """Yield the rows in requests that are small enough, in order."""
    at, waiting, size = first_row, list[history_pb2.HistoryRow](), 0
    for row in rows:
        message = row_to_wire(row, embedding_model)
        if waiting and (len(waiting) == ROWS_MAX or size + message.ByteSize() > _REQUEST_BYTES_MAX):
            yield Portion(at, waiting)
            at, waiting, size = at + len(waiting), [], 0
        waiting.append(message)
        size += message.ByteSize()
    if waiting:
        yield Portion(at, waiting)


def row_to_wire(row: HistoryRow, embedding_model: str) -> history_pb2.HistoryRow:
    """Return a row."""
    if isinstance(row, LeaderboardGuess):
        entries = [
            history_pb2.LeaderboardEntry(
                model_id=entry.model, strength=entry.strength, quality=entry.quality, rating=entry.rating
            )
            for entry in row.entries
        ]
        return history_pb2.HistoryRow(leaderboard=history_pb2.LeaderboardGuess(entries=entries))
    context = context_pb2.Context(
        embedding_float32=float32_bytes(row.embedding),
        embedding_model=embedding_model,
        input_token_count=row.input_tokens,
        category=row.category,
    )
    if isinstance(row, ScoredPrompt):
        scores = [_score_to_wire(score) for score in row.scores]
        return history_pb2.HistoryRow(scores=history_pb2.ScoredPrompt(context=context, scores=scores))
    if isinstance(row, ComparedPrompt):
        comparison = convert.comparison_to_wire(row.comparison, decision_id="", context=context, router="")
        return history_pb2.HistoryRow(comparison=comparison)
    decision = history_pb2.PastDecision(
        context=context,
        outcome=_score_to_wire(row.outcome),
        propensity=row.propensity,
        candidate_model_ids=row.probabilities.keys(),
        probabilities=row.probabilities.values(),
    )
    return history_pb2.HistoryRow(decision=decision)


def _score_to_wire(score: Score) -> history_pb2.Score:
    return history_pb2.Score(
        model_id=score.model,
        quality=score.quality,
        cost_usd=score.cost_usd,
        input_token_count=score.input_tokens,
        output_token_count=score.output_tokens,
        latency_ms=score.latency_ms,
    )
