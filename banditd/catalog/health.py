"""Health: a window of typed failures to healthy, degraded, down, backing off, and back through half-open probes.

The circuit breaker (Nygard, Release It!, 2007) with two reasons to open and two depths of it:

    HEALTHY --failures--> DEGRADED or DOWN --back-off over--> PROBING --success--> HEALTHY
    HEALTHY --rate limit--> BACKING_OFF ----back-off over--> PROBING --failure--> one of the three, for twice as long

`note` and `turn` are what the fold does with what is in the log. `judge` is what the writer asks: its answer is a fact
of the log, so that other settings never change what has happened. All of it is pure.
"""

from dataclasses import dataclass, replace
from typing import Final

from banditd.domain.health import Health, ModelHealth
from banditd.domain.outcome import Failure
from banditd.domain.records import HealthChange

# Results that are remembered of a model: part of the fold, so no setting.
RESULTS_MAX: Final = 32
# Back-offs double; what is doubled this often is beyond any cap.
_DOUBLINGS_MAX: Final = 30


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """When a model is left out, and for how long. `banditd.config.schema.HealthConfig` says what each field means."""

    window_ms: int = 300_000
    failures_min: int = 4
    degraded_share: float = 0.3
    down_share: float = 0.6
    rate_limits_min: int = 1
    back_off_ms: int = 10_000
    rate_limit_back_off_ms: int = 5_000
    back_off_max_ms: int = 300_000


# A refusal is an answer: it tells of the prompt, not of whether the model can be reached.
_GOOD: Final = frozenset({Failure.NONE, Failure.REFUSAL})
# The provider could not serve. An unusable answer is worse than none for the caller, but somebody is there.
_OUTAGES: Final = frozenset({Failure.TIMEOUT, Failure.UNAVAILABLE})


def note(health: ModelHealth, decision_position: int, time_ms: int, failure: Failure) -> ModelHealth:
    """Return *health* with the result of a call.

    Args:
        health: As it was.
        decision_position: Where the call was decided. What was on its way when the state changed does not count.
        time_ms: When the result came.
        failure: The result.
    """
    if decision_position <= health.since_position:
        return health
    return replace(health, results=(*health.results[1 - RESULTS_MAX :], (time_ms, failure)))


def turn(change: HealthChange, position: int, time_ms: int) -> ModelHealth:
    """Return the health after a change of it, which stands at *position* in the log."""
    return ModelHealth(change.state, position, time_ms, change.until_ms, change.trips)


def judge(slot: int, health: ModelHealth, settings: HealthSettings, now_ms: int) -> HealthChange | None:
    """Return the change that is due; None for none."""
    if health.state is Health.HEALTHY:
        return _judge_healthy(slot, health, settings, now_ms)
    last = health.results[-1][1] if health.results else None
    if last in _GOOD:
        # While probing, or of a call that was sent there because nobody else was left.
        return HealthChange(slot, Health.HEALTHY, trips=health.trips)
    if health.state is not Health.PROBING:
        return HealthChange(slot, Health.PROBING, trips=health.trips) if health.until_ms <= now_ms else None
    if last is None:
        return None
    state = Health.DOWN if last in _OUTAGES else Health.BACKING_OFF if last is Failure.RATE_LIMIT else Health.DEGRADED
    return _open(slot, state, health.trips + 1, settings, now_ms)


def _judge_healthy(slot: int, health: ModelHealth, settings: HealthSettings, now_ms: int) -> HealthChange | None:
    recent = [failure for time_ms, failure in health.results if now_ms - time_ms <= settings.window_ms]
    limited = sum(failure is Failure.RATE_LIMIT for failure in recent)
    # A rate limit says nothing of whether calls that are let through succeed.
    served = len(recent) - limited
    outages = sum(failure in _OUTAGES for failure in recent)
    failures = served - sum(failure in _GOOD for failure in recent)
    if outages >= settings.failures_min and outages >= settings.down_share * served:
        state = Health.DOWN
    elif failures >= settings.failures_min and failures >= settings.degraded_share * served:
        state = Health.DEGRADED
    elif limited >= settings.rate_limits_min:
        state = Health.BACKING_OFF
    else:
        return None
    # Healthy for as long as the longest back-off: the trouble of then is over.
    again = now_ms - health.since_ms <= settings.back_off_max_ms
    return _open(slot, state, health.trips + 1 if again else 1, settings, now_ms)


def _open(slot: int, state: Health, trips: int, settings: HealthSettings, now_ms: int) -> HealthChange:
    base = settings.rate_limit_back_off_ms if state is Health.BACKING_OFF else settings.back_off_ms
    length_ms = min(base << min(trips - 1, _DOUBLINGS_MAX), settings.back_off_max_ms)
    return HealthChange(slot, state, now_ms + length_ms, trips)
