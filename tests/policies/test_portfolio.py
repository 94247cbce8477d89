"""A portfolio follows whom the outcomes favour, with the propensities of the mix."""

from dataclasses import replace

import numpy as np
import pytest

from banditd.domain.context import Context
from banditd.domain.decision import Objective
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.records import Example, LeaderboardPrior, PastChoice
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.errors import DataLossError, InvalidArgumentError
from banditd.features.spec import FeatureKind
from banditd.policies.base import PolicySnapshot, Prediction, Question
from banditd.policies.beliefs.factory import supposes, weighs
from banditd.policies.portfolio import PortfolioSnapshot
from banditd.policies.registry import resolve
from banditd.routing.choose import Terms
from banditd_sim.environments.engine import Engine

DIMENSION, MODELS = 8, 3
FREE = Terms(Objective())
EVERYONE = np.ones(MODELS, np.bool_)
WITH_VOWPAL = "linucb category knn constant vowpal_squarecb"


def engine_of(members="linucb category knn constant", **parameters):
    """Return an engine of three models, the later the dearer."""
    router = RouterSpec("r", PolicySpec("portfolio", parameters, {"members": members}), embedding_dimension=DIMENSION)
    prices = [Price(0.1 * 10**k, 0.1 * 10**k) for k in range(MODELS)]
    return Engine(router, tuple(ModelSpec(k, f"m{k}", prices[k]) for k in range(MODELS)), 5)


def teach(engine, rounds, quality, terms=FREE, seed=0, noise=0.05):
    """Route prompts and learn what *quality* says of a prompt's category and the model; return the decisions."""
    rng = np.random.default_rng(seed)
    decisions = []
    for _ in range(rounds):
        c = int(rng.integers(MODELS))
        x = rng.standard_normal(DIMENSION).astype(np.float16)
        position, decision = engine.route(x, terms, category=f"c{c}")
        value = float(np.clip(quality(c, decision.choice.index) + noise * rng.standard_normal(), 0, 1))
        engine.learn(position, decision, Lesson(quality=value, cost_usd=1e-4 * 10**decision.choice.index))
        decisions.append(decision)
    return decisions


def weights_of(engine):
    """Return the weights by member where money is worth nothing."""
    snapshot = engine.snapshot.routers["r"].belief
    assert isinstance(snapshot, PortfolioSnapshot)
    return {p.preset: float(w) for p, w in zip(snapshot.policies, snapshot.weights[0], strict=True)}


def by_category(c, k):
    """The best model is another one in each category, of which embeddings say nothing."""
    return 0.9 if c == k else 0.3


def test_it_comes_to_follow_the_member_that_chooses_best():
    """And every other keeps its least share."""
    engine = engine_of("category constant")
    teach(engine, 900, by_category)
    weights = weights_of(engine)
    assert weights["category"] > 0.9
    assert min(weights.values()) >= 0.01 - 1e-12
    assert sum(weights.values()) == pytest.approx(1.0, abs=1e-12)


def test_before_anything_is_seen_the_blind_member_decides():
    """Contexts count as much as there are outcomes to learn them from."""
    engine = engine_of()
    assert weights_of(engine)["constant"] > 0.95
    teach(engine, 1000, lambda c, k: 0.5, noise=0.0)
    weights = weights_of(engine)
    assert weights["linucb"] == weights["category"] > 0.2 > weights["constant"]


def test_a_pmf_is_the_mix_of_the_members():
    """What is logged is what was drawn from: the weighted sum of the members' pmfs, with the floor."""
    engine = engine_of(floor=0.0)
    teach(engine, 100, by_category)
    snapshot = engine.snapshot.routers["r"]
    x = np.ones(DIMENSION, np.float16)
    _, decision = engine.route(x, FREE, category="c1")
    row = engine.state.encoded(snapshot.features, decision.context)
    said = snapshot.belief.predict(row, "c1")
    question = Question(decision.context, None, said.values, said.members, Objective())
    pmfs = snapshot.belief.member_pmfs(question, EVERYONE)
    np.testing.assert_allclose(decision.choice.pmf, snapshot.belief.weights[0] @ pmfs, atol=1e-15)
    assert len({pmf.tobytes() for pmf in pmfs}) > 1


