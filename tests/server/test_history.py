"""ImportHistory: scores, comparisons, decisions and leaderboards, each row once, by a stated weight."""

import grpc
import numpy as np
import pyarrow.parquet as pq
import pytest

from banditd.domain.records import ComparisonRecord, Example, LeaderboardPrior
from banditd.learner.recovery import replay
from banditd.learner.state import LearnerState
from banditd.store.export import export_parquet
from banditd_proto.v1 import comparison_pb2, context_pb2, history_pb2, model_pb2, router_pb2
from banditd_proto.v1 import router_admin_service_pb2 as pb
from banditd_sim.datasets.banditd_log import load_banditd
from tests.server.conftest import furnish
from tests.server.harness import DIMENSION, config_for, context, refused, running


def scored(seed=0, **qualities):
    """Return a row of scores."""
    scores = [history_pb2.Score(model_id=name, quality=quality) for name, quality in qualities.items()]
    return history_pb2.HistoryRow(scores=history_pb2.ScoredPrompt(context=context(seed), scores=scores))


def compared(seed=0, **changes):
    """Return a row with a comparison."""
    values = {"model_a_id": "small", "model_b_id": "large", "winner": comparison_pb2.WINNER_A}
    return history_pb2.HistoryRow(comparison=comparison_pb2.Comparison(context=context(seed), **(values | changes)))


def decided(seed=0, quality=0.75, **changes):
    """Return a row with a decision of somebody else."""
    values = {
        "outcome": history_pb2.Score(model_id="small", quality=quality, output_token_count=100, input_token_count=10),
        "propensity": 0.25,
        "candidate_model_ids": ["large", "small"],
        "probabilities": [0.75, 0.25],
    }
    return history_pb2.HistoryRow(decision=history_pb2.PastDecision(context=context(seed), **(values | changes)))


def ranked(strength=5.0, **entries):
    """Return a row with a leaderboard; values above 1 are ratings."""
    found = [
        history_pb2.LeaderboardEntry(model_id=name, strength=strength, **{"rating" if v > 1 else "quality": v})
        for name, v in entries.items()
    ]
    return history_pb2.HistoryRow(leaderboard=history_pb2.LeaderboardGuess(entries=found))


async def imported(server, *rows, router_id="default", import_id="i", **changes):
    """Import rows; return how many were learnt and how many were known."""
    request = pb.ImportHistoryRequest(router_id=router_id, import_id=import_id, rows=rows, **changes)
    answer = await server.call("ImportHistory", request)
    return answer.learnt_count, answer.duplicate_count


async def believed(server, router_id="default"):
    """Return what is believed of each model."""
    return {model.model_id: model for model in (await server.status(router_id)).models}


def logged(server, kind):
    """Return the records of a kind in the log."""
    return [entry.record for entry in server.bridge.log.scan(0) if isinstance(entry.record, kind)]


ALL_KINDS = (scored(1, small=0.9, large=0.1), compared(2), decided(3), ranked(small=0.8, large=0.3))


async def test_scores_teach_all_models_of_a_prompt(server):
    """Each model moves by its own score, and nothing counts as a decision."""
    rows = [scored(seed, small=0.9, large=0.1) for seed in range(40)]
    assert await imported(server, *rows) == (40, 0)
    after = await believed(server)
    assert after["small"].quality > 0.8
    assert after["large"].quality < 0.2
    assert (after["small"].quality_count, after["medium"].quality_count) == (40, 0)
    assert (await server.status()).decisions.decision_count == 0


async def test_tokens_cost_what_they_cost_today_with_the_fee(server):
    """A row without a cost has that of its tokens; the fee is part of what is logged and no part of the ratio."""
    price = model_pb2.Price(input_mtok_usd=1.0, output_mtok_usd=2.0, request_usd=0.5)
    await server.change_model("small", price=price)
    await imported(server, decided())
    (example,) = logged(server, Example)
    ((_, lesson),) = example.lessons
    assert lesson.cost_usd == pytest.approx(0.5 + 10e-6 + 200e-6)
    assert lesson.token_cost_usd == pytest.approx(210e-6)
    assert lesson.price_mtok_usd == 1.25


