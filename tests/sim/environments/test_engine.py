"""The engine is the shipped learner: what it takes short cuts for gives the same bits as what the server does."""

import msgspec
import numpy as np
import pytest

from banditd.domain.context import Context
from banditd.domain.decision import Objective
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Failure, Lesson
from banditd.domain.records import ModelChange, Restore, RouterChange
from banditd.domain.router import NamedPolicy, PolicySpec, RouterSpec
from banditd.learner.router_state import FIRST_FIT_PROMPTS, FIT_GROWTH
from banditd.policies.registry import PRESETS
from banditd.routing.choose import Terms
from banditd_sim.environments.engine import Engine

D, K, N = 8, 3, 400
X = np.random.default_rng(5).standard_normal((N, D)).astype(np.float16)
Q = np.random.default_rng(6).random((N, K))
MODELS = tuple(ModelSpec(k, f"m{k}", Price(k + 1.0, k + 2.0)) for k in range(K))
TERMS = Terms(Objective(usd_weight=3.0))


def engine(preset="linucb", seed=0, **parameters):
    """Return a fresh engine."""
    return Engine(RouterSpec("default", PolicySpec(preset, parameters), embedding_dimension=D), MODELS, seed)


def go(one, rounds, learn=True):
    """Decide and learn; returns what was decided, to the bit."""
    seen = []
    for t in rounds:
        position, decision = one.route(X[t], TERMS)
        k = decision.slot
        seen.append((k, decision.choice.pmf.tobytes(), decision.choice.expected.tobytes(), decision.policy_version))
        if learn:
            lesson = Lesson(float(Q[t, k]), 1e-3 * (k + 1), MODELS[k].price.blended_mtok_usd)
            one.learn(position, decision, lesson)
    return seen


