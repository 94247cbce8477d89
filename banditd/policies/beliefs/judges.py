"""Those who compare: how reliable each is, and how much the place of an answer sways them all.

A judge's reliability is the probability that he says what he sees rather than its opposite: a Beta distribution that
starts from one prior for all, so that a judge of few votes is taken for an average one, and is updated by matching the
first two moments of its exact posterior (Chen et al. 2013, "Pairwise ranking aggregation in a crowdsourced setting").
"""

import hashlib
from collections.abc import Mapping
from typing import Final

import numpy as np

from banditd.domain.arrays import AnyArray, Array64
from banditd.errors import DataLossError, Reason

# Votes of the prior: for, and against. Nine in ten are as seen, and ten votes change that.
_PRIOR: Final = (9.0, 1.0)
# Judges that are told apart; further ones are taken for average ones.
JUDGES_MAX: Final = 10_000
# What is shared by all judges, before anything is known: bias of the first place and its variance, in logits (for
# a linear belief in votes), and log of the threshold for ties (0.3: a seventh of equal pairs is tied) and its variance.
_SHARED: Final = (0.0, 0.25, -1.2, 0.25)
_NAME_BYTES: Final = 8


class Judges:
    """Judges and what sways them. Mutable; the writer's thread only.

    Attributes:
        shared: Shape (4,), float64, as `kernels.duel.update_duel` has it.
    """

    def __init__(self) -> None:
        self.shared: Array64 = np.array(_SHARED)
        self._votes: dict[str, tuple[float, float]] = {}
        self.count = 0

    def reliability(self, judge: str) -> float:
        """Return the expected reliability of a judge, (0, 1)."""
        true, false = self._votes.get(_key(judge), _PRIOR)
        return true / (true + false)

    def learn(self, judge: str, shares: tuple[float, float, float], expected_a: float, expected_b: float) -> None:
        """Learn from a vote what it says of its judge.

        Args:
            judge: His name.
            shares: Of the vote, what went to a, to b and to a tie.
            expected_a: Probability with which an honest judge would have voted for a.
            expected_b: For b.
        """
        self.count += 1
        share_a, share_b, _ = shares
        share = share_a + share_b
        if share == 0.0:
            return  # a tie is its own opposite
        key = _key(judge)
        if key not in self._votes and len(self._votes) >= JUDGES_MAX:
            return
        true, false = self._votes.get(key, _PRIOR)
        r = true / (true + false)
        seen, opposite = (expected_a, expected_b) if share_a > 0.0 else (expected_b, expected_a)
        honest = r * seen / (r * seen + (1.0 - r) * opposite)
        # A weak preference speaks of its judge as weakly.
        self._votes[key] = _matched(true, false, share * honest + (1.0 - share) * r)

    def to_arrays(self) -> dict[str, Array64]:
        """Return the whole state as named arrays; none before anything was compared."""
        if self.count == 0:
            return {}
        votes = {f"judges/{key}": np.array(self._votes[key]) for key in sorted(self._votes)}
        return {"judges": np.append(self.shared, float(self.count))} | votes

    def load_arrays(self, arrays: Mapping[str, AnyArray]) -> None:
        """Put the state that `to_arrays` returned in the place of this one; raises DataLossError."""
        state = arrays.get("judges")
        votes = {name.removeprefix("judges/"): a for name, a in arrays.items() if name.startswith("judges/")}
        if state is None:
            state = np.array([*_SHARED, 0.0])
        if state.shape != (5,) or any(array.shape != (2,) for array in votes.values()):
            raise DataLossError(Reason.CORRUPT_RECORD, "snapshot: expected the state of judges, got another shape")
        self.shared = state[:4].copy()
        self.count = int(state[4])
        self._votes = {key: (float(array[0]), float(array[1])) for key, array in votes.items()}


def is_of_judges(name: str) -> bool:
    """Return whether an array of a belief's state is the judges'."""
    return name == "judges" or name.startswith("judges/")


def _key(judge: str) -> str:
    """Return what a judge is remembered by: names are the caller's, and no part of a snapshot."""
    return hashlib.blake2b(judge.encode(), digest_size=_NAME_BYTES).hexdigest()


def _matched(true: float, false: float, honest: float) -> tuple[float, float]:
    """Return the Beta of mean and variance of honest * Beta(true + 1, false) + (1 - honest) * Beta(true, false + 1)."""
    total = true + false
    mean = (true + honest) / (total + 1.0)
    square = (honest * (true + 1.0) * (true + 2.0) + (1.0 - honest) * true * (true + 1.0)) / (
        (total + 1.0) * (total + 2.0)
    )
    strength = (mean - square) / (square - mean * mean)
    return mean * strength, (1.0 - mean) * strength
