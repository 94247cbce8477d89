"""What the slopes of quality are taken to be before a model is seen: a penalty and a centre, learnt over all models."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from banditd.domain.arrays import AnyArray, Array32, Array64
from banditd.errors import DataLossError, Reason
from banditd.features.spec import INTERCEPT, LENGTH, FeatureSpec
from banditd.policies.beliefs.evidence import Evidence
from banditd.policies.beliefs.shrinkage import (
    LIKELY_MAX,
    PENALTIES,
    Sums,
    common_slopes,
    compare,
    likeliest,
    margin_of,
    posterior,
)

# Qualities, over all models, at which the prior is chosen for the first time, and the growth until the next.
FIRST_COUNT: Final = 64
GROWTH: Final = 2


class SlopePrior:
    """The prior of the slopes of quality, as `shrinkage` has it; the writer's thread only.

    Args:
        features: How rows are encoded, N values each.
        slope_penalty: Of the slopes, until the data choose it.
        intercept_penalty: Of the intercept.
        forgets: Whether evidence fades. Then the sums are of a few hundred outcomes of a world that may have changed
            between them: what is likely of their mixture is no prior for the next one, and a narrow one would not
            explore it. The configured penalty stays until choices by another are better.

    Attributes:
        penalties: Shape (N,): prior precisions of a row's values, in units of the noise precision.
        slopes: Shape (N,): centre of the prior, 0 at the intercept, which each model has its own of.
    """

    def __init__(
        self, features: FeatureSpec, slope_penalty: float, intercept_penalty: float, *, forgets: bool = False
    ) -> None:
        width = features.row_width
        # Values with a penalty of their own: those of the embedding, and those of categories.
        self._body = slice(LENGTH, features.categories_at)
        self._named = slice(features.categories_at, width) if features.categories else None
        self._forgets = forgets
        self.penalties = penalties_of(width, slope_penalty, intercept_penalty)
        self.slopes: Array64 = np.zeros(width)
        self._configured = self.penalties.copy()
        self._evidence = Evidence(width)
        self._learnt, self._next_choice = 0, FIRST_COUNT

    @property
    def slots(self) -> list[int]:
        """Models of which a quality was seen, by slot."""
        return sorted(self._evidence.sums)

    @property
    def contexts(self) -> Array32:
        """A sample of the contexts, of at most 256: shape (n, N)."""
        return self._evidence.sample.rows

    @property
    def room(self) -> int:
        """Pieces of evidence until the prior is chosen anew."""
        return self._next_choice - self._learnt

    def add(self, slot: int, row: Array32, value: float, *, weight: float = 1.0, retention: float = 1.0) -> None:
        """Take note of a quality that was learnt, or of what amounts to one."""
        self._evidence.add(slot, row, value, weight, retention)

    def add_rows(self, slot: int, rows: Array32, measured: Array64, weights: Array64, retention: float) -> None:
        """Do `add` for each of B rows (B, N), with what was `measured` (B, 3), of which not all are qualities."""
        self._evidence.add_rows(slot, rows, measured, weights, retention)

    def suppose(self, slot: int, value: float, strength: float) -> None:
        """Take note of a prior of a model's level: as observations at the average prompt, which is no context."""
        row = np.zeros(len(self.slopes), np.float32)
        row[INTERCEPT] = 1.0
        sums = self._evidence.of(slot)
        # Half of it to each half of the outcomes: it is no outcome that one of them could judge the other by.
        for half in range(2):
            sums.add(half, row, value, 0.5 * strength, 1.0, 0.0)

    def count(self, pieces: int) -> bool:
        """Count pieces of evidence; return whether enough was seen since the last choice for another."""
        self._learnt += pieces
        return self._learnt >= self._next_choice

    def fade(self, slot: int, share: float) -> None:
        """Keep a share of what was seen of a model."""
        if slot in self._evidence.sums:
            self._evidence.of(slot).fade(share)

    def free_level(self, slot: int) -> None:
        """Make what was seen of a model that of another level than the present one."""
        if slot in self._evidence.sums:
            self._evidence.of(slot).free_level(float(self.penalties[INTERCEPT]))

    def drop(self, slot: int) -> None:
        """Forget a model."""
        self._evidence.sums.pop(slot, None)

    def choose(self, prior: Array64, noise: Array64, expect_cost: Callable[[Array32], Array64]) -> Array64 | None:
        """Choose penalties and slopes from all that was seen.

        Args:
            prior: Shape (K, N): centres of the priors of `slots`.
            noise: Shape (K,): their noise variances.
            expect_cost: From contexts (B, N) to what each is expected to cost in them, (B, K).

        Returns:
            By what the centre moved, shape (N,), after which every posterior is another; None if it is too early.
        """
        self._next_choice *= GROWTH
        sums = [self._evidence.sums[slot] for slot in self.slots]
        margin = margin_of(sums, self._learnt, self._evidence.sample)
        intercept = float(self._configured[INTERCEPT])
        if margin is None and self._forgets:
            return None
        penalties = self._configured.copy()
        if self._named is not None and not self._forgets:
            held_down = penalties.copy()
            held_down[self._body] = PENALTIES[-1]
            penalties[self._named] = likeliest(sums, prior, held_down, self._named, PENALTIES[-1])
        if not self._forgets and (margin is None or margin > 0.0):
            penalties[self._body] = likeliest(sums, prior, penalties, self._body, LIKELY_MAX)
        if margin is None:
            self.penalties = penalties
            return np.zeros_like(self.slopes)
        slopes = common_slopes(
            np.stack([s.gram.sum(axis=0) for s in sums]),
            np.stack([s.moment.sum(axis=0) for s in sums]),
            prior[:, INTERCEPT],
            intercept,
        )
        moved, self.slopes = slopes - self.slopes, slopes
        rows = self.contexts
        if len(sums) > 1 and len(rows):
            worth = compare(sums, prior + moved, noise, rows, expect_cost(rows), penalties, self._body)
            penalties[self._body] = worth.best(margin)
            self.penalties = penalties
        return moved

    def posterior(self, slot: int, prior: Array64) -> tuple[Array64, Array64]:
        """Return A^-1 and theta of a model under the present penalties and the centre *prior*."""
        sums = self._evidence.sums.get(slot)
        if sums is None:
            return np.diag(1.0 / self.penalties), prior.copy()
        return posterior(sums.gram.sum(axis=0), sums.moment.sum(axis=0), self.penalties, prior)

    def to_arrays(self) -> dict[str, Array64]:
        """Return the whole state as named arrays."""
        arrays = {
            "slopes": self.slopes,
            "penalties": self.penalties,
            "numbers": np.array([self._learnt, self._next_choice], np.float64),
            "digests": self._evidence.sample.keys,
            "rows": self.contexts.astype(np.float64),
        }
        for slot, sums in sorted(self._evidence.sums.items()):
            arrays[f"gram/{slot}"] = sums.gram
            arrays[f"moment/{slot}"] = sums.moment
            arrays[f"totals/{slot}"] = sums.totals
        return {_PREFIX + name: array for name, array in arrays.items()}

    def load_arrays(self, arrays: Mapping[str, AnyArray]) -> None:
        """Put the state that `to_arrays` returned in the place of this one; other arrays may lie beside.

        Raises:
            DataLossError: The arrays do not fit.
        """
        width = len(self.slopes)
        slopes, penalties = (
            loaded(arrays, _PREFIX + "slopes", (width,)),
            loaded(arrays, _PREFIX + "penalties", (width,)),
        )
        learnt, next_choice = loaded(arrays, _PREFIX + "numbers", (2,))
        # Another name than that of digests by another function, of versions before.
        count = len(arrays.get(_PREFIX + "rows", ()))
        keys, rows = loaded(arrays, _PREFIX + "digests", (count,)), loaded(arrays, _PREFIX + "rows", (count, width))
        found: dict[int, Sums] = {}
        for name in arrays:
            if name.startswith(_PREFIX + "gram/"):
                slot = name.removeprefix(_PREFIX + "gram/")
                gram = loaded(arrays, name, (2, width, width))
                moment = loaded(arrays, f"{_PREFIX}moment/{slot}", (2, width))
                found[int(slot)] = Sums(gram, moment, loaded(arrays, f"{_PREFIX}totals/{slot}", (2,)))
        self.slopes, self.penalties = slopes, penalties
        self._learnt, self._next_choice = int(learnt), int(next_choice)
        self._evidence.load(found, keys, rows.astype(np.float32))


_PREFIX: Final = "slope_prior/"


def is_of_slope_prior(name: str) -> bool:
    """Return whether an array of a stored state belongs to a `SlopePrior`."""
    return name.startswith(_PREFIX)


def penalties_of(width: int, slope_penalty: float, intercept_penalty: float) -> Array64:
    """Return the prior precisions of a row's values."""
    penalties = np.full(width, slope_penalty)
    penalties[INTERCEPT] = intercept_penalty
    return penalties


def loaded(arrays: Mapping[str, AnyArray], name: str, shape: tuple[int, ...]) -> Array64:
    """Return a copy of an array of a stored state.

    Raises:
        DataLossError: It is not there, or of another shape.
    """
    array = arrays.get(name)
    if array is None or array.shape != shape:
        got = None if array is None else array.shape
        raise DataLossError(Reason.CORRUPT_RECORD, f"snapshot: expected {name} of shape {shape}, got {got}")
    return array.copy()
