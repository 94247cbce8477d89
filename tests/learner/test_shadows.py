"""Shadows through a real writer: what is known of them and who decides is the same after any restart."""

import random
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from banditd.domain.outcome import Failure, Metric
from banditd.domain.promotion import Promotion, PromotionCause, PromotionRule, Verdict
from banditd.domain.records import ChangeAlarm, FeatureFit, Restore, RouterChange
from banditd.domain.router import NamedPolicy, PolicySpec
from banditd.features.spec import FeatureKind, decode_spec
from banditd.learner.commands import ChangeSettings
from banditd.learner.recovery import recover, replay
from banditd.learner.router_state import RouterState, missing_fits, promotion_records
from banditd.learner.state import LearnerState
from banditd.policies.registry import resolve
from banditd.policies.snapshot_codec import encode_state

from .rig import digests_of
from .world import router_change

# Its belief differs from the live policy's, not only its explorer.
GREEDY = NamedPolicy("greedy", PolicySpec("epsilon_greedy", MappingProxyType({"slope_penalty": 4.0})))
BLIND = NamedPolicy("blind", PolicySpec("constant"))
# Quality, cost and latency of the two models, as the live policy expects them.
EXPECTED = np.array([[0.5, 0.5], [0.001, 0.002], [100.0, 100.0]], np.float32)
AUTOMATIC = PromotionRule(is_automatic=True, effective_samples_min=50.0)


def facts(rig, kind):
    """Return the records of a kind, oldest first."""
    return [entry.record for entry in rig.log.scan(0) if isinstance(entry.record, kind)]


def same_everywhere(rig):
    """Live, recovered and folded states are the same."""
    recovered, folded = recover(rig.log, rig.snapshots), replay(LearnerState(), rig.log)
    assert digests_of(recovered) == digests_of(folded) == rig.digests()
    return recovered


def live_for(rig, count, seed=0, good=1):
    """Decide uniformly; the answers of one model are good and those of the other bad, nine times in ten."""
    rng = random.Random(seed)
    for _ in range(count):
        slot = rng.randrange(2)
        (made,) = rig.decide(slot=slot, rng=rng, expected=EXPECTED)
        quality = float((slot == good) != (rng.random() < 0.1))
        rig.report(made, quality=quality, cost_usd=0.001 * (slot + 1), latency_ms=100.0)


def promote(rig, name, cause=PromotionCause.ASKED):
    """Promote as the server does."""

    def decide(state):
        router = state.routers["r"]
        return promotion_records(router, router.promotion(name, cause, "because"), rig.clock.now_ms())

    rig.do(ChangeSettings(decide))


@pytest.fixture
def shadowed(rig):
    """A router that decides by linucb and has two shadows."""
    rig.change(router_change(shadows=(GREEDY, BLIND)))
    return rig


def test_a_shadow_is_compared_by_what_it_would_have_drawn(shadowed):
    """Uniform draws earn 0.5, and whoever knows the good model 0.9; the bounds hold the difference."""
    live_for(shadowed, 300)
    for shadow in shadowed.state.routers["r"].shadows.values():
        figures = shadow.account.figures()
        assert figures.decisions == 300
        assert figures.waiting == 0
        assert figures.live == pytest.approx(0.5, abs=0.06)
        assert figures.shadow == pytest.approx(0.87, abs=0.08)
        assert figures.low < 0.37 < figures.high
        assert figures.low > 0.0
        assert figures.overlap == pytest.approx(0.51, abs=0.03)
        assert figures.shadow_cost_usd == pytest.approx(0.002, rel=0.1)
        assert figures.live_cost_usd == pytest.approx(0.0015, rel=0.1)


def test_what_is_known_of_shadows_survives_restarts(shadowed):
    """Snapshot and tail, and the whole log, give the bits of the life before; decisions may wait for their quality."""
    live_for(shadowed, 30)
    shadowed.decide(3)
    shadowed.take_snapshot()
    live_for(shadowed, 20, seed=1)
    recovered = same_everywhere(shadowed)
    ours = shadowed.state.routers["r"].shadows["greedy"].account.figures()
    assert recovered.routers["r"].shadows["greedy"].account.figures() == ours
    assert (ours.decisions, ours.waiting) == (50, 3)


