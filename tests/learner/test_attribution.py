"""The ledger's rules, one by one: each fact once, each decision resolved once, and only from what is its own."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from banditd.domain.decision import DecisionSource, Resolution
from banditd.domain.ledger import NEW_ENTRY, NO_TOKENS, LedgerEntry
from banditd.domain.model import Price
from banditd.domain.outcome import Failure, Lesson, Metric, Outcome, OutcomeStatus
from banditd.errors import AlreadyExistsError, InvalidArgumentError, Reason, ResourceExhaustedError
from banditd.learner.attribution import (
    CLOCK_SKEW_MS,
    OUTCOMES_PER_DECISION_MAX,
    content_digest,
    first_entry,
    rule,
)

from .world import NOON_MS, WINDOW_MS, decision

ID = bytes(range(16))
PRICE = Price(1.0, 4.0)
WHOLE_PRICE = Price(1.0, 4.0, cached_input_mtok_usd=0.1, request_usd=0.12)
DECISION = decision(decision_id=ID, slots=(0, 1, 2), slot=1)
OF_FALLBACK = decision(decision_id=ID, source=DecisionSource.FALLBACK)


def outcome(**fields):
    """Return an outcome of the decision."""
    return Outcome(ID, **fields)


def judge(came, entry=NEW_ENTRY, *, after_ms=10, position=50, of=DECISION, price=PRICE):
    """Return the ruling and the entry after it."""
    return rule(
        came,
        decision=of,
        decision_time_ms=NOON_MS,
        entry=entry,
        position=position,
        now_ms=NOON_MS + after_ms,
        window_ms=WINDOW_MS,
        price=price,
    )


def judge_all(pieces, **options):
    """Judge pieces one after another; return the rulings and the entry after them."""
    entry = first_entry(options.get("of", DECISION))
    rulings = []
    for i, piece in enumerate(pieces):
        ruling, entry = judge(piece, entry, position=50 + i, **options)
        rulings.append(ruling)
    return rulings, entry


FULL = outcome(quality=0.75, cost_usd=0.5, latency_ms=900.0)


@pytest.mark.parametrize(
    "came, status, lesson, resolution",
    [
        (FULL, OutcomeStatus.APPLIED, Lesson(0.75, 0.5, 1.75, 900.0), Resolution.OBSERVED),
        (outcome(quality=0.0), OutcomeStatus.APPLIED, Lesson(quality=0.0), Resolution.OBSERVED),
        (outcome(latency_ms=1.0), OutcomeStatus.APPLIED, Lesson(latency_ms=1.0), None),
        (outcome(cost_usd=0.0), OutcomeStatus.APPLIED, Lesson(cost_usd=0.0, price_mtok_usd=1.75), None),
        (outcome(input_tokens=1000), OutcomeStatus.NOT_LEARNED, Lesson(), None),
        (outcome(quality=0.5, served_slot=1), OutcomeStatus.APPLIED, Lesson(quality=0.5), Resolution.OBSERVED),
        (outcome(quality=0.5, served_slot=2), OutcomeStatus.OVERRIDDEN, Lesson(), Resolution.CENSORED),
        (outcome(failure=Failure.TIMEOUT), OutcomeStatus.NOT_LEARNED, Lesson(), Resolution.CENSORED),
        (outcome(quality=0.1, failure=Failure.REFUSAL), OutcomeStatus.NOT_LEARNED, Lesson(), Resolution.CENSORED),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_status(came, status, lesson, resolution):
    """What an outcome says decides what becomes of it, what is learnt, and how its decision ends."""
    ruling, entry = judge(came)
    assert (ruling.status, ruling.lesson, ruling.resolution) == (status, lesson, resolution)
    assert entry.resolution is (resolution or Resolution.WAITING)
    assert entry.learnt == lesson.metrics
    assert entry.positions == (50,)


def test_what_the_fallback_served_is_not_learnt():
    """A decision that the policy did not make is resolved from the start, and nothing of it is learnt."""
    (ruling,), entry = judge_all([FULL], of=OF_FALLBACK)
    assert (ruling.status, ruling.lesson, ruling.resolution) == (OutcomeStatus.NOT_LEARNED, Lesson(), None)
    assert entry.resolution is Resolution.CENSORED
    assert entry.positions == (50,)


@pytest.mark.parametrize(
    "after_ms, status",
    [
        (-3_600_000, OutcomeStatus.APPLIED),
        (0, OutcomeStatus.APPLIED),
        (WINDOW_MS - 1, OutcomeStatus.APPLIED),
        (WINDOW_MS, OutcomeStatus.APPLIED),
        (WINDOW_MS + 1, OutcomeStatus.LATE),
        (WINDOW_MS + 3_600_000, OutcomeStatus.LATE),
    ],
)
def test_window(after_ms, status):
    """The window includes its last millisecond; what is late is kept and not learnt; a clock step back harms nobody."""
    ruling, entry = judge(FULL, after_ms=after_ms)
    assert ruling.status is status
    assert (ruling.lesson == Lesson()) == (status is OutcomeStatus.LATE)
    assert entry.positions == (50,)
    assert entry.learnt == ruling.lesson.metrics


PIECES = {
    "quality": outcome(outcome_id="q", quality=0.5),
    "cost": outcome(outcome_id="c", cost_usd=0.25),
    "latency": outcome(outcome_id="l", latency_ms=800.0),
    "tokens": outcome(outcome_id="t", input_tokens=1_000_000, output_tokens=1_000_000),
}


@pytest.mark.parametrize("order", list(itertools.permutations(["quality", "cost", "latency"])), ids="-".join)
def test_pieces_in_any_order(order):
    """Metrics that arrive apart are learnt once each, whatever comes first."""
    rulings, entry = judge_all([PIECES[name] for name in order])
    assert [ruling.status for ruling in rulings] == [OutcomeStatus.APPLIED] * 3
    assert entry.learnt == Metric.QUALITY | Metric.COST | Metric.LATENCY
    assert entry.resolution is Resolution.OBSERVED
    assert [ruling.resolution for ruling in rulings].count(Resolution.OBSERVED) == 1


@pytest.mark.parametrize("order", list(itertools.permutations([*PIECES.values(), FULL])))
def test_every_metric_is_learnt_once(order):
    """Whatever pieces come in whatever order, each metric is learnt from the first that has it and no other."""
    rulings, entry = judge_all(order)
    learnt = [metric for ruling in rulings for metric in Metric if metric in ruling.lesson.metrics]
    assert sorted(learnt) == [Metric.QUALITY, Metric.COST, Metric.LATENCY]
    assert all((r.status is OutcomeStatus.APPLIED) == bool(r.lesson.metrics) for r in rulings)
    assert entry.positions == (50, 51, 52, 53, 54)
    assert entry.resolution is Resolution.OBSERVED


@pytest.mark.parametrize(
    "censoring", [outcome(outcome_id="x", failure=Failure.TIMEOUT), outcome(outcome_id="x", served_slot=2)], ids=str
)
def test_nothing_is_learnt_of_a_censored_decision(censoring):
    """After a failure or another model's answer, what is reported next is not the chosen model's."""
    rulings, entry = judge_all([censoring, *PIECES.values()])
    assert [ruling.status for ruling in rulings[1:]] == [OutcomeStatus.NOT_LEARNED] * 4
    assert entry.learnt is Metric.NONE
    assert entry.resolution is Resolution.CENSORED


@pytest.mark.parametrize(
    "censoring", [outcome(outcome_id="x", failure=Failure.TIMEOUT), outcome(outcome_id="x", served_slot=2)], ids=str
)
def test_a_resolved_decision_is_not_resolved_again(censoring):
    """What comes after the quality does not take the observation back."""
    rulings, entry = judge_all([PIECES["quality"], censoring])
    assert rulings[1].resolution is None
    assert entry.resolution is Resolution.OBSERVED


def test_an_expired_decision_teaches_no_quality():
    """Where the default was learnt already, a window that was lengthened afterwards does not teach a second quality."""
    ruling, entry = judge(FULL, NEW_ENTRY.resolved(Resolution.EXPIRED))
    assert ruling.lesson == Lesson(cost_usd=0.5, price_mtok_usd=1.75, latency_ms=900.0)
    assert ruling.resolution is None
    assert entry.resolution is Resolution.EXPIRED


@pytest.mark.parametrize("after_ms", [10, WINDOW_MS, WINDOW_MS + 1, 10 * WINDOW_MS])
@pytest.mark.parametrize("came", [FULL, outcome(outcome_id="o", failure=Failure.TIMEOUT), PIECES["tokens"]], ids=str)
def test_an_exact_repetition_counts_once(came, after_ms):
    """A retry is a duplicate, however late, and leaves the ledger as it is."""
    _, entry = judge(came)
    ruling, again = judge(came, entry, after_ms=after_ms, position=51)
    assert (ruling.status, ruling.lesson, ruling.resolution) == (OutcomeStatus.DUPLICATE, Lesson(), None)
    assert again is entry


@pytest.mark.parametrize(
    "changed",
    [
        {"quality": 0.5000001},
        {"quality": None},
        {"cost_usd": 0.1},
        {"latency_ms": 1.0},
        {"input_tokens": 0},
        {"output_tokens": 7},
        {"cached_input_tokens": 0},
        {"failure": Failure.REFUSAL},
        {"served_slot": 0},
        {"observe_time_ms": NOON_MS + 1},
    ],
    ids=str,
)
def test_an_id_with_other_content_is_refused(changed):
    """The first outcome of an id stands; another content under it is the caller's mistake, whatever differs."""
    first = outcome(outcome_id="o", quality=0.5)
    _, entry = judge(first)
    with pytest.raises(AlreadyExistsError) as caught:
        judge(outcome(**({"outcome_id": "o", "quality": 0.5} | changed)), entry)
    assert caught.value.reason is Reason.CONFLICTING_OUTCOME


