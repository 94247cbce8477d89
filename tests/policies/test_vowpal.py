"""Vowpal Wabbit behind our interface loses nothing, is stored whole, and takes no option that does anything else."""

import threading

import numpy as np
import pytest

from banditd.domain.context import Context
from banditd.domain.decision import Objective
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.records import Example, PastChoice, RouterChange
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.errors import DataLossError, FailedPreconditionError, InvalidArgumentError
from banditd.learner.router_state import RouterState
from banditd.policies import vowpal
from banditd.policies.base import Question
from banditd.policies.registry import resolve
from banditd.policies.snapshot_codec import decode_state, encode_state
from banditd.policies.vowpal import feature_index
from banditd.policies.vowpal_options import FIXED_OPTIONS
from banditd.routing.choose import Terms, choose
from banditd_sim.environments.engine import Engine

vw = pytest.importorskip("vowpal_wabbit_next")

DIMENSION, MODELS = 12, 4
NO_TERMS = Terms(Objective())


def stream(rounds, seed=0):
    """Prompts as they are logged, and what each model would have got: linear, with noise."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rounds, DIMENSION))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16)
    means = 0.5 + 0.3 * x.astype(float) @ rng.standard_normal((DIMENSION, MODELS))
    return x, np.clip(means + 0.1 * rng.standard_normal(means.shape), 0.0, 1.0)


def engine_of(preset="vowpal_squarecb", objective=NO_TERMS.objective, texts=None, **parameters):
    """Return an engine of unpriced models."""
    policy = PolicySpec(preset, parameters, texts or {})
    router = RouterSpec("r", policy, embedding_dimension=DIMENSION, objective=objective)
    return Engine(router, tuple(ModelSpec(k, f"m{k}") for k in range(MODELS)), 7)


def run(engine, x, rewards):
    """Route and learn; returns what was got and the decisions."""
    got, decisions = [], []
    for prompt, reward in zip(x, rewards, strict=True):
        position, decision = engine.route(prompt, NO_TERMS)
        k = decision.choice.index
        got.append(reward[k])
        decisions.append(decision)
        engine.learn(position, decision, Lesson(quality=float(reward[k])))
    return got, decisions


def by_hand(options, x, rewards, uniforms):
    """The loop that one would write with the library alone: predict, draw, label, learn, in one workspace."""
    workspace = vw.Workspace([*options.split(), "--interactions", "sa", "--quiet"])
    indices = np.array([feature_index("s", str(i)) for i in range(DIMENSION)], np.uint64)

    def examples(prompt, chosen=-1, cost=0.0, probability=1.0):
        shared = vw.Example()
        shared["s"].push_many_features(indices, prompt.astype(np.float32))
        shared.set_label(vw.CBLabel(shared=True))
        made = [shared]
        for k in range(MODELS):
            action = vw.Example()
            action["a"].push_feature(feature_index("a", f"m{k}"), 1.0)
            action.set_label(vw.CBLabel(label=(0, cost, probability)) if k == chosen else vw.CBLabel())
            made.append(action)
        return made

    got = []
    for prompt, reward, uniform in zip(x, rewards, uniforms, strict=True):
        pmf = np.zeros(MODELS)
        for k, probability in workspace.predict_one(examples(prompt)):
            pmf[k] = probability
        pmf /= pmf.sum()
        cdf = np.cumsum(pmf)
        k = min(int(np.searchsorted(cdf, uniform * cdf[-1], side="right")), MODELS - 1)
        got.append(reward[k])
        workspace.learn_one(examples(prompt, k, 1.0 - float(reward[k]), float(pmf[k])))
    return got


@pytest.mark.parametrize("options", ["--squarecb --gamma_scale 100", "--epsilon 0.1", "--softmax --lambda 20"])
def test_the_reward_is_that_of_a_loop_by_hand(options):
    """Same command line, seed, prompts and uniform numbers: the same choices to the last one, past a checkpoint."""
    x, rewards = stream(1500)
    engine = engine_of(texts={"command_line": f"--cb_explore_adf {options}"}, floor=0.0)
    got, decisions = run(engine, x, rewards)
    theirs = by_hand(f"--cb_explore_adf {options}", x, rewards, [decision.uniform for decision in decisions])
    assert got == theirs
    assert np.mean(got[-500:]) > rewards.mean() + 0.05  # the control: it learns


def test_stored_and_loaded_it_goes_on_bit_for_bit_with_random_numbers_of_its_own(monkeypatch):
    """`--bag` draws random numbers that the library does not store whole; the fold is the same all the same."""
    monkeypatch.setattr(vowpal, "CHECKPOINT", 64)
    x, rewards = stream(300)
    engine = engine_of("vowpal_bag")
    run(engine, x[:200], rewards[:200])
    state = engine.state.routers["r"]
    copy = RouterState(state.router, state.policy)
    copy.load(state.to_bytes())
    assert copy.digest() == state.digest()
    _, decisions = run(engine, x[200:], rewards[200:])
    for decision, reward in zip(decisions, rewards[200:], strict=True):
        row = np.zeros(state.features.row_width, np.float32)
        lesson = Lesson(quality=float(reward[decision.choice.index]))
        copy.belief.learn(
            ModelSpec(decision.slot, f"m{decision.slot}"), row, lesson, decision.context.category, decision
        )
    ours, theirs = state.belief.to_arrays(), copy.belief.to_arrays()
    for name in ("vowpal/model", "vowpal/about", "vowpal/labels", "vowpal/embeddings"):
        np.testing.assert_array_equal(ours[name], theirs[name])  # however much one of them has predicted
    models = tuple(ModelSpec(k, f"m{k}") for k in range(MODELS))
    for prompt in x[:20]:
        pmfs = [np.empty(MODELS), np.empty(MODELS)]
        asked = Question(Context(prompt), None, np.zeros((4, MODELS)), None, Objective())
        for belief, pmf in zip((state.belief, copy.belief), pmfs, strict=True):
            belief.freeze(models).fill_pmf(asked, np.ones(MODELS, bool), pmf)
        assert pmfs[0].tobytes() == pmfs[1].tobytes()


def test_equal_logs_give_equal_model_bytes():
    """Nothing of the time of day or of the process is in a model."""
    x, rewards = stream(150)
    stored = []
    for _ in range(2):
        engine = engine_of("vowpal_cover")
        run(engine, x, rewards)
        stored.append(engine.state.routers["r"].belief._teacher.serialize())
        for prompt in x[: 40 * len(stored)]:  # predictions are no part of the log
            choose(engine.snapshot.routers["r"], Context(prompt), NO_TERMS, 0.5)
    assert stored[0] == stored[1]
    assert engine.state.routers["r"].belief._teacher.serialize() == stored[0]


@pytest.mark.parametrize(
    "options",
    ["--squarecb", "--bag 3", "--cover 3 --cb_type mtr", "--rnd 2", "--first 5", "--cb_type dr --epsilon 0.1",
     "--regcb", "--sgd", "--coin", "--ftrl", "--pistol", "--power_t 0.2 --adaptive", "--l1 1e-6",
     "--softmax --lambda 9", "--synthcover", "--nn 3", "--decay_learning_rate 0.9", "--normalized --sgd"],
)  # fmt: skip
def test_predicting_changes_nothing_that_is_learnt(options):
    """Else what a snapshot says would depend on what was asked before."""
    x, rewards = stream(120)
    course = vowpal.Course(("--cb_explore_adf", *options.split(), "--interactions", "sa", *FIXED_OPTIONS), None, 0)
    table = tuple(vowpal.action_of(ModelSpec(k, f"m{k}")) for k in range(MODELS))
    course.table.extend(table)
    for i, prompt in enumerate(x):
        cost = 1.0 - float(rewards[i, i % MODELS])
        course.examples.append(vowpal.VowpalExample(prompt, 9, "", tuple(range(MODELS)), i % MODELS, cost, 0.25))
    quiet, asked = course.workspace(0), course.workspace(0)
    for generation in range(1, 121):
        asked.predict(Context(x[-generation], 9), table, list(range(MODELS)))
        course.teach(quiet, generation)
        course.teach(asked, generation)
    for prompt in x[:10]:
        answers = [each.predict(Context(prompt, 9), table, list(range(MODELS))) for each in (quiet, asked)]
        assert answers[0] == answers[1]


def damaged(monkeypatch, change):
    """Load a state whose model was changed under a checksum that is right again."""
    monkeypatch.setattr(vowpal, "CHECKPOINT", 32)
    engine = engine_of()
    run(engine, *stream(80))
    state = engine.state.routers["r"]
    header, arrays = decode_state(state.to_bytes())
    arrays["vowpal/model"] = change(arrays["vowpal/model"].copy())
    RouterState(state.router, state.policy).load(encode_state(header, arrays))


def _flipped(model):
    model[len(model) // 2] ^= 1
    return model


@pytest.mark.parametrize("change", [lambda m: m[: len(m) // 2], lambda m: m[:-1], _flipped], ids=["half", "one", "bit"])
def test_a_cut_or_altered_model_is_refused(monkeypatch, change):
    """The library itself would load half of it without a word."""
    damaged(monkeypatch, lambda model: model)  # the control
    with pytest.raises(DataLossError):
        damaged(monkeypatch, change)


def test_the_library_alone_does_load_half_a_model():
    """Why the test above is there; should the library begin to refuse, this says so."""
    workspace = vw.Workspace(["--cb_explore_adf", "--quiet", "--interactions", "sa"])
    x, rewards = stream(1)
    del rewards
    shared = vw.Example()
    shared["s"].push_many_features(np.arange(DIMENSION, dtype=np.uint64), x[0].astype(np.float32))
    shared.set_label(vw.CBLabel(shared=True))
    action = vw.Example()
    action["a"].push_feature(1, 1.0)
    action.set_label(vw.CBLabel(label=(0, 0.5, 1.0)))
    workspace.learn_one([shared, action])
    model = workspace.serialize()
    vw.Workspace(["--quiet"], model_data=model[: len(model) - 8])


@pytest.mark.parametrize(
    "line, named",
    [
        ("--cb_explore_adf --daemon", "--daemon"),
        ("--cb_explore_adf -f /tmp/model", "-f"),
        ("--cb_explore_adf -i /etc/passwd", "-i"),
        ("--cb_explore_adf --final_regressor=x", "--final_regressor"),
        ("--cb_explore_adf --cache_file x", "--cache_file"),
        ("--cb_explore_adf -p /dev/stdout", "-p"),
        ("--cb_explore_adf --readable_model x", "--readable_model"),
        ("--cb_explore_adf --testonly", "--testonly"),
        ("--cb_explore_adf -q sa", "-q"),
        ("--cb_explore_adf --epsilon ../x", "--epsilon"),
        ("--cb_explore_adf -b 30", "-b"),
        ("--cb_explore_adf --bag", "--bag"),
        ("--cb_explore_adf --bag many", "many"),
        ("--squarecb", "--cb_explore_adf"),
        ("", "--cb_explore_adf"),
        ("--cb_explore_adf " + "--adaptive " * 200, "1024"),
        ("--cb_explore_adf\0", "options"),
    ],
)
def test_a_bad_command_line_is_refused_by_the_name_of_the_option(line, named):
    """Options that read, write, listen or stop learning are not taken, and neither is what the library refuses."""
    with pytest.raises(InvalidArgumentError) as caught:
        resolve(PolicySpec("vowpal_squarecb", {}, {"command_line": line}), "router.policy")
    assert caught.value.field == "router.policy.texts['command_line']"
    assert named in caught.value.message


@pytest.mark.parametrize("words", ["s", "sx", "sasas", "s a", "SA", "sa " * 17])
def test_bad_interactions_are_refused(words):
    """Two to four of our namespaces each."""
    with pytest.raises(InvalidArgumentError) as caught:
        resolve(PolicySpec("vowpal_bag", {}, {"interactions": words}))
    assert "interactions" in caught.value.field


def test_texts_of_other_presets_are_refused():
    """By name."""
    with pytest.raises(InvalidArgumentError, match=r"policy\.texts"):
        resolve(PolicySpec("linucb", {}, {"command_line": "--cb_explore_adf"}))
    with pytest.raises(InvalidArgumentError, match="nonsense"):
        resolve(PolicySpec("vowpal_bag", {}, {"nonsense": ""}))


def test_without_the_library_the_reason_is_named(monkeypatch):
    """Python versions without wheels."""
    monkeypatch.setattr("banditd.policies.vowpal_options.find_spec", lambda _: None)
    with pytest.raises(FailedPreconditionError, match=r"no wheels for Python 3\.13"):
        resolve(PolicySpec("vowpal_squarecb"))


def test_a_new_command_line_learns_anew_from_the_log():
    """As if it had been there from the start, where decisions are given."""
    x, rewards = stream(120)
    engine = engine_of()
    run(engine, x, rewards)
    line = "--cb_explore_adf --epsilon 0.2 --noconstant"
    changed = PolicySpec("vowpal_squarecb", {}, {"command_line": line})
    router = engine.state.routers["r"].router
    engine.append(RouterChange("r", RouterSpec("r", changed, router.embedding_dimension)))
    belief = engine.state.routers["r"].belief
    assert belief._generation == 120
    stored = belief._current().serialize()
    assert b"--noconstant" in stored
    assert b"--squarecb" not in stored


def test_a_new_trade_off_learns_anew_what_a_choice_was_worth():
    """Costs are part of what Vowpal Wabbit learns."""
    prices = tuple(ModelSpec(k, f"m{k}", Price(1.0, 1.0)) for k in range(MODELS))
    router = RouterSpec("r", PolicySpec("vowpal_epsilon"), embedding_dimension=DIMENSION)
    engine = Engine(router, prices, 1)
    x, _ = stream(40)
    for prompt in x:
        position, decision = engine.route(prompt, NO_TERMS)
        engine.learn(position, decision, Lesson(quality=0.75, cost_usd=0.01, price_mtok_usd=1.0))
    costs = [e.cost for e in engine.state.routers["r"].belief._course.examples]
    assert costs == [0.25] * 40
    engine.append(RouterChange("r", RouterSpec("r", router.policy, DIMENSION, objective=Objective(usd_weight=10.0))))
    costs = [e.cost for e in engine.state.routers["r"].belief._course.examples]
    assert costs == pytest.approx([0.35] * 40)
    engine.append(RouterChange("r", RouterSpec("r", router.policy, DIMENSION, objective=Objective(usd_weight=1e9))))
    costs = [e.cost for e in engine.state.routers["r"].belief._course.examples]
    assert costs == [2.0] * 40  # bounded: one such cost would ruin a model for good


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_never_reaches_the_library(bad):
    """With a decision, as it comes in service."""
    engine = engine_of(objective=Objective(usd_weight=1.0))
    run(engine, *stream(10))
    state = engine.state.routers["r"]
    before = state.belief._generation
    _, decision = engine.route(stream(1)[0][0], NO_TERMS)
    row = np.zeros(state.features.row_width, np.float32)
    state.belief.learn(ModelSpec(decision.slot, "m"), row, Lesson(quality=bad), decision=decision)
    assert state.belief._generation == before


def test_old_snapshots_stay_what_they_were():
    """However often it was published since: a decision can be made again from its record."""
    x, rewards = stream(60)
    engine = engine_of("vowpal_bag")
    snapshots, pmfs = [], []
    for prompt, reward in zip(x, rewards, strict=True):
        position, decision = engine.route(prompt, NO_TERMS)
        snapshots.append(engine.snapshot.routers["r"])
        pmfs.append(decision.choice.pmf)
        engine.learn(position, decision, Lesson(quality=float(reward[decision.choice.index])))
    for i in (59, 3, 40, 3):
        again = choose(snapshots[i], Context(x[i]), NO_TERMS, 0.5)
        assert again.pmf.tobytes() == pmfs[i].tobytes()


def test_readers_and_the_learner_do_not_meet_in_a_workspace():
    """Threads read old and new snapshots while it learns; each answer is that of its snapshot."""
    x, rewards = stream(400)
    engine = engine_of("vowpal_bag")
    run(engine, x[:50], rewards[:50])
    snapshot = engine.snapshot.routers["r"]
    expected = [choose(snapshot, Context(prompt), NO_TERMS, 0.5).pmf.tobytes() for prompt in x[:20]]
    wrong, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            for prompt, pmf in zip(x[:20], expected, strict=True):
                if choose(snapshot, Context(prompt), NO_TERMS, 0.5).pmf.tobytes() != pmf:
                    wrong.append(prompt)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    run(engine, x[50:], rewards[50:])
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong


def taught(examples):
    """Return the probabilities at the first prompt after a history, and what Vowpal Wabbit has learnt of it."""
    engine = engine_of()
    for context, lessons, choice in examples:
        engine.append(Example("r", context, lessons, "import", choice))
    belief = engine.state.routers["r"].belief
    _, decision = engine.route(examples[0][0].embedding, NO_TERMS)
    return decision.choice.pmf, belief._course.examples


def test_a_table_of_scores_is_learnt_as_draws_of_a_uniform_logger():
    """Each model of a row is the one that was chosen, once; so it does not begin cold after an import."""
    rows = [
        (Context(prompt), tuple((k, Lesson(quality=float(k == 2))) for k in range(MODELS)), None)
        for prompt in stream(100)[0]
    ]
    pmf, learnt = taught(rows)
    assert pmf.argmax() == 2
    assert pmf[2] > 0.9
    assert [(e.chosen, e.probability, e.cost) for e in learnt[:4]] == [(k, 0.25, float(k != 2)) for k in range(MODELS)]


def test_decisions_of_others_are_learnt_with_their_propensities():
    """Among the models that could have been drawn, as if they were decisions of its own."""
    choice = PastChoice(0.7, (1, 3), (0.3, 0.7))
    rows = [(Context(prompt), ((3, Lesson(quality=1.0)),), choice) for prompt in stream(30)[0]]
    _, learnt = taught(rows)
    assert len(learnt) == 30
    first = learnt[0]
    assert (first.chosen, first.probability, first.cost, len(first.actions)) == (1, 0.7, 0.0, 2)
    _, nothing = taught([(rows[0][0], ((3, Lesson(cost_usd=1.0)),), choice)])
    assert not nothing  # without a quality there is no utility


def test_price_provider_and_tags_are_features_of_a_model():
    """With `sm` among the interactions a model that was never tried profits from its provider's others."""
    indices, values = vowpal.model_features(
        vowpal.action_of(ModelSpec(0, "acme/large", Price(1000.0, 1000.0), tags=("code", "eu")))
    )
    named = {feature_index("m", name): value for name, value in
             (("provider=acme", 1.0), ("tag=code", 1.0), ("tag=eu", 1.0), ("price", 1.0))}  # fmt: skip
    assert dict(zip(indices.tolist(), values.tolist(), strict=True)) == pytest.approx(named)
    assert len(vowpal.model_features(vowpal.action_of(ModelSpec(0, "plain")))[0]) == 0


def test_options_of_ours_are_those_that_keep_a_model_whole():
    """Without `--preserve_performance_counters` a stored and loaded model differs from itself."""
    assert "--preserve_performance_counters" in FIXED_OPTIONS
