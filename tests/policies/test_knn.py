"""Neighbours: found exactly, weighed by similarity, kept within a bound."""

import numpy as np
import pytest

from banditd.domain.context import Context
from banditd.domain.decision import Choice, Decision, DecisionSource, Limits, Objective
from banditd.domain.ids import issue_decision_id
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.features.fit import seeded_spec
from banditd.features.spec import FeatureKind
from banditd.policies.beliefs import knn
from banditd.policies.beliefs.knn import KnnBelief, direction, position_of
from banditd.policies.registry import resolve
from banditd.routing.choose import Terms
from banditd_sim.environments.engine import Engine

WIDTH = 8
MODEL = ModelSpec(0, "m0")
POLICY = resolve(PolicySpec("knn", {"neighbours": 5.0}))


def belief_of(policy=POLICY):
    """Return a belief over rows of eight projected values."""
    return KnnBelief(policy, seeded_spec(FeatureKind.LINEAR, WIDTH, 1), 0.5)


def rows(count, seed=0):
    """Encoded contexts."""
    x = np.random.default_rng(seed).standard_normal((count, WIDTH + 2)).astype(np.float32)
    x[:, 0] = 1.0
    return x


def decision_at(position, slot=0):
    """A decision of which only the id matters here."""
    none = np.zeros(1)
    choice = Choice(0, none + 1.0, none.astype(np.uint8), np.zeros((3, 1), np.float32), DecisionSource.POLICY)
    decision_id = issue_decision_id(bytes(32), position, 0)[0]
    return Decision(
        decision_id, "r", "", b"", Context(np.zeros(2, np.float16)), np.array([slot], np.uint16), choice, 0.5,
        Objective(), Limits(), "knn", 0, True,
    )  # fmt: skip


@pytest.mark.parametrize("chunk", [512, 8192])
def test_the_nearest_are_found_exactly(chunk, monkeypatch):
    """In one chunk that has grown, and across three, against a matrix product of all rows."""
    monkeypatch.setattr(knn, "_CHUNK", chunk)
    belief, many = belief_of(), rows(1300)
    for i, row in enumerate(many):
        belief.learn(MODEL, row, Lesson(quality=i / 1300), decision=decision_at(i + 1))
    shelf = belief._shelves[0]
    assert len(shelf.chunks) == 1 + (chunk == 512) * 2
    all_rows = np.stack([direction(row, row.size - 2) for row in many]).astype(float)
    for query in rows(20, 5):
        x = direction(query, query.size - 2).astype(np.float32)
        similarity, seen = knn.nearest(shelf.parts(), x, 5)
        order = np.sort(np.argsort(-(all_rows @ x), kind="stable")[:5])
        np.testing.assert_allclose(similarity, (all_rows @ x)[order], atol=1e-6)
        np.testing.assert_array_equal(seen[0], (order / 1300).astype(np.float32))


@pytest.mark.parametrize("spread", [1e-4, 1e-3, 1e-2, 0.1, 1.0])
def test_what_codes_cannot_tell_apart_is_found_exactly(spread):
    """Rows of full width closer together than their codes: the search falls back on the rows themselves."""
    rng = np.random.default_rng(3)
    many = np.ones((2600, 66), np.float32)
    many[:, 2:] = rng.standard_normal(64) + spread * rng.standard_normal((2600, 64))
    shelf = knn.Shelf(64, np.zeros(3))
    half = np.stack([direction(row, row.size - 2) for row in many])
    for i, row in enumerate(half):
        shelf.append(row.view(np.uint16), np.full(3, i, np.float32), i)
    x = half[7].astype(np.float32)
    similarity, seen = knn.nearest(shelf.parts(), x, 20)
    exact = half.astype(float) @ x
    np.testing.assert_allclose(np.sort(similarity), np.sort(exact)[-20:], atol=2e-6)
    np.testing.assert_allclose(exact[seen[0].astype(int)], similarity, atol=2e-6)


def test_the_spread_grows_with_distance():
    """At a prompt that was seen it is small, far from all it is that of the prior."""
    belief, here = belief_of(), rows(1)[0]
    for i in range(20):
        belief.learn(MODEL, here, Lesson(quality=0.9), decision=decision_at(i + 1))
    snapshot, far = belief.freeze((MODEL,)), here.copy()
    far[2:] = -here[2:]
    between = here.copy()
    between[2:4] = -here[2:4]
    found = [snapshot.predict(row).deviation[0] for row in (here, between, far)]
    assert found == sorted(found)
    assert found[0] < 0.6 * found[2]
    assert snapshot.predict(here).quality[0] > snapshot.predict(far).quality[0]


def test_it_learns_what_no_linear_belief_can():
    """Good on one side of a ring and its opposite: qualities that are even in the prompt."""
    rng = np.random.default_rng(0)
    gained = {}
    for preset in ("knn", "linucb"):
        engine = Engine(
            RouterSpec("r", PolicySpec(preset), embedding_dimension=2), (ModelSpec(0, "a"), ModelSpec(1, "b")), 1
        )
        got = []
        for angle in np.random.default_rng(1).uniform(0, 2 * np.pi, 1000):
            x = np.array([np.cos(angle), np.sin(angle)]).astype(np.float16)
            position, decision = engine.route(x, Terms(Objective()))
            mean = 0.5 + 0.3 * np.cos(2 * angle) * (1 if decision.choice.index == 0 else -1)
            got.append(mean)
            engine.learn(position, decision, Lesson(quality=float(np.clip(mean + 0.05 * rng.standard_normal(), 0, 1))))
        gained[preset] = np.mean(got[-400:])
    assert gained["knn"] > 0.65
    assert gained["linucb"] < 0.6