def test_a_decision_without_a_quality_is_given_up(shadowed, clock):
    """A failure and a closed window leave nothing that waits."""
    (failed,) = shadowed.decide()
    shadowed.decide()
    shadowed.report(failed, failure=Failure.UNAVAILABLE)
    account = shadowed.state.routers["r"].shadows["greedy"].account
    assert account.figures().waiting == 1
    clock.advance(10_000_000)
    shadowed.tend()
    assert account.figures().waiting == 0
    same_everywhere(shadowed)


def test_a_new_shadow_learns_from_the_log(rig):
    """It believes what one that was there from the start believes."""
    rig.change(router_change(shadows=(GREEDY,)))
    live_for(rig, 40)
    rig.change(router_change(shadows=(GREEDY, NamedPolicy("late", GREEDY.policy))))
    shadows = rig.state.routers["r"].shadows
    assert shadows["late"].belief.digest() == shadows["greedy"].belief.digest()
    assert shadows["late"].account.figures().decisions == 0
    assert shadows["greedy"].account.figures().decisions == 40
    same_everywhere(rig)


def test_a_promotion_changes_places_and_replays(shadowed):
    """Belief and settings change hands, comparisons begin anew, and every way back to the state has it."""
    live_for(shadowed, 40)
    router = shadowed.state.routers["r"]
    belief, former = router.shadows["greedy"].belief.digest(), router.belief.digest()
    assert belief != former
    promote(shadowed, "greedy")
    assert router.router.policy == GREEDY.policy
    assert router.router.policy_name == "greedy"
    assert [shadow.name for shadow in router.router.shadows] == ["first", "blind"]
    assert router.belief.digest() == belief
    assert router.shadows["first"].belief.digest() == former
    assert router.shadows["blind"].account.figures().decisions == 0
    assert shadowed.writer.published.current.routers["r"].policy.preset == "epsilon_greedy"
    live_for(shadowed, 10, seed=2)
    same_everywhere(shadowed)
    shadowed.take_snapshot()
    live_for(shadowed, 10, seed=3)
    same_everywhere(shadowed)
    (record,) = facts(shadowed, Promotion)
    assert (record.name, record.former, record.cause, record.reason) == (
        "greedy",
        "first",
        PromotionCause.ASKED,
        "because",
    )
    assert record.decisions == 40


def test_a_promotion_ends_the_alarms_of_who_decided(shadowed):
    """One that is due, and not yet logged, was another policy's: nobody waits for it."""
    changes = shadowed.state.routers["r"].changes
    live_for(shadowed, 20)
    changes.sums[0][0] = 99.0, 0.0, 50.0
    changes.listen()
    assert changes.any_due
    promote(shadowed, "greedy")
    assert not changes.any_due
    assert list(changes.due("r")) == []


def test_the_rule_promotes_and_takes_back(rig, clock):
    """The better shadow takes over by itself; when the world turns, the former policy comes back, both on record."""
    rig.change(router_change(shadows=(GREEDY,), promotion=AUTOMATIC))
    live_for(rig, 200)
    rig.tend()
    (record,) = facts(rig, Promotion)
    assert record.cause is PromotionCause.RULE
    assert record.low > 0.0
    assert facts(rig, RouterChange)[-1].router.policy_name == "greedy"
    live_for(rig, 200, seed=5)
    assert rig.state.routers["r"].verdict("first", clock.now_ms()) is Verdict.PROMOTE
    rig.tend()
    assert [fact.cause for fact in facts(rig, Promotion)] == [PromotionCause.RULE, PromotionCause.ROLLBACK_RULE]
    assert rig.state.routers["r"].former == ""
    same_everywhere(rig)


