"""Categories: shrunk as far as the evidence says, named by the caller or found by the router."""

import numpy as np
import pytest

from banditd.domain.context import Context
from banditd.domain.decision import Objective
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.features.encode import encode
from banditd.features.fit import CLUSTERS, fit_spec, seeded_spec
from banditd.features.spec import FeatureKind, decode_spec, encode_spec
from banditd.policies.beliefs import category
from banditd.policies.beliefs.category import cluster_of
from banditd.routing.choose import Terms, choose
from banditd_sim.environments.engine import Engine

DIMENSION = 16
NO_TERMS = Terms(Objective())
NAMES = ("code", "chat", "law")


def engine_of(models, preset="category", **parameters):
    """Return an engine; model k is best in category k where there is anything to learn."""
    router = RouterSpec("r", PolicySpec(preset, parameters), embedding_dimension=DIMENSION)
    return Engine(router, tuple(ModelSpec(k, f"m{k}") for k in range(models)), 3)


def teach(engine, rounds, quality, seed=0, names=NAMES):
    """Route prompts of the named categories and learn what *quality* says of category and model."""
    rng = np.random.default_rng(seed)
    got = []
    for _ in range(rounds):
        c = int(rng.integers(len(names)))
        x = rng.standard_normal(DIMENSION).astype(np.float16)
        position, decision = engine.route(x, NO_TERMS, category=names[c])
        value = float(np.clip(quality(c, decision.choice.index) + 0.1 * rng.standard_normal(), 0, 1))
        got.append(quality(c, decision.choice.index))
        engine.learn(position, decision, Lesson(quality=value))
    return got


def expected(engine, name):
    """Return the expected qualities in a category."""
    snapshot = engine.snapshot.routers["r"]
    context = Context(np.ones(DIMENSION, np.float16), category=name)
    return choose(snapshot, context, NO_TERMS, 0.5).expected[0]


def test_it_learns_who_is_best_in_each_of_the_callers_categories():
    """And a model that ignores the category gets no more than the mean."""
    engine = engine_of(3)
    got = teach(engine, 600, lambda c, k: 0.8 if c == k else 0.4)
    assert np.mean(got[-200:]) > 0.78
    assert [int(expected(engine, name).argmax()) for name in NAMES] == [0, 1, 2]
    blind = engine_of(3, "constant")
    assert np.mean(teach(blind, 600, lambda c, k: 0.8 if c == k else 0.4)[-200:]) < 0.65


@pytest.mark.parametrize("preset", ["linucb", "nonlinear", "lin_thompson", "adaptive", "duel"])
def test_who_looks_at_prompts_sees_the_callers_category_too(preset):
    """Embeddings say nothing here: what is gained over a blind belief comes from the name."""
    engine = engine_of(3, preset)
    got = teach(engine, 600, lambda c, k: 0.9 if c == k else 0.3)
    assert np.mean(got[-200:]) > 0.7  # 0.5 without
    assert engine.state.routers["r"].features.categories == tuple(sorted(NAMES))
    assert [int(expected(engine, name).argmax()) for name in NAMES] == [0, 1, 2]


@pytest.mark.parametrize("matters", [False, True])
def test_how_far_a_regression_leans_on_categories_is_chosen_apart(matters):
    """By likelihood: names that say nothing are held down, and those that do not, where embeddings are."""
    engine = engine_of(3, "linucb", floor=1.0)
    teach(engine, 1200, lambda c, k: 0.3 + (0.4 if c == k and matters else 0.0))
    penalties = engine.state.routers["r"].belief._slope_prior.penalties
    assert len(set(penalties[-3:].tolist())) == 1
    assert penalties[-1] <= 4.0 if matters else penalties[-1] >= 32.0
    assert penalties[-4] >= 8.0, "nothing depends on embeddings"


def test_where_evidence_fades_the_configured_penalty_stays():
    """What is likely of a mixture of worlds is no prior for the next one."""
    engine = engine_of(3, "adaptive", floor=1.0)
    teach(engine, 600, lambda c, k: 0.5)
    belief = engine.state.routers["r"].belief
    assert belief._slope_prior.penalties[-3:].tolist() == [belief._penalties[1, -1]] * 3


def test_prompts_of_no_category_are_told_from_those_of_a_common_one():
    """However few they are: the columns are centred over all prompts."""
    engine = engine_of(2, "linucb", floor=1.0)
    names = ("code",) * 19 + ("",)
    teach(engine, 600, lambda c, k: 0.8 if (c < 19) == (k == 0) else 0.3, names=names)
    assert [int(expected(engine, name).argmax()) for name in ("code", "")] == [0, 1]
    assert expected(engine, "")[0] < 0.45


def test_categories_that_say_nothing_are_shrunk_to_the_model():
    """The evidence finds the variance between them to be small; where they differ, to be large."""
    same, other = engine_of(2, floor=1.0), engine_of(2, floor=1.0)
    teach(same, 400, lambda c, k: 0.3 + 0.3 * k)
    teach(other, 400, lambda c, k: (0.3, 0.5, 0.7)[(c + k) % 3])
    assert same.state.routers["r"].belief._between[0] < 0.03
    assert other.state.routers["r"].belief._between[0] > 0.1
    spread = np.ptp([expected(same, name)[0] for name in NAMES])
    assert spread < 0.02


def test_an_unseen_category_starts_from_what_the_model_does_elsewhere():
    """With the variance between categories on top of its spread."""
    engine = engine_of(2, floor=1.0)
    teach(engine, 400, lambda c, k: 0.2 + 0.5 * k)
    assert expected(engine, "new") == pytest.approx([0.2, 0.7], abs=0.05)
    table = engine.snapshot.routers["r"].belief.table
    assert (table[-1, 1] > table[:-1, 1]).all()


