"""The learner under any sequence of events, against a dict and a list.

A real writer on a real directory gets decisions, outcomes in pieces, duplicates, conflicts, late ones, changes of
models and routers, snapshots and restarts in any order. The model holds what every decision should have come to. At
each check the live state, the state that a restart would recover, and the log folded from empty are the same bits.
"""

import itertools
import random
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from banditd.domain.decision import Resolution
from banditd.domain.model import Price
from banditd.domain.outcome import Failure, Metric, Outcome, OutcomeStatus
from banditd.domain.records import Restore, RouterChange
from banditd.errors import (
    AlreadyExistsError,
    BanditdError,
    FailedPreconditionError,
    InvalidArgumentError,
    ResourceExhaustedError,
)
from banditd.learner.commands import RecordOutcomes
from banditd.learner.recovery import recover, replay
from banditd.learner.state import LearnerState
from banditd.policies.snapshot_codec import decode_state

from .conftest import start_of
from .rig import Rig, digests_of
from .world import WINDOW_MS, FakeClock, ListLog, model_change, router_change

ROUTERS = ("r", "s")
PRESETS = ("linucb", "adaptive", "constant", "nonlinear")


@dataclass
class Expected:
    """What a decision should have come to, told without banditd's words for it.

    Attributes:
        router: Which router made it, and which of that name.
        slots: Of which candidates.
        slot: Which was chosen.
        tokens: Length of the prompt, if it was told.
        made_ms: When.
        seen: Outcome id to content.
        learnt: Metrics that were learnt.
        reported: Token counts that came in time.
        end: How it ended.
    """

    position: int
    decision_id: bytes
    router: tuple[str, int]
    slots: tuple[int, ...]
    slot: int
    tokens: int
    made_ms: int
    seen: dict = field(default_factory=dict)
    learnt: set = field(default_factory=set)
    reported: dict = field(default_factory=dict)
    end: Resolution = Resolution.WAITING


