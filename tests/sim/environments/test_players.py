"""The shipped router at compared pairs and at logs: it is shown what was chosen only, and learns who is better."""

import dataclasses

import numpy as np
import pytest

from banditd_sim.environments.comparisons import ComparisonWorld
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.logged import LoggedWorld
from banditd_sim.environments.players import LogRouter, PairRouter
from banditd_sim.environments.router import RouterPolicy
from banditd_sim.ope import LoggedRounds
from banditd_sim.table import A_WON, B_WON, Comparisons

from .worlds import flat

DUEL = RouterPolicy("duel")


def compared(prompts=150, seed=0):
    """Return four models compared in all pairs but (0, 1), of which the greater number wins nine times in ten."""
    rng = np.random.default_rng(seed)
    pairs = [(0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    rows = [(i, a, b, B_WON if rng.random() < 0.9 else A_WON) for i in range(prompts) for a, b in pairs]
    prompt, a, b, winner = (np.array(column) for column in zip(*rows, strict=True))
    table = flat(prompts, [0.5] * 4, [1.0] * 4)
    comparisons = Comparisons(prompt, a, b, winner, ("",) * len(rows), np.full(len(rows), np.nan))
    return dataclasses.replace(table, comparisons=comparisons)


def test_a_router_compares_and_learns_who_wins():
    """In the end it compares the best with somebody nearly always, chance would have it in three pairs of five."""
    table = compared()
    verdicts = ComparisonWorld(table.comparisons, 1).play(PairRouter(table, DUEL, 1))
    assert len(verdicts) == 150
    assert {(one.first, one.second) for one in verdicts} <= {(0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}
    late = [3 in (one.first, one.second) for one in verdicts[-50:]]
    assert np.mean(late) > 0.85


def test_equal_seeds_compare_equal_pairs():
    """The player's draws and the world's are both seeded."""
    table = compared(40)
    first, second = (ComparisonWorld(table.comparisons, 2).play(PairRouter(table, DUEL, 2)) for _ in range(2))
    assert first == second


def test_a_table_without_embeddings_cannot_be_compared():
    """By a router that needs them."""
    with pytest.raises(SimError, match="embeddings"):
        PairRouter(dataclasses.replace(compared(5), embeddings=None), DUEL, 0)


def uniform_log(n=6000, seed=0, **changes):
    """Return a uniform log of two models, each the better one for half of the contexts."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 4)).astype(np.float32)
    action = rng.integers(0, 2, n)
    mean = np.where((x[:, 0] > 0.0) == (action == 0), 0.8, 0.2)
    reward = (rng.random(n) < mean).astype(float)
    return LoggedRounds(action, reward, np.full(n, 0.5), ("a", "b"), x, **changes)


def test_a_router_learns_from_the_rounds_that_are_kept():
    """Half of a uniform log of two models; a policy that never learns gets 0.5, one that knows all 0.8."""
    log = uniform_log()
    player = LogRouter(log, RouterPolicy("linucb"), 3)
    accepted = LoggedWorld(log, 3).play(player)
    assert len(accepted.rounds) == pytest.approx(3000, abs=150)
    assert len(player.engine.log.decisions()) == accepted.offered_count == 6000
    assert accepted.reward[-1000:].mean() > 0.7


def test_only_eligible_models_are_chosen_from_a_log():
    """As the log has them, with indices of the log."""
    eligible = np.tile([False, True], (50, 1))
    rng = np.random.default_rng(0)
    log = LoggedRounds([1] * 50, [1.0] * 50, [1.0] * 50, ("a", "b"), rng.random((50, 4)), eligible=eligible)
    assert len(LoggedWorld(log, 0).play(LogRouter(log, RouterPolicy("linucb"), 0)).rounds) == 50


def test_a_log_without_contexts_cannot_be_replayed_by_a_router():
    """There is nothing to choose by."""
    with pytest.raises(SimError, match="contexts"):
        LogRouter(LoggedRounds([0, 1], [1.0, 0.0], [0.5, 0.5], ("a", "b")), RouterPolicy("linucb"), 0)
