"""The leaderboard of a router: ratings from comparisons and mean scores, from the newest of its log.

A view of the log and no part of the fold: nothing that decides depends on it.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from banditd.domain.comparison import Winner
from banditd.domain.decision import Decision
from banditd.domain.outcome import OutcomeStatus
from banditd.domain.records import ComparisonRecord, Example, LogEntry, OutcomeRecord
from banditd.policies.ratings import ELO_MEAN, ELO_SCALE, Ratings, Votes, fit_ratings

# What a leaderboard looks at: the newest of a router's outcomes, examples and comparisons. A second or two.
EVIDENCE_MAX: Final = 100_000
JUDGES_LISTED: Final = 100


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Standing:
    """One model on the board.

    Attributes:
        slot: Number of the model.
        rating: On Elo's scale, 1000 being the mean of all; None without a comparison.
        won: Comparisons won; weak preferences count in part.
        lost: Lost.
        tied: Tied, those where both were bad included.
        both_bad: Those where both were bad.
        score: Mean score; None without one.
        score_count: Scores.
    """

    slot: int
    rating: Interval | None
    won: float
    lost: float
    tied: float
    both_bad: int
    score: Interval | None
    score_count: int


@dataclass(frozen=True, slots=True)
class JudgeStanding:
    """A judge: his votes and the probability that he is honest."""

    judge: str
    vote_count: int
    honest: float


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The board of one category.

    Attributes:
        standings: By falling rating, those without one behind by falling score.
        judges: The least reliable first, at most `JUDGES_LISTED`.
        comparison_count: Comparisons looked at.
        position_bias: What the place shown first is worth, in points.
        categories: All categories that there is evidence of.
        truncated: Whether older evidence was left out.
    """

    standings: tuple[Standing, ...]
    judges: tuple[JudgeStanding, ...]
    comparison_count: int
    position_bias: float
    categories: tuple[str, ...]
    truncated: bool


def leaderboard(
    entries: Iterable[LogEntry],
    decisions: Mapping[int, Decision],
    slots: Iterable[int],
    *,
    category: str = "",
    confidence: float = 0.9,
    truncated: bool = False,
) -> Leaderboard:
    """Return the leaderboard.

    Args:
        entries: Evidence of one router, oldest first.
        decisions: Those that the evidence refers to, by position; evidence of others is passed over.
        slots: Models on the board.
        category: Only prompts of this category; empty means all.
        confidence: Of the intervals, in (0, 1).
        truncated: Whether there is older evidence.
    """
    index = {slot: k for k, slot in enumerate(slots)}
    scores: dict[int, list[float]] = {}
    compared: list[ComparisonRecord] = []
    categories: set[str] = set()
    for entry in entries:
        record = entry.record
        lessons: list[tuple[int, float]] = []
        if isinstance(record, ComparisonRecord) and record.status is OutcomeStatus.APPLIED:
            context = record.context
        elif isinstance(record, OutcomeRecord) and record.ruling.lesson.quality is not None:
            context = None
        elif isinstance(record, Example):
            context = record.context
            lessons = [(slot, lesson.quality) for slot, lesson in record.lessons if lesson.quality is not None]
        else:
            continue
        if context is None:
            assert not isinstance(record, Example)
            decision = decisions.get(record.decision_position)
            if decision is None:
                continue
            context = decision.context
            if isinstance(record, OutcomeRecord):
                assert record.ruling.lesson.quality is not None
                lessons = [(decision.slot, record.ruling.lesson.quality)]
        categories.add(context.category)
        if category not in ("", context.category):
            continue
        if (
            isinstance(record, ComparisonRecord)
            and record.comparison.slot_a in index
            and record.comparison.slot_b in index
        ):
            compared.append(record)
        for slot, quality in lessons:
            scores.setdefault(slot, []).append(quality)
    judges = sorted({record.comparison.judge for record in compared})
    ratings = None
    if compared:
        ratings = fit_ratings(votes_of(compared, index, {judge: j for j, judge in enumerate(judges)}), len(index))
    counts = (
        np.bincount([judges.index(r.comparison.judge) for r in compared], minlength=len(judges)) if compared else ()
    )
    board = [
        _standing(slot, k, ratings, compared, scores.get(slot, []), normal_quantile(confidence))
        for slot, k in index.items()
    ]
    board.sort(
        key=lambda s: (s.rating is None, -(s.rating.value if s.rating else 0.0), -(s.score.value if s.score else -1))
    )
    listed = () if ratings is None else sorted(zip(ratings.honest, judges, counts, strict=True))[:JUDGES_LISTED]
    return Leaderboard(
        standings=tuple(board),
        judges=tuple(JudgeStanding(judge, int(count), float(honest)) for honest, judge, count in listed),
        comparison_count=len(compared),
        position_bias=0.0 if ratings is None else ratings.bias * ELO_SCALE,
        categories=tuple(sorted(categories - {""})),
        truncated=truncated,
    )


def votes_of(records: list[ComparisonRecord], index: Mapping[int, int], judges: Mapping[str, int]) -> Votes:
    """Return comparisons as arrays."""
    comparisons = [record.comparison for record in records]
    return Votes(
        a=np.array([index[c.slot_a] for c in comparisons]),
        b=np.array([index[c.slot_b] for c in comparisons]),
        shares=np.array([c.shares for c in comparisons]),
        order=np.array([c.order for c in comparisons]),
        judge=np.array([judges[c.judge] for c in comparisons]),
    )


def normal_quantile(confidence: float) -> float:
    """Return z such that a normal variable is within z standard deviations with this probability, by bisection."""
    low, high = 0.0, 10.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if math.erf(middle / math.sqrt(2.0)) < confidence else (low, middle)
    return 0.5 * (low + high)


def _standing(
    slot: int, k: int, ratings: Ratings | None, compared: list[ComparisonRecord], scores: list[float], z: float
) -> Standing:
    won = lost = tied = 0.0
    both_bad = 0
    for record in compared:
        c = record.comparison
        if slot not in (c.slot_a, c.slot_b):
            continue
        for_a, for_b, for_none = c.shares
        won += for_a if slot == c.slot_a else for_b
        lost += for_b if slot == c.slot_a else for_a
        tied += for_none
        both_bad += c.winner is Winner.BOTH_BAD
    rating = score = None
    if ratings is not None and won + lost + tied > 0.0:
        value = ELO_MEAN + ELO_SCALE * float(ratings.utility[k])
        half = ELO_SCALE * z * ratings.quantile_scale * float(ratings.deviation[k])
        rating = Interval(value, value - half, value + half)
    if scores:
        # Half a score of 0 and half a one of 1 beside the others (Agresti & Coull 1998), so that two equal scores are
        # no certainty.
        n = len(scores) + 1.0
        mean = (sum(scores) + 0.5) / n
        variance = (sum((s - mean) ** 2 for s in scores) + 0.5 * (mean**2 + (1.0 - mean) ** 2)) / n
        half = z * math.sqrt(variance / n)
        plain = sum(scores) / len(scores)
        score = Interval(plain, max(0.0, min(plain, mean - half)), min(1.0, max(plain, mean + half)))
    return Standing(slot, rating, won, lost, tied, both_bad, score, len(scores))