def test_shadow_prices_reach_every_member():
    """At a price of money that outweighs quality all members draw the cheapest."""
    engine = engine_of()
    teach(engine, 300, lambda c, k: 0.2 + 0.3 * k)
    assert engine.route(np.ones(DIMENSION, np.float16), FREE)[1].choice.index == 2
    snapshot = engine.snapshot.routers["r"]
    context = Context(np.ones(DIMENSION, np.float16))
    said = snapshot.belief.predict(engine.state.encoded(snapshot.features, context))
    question = Question(context, None, said.values, said.members, Objective(usd_weight=1e4))
    for pmf in snapshot.belief.member_pmfs(question, EVERYONE):
        assert pmf.argmax() == 0


def test_vowpal_wabbit_sits_out_where_its_trade_off_is_not_the_one_asked_for():
    """Its share goes to the others, so that the mix is theirs."""
    pytest.importorskip("vowpal_wabbit_next")
    engine = engine_of(WITH_VOWPAL)
    teach(engine, 200, by_category)
    snapshot = engine.snapshot.routers["r"].belief
    context = Context(np.ones(DIMENSION, np.float16))
    said = snapshot.predict(engine.state.encoded(engine.snapshot.routers["r"].features, context))
    own = Question(context, None, said.values, said.members, Objective())
    other = Question(context, None, said.values, said.members, Objective(usd_weight=1.0))
    assert isinstance(snapshot.beliefs[-1], PolicySnapshot)
    alone = np.empty(MODELS)
    snapshot.beliefs[-1].fill_pmf(own, EVERYONE, alone)
    np.testing.assert_array_equal(snapshot.member_pmfs(own, EVERYONE)[-1], alone)
    pmfs, weights = snapshot.member_pmfs(other, EVERYONE), snapshot.weights[1, :-1]
    np.testing.assert_allclose(pmfs[-1], weights / weights.sum() @ pmfs[:-1], atol=1e-15)


def test_a_member_that_breaks_sits_out():
    """Of a portfolio with one broken belief the others decide; of one with none left nothing can be said."""
    engine = engine_of()
    teach(engine, 50, by_category)
    snapshot = engine.snapshot.routers["r"]
    context = Context(np.ones(DIMENSION, np.float16))
    said = snapshot.belief.predict(engine.state.encoded(snapshot.features, context))
    broken = Prediction(said.values, said.members.copy())
    broken.members[2] = np.nan
    pmf = np.empty(MODELS)
    snapshot.belief.fill_pmf(Question(context, None, said.values, broken.members, Objective()), EVERYONE, pmf)
    assert pmf.sum() == pytest.approx(1.0, abs=1e-12)
    broken.members[:] = np.nan
    snapshot.belief.fill_pmf(Question(context, None, said.values, broken.members, Objective()), EVERYONE, pmf)
    assert np.isnan(pmf).all()


def test_a_restart_changes_nothing():
    """Weights come back to the bit, and go on as they would have."""
    engine, other = engine_of(), engine_of()
    teach(engine, 150, by_category)
    teach(other, 150, by_category)
    other.restart()
    ours, theirs = teach(engine, 80, by_category, seed=1), teach(other, 80, by_category, seed=1)
    assert [d.choice.pmf.tobytes() for d in ours] == [d.choice.pmf.tobytes() for d in theirs]
    assert engine.router.digest() == other.router.digest()


def test_a_model_that_goes_and_a_price_that_changes_are_followed():
    """Outcomes of decisions with a model that is gone are learnt of the others, and judge nobody."""
    from banditd.domain.records import ModelChange

    engine = engine_of()
    teach(engine, 100, by_category)
    position, decision = engine.route(np.ones(DIMENSION, np.float16), FREE)
    engine.append(ModelChange("m2", 2, None))
    before = weights_of(engine)
    engine.learn(position, decision, Lesson(quality=0.5))
    assert max(abs(w - before[name]) for name, w in weights_of(engine).items()) < 0.01
    teach(engine, 50, lambda c, k: 0.5)


