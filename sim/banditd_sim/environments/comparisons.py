"""Comparisons as an environment: of each prompt only the compared pair's outcome is revealed.

Anything with `choose_pair` plays; `players.PairRouter` is the shipped router.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from banditd_sim.environments.errors import SimError
from banditd_sim.environments.scores import BOTH_BAD_WORTH, WORTH
from banditd_sim.ope.arrays import Int64
from banditd_sim.table import A_WON, B_WON, Comparisons


@dataclass(frozen=True, slots=True)
class Duel:
    """What a round offers: a prompt and the pairs that were compared on it.

    Attributes:
        prompt: Row of the prompt.
        pairs: Int64 (m, 2), distinct pairs of model indices, each ascending.
    """

    prompt: int
    pairs: Int64


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of comparing one pair.

    Attributes:
        first, second: Model indices, first < second.
        worth: To the first and to the second: 1 won, 0.5 tie, 0 lost or both bad.
        winner: A_WON (the first), B_WON (the second), TIE or BOTH_BAD.
        judge: Who said so; empty where unknown.
    """

    first: int
    second: int
    worth: tuple[float, float]
    winner: int
    judge: str


class PairPlayer(Protocol):
    """Chooses pairs and learns from verdicts."""

    def choose_pair(self, duel: Duel, uniform: float) -> int:
        """Return the index of the pair to compare, 0..len(pairs)-1."""
        ...

    def learn(self, duel: Duel, verdict: Verdict) -> None:
        """Take in the verdict on the pair that was chosen."""
        ...


class ComparisonWorld:
    """Rounds over the compared prompts of a table. The comparisons are never copied.

    Where a pair was compared several times on a prompt, one of the verdicts is drawn: that is the judges' own noise.

    Args:
        comparisons: At least one.
        seed: Of order and draws.
        rows: Int64 (n,), prompts in the order in which they come; None for all, shuffled by *seed*.

    Raises:
        SimError: No comparisons, or a prompt without any.
    """

    def __init__(self, comparisons: Comparisons, seed: int, rows: Int64 | None = None) -> None:
        if len(comparisons) == 0:
            raise SimError("comparisons", "at least one", 0, reason="EMPTY")
        self._all = comparisons
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0])))
        by_prompt = np.argsort(comparisons.prompt, kind="stable")
        prompts, first = np.unique(comparisons.prompt[by_prompt], return_index=True)
        self._groups = np.split(by_prompt, first[1:])
        self._prompts = prompts
        self.order: Int64 = rng.permutation(len(prompts)) if rows is None else np.searchsorted(prompts, rows)
        if rows is not None and not np.array_equal(prompts[np.minimum(self.order, len(prompts) - 1)], rows):
            raise SimError("rows", "prompts with comparisons", "one without", reason="NOT_COMPARED")
        self._uniform = rng.random((2, len(self.order)))

    def __len__(self) -> int:
        return len(self.order)

    def duel(self, t: int) -> Duel:
        """Return what round *t* offers."""
        group = self._groups[self.order[t]]
        pairs = np.sort(np.stack([self._all.model_a[group], self._all.model_b[group]], axis=1), axis=1)
        return Duel(int(self._prompts[self.order[t]]), np.unique(pairs, axis=0))

    def reveal(self, t: int, pair: tuple[int, int]) -> Verdict:
        """Return the verdict on one pair of round *t*, of no other.

        Raises:
            SimError: The pair was not compared on this prompt.
        """
        low, high = min(pair), max(pair)
        group = self._groups[self.order[t]]
        a, b = self._all.model_a[group], self._all.model_b[group]
        found = group[(np.minimum(a, b) == low) & (np.maximum(a, b) == high)]
        if not len(found):
            raise SimError(f"round {t}", "a pair that was compared on the prompt", pair, reason="NOT_COMPARED")
        row = int(found[int(self._uniform[0, t] * len(found))])
        winner = int(self._all.winner[row])
        swapped = int(self._all.model_a[row]) != low
        worth = WORTH.get(winner, BOTH_BAD_WORTH)
        if swapped:
            worth = worth[::-1]
            winner = {A_WON: B_WON, B_WON: A_WON}.get(winner, winner)
        return Verdict(low, high, worth, winner, self._all.judge[row])

    def play(self, player: PairPlayer) -> list[Verdict]:
        """Let *player* choose a pair in every round and learn its verdict."""
        verdicts = []
        for t in range(len(self)):
            duel = self.duel(t)
            first, second = duel.pairs[player.choose_pair(duel, float(self._uniform[1, t]))].tolist()
            verdict = self.reveal(t, (first, second))
            player.learn(duel, verdict)
            verdicts.append(verdict)
        return verdicts
