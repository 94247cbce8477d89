"""Metrics: plain counters on the hot path, turned into Prometheus' form when they are scraped."""

import bisect
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

# Upper bounds in seconds; the last bucket has none.
_BOUNDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


_HEALTHS: Final = ("healthy", "degraded", "down", "probing", "backing_off")


class MethodMetrics:
    """Calls of one method. The event loop's thread only."""

    __slots__ = ("buckets", "codes", "seconds")

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}
        self.buckets = [0] * (len(_BOUNDS) + 1)
        self.seconds = 0.0

    def observe(self, code: str, seconds: float) -> None:
        """Count a call."""
        self.codes[code] = self.codes.get(code, 0) + 1
        self.buckets[bisect.bisect_left(_BOUNDS, seconds)] += 1
        self.seconds += seconds


class ServerCollector(Collector):
    """Turns the server's counters into metrics.

    Args:
        methods: Calls by method.
        gauges: Name, meaning and reader of each value that is read when scraped.
        books: Reader of the books of outcomes.
        health: Reader of each model's health, by name.
        alarms: Reader of the change detectors' alarms by router, model and metric.
    """

    def __init__(
        self,
        methods: Mapping[str, MethodMetrics],
        gauges: Mapping[str, tuple[str, Callable[[], float]]],
        books: Callable[[], Mapping[str, int]],
        health: Callable[[], Mapping[str, str]] = dict,
        alarms: Callable[[], Mapping[tuple[str, str, str], int]] = dict,
    ) -> None:
        self._methods = methods
        self._gauges = gauges
        self._books = books
        self._health = health
        self._alarms = alarms

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        calls = CounterMetricFamily("banditd_calls", "Finished calls.", labels=("method", "code"))
        seconds = HistogramMetricFamily("banditd_call_seconds", "Time from arrival to answer.", labels=("method",))
        for name, method in list(self._methods.items()):
            for code, count in list(method.codes.items()):
                calls.add_metric((name, code), count)
            total = 0
            buckets = []
            for bound, count in zip((*map(str, _BOUNDS), "+Inf"), list(method.buckets), strict=True):
                total += count
                buckets.append((bound, float(total)))
            seconds.add_metric((name,), buckets, method.seconds)
        yield calls
        yield seconds
        outcomes = CounterMetricFamily("banditd_outcomes", "Outcomes by what became of them.", labels=("status",))
        for status, count in self._books().items():
            if status != "waiting":
                outcomes.add_metric((status,), count)
        yield outcomes
        health = GaugeMetricFamily("banditd_model_health", "1 for the state a model is in.", labels=("model", "health"))
        for model, now in self._health().items():
            for state in _HEALTHS:
                health.add_metric((model, state), float(state == now))
        yield health
        alarms = CounterMetricFamily(
            "banditd_change_alarms", "Alarms of the change detectors.", labels=("router", "model", "metric")
        )
        for labels, count in dict(self._alarms()).items():
            alarms.add_metric(labels, count)
        yield alarms
        for name, (meaning, read) in self._gauges.items():
            yield GaugeMetricFamily(name, meaning, read())