@pytest.mark.parametrize(
    "members", ["", "best", "linucb linucb", "vowpal_bag", "duel constant", "softmax constant", "portfolio constant"]
)
def test_what_is_no_portfolio_is_refused(members):
    """With the field's path."""
    pytest.importorskip("vowpal_wabbit_next")
    with pytest.raises(InvalidArgumentError, match=r"policy\.texts\['members'\]"):
        resolve(PolicySpec("portfolio", texts={"members": members}))


def test_a_snapshot_of_another_portfolio_is_refused():
    """Records of four members are not those of three."""
    engine, other = engine_of(), engine_of("linucb knn constant")
    with pytest.raises(DataLossError, match="records"):
        other.router.belief.load_arrays(engine.router.belief.to_arrays())


def test_what_is_imported_reaches_every_member_that_can_learn_it():
    """A prior those that have one, a choice of others Vowpal Wabbit; before, a portfolio refused leaderboards."""
    pytest.importorskip("vowpal_wabbit_next")
    engine = engine_of(WITH_VOWPAL)
    members = {member.name: member.belief for member in engine.state.routers["r"].belief._members}
    engine.append(LeaderboardPrior("r", "board", ((1, 0.9, 50.0),)))
    model = engine.state.catalog.by_slot[1]
    for name in ("linucb", "category", "constant"):
        assert members[name].summary(model).quality == pytest.approx(0.9, abs=0.01), name
    context = Context(np.ones(DIMENSION, np.float16))
    engine.append(Example("r", context, ((1, Lesson(quality=1.0)),), "board", PastChoice(0.5, (0, 1), (0.5, 0.5))))
    assert [example.probability for example in members["vowpal_squarecb"]._course.examples] == [0.5]


@pytest.mark.parametrize(
    "members, weighing, supposing",
    [("linucb constant", True, True), ("linucb knn", False, True), ("knn", False, False)],
)
def test_what_a_portfolio_can_be_taught_depends_on_its_members(members, weighing, supposing):
    """Fractions of observations all of them must understand; a prior is for whoever has one."""
    policy = resolve(PolicySpec("portfolio", {}, {"members": members}))
    assert (weighs(policy), supposes(policy)) == (weighing, supposing)


def test_a_portfolio_of_one_draws_what_its_member_draws():
    """With rows that are encoded, so that policies that look at contexts can be its shadows."""
    alone = RouterSpec("r", PolicySpec("constant"), embedding_dimension=DIMENSION)
    models = tuple(ModelSpec(k, f"m{k}", Price(0.1 * 10**k, 0.1 * 10**k)) for k in range(MODELS))
    engines = engine_of("constant"), Engine(alone, models, 5)
    ours, theirs = (teach(engine, 60, lambda c, k: 0.4 + 0.1 * k) for engine in engines)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine.choice.pmf, other.choice.pmf)
    assert engines[0].state.routers["r"].features.kind is FeatureKind.LINEAR


def test_members_explore_within_the_budgets_allowance():
    """Each as it would alone: without the bound a portfolio lost 0.02 to 0.08 to its members under a cold budget."""
    snapshot = engine_of("constant").snapshot.routers["r"].belief
    quality, deviation, cost = np.array([0.6, 0.5, 0.5]), np.array([0.0, 0.0, 0.2]), np.array([1e-5, 1e-4, 1e-3])
    members = np.stack([quality, deviation])[None]
    asked = (Context(np.zeros(DIMENSION, np.float16)), None, np.stack([quality, deviation, cost, np.ones(MODELS)]))
    free, bounded = (
        snapshot.member_pmfs(Question(*asked, members, Objective(), allowance), EVERYONE)[0]
        for allowance in (np.inf, 1e-6)
    )
    np.testing.assert_array_equal(free, [0.0, 0.0, 1.0])
    assert bounded[2] > 0.0
    assert bounded @ cost == pytest.approx(1e-5 + 1e-6)


