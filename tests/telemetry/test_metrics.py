"""What a scrape shows of health and alarms."""

from banditd.telemetry.metrics import ServerCollector


def test_health_is_one_gauge_per_state_and_alarms_are_counted():
    """One for the state a model is in, zero for the others; the alarms by router, model and metric."""
    collector = ServerCollector(
        {}, {}, dict, lambda: {"a": "healthy", "b": "backing_off"}, lambda: {("r", "b", "latency"): 2}
    )
    samples = {(s.name, *s.labels.values()): s.value for family in collector.collect() for s in family.samples}
    of_health = {key[1:]: value for key, value in samples.items() if key[0] == "banditd_model_health"}
    assert {key for key, value in of_health.items() if value == 1.0} == {("a", "healthy"), ("b", "backing_off")}
    assert len(of_health) == 10
    assert samples["banditd_change_alarms_total", "r", "b", "latency"] == 2
