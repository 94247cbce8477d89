"""World: the rounds of one seed. It knows every outcome and reveals the chosen model's only.

The table is never copied: a world holds the order of its rows, and single columns of chance where a scenario needs
them. Only a scenario that changes outcomes has effective outcomes made, (rounds, K), for as long as the world lives.
Chance is drawn per round, not per choice, so that policies on the same seed have the same luck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from banditd.domain.outcome import Failure
from banditd_sim.environments.arena import Arena
from banditd_sim.environments.scenario import Poison, PromptMix
from banditd_sim.environments.timeline import Timeline
from banditd_sim.ope.arrays import Bool, Float64, Int64

# Names of the streams of chance. Each has a generator of its own, so that adding an event moves no other's luck.
_ORDER, _DRAW, _FAIL, _SPARSE, _JUDGE, _LIE, _DELAY, _DRIFT = range(8)
# Looking up a member of an enumeration takes as long as a record.
_WELL = Failure.NONE


@dataclass(frozen=True, slots=True)
class Truth:
    """What really came of a choice.

    Attributes:
        quality: In [0, 1]; 0 for a failed call.
        cost_usd: >= 0; 0 for a failed call.
        latency_ms: NaN where unknown.
        failure: How the call failed.
    """

    quality: float
    cost_usd: float
    latency_ms: float
    failure: Failure


@dataclass(frozen=True, slots=True)
class Report:
    """What the router is told of a choice, and when.

    Attributes:
        due: Round before whose decision it arrives.
        quality: As reported; None where it never is.
        cost_usd: What was billed; None for a failed call.
        latency_ms: None where unknown.
        failure: How the call failed.
    """

    due: int
    quality: float | None
    cost_usd: float | None
    latency_ms: float | None
    failure: Failure


class World:
    """Rounds 0..n-1 of one seed; the first *learn_count* only teach, the others are measured.

    Args:
        arena: The data.
        scenario: Laid over the measured rows.
        learn_rows: Prompts that come first.
        rows: Prompts that are measured.
        seed: Of order and chance.
    """

    def __init__(self, arena: Arena, scenario: Timeline, learn_rows: Int64, rows: Int64, seed: int) -> None:
        assert len(rows) == scenario.rounds
        self.arena = arena
        self.scenario = scenario
        self.seed = seed
        self.learn_count = len(learn_rows)
        measured = _ordered(arena, rows, scenario.mix, self._chance(_ORDER, 1), self._chance(_DRIFT))
        # By index: NumPy shuffles an empty array in place, which a worker's read-only one does not let it.
        learnt = learn_rows[self._chance(_ORDER, 0).permutation(len(learn_rows))]
        self.rows: Int64 = np.concatenate([learnt, measured])
        self.segment: Int64 = scenario.segment_of(np.arange(len(self.rows)) - self.learn_count)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def uniform(self) -> Float64:
        """Numbers (n,) in [0, 1) that baselines draw with."""
        return self._chance(_DRAW).random(len(self))

    @cached_property
    def failed(self) -> Bool:
        """Whether a call of round t to model k fails: (n, K). All models of one round share their luck."""
        u = self._chance(_FAIL).random(len(self))
        return np.asarray(u[:, None] < self.scenario.failure_rate[self.segment])

    @cached_property
    def outcomes(self) -> tuple[Float64, Float64]:
        """Quality and cost in USD, each (n, K), as they really are in each round; NaN where a model cannot be chosen.

        Where no event touches them these are views or gathers of the table.
        """
        arena, rows = self.arena, self.rows
        quality, cost = arena.quality[rows], arena.cost_usd[rows]
        if not self._changed:
            return quality, cost
        s = self.segment
        quality = np.minimum(quality * self.scenario.quality_factor[s], 1.0)
        by_tokens = (
            arena.input_tokens[rows] * self.scenario.cost_by_tokens[s, :, 0]
            + arena.output_tokens[rows] * self.scenario.cost_by_tokens[s, :, 1]
        ) * 1e-6
        cost = np.where(np.isfinite(by_tokens), by_tokens, cost * self.scenario.cost_factor[s])
        known = np.isfinite(quality)
        quality[self.failed & known] = 0.0
        cost[self.failed & known] = 0.0
        absent = ~self.scenario.present[s]
        quality[absent], cost[absent] = np.nan, np.nan
        return quality, cost

    @cached_property
    def choosable(self) -> Bool | None:
        """Who can be chosen in each round, (n, K): in the catalogue and measured. None where everybody always can."""
        measured = self.arena.measured[self.rows]
        present = self.scenario.present[self.segment]
        both = measured & present
        return None if both.all() else np.asarray(both)

    def truth(self, t: int, k: int) -> Truth:
        """Return what comes of choosing model *k* in round *t*."""
        if not self._changed:
            # `item` gives a Python number at once.
            row, arena = self.rows.item(t), self.arena
            return Truth(arena.quality.item(row, k), arena.cost_usd.item(row, k), arena.latency_ms.item(row, k), _WELL)
        quality, cost = self.outcomes
        failed = bool(self.failed[t, k])
        return Truth(
            float(quality[t, k]),
            float(cost[t, k]),
            float(self.arena.latency_ms[self.rows[t], k]),
            self.scenario.failure[self.segment[t]][k] if failed else Failure.NONE,
        )

    def report(self, t: int, k: int, truth: Truth) -> Report:
        """Return what the router is told of that, and when."""
        due = t + 1 if not self.scenario.delays else t + 1 + self._delay(t, k)
        latency = None if math.isnan(truth.latency_ms) else truth.latency_ms
        if truth.failure is not _WELL:
            return Report(due, None, None, latency, truth.failure)
        quality: float | None = truth.quality
        if self._judged:
            quality = self._reported(t, k, truth.quality)
        return Report(due, quality, truth.cost_usd, latency, _WELL)

    @cached_property
    def is_plain(self) -> bool:
        """Whether nothing happens: outcomes as logged, told truly and at once, no change of anything."""
        return not (
            self._changed
            or self._judged
            or self.scenario.delays
            or self.scenario.restarts
            or len(self.scenario.starts) > 1
        )

    @cached_property
    def expiry_rounds(self) -> int:
        """Rounds after which the router is told that a quality will never come; 0 means never."""
        return max((sparse.until_expiry for sparse in self.scenario.sparse), default=0)

    @cached_property
    def _changed(self) -> bool:
        return self.scenario.changes_outcomes

    @cached_property
    def _judged(self) -> bool:
        return bool(self.scenario.judges or self.scenario.poison or self.scenario.sparse)

    def _reported(self, t: int, k: int, quality: float) -> float | None:
        said = quality
        for place, judge in enumerate(self.scenario.judges):
            if judge.deviation > 0.0:
                said = min(max(said + judge.deviation * float(self._judge_noise[place, t]), 0.0), 1.0)
            if self._judge_flip[place, t] < judge.flip:
                said = 1.0 - said
        for place, (poison, start, stop) in enumerate(self.scenario.poison):
            if start <= t - self.learn_count < stop and self._lies[place, t] < poison.share:
                said = self._lie(poison, k, said)
        for place, sparse in enumerate(self.scenario.sparse):
            if sparse.models and self.arena.models[k].model_id not in sparse.models:
                continue
            if sparse.categories and self.arena.category_of(int(self.rows[t])) not in sparse.categories:
                continue
            best = sparse.rate if sparse.rate_at_best is None else sparse.rate_at_best
            if self._luck[place, t] >= sparse.rate + (best - sparse.rate) * quality:
                return None
        return said

    def _lie(self, poison: Poison, k: int, said: float) -> float:
        if poison.lie == "invert":
            return 1.0 - said
        return 1.0 if poison.lie == "promote" and self.arena.models[k].model_id == poison.model else 0.0

    def _delay(self, t: int, k: int) -> int:
        rounds = 0.0
        for place, delay in enumerate(self.scenario.delays):
            mean = delay.per_model.get(self.arena.models[k].model_id, delay.rounds)
            rounds += mean if delay.spread == "fixed" else mean * float(self._waits[place, t])
        return int(rounds)

    @cached_property
    def _judge_noise(self) -> Float64:
        return self._chance(_JUDGE, 0).standard_normal((len(self.scenario.judges), len(self)))

    @cached_property
    def _judge_flip(self) -> Float64:
        return self._chance(_JUDGE, 1).random((len(self.scenario.judges), len(self)))

    @cached_property
    def _lies(self) -> Float64:
        return self._chance(_LIE).random((len(self.scenario.poison), len(self)))

    @cached_property
    def _luck(self) -> Float64:
        return self._chance(_SPARSE).random((len(self.scenario.sparse), len(self)))

    @cached_property
    def _waits(self) -> Float64:
        return self._chance(_DELAY).exponential(size=(len(self.scenario.delays), len(self)))

    def _chance(self, *stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, *stream])))


def _ordered(arena: Arena, rows: Int64, mix: PromptMix, rng: np.random.Generator, drift: np.random.Generator) -> Int64:
    """Return the measured rows in the order in which they come."""
    if mix.order == "as_given":
        return rows
    shuffled: Int64 = rows[rng.permutation(len(rows))]
    if mix.order == "shuffled":
        return shuffled
    first = [arena.categories.index(name) for name in mix.categories]
    rest = [code for code in range(len(arena.categories)) if code not in first]
    rank = np.empty(len(arena.categories))
    rank[np.array(first + rest)] = np.arange(len(arena.categories))
    place = rank[arena.category[shuffled]]
    if mix.order == "blocks":
        key = place
    else:
        # A prompt's time is its category's place among the categories, blurred by one place; weaker drifts mix in
        # times drawn at random.
        u = drift.random((2, len(rows)))
        key = mix.strength * (place + 2.0 * u[0]) / (len(rank) + 1.0) + (1.0 - mix.strength) * u[1]
    return np.asarray(shuffled[np.argsort(key, kind="stable")])
