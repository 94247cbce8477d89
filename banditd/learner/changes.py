"""What a router remembers of change: detectors, newcomers, how long nothing was seen of a model. Part of the fold."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from banditd.domain.arrays import Array64
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson, Metric
from banditd.domain.records import ChangeAlarm
from banditd.kernels.detection import SEEN, THRESHOLD, watch_metrics
from banditd.policies.base import Belief, BeliefSnapshot, ChangingBelief, Residuals
from banditd.policies.registry import ChangeParameters

METRICS: Final = (Metric.QUALITY, Metric.COST, Metric.LATENCY)
_MS_PER_HOUR: Final = 3_600_000.0
# A model that is seen at least this often, in decisions of the router, is not stale.
_STALE_AFTER: Final = 64
# Evidence fades in steps of a fifth, for a step costs as much as dozens of lessons.
_FADE_STEP: Final = 0.8
# Marks that are kept for rebuilds: alarms and siblings. The oldest matter least, and a log may have any number of them.
_MARKS_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened to the belief at a position and that a rebuild does again.

    Attributes:
        position: In the log.
        slot: The model's number.
        metric: Index of the metric that was widened; -1 for a start like a sibling.
        sibling: Number of the sibling; -1 for none.
    """

    position: int
    slot: int
    metric: int
    sibling: int = -1


@dataclass(slots=True)
class Seen:
    """When something of a model was learnt last.

    Attributes:
        decisions: Decisions of the router until then.
        time_ms: The time then.
        share: Of its evidence, what is to be kept at the next step.
    """

    decisions: int
    time_ms: int
    share: float = 1.0


@dataclass
class Changes:
    """A router's memory of change. Mutable; the writer's thread only.

    Attributes:
        sums: Of the detectors, by slot: shape (3, 3), one row per metric, as `kernels.detection` has them.
        newcomers: Qualities that are yet to be learnt until a model is known, by slot.
        marks: What a rebuild does again, in order of position.
        alarm_counts: Alarms per metric, by slot.
        alarm_times: Time of the last alarm, by slot.
        seen: By slot.
        loud: Models of which a detector has passed its threshold; follows from `sums`.
        decisions: Decisions of the router when it last changed; with `time_ms`, what a published snapshot goes by.
        time_ms: The time then.
    """

    sums: dict[int, Array64] = field(default_factory=dict)
    newcomers: dict[int, int] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    alarm_counts: dict[int, list[int]] = field(default_factory=dict)
    alarm_times: dict[int, int] = field(default_factory=dict)
    seen: dict[int, Seen] = field(default_factory=dict)
    loud: set[int] = field(default_factory=set)
    decisions: int = 0
    time_ms: int = 0

    def header(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "sums": sorted((slot, _values(sums)) for slot, sums in self.sums.items()),
            "newcomers": sorted(self.newcomers.items()),
            "marks": [[m.position, m.slot, m.metric, m.sibling] for m in self.marks],
            "alarm_counts": sorted(self.alarm_counts.items()),
            "alarm_times": sorted(self.alarm_times.items()),
            "seen": sorted((slot, s.decisions, s.time_ms, s.share) for slot, s in self.seen.items()),
            "clock": [self.decisions, self.time_ms],
        }

    @staticmethod
    def of_header(header: Mapping[str, Any]) -> "Changes":
        """Return what `header` was made of."""
        changes = Changes(
            sums={slot: np.array(rows, np.float64) for slot, rows in header["sums"]},
            newcomers=dict(map(tuple, header["newcomers"])),
            marks=[Mark(*mark) for mark in header["marks"]],
            alarm_counts=dict(map(tuple, header["alarm_counts"])),
            alarm_times=dict(map(tuple, header["alarm_times"])),
            seen={slot: Seen(*rest) for slot, *rest in header["seen"]},
            decisions=header["clock"][0],
            time_ms=header["clock"][1],
        )
        changes.listen()
        return changes

    def listen(self) -> None:
        """Find out anew who is loud."""
        self.loud = {slot for slot, sums in self.sums.items() if _alarms(sums)}

    def watch(self, slot: int, residuals: Residuals) -> None:
        """Show the detectors of a model what one lesson's predictions missed by."""
        sums = self.sums.get(slot)
        if sums is None:
            sums = self.sums[slot] = _nothing()
        self._hear(slot, is_loud=watch_metrics(sums, *residuals))

    def sums_of(self, slots: Sequence[int]) -> Array64:
        """Return the sums of models, shape (K, 3, 3)."""
        return np.stack([self.sums[slot] if slot in self.sums else _nothing() for slot in slots])

    def take(self, slot: int, sums: Array64) -> None:
        """Put what the detectors of a model have summed up since in the place of what they had."""
        self.sums[slot] = sums.copy()
        self._hear(slot, is_loud=_alarms(sums))

    def _hear(self, slot: int, *, is_loud: bool) -> None:
        """Take note of whether a detector alarms: one that did may be silent again before anybody asks."""
        if is_loud:
            self.loud.add(slot)
        else:
            self.loud.discard(slot)

    def due(self, router_id: str) -> Iterator[ChangeAlarm]:
        """Yield the alarms that are to be logged."""
        for slot in sorted(self.loud):
            for metric, (rise, fall, _) in zip(METRICS, self.sums[slot].tolist(), strict=True):
                if max(rise, fall) > THRESHOLD:
                    yield ChangeAlarm(router_id, slot, metric, rise > fall, max(rise, fall))

    @property
    def any_due(self) -> bool:
        """Whether an alarm is to be logged."""
        return bool(self.loud)

    def sound(self, position: int, time_ms: int, alarm: ChangeAlarm) -> Mark:
        """Take note of an alarm; its detector starts anew."""
        metric = METRICS.index(alarm.metric)
        sums = self.sums.setdefault(alarm.slot, _nothing())
        sums[metric] = 0.0
        if not _alarms(sums):
            self.loud.discard(alarm.slot)
        self.alarm_counts.setdefault(alarm.slot, [0, 0, 0])[metric] += 1
        self.alarm_times[alarm.slot] = time_ms
        return self.mark(Mark(position, alarm.slot, metric))

    def mark(self, mark: Mark) -> Mark:
        """Keep a mark."""
        self.marks = [*self.marks[1 - _MARKS_MAX :], mark]
        return mark

    def welcome(self, slot: int, parameters: ChangeParameters) -> None:
        """Count a model as new until enough is known of it."""
        if parameters.newcomer_outcomes > 0 and parameters.newcomer_share < 1.0:
            self.newcomers[slot] = parameters.newcomer_outcomes

    def count(self, slot: int, lesson: Lesson) -> None:
        """Count what is learnt of a newcomer."""
        left = self.newcomers.get(slot)
        if left is None or lesson.quality is None:
            return
        if left > 1:
            self.newcomers[slot] = left - 1
        else:
            del self.newcomers[slot]

    def drop(self, slot: int) -> None:
        """Forget a model that was removed."""
        for table in (self.sums, self.newcomers, self.alarm_counts, self.alarm_times, self.seen):
            table.pop(slot, None)
        self.loud.discard(slot)
        self.marks = [mark for mark in self.marks if mark.slot != slot]

    def see(self, slot: int, parameters: ChangeParameters, decisions: int, time_ms: int) -> float:
        """Take note that something of a model is about to be learnt; return the share of its evidence to keep."""
        seen = self.seen.get(slot)
        if seen is None:
            self.seen[slot] = Seen(decisions, time_ms)
            return 1.0
        share = seen.share * _kept(seen, parameters, decisions, time_ms)
        steps = share <= _FADE_STEP
        self.seen[slot] = Seen(decisions, time_ms, 1.0 if steps else share)
        return share if steps else 1.0

    def freeze(
        self, belief: Belief, models: tuple[ModelSpec, ...], parameters: ChangeParameters, *, live: bool = False
    ) -> BeliefSnapshot:
        """Return the belief as it decides: what has not been seen for long is less certain.

        Args:
            belief: The belief.
            models: The models.
            parameters: Of the policy.
            live: As `Belief.freeze` has it.
        """
        if not parameters.fades or not isinstance(belief, ChangingBelief):
            return belief.freeze(models, live=live)
        shares = {
            slot: seen.share * _kept(seen, parameters, self.decisions, self.time_ms) for slot, seen in self.seen.items()
        }
        return belief.freeze_faded(models, shares)


