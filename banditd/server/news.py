"""News of the writer: a log line and a count for each change of health, alarm and promotion, once it is on disk."""

from collections import Counter, deque

import structlog

from banditd.catalog.models import Catalog
from banditd.domain.health import Health
from banditd.domain.outcome import Metric
from banditd.domain.promotion import Promotion
from banditd.domain.records import ChangeAlarm, HealthChange, LogEntry

_log = structlog.get_logger()


class News:
    """Tells of what the writer has logged by itself. The event loop's thread only.

    Attributes:
        counts: Alarms since the start, by router, model and metric.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()

    def tell(self, news: deque[LogEntry], catalog: Catalog) -> None:
        """Take what is in *news*, which the writer's thread adds to, and tell of it."""
        while news:
            entry = news.popleft()
            record = entry.record
            if isinstance(record, HealthChange):
                _tell_health(entry.position, entry.time_ms, record, catalog.names[record.slot])
            elif isinstance(record, ChangeAlarm):
                model, metric = catalog.names[record.slot], _METRICS[record.metric]
                self.counts[record.router_id, model, metric] += 1
                _log.warning(
                    "model.changed",
                    router=record.router_id,
                    model=model,
                    metric=metric,
                    direction="up" if record.rising else "down",
                    statistic=round(record.statistic, 2),
                    position=entry.position,
                )
            elif isinstance(record, Promotion):
                _log.warning(
                    "policy.promoted",
                    router=record.router_id,
                    policy=record.name,
                    former=record.former,
                    cause=record.cause.name.lower(),
                    reason=record.reason,
                    count=record.decisions,
                    difference=round(record.difference, 6),
                    position=entry.position,
                )


_METRICS = {Metric.QUALITY: "quality", Metric.COST: "cost", Metric.LATENCY: "latency"}


def _tell_health(position: int, time_ms: int, record: HealthChange, model: str) -> None:
    tell = _log.warning if record.state.closed else _log.info
    back_off_ms = record.until_ms - time_ms if record.state.closed else 0
    tell(
        "model.health",
        model=model,
        health=Health(record.state).name.lower(),
        ms=back_off_ms,
        count=record.trips,
        position=position,
    )