def tell(engine, prompts, outcomes, weight=1.0):
    """Import prompts; *outcomes* gives quality and cost of a prompt's category and the model."""
    rng = np.random.default_rng(3)
    for _ in range(prompts):
        c = int(rng.integers(MODELS))
        context = Context(rng.standard_normal(DIMENSION).astype(np.float16), category=f"c{c}")
        lessons = []
        for k in range(MODELS):
            quality, cost_usd = outcomes(c, k)
            lessons.append((k, Lesson(quality=quality, cost_usd=cost_usd, weight=weight)))
        engine.append(Example("r", context, tuple(lessons), "table"))


def test_a_history_says_whom_to_follow():
    """Before the first decision; of prompts with the outcomes of one model alone nothing is judged."""
    engine, alone = engine_of(), engine_of()
    tell(engine, 200, lambda c, k: (by_category(c, k), 1e-4 * 10**k))
    for weights in engine.router.belief.weights:
        assert dict(zip(engine.router.belief.names, weights, strict=True))["category"] > 0.9
    for i in range(600):
        c, k = i % MODELS, i // MODELS % MODELS
        context = Context(np.ones(DIMENSION, np.float16), category=f"c{c}")
        alone.append(Example("r", context, ((k, Lesson(quality=by_category(c, k), cost_usd=1e-4)),), "log"))
    weights = dict(zip(alone.router.belief.names, alone.router.belief.weights[0], strict=True))
    assert weights["category"] == weights["linucb"]


def test_who_finds_the_best_deal_need_not_find_the_best_model():
    """The dear model is always best; where the cheap one is as good only the category tells, which money asks for."""
    engine = engine_of("category constant")
    tell(engine, 300, lambda c, k: (0.9 if k == 2 or c == k == 0 else 0.5, 1e-4 * 10**k))
    free, priced = (dict(zip(engine.router.belief.names, row, strict=True)) for row in engine.router.belief.weights)
    assert priced["category"] > 0.9
    assert free["category"] == pytest.approx(900 / (900 + 64 * MODELS), abs=0.05), "nothing but how much is known"


def test_half_an_observation_moves_the_records_half_as_far():
    """What counts for half does so here too."""
    records = []
    for weight in (1.0, 0.5):
        engine = engine_of("linucb category constant")
        tell(engine, 60, lambda c, k: (by_category(c, k), 1e-4), 1.0)
        before = engine.router.belief.to_arrays()["portfolio/values"].copy()
        tell(engine, 1, lambda c, k: (by_category(c, k), 1e-4), weight)
        records.append(engine.router.belief.to_arrays()["portfolio/values"] - before)
    whole, half = records
    whole, half = whole[0, 1, :-1], half[0, 1, :-1]
    assert np.abs(whole).max() > 0.01
    np.testing.assert_allclose(half, whole / 2, atol=0.005)


def test_costs_are_those_of_who_finds_the_best_deals():
    """Costs and latencies by the weights where money is worth something, qualities by the mean of both."""
    engine = engine_of()
    teach(engine, 300, by_category)
    snapshot, x = engine.snapshot.routers["r"], np.ones(DIMENSION, np.float16)
    row = engine.state.encoded(snapshot.features, Context(x, category="c1"))
    belief = replace(snapshot.belief, weights=np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]]))
    members = [
        member.predict(row[:1] if policy.preset == "constant" else row, "c1").values
        for policy, member in zip(belief.policies, belief.beliefs, strict=True)
    ]
    np.testing.assert_allclose(belief.predict(row, "c1").values[2:], np.tensordot([0.4, 0.3, 0.2, 0.1], members, 1)[2:])
    (values,) = belief.predict_rows(row[None], ["c1"]).values
    assert values.tobytes() == belief.predict(row, "c1").values.tobytes()
    half_variances = [member.latency_half_variance for member in belief.beliefs]
    np.testing.assert_allclose(belief.latency_half_variance, np.tensordot([0.4, 0.3, 0.2, 0.1], half_variances, 1))