def test_without_an_id_the_content_is_the_id():
    """Two different outcomes without ids are two facts; the same twice is one."""
    rulings, entry = judge_all([outcome(quality=0.5), outcome(quality=0.25), outcome(quality=0.5)])
    assert [ruling.status for ruling in rulings] == [
        OutcomeStatus.APPLIED,
        OutcomeStatus.NOT_LEARNED,
        OutcomeStatus.DUPLICATE,
    ]
    assert len(entry.positions) == 2


def test_the_same_content_under_two_ids_is_two_facts():
    """Two judges may agree."""
    rulings, entry = judge_all([outcome(outcome_id="a", quality=0.5), outcome(outcome_id="b", quality=0.5)])
    assert [ruling.status for ruling in rulings] == [OutcomeStatus.APPLIED, OutcomeStatus.NOT_LEARNED]
    assert len(entry.positions) == 2


def test_sixteen_outcomes_and_no_more():
    """A flood on one decision is refused; a repetition of what was taken is still answered."""
    pieces = [outcome(outcome_id=f"o{i}", latency_ms=float(i)) for i in range(OUTCOMES_PER_DECISION_MAX)]
    rulings, entry = judge_all(pieces)
    assert len(rulings) == len(entry.positions) == 16
    with pytest.raises(ResourceExhaustedError) as caught:
        judge(outcome(outcome_id="o16", quality=0.5), entry)
    assert caught.value.reason is Reason.TOO_MANY_OUTCOMES
    assert judge(pieces[3], entry)[0].status is OutcomeStatus.DUPLICATE


