"""Compared pairs as an environment."""

import numpy as np
import pytest

from banditd_sim.environments.comparisons import ComparisonWorld
from banditd_sim.environments.errors import SimError
from banditd_sim.table import A_WON, B_WON, BOTH_BAD, TIE, Comparisons

# Prompt 0: (0,1) a, (2,0) b twice with different winners; prompt 1: (1,2) tie; prompt 2: (2,1) both bad.
HAND = Comparisons(
    prompt=np.array([0, 0, 0, 1, 2]),
    model_a=np.array([0, 2, 0, 1, 2]),
    model_b=np.array([1, 0, 2, 2, 1]),
    winner=np.array([A_WON, A_WON, A_WON, TIE, BOTH_BAD]),
    judge=("x", "y", "z", "", ""),
    strength_a=np.full(5, np.nan),
)


class Scripted:
    """Chooses the last pair and remembers what it was told."""

    def __init__(self):
        self.told = []

    def choose_pair(self, duel, uniform):
        return len(duel.pairs) - 1

    def learn(self, duel, verdict):
        self.told.append((duel.prompt, verdict))


def test_a_round_offers_the_pairs_of_its_prompt_and_reveals_one():
    """Prompt 0 offers (0,1) and (0,2)."""
    world = ComparisonWorld(HAND, 0)
    t = {int(world.duel(t).prompt): t for t in range(len(world))}
    assert world.duel(t[0]).pairs.tolist() == [[0, 1], [0, 2]]
    assert world.reveal(t[0], (1, 0)).worth == (1.0, 0.0)
    assert world.reveal(t[1], (1, 2)).worth == (0.5, 0.5)
    assert world.reveal(t[2], (1, 2)).worth == (0.0, 0.0)
    assert world.reveal(t[2], (1, 2)).winner == BOTH_BAD
    with pytest.raises(SimError, match="a pair that was compared"):
        world.reveal(t[1], (0, 1))


def test_the_order_of_a_pair_is_turned_with_its_verdict():
    """Of (2,0) model 2 won, of (0,2) model 0: both come up over seeds, told of the pair (0, 2)."""
    seen = {}
    for seed in range(40):
        world = ComparisonWorld(HAND, seed)
        t = next(t for t in range(3) if world.duel(t).prompt == 0)
        verdict = world.reveal(t, (0, 2))
        assert (verdict.first, verdict.second) == (0, 2)
        seen[verdict.judge] = (verdict.winner, verdict.worth)
    assert seen == {"y": (B_WON, (0.0, 1.0)), "z": (A_WON, (1.0, 0.0))}


def test_a_player_learns_of_the_chosen_pair_only():
    """One verdict per prompt, in the world's order."""
    player = Scripted()
    world = ComparisonWorld(HAND, 3)
    verdicts = world.play(player)
    assert [verdict for _, verdict in player.told] == verdicts
    assert sorted(prompt for prompt, _ in player.told) == [0, 1, 2]
    assert next(v for p, v in player.told if p == 0).second == 2


def test_no_comparisons_are_refused():
    """There is nothing to play."""
    with pytest.raises(SimError):
        ComparisonWorld(Comparisons(*(np.zeros(0, np.int64) for _ in range(4)), judge=(), strength_a=np.zeros(0)), 0)