def same(a, b):
    """Hold two router snapshots equal in everything that a decision reads."""
    assert (a.router, a.policy, a.features, a.models, a.version) == (
        b.router,
        b.policy,
        b.features,
        b.models,
        b.version,
    )
    for name in ("slots", "exclusions"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes()
    assert (a.window_tokens_min, a.fallback_index, dict(a.index_of)) == (
        b.window_tokens_min,
        b.fallback_index,
        dict(b.index_of),
    )
    row = np.linspace(-1.0, 1.0, a.features.row_width, dtype=np.float32)
    assert a.belief.predict(row).values.tobytes() == b.belief.predict(row).values.tobytes()
    assert a.belief.learnt_count == b.belief.learnt_count


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_snapshot_is_the_published_one(preset):
    """After outcomes, fits and changes of settings alike."""
    one = engine(preset)
    for step in range(6):
        go(one, range(60 * step, 60 * step + 60))
        if step == 2:
            one.append(ModelChange("m1", 1, ModelSpec(1, "m1", Price(9.0, 9.0))))
        if step == 3:
            router = one.router.router
            one.append(RouterChange("default", RouterSpec("default", router.policy, D, quality_guess=0.7)))
        if step == 4:
            one.append(ModelChange("m2", 2, None))
        same(one.router_snapshot, one.snapshot.routers["default"])


@pytest.mark.parametrize("preset", ["linucb", "lin_thompson", "adaptive", "nonlinear"])
def test_a_restarted_engine_goes_on_as_if_nothing_had_been(preset):
    """Restarts at awkward moments: before anything, before and after a fit, with outcomes under way."""
    plain, stopped = engine(preset), engine(preset)
    stopped.restart()
    seen = go(plain, range(N))
    again = []
    for start, stop in ((0, 100), (100, 256), (256, 257), (257, N)):
        again += go(stopped, range(start, stop))
        stopped.restart()
    assert seen == again
    assert plain.router.digest() == stopped.router.digest()


def test_a_fork_shares_the_past_and_not_the_future():
    """What one learns, the other does not; on the same seed both decide alike."""
    base = engine("lin_thompson")
    go(base, range(300))
    digest = base.router.digest()
    a, b, other = base.fork(7), base.fork(7), base.fork(8)
    assert go(a, range(300, N)) == go(b, range(300, N))
    assert base.router.digest() == digest
    assert go(other, range(300, N)) != go(base.fork(7), range(300, N))


def test_a_failure_teaches_no_quality_and_is_counted():
    """It resolves its decision as censored."""
    one = engine()
    position, decision = one.route(X[0], TERMS)
    one.fail(position, decision, Failure.TIMEOUT)
    assert one.router.censored == 1
    assert one.router.failure_counts == {decision.slot: 1}
    assert one.router.belief.summary(MODELS[decision.slot]).quality_count == 0


def test_a_history_is_learnt_whole_under_the_encoding_that_stays():
    """Every outcome counts once; the fit saw each prompt once; and one ridge regression gives the same belief."""
    one = engine(shrinkage=0.0)
    prompts = [(Context(X[t]), [(k, Lesson(float(Q[t, k]))) for k in range(K)]) for t in range(N)]
    one.teach(prompts)
    state = one.router
    assert state.example_count == N
    assert state.decision_count == 0
    assert [state.belief.summary(model).quality_count for model in MODELS] == [N] * K
    assert state.fit_position > 0
    rows = np.stack([_encoded(state, X[t]) for t in range(N)]).astype(float)
    penalties = np.full(rows.shape[1], state.policy.slope_penalty)
    penalties[0] = state.policy.intercept_penalty
    prior = np.zeros(rows.shape[1])
    prior[0] = 0.5
    for k in range(K):
        a = np.diag(penalties) + rows.T @ rows
        theta = prior + np.linalg.solve(a, rows.T @ (Q[:, k] - rows @ prior))
        assert one.router_snapshot.belief.theta[:, 0, k] == pytest.approx(theta, abs=1e-5)


@pytest.mark.parametrize("moves", [False, True])
def test_nothing_is_learnt_anew_under_an_encoding_that_stays(moves):
    """The second fit finds the first as good, unless the prompts have moved meanwhile."""
    one, rng = engine(), np.random.default_rng(9)
    for t in range(FIRST_FIT_PROMPTS * FIT_GROWTH):
        x = rng.standard_normal(D).astype(np.float16) + np.float16(4.0 * (moves and t > FIRST_FIT_PROMPTS))
        position, decision = one.route(x, TERMS)
        one.learn(position, decision, Lesson(float(rng.random())))
    state = one.router
    features, belief, learnt, fitted = state.features, state.belief, state.belief.digest(), state.fit_position
    assert state.next_fit == FIRST_FIT_PROMPTS * FIT_GROWTH
    one.ready_snapshot()
    assert state.next_fit == FIRST_FIT_PROMPTS * FIT_GROWTH**2
    assert state.fit_position > fitted
    assert (state.features is features, state.belief is belief) == (not moves, not moves)
    assert (state.belief.digest() == learnt) == (not moves)


def test_an_encoding_that_stays_has_shadows_forget_what_a_restore_took_back():
    """A restore is of the policy that decides; with the next fit its shadows follow, though the encoding stays."""
    shadow = NamedPolicy("other", PolicySpec("lin_thompson"))
    router = RouterSpec("default", PolicySpec("linucb"), embedding_dimension=D, shadows=(shadow,))
    one, rng = Engine(router, MODELS, 0), np.random.default_rng(9)

    def live(rounds):
        for _ in range(rounds):
            position, decision = one.route(rng.standard_normal(D).astype(np.float16), TERMS)
            one.learn(position, decision, Lesson(float(rng.random())))

    live(300)
    position, state = one.router.version, one.router.to_bytes()
    live(200)
    one.append(Restore("default", position, state))
    features = one.router.features
    live(FIRST_FIT_PROMPTS * FIT_GROWTH - 500)
    learnt = [each.belief.freeze(MODELS).learnt_count for each in one.router.everyone]
    assert learnt == [FIRST_FIT_PROMPTS * FIT_GROWTH - 200, FIRST_FIT_PROMPTS * FIT_GROWTH]
    one.ready_snapshot()
    assert one.router.features is features
    learnt = [each.belief.freeze(MODELS).learnt_count for each in one.router.everyone]
    assert learnt == [FIRST_FIT_PROMPTS * FIT_GROWTH - 200] * 2


def test_the_fit_of_a_history_sees_each_prompt_once():
    """Of prompts with several outcomes each, the newest embeddings are distinct prompts."""
    one = engine()
    one.teach([(Context(X[t]), [(k, Lesson(float(Q[t, k]))) for k in range(K)]) for t in range(50)])
    found = one.log.newest_contexts("default", 1000)
    assert np.array_equal([context.embedding for context in found], X[:50])


def _encoded(state, x):
    from banditd.features.encode import encode

    return encode(state.features, Context(x))


def test_of_the_fallback_nothing_is_learnt():
    """As in the server: a decision that no policy made teaches none."""
    one = engine()
    position, decision = one.route(X[0], TERMS)
    digest = one.router.belief.digest()
    one.learn(position, msgspec.structs.replace(decision, learnable=False), Lesson(1.0))
    assert one.router.belief.digest() == digest


def test_a_live_snapshot_is_overwritten_and_a_published_one_is_not():
    """Both say the same when they are made; what was published keeps its bits and its version."""
    one = engine()
    go(one, range(60))
    row = np.ones(one.router.features.row_width, np.float32)
    live = one.ready_snapshot()
    kept = one.router_snapshot
    said = kept.belief.predict(row).values
    np.testing.assert_array_equal(live.belief.predict(row).values, said)
    assert live.version == kept.version == one.router.version
    go(one, range(60, 120))
    np.testing.assert_array_equal(kept.belief.predict(row).values, said)
    assert kept.version < one.router.version
    again = one.ready_snapshot()
    assert again is not kept
    assert again.version == one.router.version
    position, decision = one.route(X[0], TERMS)
    one.learn(position, decision, Lesson(0.5))
    assert one.ready_snapshot() is again