@pytest.mark.parametrize("preset", ["linucb", "adaptive", "duel", "category", "constant"])
@pytest.mark.parametrize("kind", ["scores", "decision", "comparison"])
async def test_rows_of_half_the_weight_count_half(server, preset, kind):
    """Twice the same row at half the weight moves as far as one whole row, and half a row moves less."""
    make = {
        "scores": lambda: scored(1, small=1.0),
        "decision": lambda: decided(1, 1.0),
        "comparison": lambda: compared(1),
    }
    if kind == "comparison" and preset == "category":
        pytest.skip("does not learn from comparisons")
    for name in ("whole", "half", "halves"):
        await server.add_router(name, embedding_dimension=DIMENSION, policy=router_pb2.Policy(preset=preset))
    row = make[kind]()
    await imported(server, row, router_id="whole")
    await imported(server, row, router_id="half", row_weight=0.5)
    await imported(server, row, row, router_id="halves", row_weight=0.5)
    whole, half, halves = [(await believed(server, name))["small"].quality for name in ("whole", "half", "halves")]
    assert 0.5 < half < whole
    # Noise is learnt between the two, and a vote says less the better it was foreseen: about, and not exactly.
    assert abs(halves - whole) < 0.35 * (whole - half)


async def test_a_belief_that_cannot_weigh_says_so(server):
    """Presets knn and Vowpal Wabbit refuse fractions, and a leaderboard; whole rows they learn."""
    for preset in ("knn", "vowpal_squarecb"):
        await server.add_router(preset, policy=router_pb2.Policy(preset=preset))
        refusal = await refused(imported(server, scored(small=1.0), router_id=preset, row_weight=0.5))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CANNOT_WEIGH")
        refusal = await refused(imported(server, ranked(small=0.5), router_id=preset))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CANNOT_TAKE_PRIOR")
        assert await imported(server, scored(small=1.0), router_id=preset) == (1, 0)


@pytest.mark.parametrize("preset", ["linucb", "duel", "category"])
async def test_a_leaderboard_is_a_prior_of_its_strength(server, preset):
    """The level is as told, the surer the stronger; a few outcomes move a weak prior and hardly a strong one."""
    found = {}
    for name, strength in (("weak", 1.0), ("strong", 200.0)):
        await server.add_router(name, embedding_dimension=DIMENSION, policy=router_pb2.Policy(preset=preset))
        await imported(server, ranked(strength, small=0.8, large=0.2), router_id=name)
        before = (await believed(server, name))["small"]
        await imported(server, *[scored(seed, small=0.0) for seed in range(3)], router_id=name, import_id="more")
        found[name] = (before, (await believed(server, name))["small"])
    assert found["strong"][0].quality == pytest.approx(0.8, abs=0.03)
    assert found["weak"][0].quality > 0.55
    assert found["strong"][0].quality_deviation < found["weak"][0].quality_deviation
    moved = {name: before.quality - after.quality for name, (before, after) in found.items()}
    assert 0.0 < moved["strong"] < 0.3 * moved["weak"]


async def test_ratings_become_qualities_around_the_guess(server):
    """Who is 800 points above another wins 98 % more often than loses: their qualities differ by that."""
    await imported(server, ranked(small=1400.0, medium=1000.0, large=600.0))
    (prior,) = logged(server, LeaderboardPrior)
    assert [quality for _, quality, _ in prior.standings] == pytest.approx(
        [0.5 + 0.490099, 0.5, 0.5 - 0.490099], rel=1e-4
    )