def test_a_fit_and_an_alarm_reach_the_shadows(shadowed):
    """Both are learnt under the new encoding, and a changed metric is opened in each belief."""
    live_for(shadowed, 30)
    shadowed.decide(250, expected=EXPECTED)
    shadowed.tend()
    assert facts(shadowed, FeatureFit)[-1].prompt_count > 0
    router = shadowed.state.routers["r"]
    assert router.shadows["greedy"].features is router.features
    before = router.shadows["greedy"].belief.digest()
    shadowed.change(ChangeAlarm("r", 0, Metric.QUALITY, True, 11.0))
    assert router.shadows["greedy"].belief.digest() != before
    shadowed.take_snapshot()
    live_for(shadowed, 5, seed=3)
    same_everywhere(shadowed)


def test_another_policy_that_decides_begins_all_comparisons_anew(shadowed):
    """A setting that leaves it alone does not; a shadow that is taken away is gone with what it knew."""
    live_for(shadowed, 20)
    shadowed.change(router_change(shadows=(GREEDY, BLIND), quality_guess=0.5, switch_usd=0.5))
    router = shadowed.state.routers["r"]
    assert router.shadows["greedy"].account.figures().decisions == 20
    shadowed.change(router_change(preset="softmax", shadows=(GREEDY,)))
    assert list(router.shadows) == ["greedy"]
    assert router.shadows["greedy"].account.figures().decisions == 0
    same_everywhere(shadowed)


@pytest.mark.parametrize(
    "rule, verdict",
    [
        (PromotionRule(effective_samples_min=50.0), Verdict.PROMOTE),
        (PromotionRule(effective_samples_min=1e6), Verdict.FEW_SAMPLES),
        (PromotionRule(effective_samples_min=50.0, cost_ratio_max=1.2), Verdict.COST_GUARD),
        (PromotionRule(effective_samples_min=50.0, latency_ratio_max=0.9), Verdict.LATENCY_GUARD),
        (PromotionRule(effective_samples_min=50.0, margin=0.3), Verdict.NOT_BETTER),
    ],
)
def test_the_rule_looks_at_samples_cost_and_latency(rig, rule, verdict):
    """The shadow is better by 0.4, costs a third more, and takes as long; nothing is promoted unless that is asked."""
    rig.change(router_change(shadows=(GREEDY,), promotion=rule))
    live_for(rig, 200)
    assert rig.state.routers["r"].verdict("greedy", rig.clock.now_ms()) is verdict
    rig.tend()
    assert facts(rig, Promotion) == []


# A policy for each way of encoding a prompt.
OTHERS = (
    NamedPolicy("rows", PolicySpec("linucb")),
    NamedPolicy("greedy", GREEDY.policy),
    NamedPolicy("fourier", PolicySpec("nonlinear")),
    NamedPolicy("clusters", PolicySpec("category")),
    BLIND,
)


def settle(rig, change):
    """Log a change of a router as the server would: with the seeded starts that it lacks."""
    rig.change(change, *missing_fits(change.router, rig.state.routers.get("r")))


def blind_router(rig, **fields):
    """Log a router that decides without looking."""
    settle(rig, router_change(preset="constant", **fields))


def kinds_of(router):
    """Return the kinds of encodings by the names of the policies."""
    return {name: shadow.features.kind for name, shadow in router.shadows.items()}


def test_policies_that_encode_in_other_ways_are_watched_beside_one_that_does_not(rig):
    """Each kind has its own start and its own fits, which those who need the same share."""
    blind_router(rig, shadows=OTHERS)
    router = rig.state.routers["r"]
    wanted = {shadow.name: resolve(shadow.policy).features for shadow in OTHERS}
    assert kinds_of(router) == wanted
    assert len(set(wanted.values())) == 4
    live_for(rig, 300)
    assert not any(fit.prompt_count for fit in facts(rig, FeatureFit))
    rig.tend()
    fits = [decode_spec(fit.spec).kind for fit in facts(rig, FeatureFit) if fit.prompt_count]
    assert sorted(fits) == sorted({FeatureKind.LINEAR, FeatureKind.FOURIER, FeatureKind.CLUSTERS})
    assert router.shadows["rows"].features is router.shadows["greedy"].features
    for shadow in router.shadows.values():
        assert shadow.account.figures().decisions == 300
        assert shadow.account.figures().low > 0.0, "each finds the good model, which uniform draws do not"
    same_everywhere(rig)
    rig.take_snapshot()
    live_for(rig, 20, seed=4)
    same_everywhere(rig)