def test_it_is_the_posterior_of_the_normal_normal_model():
    """Against numbers worked out by hand: 4 values of mean 0.9 in one category, none elsewhere."""
    engine = engine_of(1)
    belief = engine.state.routers["r"].belief
    features = engine.state.routers["r"].features
    row = encode(features, Context(np.ones(DIMENSION, np.float16), 10))
    model = ModelSpec(0, "m0")
    for _ in range(4):
        belief.learn(model, row, Lesson(quality=0.9))
    noise, between = 10 * 0.0625 / 13.0, belief._between[0] ** 2
    weight = 1.0 / (between + noise / 4)
    common = (0.5 / noise + weight * 0.9) / (1.0 / noise + weight)
    own = between / (between + noise / 4)
    table = belief.freeze((model,)).table
    assert table[0, 0, 0] == pytest.approx(common + own * (0.9 - common))
    assert table[1, 0, 0] == pytest.approx(common)
    variance = between * (1 - own) + (1 - own) ** 2 / (1.0 / noise + weight)
    assert table[0, 1, 0] == pytest.approx(np.sqrt(variance))


def test_there_is_an_end_to_the_categories_that_have_rows(monkeypatch):
    """What comes later is learnt of the model, and is expected like an unseen one."""
    monkeypatch.setattr(category, "CATEGORIES_MAX", 2)
    engine = engine_of(2, floor=1.0)
    teach(engine, 90, lambda c, k: 0.5)
    state = engine.state.routers["r"]
    assert len(state.belief._keys) == 2
    assert sum(state.belief.summary(ModelSpec(k, f"m{k}")).quality_count for k in range(2)) == 90


def prompts(count, seed):
    """Prompts around three directions."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 3, count)
    x = np.eye(DIMENSION)[kinds] + 0.15 * rng.standard_normal((count, DIMENSION))
    return kinds, (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16)


def test_without_names_the_router_finds_clusters_by_itself():
    """After the first fit of the encoding it tells the kinds of prompts apart, and beats a policy that does not."""
    last = {}
    for preset in ("category", "constant"):
        engine, got = engine_of(3, preset), []
        kinds, x = prompts(1200, 1)
        rng = np.random.default_rng(2)
        for kind, prompt in zip(kinds, x, strict=True):
            position, decision = engine.route(prompt, NO_TERMS)
            quality = 0.8 if decision.choice.index == kind else 0.4
            got.append(quality)
            engine.learn(
                position, decision, Lesson(quality=float(np.clip(quality + 0.1 * rng.standard_normal(), 0, 1)))
            )
        last[preset] = np.mean(got[-300:])
    assert last["category"] > 0.75 > last["constant"]


def test_clusters_keep_their_numbers_when_they_are_fitted_again():
    """The centres start from those before: what was cluster 5 is cluster 5."""
    _, first = prompts(256, 3)
    _, later = prompts(1024, 4)
    one = fit_spec(FeatureKind.CLUSTERS, first, 9, seeded_spec(FeatureKind.CLUSTERS, DIMENSION, 9))
    two = fit_spec(FeatureKind.CLUSTERS, later, 9, one)
    assert one.basis.shape == (DIMENSION, CLUSTERS)
    moved = np.sum(one.basis.astype(float) * two.basis, axis=0)
    assert (moved > 0.5).all()
    np.testing.assert_array_equal(one.centre, two.centre)
    fresh = fit_spec(FeatureKind.CLUSTERS, later, 1)
    assert (
        np.sum(one.basis.astype(float) * fresh.basis, axis=0) < 0.5
    ).any()  # the control: from the start, they do not
    assert decode_spec(encode_spec(two)).fingerprint == two.fingerprint
    kinds, x = prompts(200, 5)
    found = [cluster_of(encode(two, Context(prompt)), CLUSTERS) for prompt in x]
    for cluster in set(found):
        assert len({int(k) for k, f in zip(kinds, found, strict=True) if f == cluster}) == 1


def test_columns_of_categories_are_no_clusters():
    """In a portfolio rows have both."""
    assert cluster_of(np.array([1.0, 0.0, -2.0, -1.0, 0.9, 0.0], np.float32), 2) == 1


def test_prompts_that_are_all_alike_make_no_trouble():
    """There is nothing to be told apart, and nothing is no number."""
    spec = fit_spec(FeatureKind.CLUSTERS, np.ones((300, DIMENSION), np.float16), 1)
    assert np.isfinite(spec.basis).all()
    assert np.isfinite(encode(spec, Context(np.ones(DIMENSION, np.float16), 5))).all()


def test_a_price_that_becomes_known_shifts_what_was_learnt_of_costs():
    """Dollars become ratios to the price: what is expected stays."""
    engine = engine_of(1)
    belief, model = engine.state.routers["r"].belief, ModelSpec(0, "m0")
    row = encode(engine.state.routers["r"].features, Context(np.ones(DIMENSION, np.float16), 10))
    for _ in range(200):
        belief.learn(model, row, Lesson(cost_usd=0.002))
    before = belief.summary(model).cost_usd
    priced = ModelSpec(0, "m0", Price(2.0, 2.0))
    belief.change_model(model, priced)
    assert belief.summary(priced).cost_usd == pytest.approx(before, rel=1e-9)
    assert belief.freeze((priced,)).table[0, 2, 0] == pytest.approx(0.002, rel=0.05)
