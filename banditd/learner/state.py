"""The learner's machine: a pure fold of the log. No thread, clock or disk.

Live, after a crash, under another encoding and in the simulator the same entries give the same state, bit for bit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec

from banditd.catalog.health import note, turn
from banditd.catalog.models import Catalog
from banditd.domain.arrays import Array32
from banditd.domain.budget import Budget
from banditd.domain.context import Context
from banditd.domain.decision import Decision, DecisionSource, Resolution
from banditd.domain.health import GOOD_HEALTH, Health, ModelHealth
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Failure, Lesson, Metric, OutcomeStatus
from banditd.domain.promotion import Promotion
from banditd.domain.records import (
    ChangeAlarm,
    ComparisonRecord,
    Example,
    Expiry,
    FeatureFit,
    HealthChange,
    LeaderboardPrior,
    LogEntry,
    ModelChange,
    OutcomeRecord,
    Restore,
    RouterChange,
)
from banditd.domain.router import promoted
from banditd.errors import DataLossError
from banditd.evaluation import Account
from banditd.features.encode import encode
from banditd.features.fit import intercept_spec
from banditd.features.spec import FeatureKind, FeatureSpec, decode_spec
from banditd.learner.changes import Changes, Mark, do_again
from banditd.learner.gathering import Gathering
from banditd.learner.router_state import FIRST_FIT_PROMPTS, FIT_GROWTH, Encoding, RouterState
from banditd.objective.pacer import Pacer
from banditd.policies.base import (
    ChangingBelief,
    ComparingBelief,
    GatheringBelief,
    JudgingBelief,
    Residuals,
    SupposingBelief,
    WitnessingBelief,
)
from banditd.policies.beliefs.factory import make_belief, relearns
from banditd.policies.registry import resolve
from banditd.policies.snapshot_codec import decode_state, encode_state
from banditd.routing.shadowing import is_comparable, measure, shadow_pmf
from banditd.routing.snapshot import RouterSnapshot, ServingSnapshot, offered_models

# A rebuild reads at most this many of the newest outcomes of a router, so that it takes seconds however long the log
# is. Part of what makes the fold the same everywhere: a constant, not a setting.
REBUILD_OUTCOMES_MAX: Final = 50_000
# What needs no fit, and whose rows tell nothing of a prompt.
_BLIND: Final = FeatureKind.INTERCEPT_ONLY
# Looking up a member of an enumeration takes as long as looking up a decision.
_OBSERVED, _CENSORED = Resolution.OBSERVED, Resolution.CENSORED
_CALLER: Final = DecisionSource.CALLER
_NO_FAILURE: Final = Failure.NONE
_NO_METRICS: Final = Metric.NONE


class LogView(Protocol):
    """What the fold may look up: entries that are before the one being applied."""

    def decision(self, position: int) -> Decision:
        """Return the decision at *position*."""
        ...

    def newest_outcomes(self, router_id: str, before: int, count_max: int) -> Sequence[LogEntry]:
        """Return the newest entries of a router that teach, decisions apart, oldest first, before a position."""
        ...


class LearnerState:
    """All routers' states, the catalogue and its health. Mutable; the writer's thread only."""

    def __init__(self) -> None:
        self.catalog = Catalog()
        self.routers: dict[str, RouterState] = {}
        self.health: dict[int, ModelHealth] = {}
        self.position = 0
        self._time_ms = 0
        self._unhealthy: Mapping[int, Health] = MappingProxyType({})
        self._published: dict[str, RouterSnapshot] = {}
        # Routers whose published snapshot was made to be done with soon: it shares memory with what goes on changing.
        self._live: set[str] = set()
        self._encoded: tuple[Context, FeatureSpec, Array32] | None = None

    def encoded(self, features: FeatureSpec, context: Context) -> Array32:
        """Return the context's row, to be read only: that of the last call where it was about the same objects.

        An example teaches several models of one prompt, and a replay learns of the prompt that it just decided: both
        would encode it again. Contexts and encodings do not change, so this is no state of the fold.
        """
        last = self._encoded
        if last is not None and last[0] is context and last[1] is features:
            return last[2]
        row = encode(features, context)
        self.take_row(features, context, row)
        return row

    def take_row(self, features: FeatureSpec, context: Context, row: Array32) -> None:
        """Take note that *row* is what `encode` makes of a context, which is about to be decided for."""
        self._encoded = (context, features, row)

    def apply(self, entry: LogEntry, log: LogView) -> None:
        """Take in the next entry of the log.

        Args:
            entry: Its position is above that of the last.
            log: What came before.
        """
        assert entry.position > self.position
        record = entry.record
        self._time_ms = entry.time_ms
        if isinstance(record, Decision):
            self._apply_decision(entry.position, record, entry.time_ms)
        elif isinstance(record, OutcomeRecord):
            self._apply_outcome(entry.position, record, log)
        elif isinstance(record, ComparisonRecord):
            self._apply_comparison(entry.position, record, log)
        elif isinstance(record, Expiry):
            self._apply_expiry(entry.position, record, log)
        elif isinstance(record, Example):
            self._apply_example(entry.position, record)
        elif isinstance(record, LeaderboardPrior):
            self._apply_prior(entry.position, record)
        elif isinstance(record, ModelChange):
            self._apply_model(entry.position, record)
        elif isinstance(record, RouterChange):
            self._apply_router(entry.position, record, log)
        elif isinstance(record, FeatureFit):
            self._apply_fit(entry.position, record, log)
        elif isinstance(record, HealthChange):
            self._apply_health(entry.position, record)
        elif isinstance(record, ChangeAlarm):
            self._apply_alarm(entry.position, record)
        elif isinstance(record, Promotion):
            self._apply_promotion(entry.position, record)
        else:
            self._apply_restore(entry.position, record, log)
        self.position = entry.position

    def publish(self) -> ServingSnapshot:
        """Return frozen copies of everything that a decision reads; what has not changed is shared with the last."""
        for router_id in self.routers:
            self.publish_router(router_id)
        for router_id in self._published.keys() - self.routers.keys():
            del self._published[router_id]
        return ServingSnapshot(self.catalog, MappingProxyType(dict(self._published)), self.position, self._unhealthy)

    def publish_router(self, router_id: str, *, live: bool = False) -> RouterSnapshot:
        """Return what a decision of one router reads; what has not changed is shared with the last.

        Args:
            router_id: Of a router that is there.
            live: Whether the snapshot is done with before the next entry is applied: then nothing need be copied.
        """
        state, last = self.routers[router_id], self._published.get(router_id)
        was_live = router_id in self._live
        if was_live and not live:
            self._live.discard(router_id)
        if (
            last is not None
            and state.settings_version <= last.version
            and state.changes.newcomers.keys() == last.newcomers
        ):
            # Settings and models, and what is derived of them, are what they were.
            belief, is_new = last.belief, state.version != last.version or was_live
            if is_new and state.belief is not None:
                belief = state.changes.freeze(state.belief, last.models, state.policy.change, live=live)
            # Before its first decision a budget follows the belief alone.
            if is_new or (state.pacer is not None and not state.pacer.is_fresh):
                pacer = state.pacer_view(last.models, belief)
                if live and was_live:
                    last.overwrite(belief, state.version, pacer)
                    return last
                last = self._published[router_id] = last.renewed(belief, state.version, pacer)
                if live:
                    self._live.add(router_id)
            return last
        models = offered_models(self.catalog, state.router)
        belief = None
        if state.belief is not None:
            belief = state.changes.freeze(state.belief, models, state.policy.change, live=live)
        snapshot = self._published[router_id] = RouterSnapshot(
            router=state.router,
            policy=state.policy,
            features=state.features,
            belief=belief,
            models=models,
            version=state.version,
            pacer=state.pacer_view(models, belief),
            sessions=state.sessions,
            health=self._unhealthy,
            newcomers=frozenset(state.changes.newcomers),
        )
        if live:
            self._live.add(router_id)
        return snapshot

    def health_of(self, slot: int) -> ModelHealth:
        """Return a model's health."""
        return self.health.get(slot, GOOD_HEALTH)

    def health_bytes(self) -> bytes:
        """Return the health of all models, as it is stored beside the routers' states."""
        return encode_state({"health": [_health_values(slot, h) for slot, h in sorted(self.health.items())]}, {})

    def load_health(self, raw: bytes) -> None:
        """Take the health of all models from the bytes of `health_bytes`; raises DataLossError."""
        self.health = dict(_health_of(values) for values in decode_state(raw)[0]["health"])
        self._note_unhealthy()

    def _note_unhealthy(self) -> None:
        self._unhealthy = MappingProxyType(
            {slot: health.state for slot, health in self.health.items() if health.state is not Health.HEALTHY}
        )

    def _touch(self, state: RouterState, position: int) -> None:
        """Give a router a new version."""
        state.version = position
        state.note_change(state.decision_count, self._time_ms)
        for shadow in state.shadows.values():
            shadow.note_change(state.decision_count, self._time_ms)

    def _settle(self, state: RouterState, position: int) -> None:
        """Give a router a new version of which more than the belief is new."""
        self._touch(state, position)
        state.settings_version = position

    def _apply_decision(self, position: int, decision: Decision, time_ms: int) -> None:
        # What is done here and in `_apply_outcome` `learner.rounds` does of many.
        state = self.routers.get(decision.router_id)
        if state is None:
            return  # its router was removed while it was on its way
        chosen, choice = decision.slot, decision.choice
        state.decision_count += 1
        state.decision_counts[chosen] = state.decision_counts.get(chosen, 0) + 1
        state.support.count(decision.slots, choice.pmf)
        is_ours = choice.source is not _CALLER
        if state.pacer is not None and is_ours:
            if state.pacer.is_fresh:
                state.start_pacer(state.offered(self.catalog))
            state.pacer.observe(decision, time_ms)
            state.reconsider_price(self.catalog, time_ms)
        if decision.context.session:
            state.sessions.remember(decision.context.session, chosen)
        if not decision.learnable:
            state.censored += 1
        # The shadows are compared with the policy that decides, and that one with callers who decide themselves.
        watchers = state.shadows.values() if is_ours else (state,)
        if watchers and is_comparable(decision):
            for watcher in watchers:
                self._compare(state, watcher, position, decision)

    def _compare(self, state: RouterState, watcher: RouterState, position: int, decision: Decision) -> None:
        """Take note of how a policy that did not decide would have drawn, from what it has learnt by now."""
        if watcher.features is None or watcher.belief is None:
            return
        if decision.context.embedding.shape[0] != watcher.features.input_dimension:
            return  # as with outcomes
        if watcher.preview is None:
            models = state.offered(self.catalog)
            belief = watcher.changes.freeze(watcher.belief, models, watcher.policy.change)
            watcher.preview = RouterSnapshot(
                router=watcher.router,
                policy=watcher.policy,
                features=watcher.features,
                belief=belief,
                models=models,
                version=state.version,
                pacer=state.pacer_view(models, belief if watcher is state else None),
                newcomers=frozenset(state.changes.newcomers),
            )
        row = self.encoded(watcher.features, decision.context)
        pmf = shadow_pmf(watcher.preview, decision, row)
        watcher.account.note(position, decision.choice, pmf, measure(decision))

    def _apply_outcome(self, position: int, record: OutcomeRecord, log: LogView) -> None:
        ruling, decided_at = record.ruling, record.decision_position
        slot = ruling.health_slot
        if slot in self.catalog.by_slot:
            self.health[slot] = note(self.health_of(slot), decided_at, self._time_ms, record.outcome.failure)
        state = self.routers.get(record.router_id)
        if state is None or decided_at <= state.start_position:
            return
        resolution, lesson = ruling.resolution, ruling.lesson
        if resolution is _OBSERVED:
            state.observed += 1
        elif resolution is _CENSORED:
            state.censored += 1
            for each in state.everyone:
                each.account.forget(decided_at)
        if record.outcome.failure is not _NO_FAILURE:
            slot = log.decision(decided_at).slot
            state.failure_counts[slot] = state.failure_counts.get(slot, 0) + 1
        if lesson.metrics is not _NO_METRICS:
            decision = log.decision(decided_at)
            choice, slot = decision.choice, decision.slot
            if state.pacer is not None and lesson.cost_usd is not None and choice.source is not _CALLER:
                state.pacer.correct(float(choice.expected[1, choice.index]), lesson.cost_usd)
            residuals = self._teach(state, decision, lesson)
            if resolution is _OBSERVED:
                state.arrival.note(slot, decision.context, arrived=True)
            if lesson.quality is not None and (state.shadows or state.account.waits_for(decided_at)):
                for each in state.everyone:
                    each.account.settle(decided_at, lesson, measure(decision))
            if residuals is not None and state.policy.change.change_detection:
                state.changes.watch(slot, residuals)
            state.changes.count(slot, lesson)
            state.reconsider_price(self.catalog, self._time_ms)
            self._touch(state, position)

    def _apply_expiry(self, position: int, record: Expiry, log: LogView) -> None:
        state = self.routers.get(record.router_id)
        if state is None:
            return
        # Not those of a router that had its name before, as with outcomes.
        positions = [p for p in record.decision_positions if p > state.start_position]
        state.expired += len(positions)
        for decision_position in positions:
            decision = log.decision(decision_position)
            state.arrival.note(decision.slot, decision.context, arrived=False)
        if record.quality is not None:
            lesson = Lesson(quality=record.quality)
            for decision_position in positions:
                decision = log.decision(decision_position)
                self._teach(state, decision, lesson)
                for each in state.everyone:
                    each.account.settle(decision_position, lesson, measure(decision))
            self._touch(state, position)
        else:
            for each in state.everyone:
                for decision_position in positions:
                    each.account.forget(decision_position)

    def _teach(self, state: RouterState, decision: Decision, lesson: Lesson) -> Residuals | None:
        """Have the router and its shadows learn from a decision; return what the router's predictions missed by."""
        for shadow in state.shadows.values():
            self._learn_outcome(shadow, lesson, state.decision_count, self._time_ms, decision)
        return self._learn_outcome(state, lesson, state.decision_count, self._time_ms, decision)

    def _apply_comparison(self, position: int, record: ComparisonRecord, log: LogView) -> None:
        state = self.routers.get(record.router_id)
        if state is None or record.status is not OutcomeStatus.APPLIED:
            return
        if record.context is None and record.decision_position <= state.start_position:
            return
        state.comparison_count += 1
        for each in state.everyone:
            self._learn_comparison(each, record, log)
            each.preview = None
        state.version = position

    def _learn_comparison(self, state: RouterState, record: ComparisonRecord, log: LogView) -> None:
        context, comparison = record.context, record.comparison
        if context is None:
            context = log.decision(record.decision_position).context
        model_a, model_b = (self.catalog.by_slot.get(slot) for slot in (comparison.slot_a, comparison.slot_b))
        if model_a is None or model_b is None or state.features is None or state.belief is None:
            return  # as with outcomes
        if context.embedding.shape[0] != state.features.input_dimension:
            return
        if isinstance(state.belief, ComparingBelief):
            state.belief.compare(model_a, model_b, self.encoded(state.features, context), comparison)

    def _apply_example(self, position: int, record: Example) -> None:
        state = self.routers.get(record.router_id)
        if state is None:
            return
        state.example_count += 1
        for each in state.everyone:
            self._learn_example(each, record, state.decision_count, self._time_ms)
        self._touch(state, position)

    def _learn_example(
        self, state: RouterState, record: Example, decisions: int, time_ms: int, gathering: Gathering | None = None
    ) -> None:
        context, models = record.context, self.catalog.by_slot
        for slot, lesson in record.lessons:
            state.changes.count(slot, lesson)
        if state.belief is None or state.features is None:
            return
        if context.embedding.shape[0] != state.features.input_dimension:
            return  # as with outcomes
        seen = [(models[slot], lesson) for slot, lesson in record.lessons if slot in models]
        if isinstance(state.belief, JudgingBelief):
            state.belief.judge(context, self.encoded(state.features, context), seen)
        for model, lesson in seen:
            self._learn(state, context, model.slot, lesson, decisions, time_ms, gathering=gathering)
        if isinstance(state.belief, WitnessingBelief):
            state.belief.witness(context, self.encoded(state.features, context), seen, record.choice)

    def _apply_prior(self, position: int, record: LeaderboardPrior) -> None:
        state = self.routers.get(record.router_id)
        if state is None:
            return
        for each in state.everyone:
            self._suppose(each, record)
            each.preview = None
        self._touch(state, position)

    def _suppose(self, state: RouterState, record: LeaderboardPrior) -> None:
        for slot, quality, strength in record.standings:
            model = self.catalog.by_slot.get(slot)
            # Under another policy than the one that took it, there may be no such prior.
            if model is None or state.belief is None:
                continue
            if isinstance(state.belief, SupposingBelief):
                state.belief.suppose(model, quality, strength)

    def _learn_outcome(
        self,
        state: RouterState,
        lesson: Lesson,
        decisions: int,
        time_ms: int,
        decision: Decision,
        gathering: Gathering | None = None,
    ) -> Residuals | None:
        """Learn an outcome as `_learn` does; its quality counts the more, the less likely it was to arrive."""
        bound, context, slot = state.policy.observation_weighting, decision.context, decision.slot
        weight = 1.0
        if bound > 1.0 and lesson.quality is not None and state.router.default_quality is None:
            # A shadow's outcomes are the router's.
            weight = self.routers[decision.router_id].arrival.weight(slot, context, bound)
        if weight == 1.0:
            return self._learn(state, context, slot, lesson, decisions, time_ms, decision, gathering)
        # Costs and latencies come with their calls, not with judgements.
        judged, rest = Lesson(lesson.quality, weight=weight), msgspec.structs.replace(lesson, quality=None)
        missed = self._learn(state, context, slot, judged, decisions, time_ms, decision, gathering)
        beside = None
        if rest.metrics:
            beside = self._learn(state, context, slot, rest, decisions, time_ms, decision, gathering)
        # Errors of what arrives are 0 on average by their weights only. These are 1 on average and at most the bound,
        # so that their squares are at most the bound on average: scaled by its root, a detector's alarms stay as rare.
        quality = math.nan if missed is None else missed[0] * weight / math.sqrt(bound)
        return (quality, math.nan, math.nan) if beside is None else (quality, beside[1], beside[2])

    def _learn(
        self,
        state: RouterState,
        context: Context,
        slot: int,
        lesson: Lesson,
        decisions: int,
        time_ms: int,
        decision: Decision | None = None,
        gathering: Gathering | None = None,
    ) -> Residuals | None:
        """Learn; return what the predictions missed by.

        Args:
            state: Of the router.
            context: What the lesson is about.
            slot: Number of the model.
            lesson: What was seen of it.
            decisions: Decisions of the router at that time; with *time_ms*, how old evidence is.
            time_ms: That time.
            decision: What chose the model; None where nothing did.
            gathering: What takes the lesson, to be learnt later; None to learn it now.
        """
        model = self.catalog.by_slot.get(slot)
        if model is None or state.features is None or state.belief is None:
            return None  # the model was removed: what was seen of it stays in the log
        if context.embedding.shape[0] != state.features.input_dimension:
            return None  # logged before the router was made anew under its name, with another embedding
        if state.policy.change.fades:
            kept = state.changes.see(model.slot, state.policy.change, decisions, time_ms)
            if kept < 1.0 and isinstance(state.belief, ChangingBelief):
                if gathering is not None:
                    gathering.flush()
                state.belief.fade(model, kept)
        if gathering is not None:
            gathering.add(model, context, lesson)
            return None
        row = self.encoded(state.features, context)
        return state.belief.learn(model, row, lesson, context.category, decision)

    def _apply_health(self, position: int, record: HealthChange) -> None:
        if record.slot not in self.catalog.by_slot:
            return
        self.health[record.slot] = turn(record, position, self._time_ms)
        self._note_unhealthy()
        for state in self.routers.values():
            if any(model.slot == record.slot for model in state.offered(self.catalog)):
                self._settle(state, position)

    def _apply_alarm(self, position: int, record: ChangeAlarm) -> None:
        state = self.routers.get(record.router_id)
        if state is None or record.slot not in self.catalog.by_slot:
            return
        mark = state.changes.sound(position, self._time_ms, record)
        for each in state.everyone:
            if each.belief is not None:
                do_again(each.belief, mark, self.catalog.by_slot)
        if state.pacer is not None:
            state.pacer.doubt()
            state.reconsider_price(self.catalog, self._time_ms)
        self._settle(state, position)

    def _apply_promotion(self, position: int, record: Promotion) -> None:
        state = self.routers.get(record.router_id)
        if state is None or record.name not in state.shadows:
            return
        shadow, former = state.shadows[record.name], state.router.policy_name
        state.router = promoted(state.router, record.name)
        # What was learnt changes places; what happened to the router stays.
        shadow.router = replace(shadow.router, policy=next(p.policy for p in state.router.shadows if p.name == former))
        shadow.policy, state.policy = state.policy, shadow.policy
        former_encoding = state.encoding
        state.encode_by(shadow.encoding)
        shadow.encode_by(former_encoding)
        shadow.belief, state.belief = state.belief, shadow.belief
        shadow.changes.seen, state.changes.seen = state.changes.seen, shadow.changes.seen
        state.changes.sums.clear()
        state.changes.listen()
        state.shadows = {p.name: state.shadows.get(p.name, shadow) for p in state.router.shadows}
        # There is no way back from a way back but the rule's for any shadow.
        state.former = "" if record.cause.goes_back else former
        state.promotion_ms = self._time_ms
        self._open_accounts(state)
        self._settle(state, position)

    def _open_accounts(self, state: RouterState) -> None:
        """Begin all comparisons anew: another policy decides."""
        for each in state.everyone:
            each.account = Account()

    def _apply_model(self, position: int, record: ModelChange) -> None:
        old = self.catalog.get(record.model_id)
        if record.model is None:
            self.catalog = self.catalog.without_model(record.model_id)
            self.health.pop(record.slot, None)
            self._note_unhealthy()
        else:
            self.catalog = self.catalog.with_model(record.model)
        for state in self.routers.values():
            for each in state.everyone:
                if each.belief is not None:
                    each.belief.change_model(old, record.model)
            if state.pacer is not None:
                state.pacer.reprice(record.slot, price_factor(old, record.model))
            if record.model is None:
                for each in state.everyone:
                    each.changes.drop(record.slot)
                state.arrival.drop(record.slot)
            elif old is None:
                self._welcome(state, position, record.model)
            self._settle(state, position)

    def _welcome(self, state: RouterState, position: int, model: ModelSpec) -> None:
        """Start a model that is new to a router: like its sibling, and with a bounded share where others are known."""
        if model.slot not in {offered.slot for offered in state.offered(self.catalog)}:
            return
        if state.observed >= state.policy.change.newcomer_outcomes:
            state.changes.welcome(model.slot, state.policy.change)
        sibling = self.catalog.get(model.sibling_model_id)
        if sibling is not None and state.belief is not None:
            mark = state.changes.mark(Mark(position, model.slot, -1, sibling.slot))
            for each in state.everyone:
                if each.belief is not None:
                    do_again(each.belief, mark, self.catalog.by_slot)

    def _apply_router(self, position: int, record: RouterChange, log: LogView) -> None:
        router = record.router
        if router is None:
            self.routers.pop(record.router_id, None)
            return
        policy = resolve(router.policy)
        state = self.routers.get(record.router_id)
        if state is None:
            # A router that is made anew under an old name has nothing to do with what came before.
            self.routers[record.router_id] = RouterState(
                router, policy, version=position, settings_version=position, forgotten=((0, position),)
            )
            return
        changed = relearns(state.router, state.policy, router, policy)
        before = state.offered(self.catalog)
        encodings = state.encodings
        if state.policy != policy:
            self._open_accounts(state)
        state.router, state.policy = router, policy
        self._keep_shadows(state, encodings, position, log)
        self._settle(state, position)
        state.pacer = _pacer(state.pacer, router.budget)
        for model in state.offered(self.catalog):
            if model not in before and model.slot not in state.decision_counts:
                self._welcome(state, position, model)
        if state.features is None or state.features.kind is not policy.features:
            # Where nobody has an encoding of the new kind, a seeded start follows as a record of its own, and a fit
            # where enough prompts were seen.
            state.features, state.belief, state.next_fit = None, None, FIRST_FIT_PROMPTS
            if policy.features in encodings:
                state.encode_by(encodings[policy.features])
                changed = True
        if state.features is not None and changed:
            self._rebuild(state, position, log, state.decision_count)

    def _keep_shadows(
        self, state: RouterState, encodings: Mapping[FeatureKind, Encoding], position: int, log: LogView
    ) -> None:
        """Bring the shadows in line with the router's settings; one that is new learns from the log.

        Args:
            state: Of the router.
            encodings: Those that there were before, by which new shadows can begin.
            position: Of the change.
            log: What came before.
        """
        kept = state.shadows
        state.shadows = {}
        for wanted in state.router.shadows:
            fresh = state.new_shadow(wanted.policy)
            shadow = kept.get(wanted.name, fresh)
            if relearns(shadow.router, shadow.policy, fresh.router, fresh.policy):
                shadow = fresh
            shadow.router = fresh.router
            state.shadows[wanted.name] = shadow
            if encodings and (shadow is fresh or shadow.features is None):
                self._start_shadow(state, shadow, encodings, position, log)

    def _start_shadow(
        self,
        state: RouterState,
        shadow: RouterState,
        encodings: Mapping[FeatureKind, Encoding],
        position: int,
        log: LogView,
    ) -> None:
        """Give a shadow its encoding, where there is one or it needs none, and have it learn under it."""
        if shadow.policy.features in encodings:
            shadow.encode_by(encodings[shadow.policy.features])
        elif shadow.policy.features is _BLIND:
            shadow.features = intercept_spec(state.router.embedding_dimension)
        else:
            return  # its seeded start follows
        self._relearn(state, shadow, position, log)

    def _relearn(self, state: RouterState, each: RouterState, position: int, log: LogView) -> None:
        """Have one of a router's policies learn anew under its encoding."""
        each.forgotten = state.forgotten
        each.changes.marks = list(state.changes.marks)
        self._rebuild(each, position, log, state.decision_count)

    def _apply_fit(self, position: int, record: FeatureFit, log: LogView) -> None:
        state = self.routers.get(record.router_id)
        if state is None:
            return
        features = decode_spec(record.spec)
        self._settle(state, position)
        for each in state.everyone:
            if each.policy.features is features.kind:
                is_new = each.features is None or each.features.fingerprint != features.fingerprint
                each.fit_position = position if record.prompt_count else 0
                while record.prompt_count and each.next_fit <= state.prompt_count:
                    each.next_fit *= FIT_GROWTH
                # What was learnt under an encoding that stays is as good, but for what a restore has taken back since.
                if is_new or each.forgotten != state.forgotten:
                    each.features = features
                    self._relearn(state, each, position, log)
            elif each.features is None and each.policy.features is _BLIND:
                each.features = intercept_spec(features.input_dimension)
                self._relearn(state, each, position, log)

    def _rebuild(self, state: RouterState, position: int, log: LogView, decision_count: int) -> None:
        """Learn anew from the log, but for shadows.

        How many decisions there had been at each outcome is not in the log: as if the newest of the *decision_count*
        had one each.
        """
        assert state.features is not None
        belief = make_belief(state.policy, state.features, state.router, self.catalog.models)
        gathering = Gathering(belief, state.features) if isinstance(belief, GatheringBelief) else None
        state.belief = belief
        state.changes.seen.clear()
        entries = log.newest_outcomes(state.router.router_id, position, REBUILD_OUTCOMES_MAX)
        if entries and entries[0].position <= state.forgotten_to:
            entries = [entry for entry in entries if not state.has_forgotten(entry.position)]
        marks = [mark for mark in state.changes.marks if not state.has_forgotten(mark.position)]
        decisions = decision_count - len(entries)
        for entry in entries:
            decisions += 1
            is_marked = bool(marks) and marks[0].position < entry.position
            if gathering is not None and (is_marked or isinstance(entry.record, ComparisonRecord | LeaderboardPrior)):
                gathering.flush()
            while marks and marks[0].position < entry.position:
                do_again(belief, marks.pop(0), self.catalog.by_slot)
            if isinstance(entry.record, OutcomeRecord) and entry.record.ruling.lesson.metrics is not _NO_METRICS:
                decided = log.decision(entry.record.decision_position)
                lesson = entry.record.ruling.lesson
                self._learn_outcome(state, lesson, decisions, entry.time_ms, decided, gathering)
            elif isinstance(entry.record, ComparisonRecord) and entry.record.status is OutcomeStatus.APPLIED:
                self._learn_comparison(state, entry.record, log)
            elif isinstance(entry.record, Example):
                self._learn_example(state, entry.record, decisions, entry.time_ms, gathering)
            elif isinstance(entry.record, LeaderboardPrior):
                self._suppose(state, entry.record)
            elif isinstance(entry.record, Expiry) and entry.record.quality is not None:
                lesson = Lesson(quality=entry.record.quality)
                for decision_position in entry.record.decision_positions:
                    decided = log.decision(decision_position)
                    self._learn(
                        state, decided.context, decided.slot, lesson, decisions, entry.time_ms, decided, gathering
                    )
        if gathering is not None:
            gathering.flush()
        for mark in marks:
            do_again(belief, mark, self.catalog.by_slot)

    def _apply_restore(self, position: int, record: Restore, log: LogView) -> None:
        state = self.routers.get(record.router_id)
        if state is None:
            return
        header, arrays = decode_state(record.state)
        state.forgotten = (*state.forgotten, (record.policy_version, position))
        try:
            state.load_belief(header, arrays)
        except DataLossError:
            # An earlier version stored it in another form: what it knew is learnt anew.
            if state.features is not None:
                self._rebuild(state, position, log, state.decision_count)
        if state.belief is not None:
            for model in self.catalog.models:  # they may have changed since
                state.belief.change_model(None, model)
        # What the detectors have summed up and when a model was last seen belongs to the belief; the rest is as it is.
        then = Changes.of_header(header["changes"]) if "changes" in header else Changes()
        state.changes.sums, state.changes.seen = then.sums, then.seen
        for slot in (state.changes.sums.keys() | state.changes.seen.keys()) - self.catalog.by_slot.keys():
            state.changes.sums.pop(slot, None)
            state.changes.seen.pop(slot, None)
        state.changes.listen()
        self._settle(state, position)


def _health_values(slot: int, health: ModelHealth) -> list[Any]:
    results = [[time_ms, int(failure)] for time_ms, failure in health.results]
    return [slot, int(health.state), health.since_position, health.since_ms, health.until_ms, health.trips, results]


def _health_of(values: list[Any]) -> tuple[int, ModelHealth]:
    slot, state, since_position, since_ms, until_ms, trips, results = values
    read = tuple((time_ms, Failure(failure)) for time_ms, failure in results)
    return slot, ModelHealth(Health(state), since_position, since_ms, until_ms, trips, read)


def _pacer(old: Pacer | None, budget: Budget | None) -> Pacer | None:
    """Return the pacer of a router whose budget is *budget* now."""
    if budget is None or old is None:
        return None if budget is None else Pacer(budget)
    if budget != old.budget:
        old.change_budget(budget)
    return old


def price_factor(old: ModelSpec | None, new: ModelSpec | None) -> float:
    """Return by what a change of price multiplies the cost of a call; 1 where that cannot be said."""
    if old is None or new is None or old.price is None or new.price is None:
        return 1.0
    before = old.price.blended_mtok_usd
    return new.price.blended_mtok_usd / before if before > 0.0 else 1.0