def test_a_shadow_that_comes_late_has_its_encoding_fitted_at_once(rig):
    """On what the log has; after that it believes what it would as the one that decides."""
    blind_router(rig)
    live_for(rig, 300)
    rig.tend()
    blind_router(rig, shadows=OTHERS[:1])
    rig.tend()
    assert facts(rig, FeatureFit)[-1].prompt_count == 300
    promote(rig, "rows")
    router = rig.state.routers["r"]
    assert router.features.kind is FeatureKind.LINEAR
    assert router.next_fit > 300
    assert router.shadows["first"].features.kind is FeatureKind.INTERCEPT_ONLY
    live_for(rig, 20, seed=4)
    same_everywhere(rig)
    promote(rig, "first", PromotionCause.ROLLBACK)
    assert rig.state.routers["r"].features.kind is FeatureKind.INTERCEPT_ONLY
    live_for(rig, 20, seed=5)
    same_everywhere(rig)


def test_who_decides_may_take_over_the_encoding_of_a_shadow(rig):
    """By a change of settings, too: what was fitted for the one is there for the other."""
    blind_router(rig, shadows=OTHERS[:1])
    live_for(rig, 300)
    rig.tend()
    fitted, fits = rig.state.routers["r"].shadows["rows"].features, len(facts(rig, FeatureFit))
    change = router_change(shadows=(OTHERS[2],))
    settle(rig, change)
    router = rig.state.routers["r"]
    assert router.features is fitted
    assert router.shadows["fourier"].features.kind is FeatureKind.FOURIER
    assert len(facts(rig, FeatureFit)) == fits + 1
    same_everywhere(rig)
    rig.tend()
    assert facts(rig, FeatureFit)[-1].prompt_count == 300
    same_everywhere(rig)


def test_a_restore_to_before_the_first_prompt_leaves_nobody_without_an_encoding(rig):
    """Who decides takes that of a shadow of its kind; one who decided and has none gets it as a shadow."""
    nothing = RouterState(
        router_change(dimension=0, shadows=(GREEDY,)).router, resolve(PolicySpec("linucb"))
    ).to_bytes()
    change = router_change(shadows=(GREEDY,))
    for promotes in (False, True):
        settle(rig, change)
        live_for(rig, 20)
        rig.change(Restore("r", 1, nothing))
        router = rig.state.routers["r"]
        assert router.features is None
        if promotes:
            promote(rig, "greedy")
        again = replace(router.router, update_time_ms=5)
        settle(rig, RouterChange("r", again))
        assert all(each.features is not None and each.belief is not None for each in router.everyone)
        same_everywhere(rig)


def test_a_restored_state_in_an_earlier_form_is_learnt_anew(rig):
    """Without what the restore takes back; before, such a log could not be read any more."""
    change = router_change(preset="portfolio")
    settle(rig, change)
    live_for(rig, 20)
    router, position = rig.state.routers["r"], rig.state.position
    known = router.belief.summary(rig.state.catalog.by_slot[0]).quality_count
    arrays = router.to_arrays()
    arrays["portfolio/values"] = arrays["portfolio/values"][0, 0]
    stored = encode_state(router.header(), arrays)
    live_for(rig, 20, seed=2)
    rig.change(Restore("r", position, stored))
    assert router.belief.summary(rig.state.catalog.by_slot[0]).quality_count == known
    same_everywhere(rig)


def test_policies_that_encode_alike_share_an_encoding_after_a_start_too(rig):
    """So that a prompt is encoded once for them all."""
    blind_router(rig, shadows=OTHERS[:2])
    live_for(rig, 10)
    rig.take_snapshot()
    shadows = recover(rig.log, rig.snapshots).routers["r"].shadows
    assert shadows["rows"].features is shadows["greedy"].features