@pytest.mark.parametrize(
    "observe_time_ms, good",
    [
        (0, True),
        (NOON_MS - 1, False),
        (NOON_MS, True),
        (NOON_MS + 10 + CLOCK_SKEW_MS, True),
        (NOON_MS + 11 + CLOCK_SKEW_MS, False),
    ],
)
def test_a_time_that_cannot_be_is_refused(observe_time_ms, good):
    """Nobody observes an outcome before its decision, or in the future beyond the skew of clocks."""
    came = outcome(quality=0.5, observe_time_ms=observe_time_ms)
    if good:
        assert judge(came)[0].status is OutcomeStatus.APPLIED
    else:
        with pytest.raises(InvalidArgumentError) as caught:
            judge(came)
        assert caught.value.reason is Reason.BAD_TIMESTAMP


def test_the_observers_time_does_not_open_the_window():
    """The window is the server's: an outcome that arrives late is late, whenever it says that it was seen."""
    came = outcome(quality=0.5, observe_time_ms=NOON_MS + 1)
    assert judge(came, after_ms=WINDOW_MS + 1)[0].status is OutcomeStatus.LATE


def test_a_model_that_was_no_candidate_is_refused():
    """Who served must have been among the candidates."""
    with pytest.raises(InvalidArgumentError) as caught:
        judge(outcome(quality=0.5, served_slot=9))
    assert caught.value.reason is Reason.UNKNOWN_MODEL


