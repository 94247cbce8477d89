"""Health: failures open, time half-opens, a success closes; each step worked by hand."""

import pytest

from banditd.catalog.health import RESULTS_MAX, HealthSettings, judge, note, turn
from banditd.domain.health import GOOD_HEALTH, Health
from banditd.domain.outcome import Failure
from banditd.domain.records import HealthChange

SETTINGS = HealthSettings()
OK, SLOW, LIMIT, AWAY = Failure.NONE, Failure.TIMEOUT, Failure.RATE_LIMIT, Failure.UNAVAILABLE
BAD, REFUSED = Failure.MALFORMED_OUTPUT, Failure.REFUSAL


def after(results, health=GOOD_HEALTH, now_ms=1_000_000):
    """Return *health* after results that came one after the other, a second apart, the last one now."""
    for i, failure in enumerate(results):
        position = health.since_position + 1 + i
        health = note(health, position, now_ms - 1000 * (len(results) - 1 - i), failure)
    return health


@pytest.mark.parametrize(
    "results, want",
    [
        ([], None),
        ([SLOW, SLOW, AWAY], None),  # three of three, but less than four
        ([SLOW, AWAY, SLOW, AWAY], Health.DOWN),
        ([OK, OK, SLOW, SLOW, SLOW, AWAY], Health.DOWN),  # 4 of 6 are 0.67
        ([OK, OK, OK, SLOW, SLOW, SLOW, AWAY], Health.DEGRADED),  # 4 of 7 are 0.57
        ([OK] * 9 + [SLOW] * 4, Health.DEGRADED),  # 4 of 13 are 0.308
        ([OK] * 10 + [SLOW] * 4, None),  # 4 of 14 are 0.286
        ([BAD] * 4, Health.DEGRADED),  # somebody is there
        ([REFUSED] * 8, None),  # answers
        ([OK, LIMIT], Health.BACKING_OFF),
        ([OK] * 12 + [LIMIT] + [SLOW] * 4, Health.BACKING_OFF),  # 4 of 16 served: only the rate limit counts
    ],
)
def test_what_a_window_of_results_makes_of_a_healthy_model(results, want):
    """Four failures at least, by their share of the calls that were let through; one rate limit."""
    change = judge(3, after(results), SETTINGS, 1_000_000)
    assert (change and change.state) == want


def test_results_older_than_the_window_do_not_count():
    """The same failures, of which one is too old by a millisecond."""
    health = after([AWAY] * 4)
    oldest_ms = health.results[0][0]
    assert judge(0, health, SETTINGS, oldest_ms + SETTINGS.window_ms).state is Health.DOWN
    assert judge(0, health, SETTINGS, oldest_ms + SETTINGS.window_ms + 1) is None


def test_only_so_many_results_are_remembered():
    """The newest."""
    health = after([AWAY] * 5 + [OK] * RESULTS_MAX)
    assert [failure for _, failure in health.results] == [OK] * RESULTS_MAX


def test_back_offs_double_up_to_the_cap_and_start_again_after_a_long_health():
    """10, 20, 40, ..., 300, 300 seconds; healthy for longer than the cap: 10."""
    health, now_ms, lengths = after([AWAY] * 4), 1_000_000, []
    for position in range(10, 18):
        opening = judge(0, health, SETTINGS, now_ms)
        lengths.append(opening.until_ms - now_ms)
        health = turn(opening, position, now_ms)
        assert judge(0, health, SETTINGS, opening.until_ms - 1) is None
        probing = judge(0, health, SETTINGS, opening.until_ms)
        assert probing == HealthChange(0, Health.PROBING, 0, opening.trips)
        now_ms = opening.until_ms
        health = after([AWAY], turn(probing, 10 * position, now_ms), now_ms)
    assert lengths == [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]
    closing = judge(0, after([OK], turn(probing, 1000, now_ms), now_ms), SETTINGS, now_ms)
    assert closing.state is Health.HEALTHY
    healthy = turn(closing, 2000, now_ms)
    soon, late = now_ms + 300_000, now_ms + 300_001
    assert judge(0, after([AWAY] * 4, healthy, soon), SETTINGS, soon).until_ms - soon == 300_000
    assert judge(0, after([AWAY] * 4, healthy, late), SETTINGS, late).until_ms - late == 10_000


@pytest.mark.parametrize(
    "result, state, length_ms",
    [
        (OK, Health.HEALTHY, 0),
        (REFUSED, Health.HEALTHY, 0),
        (SLOW, Health.DOWN, 20_000),
        (LIMIT, Health.BACKING_OFF, 10_000),
        (BAD, Health.DEGRADED, 20_000),
    ],
)
def test_a_probe_closes_or_opens_again(result, state, length_ms):
    """One success is enough; a failure opens for twice as long, as deep as it is bad."""
    probing = turn(HealthChange(0, Health.PROBING, 0, 1), 50, 900_000)
    assert judge(0, probing, SETTINGS, 10**9) is None
    change = judge(0, after([result], probing), SETTINGS, 1_000_000)
    assert change.state is state
    assert change.until_ms == (1_000_000 + length_ms if length_ms else 0)


def test_what_was_on_its_way_when_the_state_changed_does_not_count():
    """Calls that were decided before a model went down neither bring it back nor fail its probe."""
    down = turn(HealthChange(0, Health.DOWN, 2_000_000, 1), 50, 1_000_000)
    assert note(down, 50, 1_000_001, OK) == down
    assert judge(0, note(down, 49, 1_000_001, OK), SETTINGS, 1_000_002) is None
    assert judge(0, note(down, 51, 1_000_001, OK), SETTINGS, 1_000_002).state is Health.HEALTHY