def test_what_is_seen_later_of_a_decision_joins_its_row():
    """One prompt, one row: cost first, quality a day after."""
    belief, row = belief_of(), rows(1)[0]
    belief.learn(MODEL, row, Lesson(cost_usd=0.01), decision=decision_at(7))
    before = belief.freeze((MODEL,))
    belief.learn(MODEL, row, Lesson(quality=1.0), decision=decision_at(7))
    assert belief._shelves[0].count == 1
    summary = belief.summary(MODEL)
    assert (summary.quality_count, summary.cost_count) == (1, 1)
    assert belief.freeze((MODEL,)).predict(row).quality[0] > before.predict(row).quality[0]
    assert np.isnan(before.parts[0][0][2][0, 0])  # the snapshot from before stays as it was
    assert position_of(decision_at(7)) == 7


def test_beyond_the_bound_the_model_that_has_most_gives_way(monkeypatch):
    """What is rare stays; snapshots from before stay as they were; everything is found again after loading."""
    monkeypatch.setattr(knn, "ROWS_MAX", 700)
    belief, other = belief_of(), ModelSpec(1, "m1")
    many = rows(1500)
    for i, row in enumerate(many[:40]):
        belief.learn(other, row, Lesson(quality=0.1), decision=decision_at(i + 1, 1))
    kept = None
    for i, row in enumerate(many[40:], start=40):
        if i == 800:
            kept = belief.freeze((MODEL, other))
            then = [kept.predict(query).values.tobytes() for query in rows(5, 9)]
        belief.learn(MODEL, row, Lesson(quality=i / 1500), decision=decision_at(i + 1))
    assert (belief._shelves[0].count, belief._shelves[1].count) == (660, 40)
    assert [kept.predict(query).values.tobytes() for query in rows(5, 9)] == then
    for position, (slot, row) in belief._places.items():
        assert belief._shelves[slot].position(row) == position
    assert len(belief._places) == 700
    copy = belief_of()
    copy.load_arrays(belief.to_arrays())
    assert copy.digest() == belief.digest()
    for each in (belief, copy):
        for i, row in enumerate(rows(60, 3)):
            each.learn(MODEL, row, Lesson(quality=0.5), decision=decision_at(2000 + i))
    assert copy.digest() == belief.digest()


def test_a_removed_model_takes_its_rows_with_it():
    """The bound is for those that are there."""
    belief = belief_of()
    for i, row in enumerate(rows(30)):
        belief.learn(MODEL, row, Lesson(quality=0.5), decision=decision_at(i + 1))
    belief.change_model(MODEL, None)
    assert belief._rows == 0
    assert not belief._places
    assert not belief._shelves


@pytest.mark.parametrize("value", [0.0, 257.0, float("nan")])
def test_neighbours_out_of_range_are_refused(value):
    """By the name of the parameter."""
    with pytest.raises(Exception, match="neighbours"):
        resolve(PolicySpec("knn", {"neighbours": value}))


def test_an_alarm_leaves_few_prompts_and_the_snapshot_before_it_alone():
    """They would stand in the way of what comes after; places of decisions follow the rows that stay."""
    belief, many = belief_of(), rows(700)
    for i, row in enumerate(many):
        belief.learn(MODEL, row, Lesson(quality=i / 700), decision=decision_at(i + 1))
    before = belief.freeze((MODEL,))
    said = before.predict(many[3]).values.tobytes()
    belief.widen(MODEL, 0)
    shelf = belief._shelves[0]
    assert shelf.count == 30
    assert {shelf.position(row): (0, row) for row in range(30)} == belief._places
    assert before.predict(many[3]).values.tobytes() == said


def test_errors_within_a_deviation_of_the_estimate_say_nothing():
    """The largest of many estimates disappoints by about that; what is beyond it is told, on both sides."""
    belief, row = belief_of(), rows(1)[0]
    for i in range(40):
        belief.learn(MODEL, row, Lesson(quality=0.5 + 0.2 * (-1) ** i))
    said = belief.freeze((MODEL,)).predict(row)
    quality, deviation = float(said.quality[0]), float(said.deviation[0])
    assert 0.0 < deviation < 0.2

    def residual(error):
        """What the detector would be shown of the next value."""
        shelf, near = (
            belief._shelves[0],
            knn.nearest(belief._shelves[0].parts(), direction(row, row.size - 2).astype(np.float32), 5),
        )
        return belief._residuals(shelf, near, np.array([quality + error, np.nan, np.nan], np.float32))[0]

    assert residual(0.5 * deviation) == residual(-0.5 * deviation) == 0.0
    assert residual(0.3) == pytest.approx(-residual(-0.3), abs=1e-3)
    assert residual(0.3) > 0.5