class Machine(RuleBasedStateMachine):
    """See above."""

    @initialize(seed=st.integers(0, 2**32), preset=st.sampled_from(PRESETS))
    def start(self, seed, preset):
        self.rng = random.Random(seed)
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.decisions: list[Expected] = []
        self.prices: dict[int, Price | None] = {}
        self.slots: list[int] = []
        self.routers: dict[str, dict] = {}
        self.incarnations: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.rig = Rig(self.folder, self.clock)
        self.add_model(Price(1.0, 2.0))
        self.add_model(None)
        self.make_router("r", preset, None)

    def teardown(self):
        if hasattr(self, "rig"):
            try:
                self.check()
                self.restart(clean=False)
            finally:
                self.rig.crash()
                shutil.rmtree(self.folder)

    # --- settings

    @rule(price=st.none() | st.builds(Price, st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 4.0])))
    def add_model(self, price):
        slot = len(self.rig.state.catalog.names)
        if len(self.slots) < 5:
            self.rig.change(model_change(slot, price=price))
            self.slots.append(slot)
            self.prices[slot] = price

    @rule(data=st.data(), price=st.none() | st.builds(Price, st.just(3.0), st.just(9.0)))
    def change_price(self, data, price):
        slot = data.draw(st.sampled_from(self.slots))
        self.rig.change(model_change(slot, price=price))
        self.prices[slot] = price

    @precondition(lambda self: len(self.slots) > 2)
    @rule(data=st.data())
    def remove_model(self, data):
        slot = data.draw(st.sampled_from(self.slots))
        name = self.rig.state.catalog.by_slot[slot].model_id
        self.rig.change(type(model_change(0))(name, slot, None))
        self.slots.remove(slot)
        self.prices[slot] = None

    def make_router(self, router_id, preset, default_quality):
        settings_ = {"preset": preset, "default_quality": default_quality}
        if router_id not in self.routers:
            self.incarnations[router_id] += 1
            settings_["window_ms"] = WINDOW_MS
            settings_["ends"] = Counter()
        self.routers[router_id] = self.routers.get(router_id, {}) | settings_
        change = router_change(
            router_id,
            preset=preset,
            default_quality=default_quality,
            attribution_window_ms=self.routers[router_id]["window_ms"],
        )
        self.rig.change(change)
        self.rig.change(*start_of(self.rig, router_id))

    @rule(router_id=st.sampled_from(ROUTERS), preset=st.sampled_from(PRESETS), default=st.sampled_from([None, 0.25]))
    def change_router(self, router_id, preset, default):
        self.make_router(router_id, preset, default)

    @precondition(lambda self: len(self.routers) > 1)
    @rule()
    def remove_router(self):
        self.rig.change(RouterChange("s", None))
        del self.routers["s"]

    # --- traffic

    @rule(data=st.data(), count=st.sampled_from([1, 1, 2, 5, 140]))
    def decide(self, data, count):
        router_id = data.draw(st.sampled_from(sorted(self.routers)))
        slots = tuple(sorted(self.slots))
        slot = data.draw(st.sampled_from(slots))
        tokens = data.draw(st.sampled_from([-1, 100]))
        made = self.rig.decide(count, router_id=router_id, slots=slots, slot=slot, rng=self.rng, input_tokens=tokens)
        router = (router_id, self.incarnations[router_id])
        now_ms = self.clock.now_ms()
        self.decisions += [Expected(at, id_, router, slots, slot, tokens, now_ms) for at, id_ in made]

    contents = st.fixed_dictionaries(
        {},
        optional={
            "quality": st.sampled_from([0.0, 0.5, 1.0]),
            "latency_ms": st.sampled_from([1.0, 900.0]),
            "cost_usd": st.sampled_from([0.0, 0.01]),
            "output_tokens": st.just(500),
            "input_tokens": st.just(1000),
            "failure": st.just(Failure.TIMEOUT),
            "served_slot": st.sampled_from([0, 1]),
        },
    )

    @precondition(lambda self: self.decisions)
    @rule(
        data=st.data(),
        reports=st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), contents), min_size=1, max_size=8),
    )
    def report(self, data, reports):
        """Report of some decisions at once: few decisions, so that pieces and duplicates meet."""
        newest = self.decisions[-6:]
        chosen = [data.draw(st.sampled_from(newest)) for _ in reports]
        outcomes = tuple(
            (expected.position, Outcome(expected.decision_id, outcome_id, **content))
            for expected, (outcome_id, content) in zip(chosen, reports, strict=True)
        )
        answers = self.rig.do(RecordOutcomes(outcomes))
        for expected, (_, outcome), answer in zip(chosen, outcomes, answers, strict=True):
            self.judge(expected, outcome, answer)

    def judge(self, expected, outcome, answer):
        """Say what should have been answered, and take it down."""
        content = tuple(sorted((k, v) for k, v in vars_of(outcome).items() if k not in {"decision_id", "outcome_id"}))
        name = outcome.outcome_id or content
        got = type(answer) if isinstance(answer, BanditdError) else answer.status
        want = self.want(expected, outcome, name, content)
        assert got == want, (got, want, outcome, expected)
        self.counts["rejected" if isinstance(want, type) else want.name.lower()] += 1

    def want(self, expected, outcome, name, content):
        if name in expected.seen:
            return OutcomeStatus.DUPLICATE if expected.seen[name] == content else AlreadyExistsError
        if len(expected.seen) == 16:
            return ResourceExhaustedError
        if outcome.served_slot not in {-1, *expected.slots}:
            return InvalidArgumentError
        expected.seen[name] = content
        router = self.routers.get(expected.router[0])
        current = router is not None and self.incarnations[expected.router[0]] == expected.router[1]
        if not current or self.clock.now_ms() - expected.made_ms > router["window_ms"]:
            return OutcomeStatus.LATE
        if outcome.served_slot not in {-1, expected.slot}:
            self.end(expected, Resolution.CENSORED)
            return OutcomeStatus.OVERRIDDEN
        if outcome.failure:
            self.end(expected, Resolution.CENSORED)
            return OutcomeStatus.NOT_LEARNED
        new = set()
        if expected.end is not Resolution.CENSORED:
            # The first count of each kind stands; whoever brings the one that was missing makes a cost of them.
            for kind in ("input_tokens", "output_tokens"):
                if getattr(outcome, kind) is not None:
                    expected.reported.setdefault(kind, getattr(outcome, kind))
            brings = outcome.input_tokens is not None or outcome.output_tokens is not None
            known = "output_tokens" in expected.reported and expected.reported.get("input_tokens", expected.tokens) >= 0
            priced = self.prices[expected.slot] is not None and brings and known
            if outcome.quality is not None and expected.end is Resolution.WAITING:
                new.add(Metric.QUALITY)
            if outcome.cost_usd is not None or priced:
                new.add(Metric.COST)
            if outcome.latency_ms is not None:
                new.add(Metric.LATENCY)
        new -= expected.learnt
        expected.learnt |= new
        if Metric.QUALITY in new:
            self.end(expected, Resolution.OBSERVED)
        return OutcomeStatus.APPLIED if new else OutcomeStatus.NOT_LEARNED

    def end(self, expected, resolution):
        if expected.end is Resolution.WAITING:
            expected.end = resolution
            self.routers[expected.router[0]]["ends"][resolution] += 1

    # --- time

    @rule(ms=st.sampled_from([1, WINDOW_MS // 2, WINDOW_MS, WINDOW_MS + 1]))
    def wait(self, ms):
        self.clock.advance(ms)

    @rule()
    def tend(self):
        self.rig.tend()
        for expected in self.decisions:
            router = self.routers.get(expected.router[0])
            current = router is not None and self.incarnations[expected.router[0]] == expected.router[1]
            if current and self.clock.now_ms() - expected.made_ms > router["window_ms"]:
                self.end(expected, Resolution.EXPIRED)

    # --- storage

    @rule()
    def take_snapshot(self):
        self.rig.take_snapshot()

    @rule(data=st.data())
    def restore(self, data):
        router_id = data.draw(st.sampled_from(sorted(self.routers)))
        stored = self.rig.snapshots.of_router(router_id)
        if stored:
            chosen = data.draw(st.sampled_from(stored))
            record = Restore(router_id, chosen.position, chosen.state)
            router = self.rig.state.routers[router_id]
            try:
                # As the server does: what cannot be loaded is refused and never logged.
                type(router)(router.router, router.policy).load_belief(*decode_state(chosen.state))
            except FailedPreconditionError:
                return
            self.rig.change(record)
            self.rig.change(*start_of(self.rig, router_id))

    @rule(clean=st.booleans())
    def restart(self, clean):
        before = self.rig.digests(), self.rig.state.position, self.rig.books.settled()
        (self.rig.stop if clean else self.rig.crash)()
        self.rig = Rig(self.folder, self.clock)
        # A refusal is counted on disk with the next outcome that is answered.
        settled = self.rig.books.settled()
        self.counts["rejected"] = settled["rejected"]
        assert (self.rig.digests(), self.rig.state.position) == before[:2]
        assert settled | {"rejected": 0} == before[2] | {"rejected": 0}

    @rule()
    def check(self):
        """Live, recovered and folded are the same; books and counts are the model's."""
        rig = self.rig
        assert rig.writer.failure is None
        folded = rig.fold()
        assert folded.position == rig.state.position == rig.log.last_position
        assert digests_of(folded) == rig.digests() == digests_of(recover(rig.log, rig.snapshots))
        assert folded.catalog == rig.state.catalog
        assert folded.health == rig.state.health == recover(rig.log, rig.snapshots).health
        in_memory = replay(LearnerState(), rig.log)
        assert digests_of(in_memory) == rig.digests()
        counts = rig.books.all()
        assert counts.pop("received") == sum(counts.values())
        assert {name: count for name, count in counts.items() if count} == +self.counts
        for router_id, expected in self.routers.items():
            router = rig.state.routers[router_id]
            ends = expected["ends"]
            assert (router.observed, router.expired, router.censored) == (
                ends[Resolution.OBSERVED],
                ends[Resolution.EXPIRED],
                ends[Resolution.CENSORED],
            )
            made = sum(e.router == (router_id, self.incarnations[router_id]) for e in self.decisions)
            assert router.decision_count == made
        for expected in self.decisions[-20:]:
            entry = rig.log.ledger(expected.position)
            if entry is not None:
                assert entry.resolution is expected.end
                assert set(Metric) & {m for m in Metric if m in entry.learnt} == expected.learnt


def vars_of(outcome):
    """Return the fields of an outcome."""
    return {name: getattr(outcome, name) for name in outcome.__slots__}


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.long
@pytest.mark.parametrize("turn", range(20))
def test_machine_for_long(turn):
    """The same, for long; in turns, so that they run side by side and each ends within minutes."""
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=50, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_a_log_in_memory_folds_to_the_same_state(rig):
    """The fold needs no disk: the same entries in a list give the same bits."""
    made = rig.decide(300)
    for i, one in enumerate(made[:60]):
        rig.report(one, quality=i / 60, latency_ms=10.0 + i)
    rig.tend()
    entries = list(rig.log.scan(0))
    state = LearnerState()
    for count, entry in enumerate(entries):
        state.apply(entry, ListLog(itertools.islice(entries, count)))
    assert digests_of(state) == rig.digests()