@pytest.mark.parametrize(
    "fields, input_tokens, price, cost",
    [
        ({"input_tokens": 1000, "output_tokens": 500}, -1, PRICE, 0.003),
        ({"output_tokens": 500}, 1000, PRICE, 0.003),
        ({"input_tokens": 2000, "output_tokens": 500}, 1000, PRICE, 0.004),
        ({"output_tokens": 500}, -1, PRICE, None),
        ({"input_tokens": 1000}, 1000, PRICE, None),
        ({"input_tokens": 0, "output_tokens": 0}, -1, PRICE, 0.0),
        ({"input_tokens": 1000, "output_tokens": 500}, -1, None, None),
        ({"input_tokens": 1000, "output_tokens": 500, "cost_usd": 9.0}, -1, PRICE, 9.0),
        ({"cost_usd": 9.0}, -1, None, 9.0),
        ({"input_tokens": 1000, "output_tokens": 500}, -1, Price(0.0, 0.0), 0.0),
        ({"input_tokens": 1000, "output_tokens": 500, "cached_input_tokens": 800}, -1, WHOLE_PRICE, 0.12228),
        ({"input_tokens": 1000, "output_tokens": 500, "cached_input_tokens": 800}, -1, PRICE, 0.003),
        ({"output_tokens": 500, "cached_input_tokens": 800}, 1000, WHOLE_PRICE, 0.12228),
        ({"output_tokens": 500, "cached_input_tokens": 800}, 500, WHOLE_PRICE, 0.12205),
        ({"cached_input_tokens": 800, "output_tokens": 500}, -1, WHOLE_PRICE, None),
        ({"cost_usd": 9.0}, -1, WHOLE_PRICE, 9.0),
    ],
)
def test_cost_of_tokens(fields, input_tokens, price, cost):
    """Tokens cost what the price in force says; without one there is no cost, rather than a cost of nothing."""
    of = decision(decision_id=ID, input_tokens=input_tokens)
    ruling, _ = judge(outcome(**fields), of=of, price=price)
    if cost is None:
        assert ruling.lesson == Lesson()
        assert ruling.status is OutcomeStatus.NOT_LEARNED
    else:
        assert ruling.lesson.cost_usd == pytest.approx(cost, abs=1e-15)
        assert ruling.lesson.price_mtok_usd == (None if price is None else price.blended_mtok_usd)
        assert ruling.lesson.fee_usd == (0.0 if price is None else price.request_usd)


TOKEN_PIECES = (
    outcome(input_tokens=1000),
    outcome(output_tokens=500),
    outcome(cached_input_tokens=800),
    outcome(quality=0.5),
)


@pytest.mark.parametrize("order", list(itertools.permutations(TOKEN_PIECES)))
def test_tokens_may_come_apart(order):
    """Counts of input and output that arrive in several outcomes make one cost, with the piece that completes them."""
    rulings, entry = judge_all(order, price=WHOLE_PRICE)
    (cost,) = (ruling.lesson.cost_usd for ruling in rulings if ruling.lesson.cost_usd is not None)
    has_cached = order.index(TOKEN_PIECES[2]) < max(order.index(piece) for piece in TOKEN_PIECES[:2])
    assert cost == pytest.approx(0.12228 if has_cached else 0.123, abs=1e-15)
    assert entry.learnt == Metric.QUALITY | Metric.COST
    assert entry.tokens == NO_TOKENS