async def test_a_repeated_portion_teaches_once(server):
    """What was learnt is counted and left; what is new behind it is learnt; a gap is refused."""
    rows = [scored(seed, small=0.9) for seed in range(5)]
    assert await imported(server, *rows[:3]) == (3, 0)
    digest = (await server.status()).state_digest
    assert await imported(server, *rows[:3]) == (0, 3)
    assert (await server.status()).state_digest == digest
    assert await imported(server, *rows[2:], row_position=2) == (2, 1)
    assert len(logged(server, Example)) == 5
    refusal = await refused(imported(server, rows[0], row_position=9))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IMPORT_GAP")
    assert await imported(server, rows[0], import_id="another") == (1, 0)


async def test_a_router_made_anew_forgets_what_was_imported_before(server):
    """Under its name, the same import is learnt again."""
    await server.add_router("r")
    await imported(server, scored(small=0.9), router_id="r")
    await server.admin.DeleteRouter(pb.DeleteRouterRequest(router_id="r"))
    await server.add_router("r")
    assert await imported(server, scored(small=0.9), router_id="r") == (1, 0)


@pytest.mark.parametrize("preset", ["linucb", "duel", "category", "knn"])
async def test_state_is_the_same_after_a_restart_and_in_a_fold(tmp_path, preset):
    """Weights, priors and propensities are in the log: a start, a fold and a fit of the encoding end in one state."""
    rng = np.random.default_rng(0)
    weight = {} if preset == "knn" else {"row_weight": 0.3}
    kinds = [scored, lambda seed, **_: compared(seed), lambda seed, **_: decided(seed)]
    config = config_for(tmp_path / "data")
    async with running(config) as first:
        await furnish(first)
        await first.add_router("r", policy=router_pb2.Policy(preset=preset))
        if weight:
            await imported(first, ranked(small=1400.0, large=1000.0), router_id="r", import_id="board")
        rows = [kinds[seed % 3](seed, small=float(rng.random()), large=0.5) for seed in range(400)]
        await imported(first, *rows[:200], router_id="r", **weight)
        await imported(first, *rows[200:], router_id="r", row_position=200, **weight)
        while (await first.status("r")).feature_fit_position == 0:  # the fit is a record of its own, soon after
            await first.call("ImportHistory", pb.ImportHistoryRequest(router_id="r", import_id="i", rows=rows[:1]))
        digest = (await first.status("r")).state_digest
        assert replay(LearnerState(), first.bridge.log).routers["r"].digest() == digest
    async with running(config) as second:
        assert (await second.status("r")).state_digest == digest
        assert await imported(second, *rows[:200], router_id="r", **weight) == (0, 200)


async def test_imported_decisions_are_exported_for_evaluation(tmp_path):
    """Their distribution, propensity and outcome are rounds like any other."""
    async with running(config_for(tmp_path / "data")) as server:
        await furnish(server)
        await imported(server, *[decided(seed, seed / 10) for seed in range(5)])
    export_parquet(tmp_path / "data", tmp_path / "out", None)
    assert pq.read_table(tmp_path / "out" / "decisions.parquet")["source"].to_pylist() == ["IMPORTED"] * 5
    log = load_banditd(tmp_path / "out")
    assert log.rounds.model_ids == ("large", "small")
    assert log.rounds.propensity.tolist() == [0.25] * 5
    assert log.rounds.reward.tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def changed(row, kind, **fields):
    """Return a row with other fields."""
    other = history_pb2.HistoryRow()
    other.CopyFrom(row)
    part = getattr(other, kind)
    for name, value in fields.items():
        part.ClearField(name)
        if isinstance(value, list):
            getattr(part, name).extend(value)
        elif hasattr(value, "CopyFrom"):
            getattr(part, name).CopyFrom(value)
        elif value is not None:
            setattr(part, name, value)
    return other


