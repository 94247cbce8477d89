"""Timeline: a scenario laid over the rounds of one data set: who is there, what costs what, how good, round by round.

Between events nothing changes, so everything is held per segment of rounds, S segments in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from banditd.domain.model import Price
from banditd.domain.outcome import Failure
from banditd_sim.environments.arena import Arena, list_price
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.scenario import (
    BudgetChange,
    Degradation,
    Delay,
    Event,
    ModelAdded,
    ModelRemoved,
    Moment,
    NoisyJudge,
    Outage,
    Poison,
    PriceChange,
    PromptMix,
    Restart,
    Scenario,
    Sparse,
)
from banditd_sim.ope.arrays import Bool, Float64, Int64

_E = TypeVar("_E", bound=Event)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A scenario over *rounds* measured rounds of K models.

    Attributes:
        rounds: Measured rounds.
        starts: Int64 (S,), first round of each segment; the first is 0.
        present: Bool (S, K): who can be chosen.
        price: S tuples of K prices that the catalogue shows; None where unknown.
        quality_factor: Float64 (S, K).
        cost_factor: Float64 (S, K), on the logged cost.
        cost_by_tokens: Float64 (S, K, 2): USD per million input and output tokens that a call is billed by where its
            tokens are known; NaN where the factor tells all.
        failure_rate: Float64 (S, K).
        failure: S tuples of K kinds of failure.
        budget_factor: Float64 (S,), on the first budget.
        restarts: Rounds before which the router restarts.
        delays: In order; they add up.
        sparse: All must let a report pass.
        judges: In order.
        poison: In order, each with its rounds [start, stop).
        mix: Order of the prompts.
    """

    rounds: int
    starts: Int64
    present: Bool
    price: tuple[tuple[Price | None, ...], ...]
    quality_factor: Float64
    cost_factor: Float64
    cost_by_tokens: Float64
    failure_rate: Float64
    failure: tuple[tuple[Failure, ...], ...]
    budget_factor: Float64
    restarts: tuple[int, ...]
    delays: tuple[Delay, ...]
    sparse: tuple[Sparse, ...]
    judges: tuple[NoisyJudge, ...]
    poison: tuple[tuple[Poison, int, int], ...]
    mix: PromptMix

    @property
    def changes_outcomes(self) -> bool:
        """Whether any outcome differs from what was logged."""
        return bool(
            (self.quality_factor != 1.0).any()
            or (self.cost_factor != 1.0).any()
            or np.isfinite(self.cost_by_tokens).any()
            or self.failure_rate.any()
            or not self.present.all()
        )

    def segment_of(self, rounds: Int64) -> Int64:
        """Return the segment of each round; what is learnt before the first measured round is in segment 0."""
        return np.maximum(np.searchsorted(self.starts, rounds, side="right") - 1, 0).astype(np.int64)

    def at_start(self) -> Bool:
        """Return who is known before the first measured round: Bool (K,)."""
        return np.asarray(self.present[0])


def timeline(scenario: Scenario, arena: Arena, rows: Int64, field: str = "scenario") -> Timeline:
    """Lay a scenario over the measured *rows*.

    Raises:
        SimError: An unknown model or category, a moment outside the run, a range that is empty, contradictory fields.
    """
    rounds = len(rows)
    spans: list[tuple[Event, int, int, str]] = []
    for place, event in enumerate(scenario.events):
        path = f"{field}.events[{place}]"
        _check(event, arena, path)
        start = _round(getattr(event, "at", 0), rounds, f"{path}.at")
        until: Moment | None = getattr(event, "until", None)
        stop = rounds if until is None else _round(until, rounds, f"{path}.until", last=rounds)
        if stop <= start:
            raise SimError(f"{path}.until", f"after round {start}", stop, reason="EMPTY_RANGE")
        spans.append((event, start, stop, path))
    cuts = {0} | {cut for _, start, stop, _ in spans for cut in (start, stop) if cut < rounds}
    starts = np.array(sorted(cuts), dtype=np.int64)
    made = _Segments(arena, rows, starts)
    for event, start, stop, path in spans:
        made.add(event, np.flatnonzero((starts >= start) & (starts < stop)), path)
    if not made.present.any(axis=1).all():
        raise SimError(field, "a model in every round", "none in some", reason="NO_MODEL")
    mixes = _of(spans, PromptMix)
    if len(mixes) > 1:
        raise SimError(field, "at most one prompt_mix", len(mixes), reason="CONTRADICTION")
    return Timeline(
        rounds=rounds,
        starts=starts,
        present=made.present,
        price=tuple(tuple(row) for row in made.price),
        quality_factor=made.quality,
        cost_factor=made.cost,
        cost_by_tokens=made.tokens,
        failure_rate=made.failure_rate,
        failure=tuple(tuple(row) for row in made.failure),
        budget_factor=made.budget,
        restarts=tuple(start for event, start, _, _ in spans if isinstance(event, Restart)),
        delays=tuple(_of(spans, Delay)),
        sparse=tuple(_of(spans, Sparse)),
        judges=tuple(_of(spans, NoisyJudge)),
        poison=tuple((event, start, stop) for event, start, stop, _ in spans if isinstance(event, Poison)),
        mix=mixes[0] if mixes else PromptMix("shuffled"),
    )