def test_the_first_of_each_token_count_is_the_one_that_counts():
    """As of every metric; and what was reported late, or of a call that failed, is not remembered."""
    rulings, _ = judge_all([outcome(input_tokens=1000), outcome(input_tokens=9000, output_tokens=500)])
    assert rulings[1].lesson.cost_usd == pytest.approx(0.003, abs=1e-15)
    _, late = judge(outcome(input_tokens=1000), after_ms=WINDOW_MS + 1)
    _, failed = judge(outcome(input_tokens=1000, failure=Failure.TIMEOUT))
    assert late.tokens == failed.tokens == NO_TOKENS


def test_only_tokens_make_a_cost_of_tokens():
    """What came without a price is not priced by a later outcome that says nothing of tokens."""
    _, entry = judge(outcome(input_tokens=1000, output_tokens=500), price=None)
    ruling, entry = judge(outcome(latency_ms=5.0), entry, position=51)
    assert ruling.lesson.cost_usd is None
    ruling, _ = judge(outcome(cost_usd=7.0), entry, position=52)
    assert ruling.lesson.cost_usd == 7.0


numbers = st.none() | st.floats(0, 1)
some_outcomes = st.builds(
    outcome,
    outcome_id=st.sampled_from(["", "a", "b", "c"]),
    quality=numbers,
    cost_usd=numbers,
    input_tokens=st.none() | st.integers(0, 100),
    output_tokens=st.none() | st.integers(0, 100),
    cached_input_tokens=st.none() | st.integers(0, 100),
    latency_ms=numbers,
    failure=st.sampled_from([Failure.NONE, Failure.NONE, Failure.TIMEOUT]),
    served_slot=st.sampled_from([-1, -1, 1, 2]),
)


@given(st.lists(st.tuples(some_outcomes, st.sampled_from([0, WINDOW_MS, WINDOW_MS + 1])), max_size=25))
def test_any_pieces_leave_a_sound_ledger(pieces):
    """Whatever comes: each metric is learnt at most once, a decision is resolved at most once, and books add up."""
    entry = NEW_ENTRY
    learnt, resolutions, kept = [], [], 0
    for i, (came, after_ms) in enumerate(pieces):
        try:
            ruling, after = judge(came, entry, after_ms=after_ms, position=i + 1)
        except (AlreadyExistsError, ResourceExhaustedError):
            continue
        assert (after is entry) == (ruling.status is OutcomeStatus.DUPLICATE)
        assert (ruling.status is OutcomeStatus.APPLIED) == bool(ruling.lesson.metrics)
        kept += after is not entry
        learnt += [metric for metric in Metric if metric in ruling.lesson.metrics]
        resolutions += [ruling.resolution] * (ruling.resolution is not None)
        entry = after
    assert len(learnt) == len(set(learnt))
    assert len(resolutions) <= 1
    assert entry.resolution is (resolutions[0] if resolutions else Resolution.WAITING)
    assert entry.learnt == sum(learnt, Metric.NONE)
    assert kept == len(entry.positions) == len(entry.id_digests) == len(entry.content_digests) <= 16
    assert len(set(entry.id_digests)) == kept


@given(some_outcomes, some_outcomes)
def test_contents_differ_as_outcomes_do(one, two):
    """The digest of a content tells contents apart, and takes no notice of the id."""
    one_content, two_content = (msgspec.structs.replace(outcome, outcome_id="") for outcome in (one, two))
    same = one_content == two_content
    assert (content_digest(one) == content_digest(two)) == same


def test_a_new_entry_is_empty():
    """Nothing is remembered of a decision before something came."""
    assert first_entry(DECISION) == LedgerEntry()