def do_again(belief: Belief, mark: Mark, by_slot: Mapping[int, ModelSpec]) -> None:
    """Do to a belief what a mark says; a model that is gone is passed over."""
    model = by_slot.get(mark.slot)
    if model is None or not isinstance(belief, ChangingBelief):
        return
    if mark.metric >= 0:
        belief.widen(model, mark.metric)
    elif mark.sibling in by_slot:
        belief.start_like(model, by_slot[mark.sibling])


def _kept(seen: Seen, parameters: ChangeParameters, decisions: int, time_ms: int) -> float:
    """Return the share of the evidence that is left after what has gone by since."""
    halvings = 0.0
    passed = max(decisions - seen.decisions, 0)
    if parameters.half_life_decisions > 0.0:
        halvings += passed / parameters.half_life_decisions
    if parameters.half_life_hours > 0.0:
        halvings += max(time_ms - seen.time_ms, 0) / (_MS_PER_HOUR * parameters.half_life_hours)
    if parameters.stale_half_life_decisions > 0.0:
        halvings += max(passed - _STALE_AFTER, 0) / parameters.stale_half_life_decisions
    # 0.5 ** x goes through the C library, whose bits differ from machine to machine; whole halvings do not.
    whole = min(int(halvings), _HALVINGS_MAX)
    part = min(halvings - whole, 1.0)
    return math.ldexp(1.0 - 0.5 * part, -whole)


# Beyond, nothing is left.
_HALVINGS_MAX: Final = 60


def _nothing() -> Array64:
    """Return the sums of detectors that have seen nothing."""
    return np.zeros((len(METRICS), SEEN + 1))


def _alarms(sums: Array64) -> bool:
    """Return whether a metric has changed."""
    return watch_metrics(sums, math.nan, math.nan, math.nan)


def _values(sums: Array64) -> list[list[float]]:
    """Return JSON values; what is counted is whole."""
    return [[rise, fall, int(seen)] for rise, fall, seen in sums.tolist()]