def _of(spans: Sequence[tuple[Event, int, int, str]], kind: type[_E]) -> list[_E]:
    return [event for event, _, _, _ in spans if isinstance(event, kind)]


class _Segments:
    """The arrays while events are laid over them, one after the other."""

    def __init__(self, arena: Arena, rows: Int64, starts: Int64) -> None:
        self._arena, self._rows, self._starts = arena, rows, starts
        S, K = len(starts), len(arena.models)
        self.present = np.ones((S, K), np.bool_)
        self.price: list[list[Price | None]] = [[list_price(model) for model in arena.models] for _ in range(S)]
        self.quality, self.cost = np.ones((S, K)), np.ones((S, K))
        self.tokens = np.full((S, K, 2), np.nan)
        self.failure_rate = np.zeros((S, K))
        self.failure = [[Failure.NONE] * K for _ in range(S)]
        self.budget = np.ones(S)

    def add(self, event: Event, segments: Int64, path: str) -> None:
        """Lay one event over its segments."""
        if isinstance(event, BudgetChange):
            self.budget[segments] *= event.factor
        if not isinstance(event, PriceChange | Degradation | Outage | ModelAdded | ModelRemoved):
            return
        k = self._arena.index_of(event.model, f"{path}.model")
        if isinstance(event, PriceChange):
            self._reprice(event, k, segments, path)
        elif isinstance(event, Degradation):
            self.quality[segments, k] *= self._quality_factor(event, k, path)
        elif isinstance(event, Outage):
            # Two outages at once: a call must survive both.
            self.failure_rate[segments, k] = 1.0 - (1.0 - self.failure_rate[segments, k]) * (1.0 - event.rate)
            for s in segments:
                self.failure[s][k] = Failure[event.failure.upper()]
        elif isinstance(event, ModelAdded):
            self.present[: segments[0], k] = False
        else:
            self.present[segments[0] :, k] = False

    def _quality_factor(self, event: Degradation, k: int, path: str) -> float:
        if event.factor is not None:
            return event.factor
        assert event.mean is not None
        now = float(np.nanmean(self._arena.quality[self._rows, k]))
        if not now > 0.0:
            raise SimError(f"{path}.mean", "a model with a mean quality above 0", now, reason="NO_QUALITY")
        return event.mean / now

    def _reprice(self, event: PriceChange, k: int, segments: Int64, path: str) -> None:
        old = list_price(self._arena.models[k])
        if event.factor is None:
            assert event.input_mtok_usd is not None
            assert event.output_mtok_usd is not None
            if old is None or not old.blended_mtok_usd > 0.0:
                raise SimError(f"{path}.model", "a model with a known price above 0", event.model, reason="NO_PRICE")
            new: Price | None = Price(event.input_mtok_usd, event.output_mtok_usd)
            assert new is not None
            factor = new.blended_mtok_usd / old.blended_mtok_usd
            self.tokens[segments, k] = event.input_mtok_usd, event.output_mtok_usd
        else:
            # A factor is of the first price, whatever an earlier event of the list has made of it.
            factor = event.factor
            self.tokens[segments, k] = np.nan
            new = None if old is None else Price(old.input_mtok_usd * factor, old.output_mtok_usd * factor)
        self.cost[segments, k] = factor
        if event.announced:
            for s in segments:
                self.price[s][k] = new


def _round(moment: Moment, rounds: int, field: str, last: int | None = None) -> int:
    """Return the round that a moment names, at most *last*."""
    last = rounds - 1 if last is None else last
    at = moment if isinstance(moment, int) else int(moment * rounds) if moment < 1.0 else int(moment)
    if isinstance(moment, float) and moment >= 1.0 and moment != at:
        raise SimError(field, "a whole number of rounds, or a share below 1", moment, reason="BAD_MOMENT")
    if not 0 <= at <= last:
        raise SimError(field, f"a round in 0..{last}", at, reason="BAD_MOMENT")
    return at


def _check(event: Event, arena: Arena, path: str) -> None:
    """Refuse what the types let pass."""
    if isinstance(event, PriceChange):
        pair = event.input_mtok_usd is not None and event.output_mtok_usd is not None
        either = event.input_mtok_usd is not None or event.output_mtok_usd is not None
        if pair == (event.factor is not None) or pair != either:
            raise SimError(path, "a factor, or both prices", "neither or a mixture", reason="CONTRADICTION")
    elif isinstance(event, Degradation):
        if (event.factor is None) == (event.mean is None):
            raise SimError(path, "a factor or a mean", "neither or both", reason="CONTRADICTION")
    elif isinstance(event, Poison):
        if (event.lie == "promote") != bool(event.model):
            raise SimError(f"{path}.model", "a model exactly if the lie is promote", repr(event.model))
        if event.model:
            arena.index_of(event.model, f"{path}.model")
    elif isinstance(event, Delay):
        for model in event.per_model:
            arena.index_of(model, f"{path}.per_model")
    elif isinstance(event, Sparse):
        for model in event.models:
            arena.index_of(model, f"{path}.models")
        _check_categories(event.categories, arena, path)
    elif isinstance(event, PromptMix):
        _check_categories(event.categories, arena, path)


def _check_categories(names: list[str], arena: Arena, path: str) -> None:
    for name in names:
        if name not in arena.categories:
            raise SimError(f"{path}.categories", "categories of the data", repr(name), reason="UNKNOWN_CATEGORY")