BAD_ROWS = {
    "nothing": (history_pb2.HistoryRow(), "rows[1]", "EMPTY_ROW"),
    "no embedding": (
        changed(scored(small=1.0), "scores", context=context_pb2.Context()),
        "rows[1].scores.context.embedding",
        "EMPTY_EMBEDDING",
    ),
    "other dimension": (
        changed(scored(small=1.0), "scores", context=context(0, 5)),
        "rows[1].scores.context.embedding_float32",
        "WRONG_DIMENSION",
    ),
    "no scores": (scored(), "rows[1].scores.scores", "BATCH_SIZE"),
    "unknown model": (scored(nobody=1.0), "rows[1].scores.scores[0].model_id", "UNKNOWN_MODEL"),
    "quality": (scored(small=1.5), "rows[1].scores.scores[0].quality", "QUALITY_OUT_OF_RANGE"),
    "quality that is none": (scored(small=float("nan")), "rows[1].scores.scores[0].quality", "QUALITY_OUT_OF_RANGE"),
    "empty score": (
        changed(scored(small=1.0), "scores", scores=[history_pb2.Score(model_id="small")]),
        "rows[1].scores.scores[0]",
        "EMPTY_ROW",
    ),
    "a model twice": (
        changed(scored(small=1.0), "scores", scores=2 * [history_pb2.Score(model_id="small", quality=1.0)]),
        "rows[1].scores.scores",
        "DUPLICATE_MODEL",
    ),
    "no winner": (compared(winner=0), "rows[1].comparison.winner", "UNKNOWN_WINNER"),
    "same model": (compared(model_b_id="small"), "rows[1].comparison.model_b_id", "SELF_COMPARISON"),
    "comparison of a decision": (compared(decision_id="0" * 32), "rows[1].comparison", "COMPARISON_SUBJECT"),
    "propensity": (decided(propensity=0.0), "rows[1].decision.propensity", "PROPENSITY_OUT_OF_RANGE"),
    "other propensity": (decided(propensity=0.5), "rows[1].decision.propensity", "PROPENSITY_OUT_OF_RANGE"),
    "pmf": (decided(probabilities=[0.5, 0.25]), "rows[1].decision.probabilities", "PROPENSITY_OUT_OF_RANGE"),
    "short pmf": (decided(probabilities=[1.0]), "rows[1].decision.probabilities", "PROPENSITY_OUT_OF_RANGE"),
    "no candidate": (
        decided(candidate_model_ids=["large", "medium"]),
        "rows[1].decision.outcome.model_id",
        "UNKNOWN_MODEL",
    ),
    "strength": (ranked(0.0, small=0.5), "rows[1].leaderboard.entries[0].strength", "WEIGHT_OUT_OF_RANGE"),
    "quality and rating": (ranked(small=0.5, large=900.0), "rows[1].leaderboard.entries[1]", "EMPTY_ROW"),
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", BAD_ROWS)
async def test_a_bad_row_is_named_and_nothing_is_learnt(shared, name):
    """The field's path leads to the row; the good row before it is not learnt either."""
    row, path, reason = BAD_ROWS[name]
    position = shared.bridge.log.last_position
    refusal = await refused(imported(shared, scored(small=1.0), row))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert refusal.fields[0].startswith(path)
    assert shared.bridge.log.last_position == position


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("weight", [0.0, -1.0, 1.5, float("nan"), float("inf")])
async def test_a_bad_weight_is_refused(shared, weight):
    """It is above 0 and at most 1."""
    refusal = await refused(imported(shared, scored(small=1.0), row_weight=weight))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "WEIGHT_OUT_OF_RANGE")


async def test_every_kind_of_row_goes_into_the_log(server):
    """As the record that it is, with its weight."""
    await imported(server, *ALL_KINDS, row_weight=0.25)
    first, second = logged(server, Example)
    assert [lesson.weight for _, lesson in first.lessons] == [0.25, 0.25]
    assert (second.choice.propensity, second.import_id) == (0.25, "i")
    assert logged(server, ComparisonRecord)[0].comparison.weight == 0.25
    assert logged(server, LeaderboardPrior)[0].standings[0][1:] == (0.8, 5.0)
