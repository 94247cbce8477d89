"""How likely a decision's quality is to arrive, per model and context: learnt from how decisions were resolved.

A decision whose quality came is a case of an arrival, one whose window closed without one is none; one that was
censored says nothing. The log odds go linearly with what is known of the prompt: its length, the caller's category and
a sketch of its embedding, which is fixed for ever, so that no new encoding touches what was learnt here.

What arrives outweighs what is missing until the first windows close: before, nothing is known to be missing.

Weighting by the inverse of this probability corrects what can be seen to depend on model and context. Where a quality
arrives or not because of what it is, the same contexts lack the same answers, and no weight of those that came tells
what the others would have been (Rubin 1976, "Inference and missing data").
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from itertools import repeat
from typing import Final

import numpy as np

from banditd.domain.arrays import AnyArray, Array64, Bits16, Index, frozen
from banditd.domain.context import Context, embeddings_of
from banditd.errors import DataLossError, Reason
from banditd.features.encode import length_feature
from banditd.kernels.arrival import SKETCH, expect_arrival, update_arrivals

# Columns that the caller's categories share by a hash of their names, after 1 and the length.
_CATEGORIES: Final = 16
_CATEGORIES_AT: Final = 2
_WIDTH: Final = _CATEGORIES_AT + _CATEGORIES + SKETCH
# Prior variances of log odds: common ones reach chances of 2 to 98 % at once; a model's own are smaller by half.
_COMMON_VARIANCE: Final = 4.0
_OWN_VARIANCE: Final = 1.0
# Resolutions that wait to be learnt: many at a time, for the reason that `policies.beliefs.evidence` has.
_WAITING_MAX: Final = 64


class Arrival:
    """What is known of the arrival of qualities. Mutable; the writer's thread only."""

    def __init__(self) -> None:
        self._common = _prior(_COMMON_VARIANCE)
        # Row of each model by slot, and by row its own coefficients, and how many qualities arrived and did not.
        self._rows: dict[int, int] = {}
        self._own: Array64 = np.zeros((0, 2, _WIDTH))
        self._counts: list[list[int]] = []
        # Slot, context and whether it arrived: learnt before anybody looks.
        self._waiting: list[tuple[int, Context, bool]] = []

    def note(self, slot: int, context: Context, *, arrived: bool) -> None:
        """Take note of how a decision was resolved."""
        self._waiting.append((slot, context, arrived))
        if len(self._waiting) >= _WAITING_MAX:
            self._settle()

    def note_arrived(self, slots: Sequence[int], contexts: Sequence[Context]) -> None:
        """Do `note` of decisions of which the quality arrived."""
        self._waiting.extend(zip(slots, contexts, repeat(True), strict=False))
        if len(self._waiting) >= _WAITING_MAX:
            self._settle()

    def _settle(self) -> None:
        """Learn what waits."""
        if not self._waiting:
            return
        slots, contexts, arrived = zip(*self._waiting, strict=True)
        self._waiting.clear()
        for (slot, came), count in Counter(zip(slots, arrived, strict=True)).items():
            self._counts[self._row_of(slot)][0 if came else 1] += count
        embeddings = embeddings_of(contexts)
        update_arrivals(
            self._common,
            self._own,
            np.array([self._rows[slot] for slot in slots]),
            embeddings.view(np.uint16),
            _places(embeddings.shape[1]),
            np.array([length_feature(context.input_tokens) for context in contexts]),
            np.array([_category_column(context) for context in contexts]),
            np.array(arrived, np.float64),
        )

    def _row_of(self, slot: int) -> int:
        """Return the row of a model in what is kept of models, which begins if it is new."""
        row = self._rows.get(slot)
        if row is None:
            row = self._rows[slot] = len(self._rows)
            self._own = np.concatenate([self._own, _prior(_OWN_VARIANCE)[None]])
            self._counts.append([0, 0])
        return row

    def counts(self, slot: int) -> tuple[int, int]:
        """Return how many qualities of a model arrived and how many did not."""
        self._settle()
        arrived, missing = self._counts[self._rows[slot]] if slot in self._rows else (0, 0)
        return arrived, missing

    def rate(self, slot: int) -> float:
        """Return the share of a model's qualities that arrives, over all contexts: that of its cases, and of two."""
        arrived, missing = self.counts(slot)
        return (arrived + 1.0) / (arrived + missing + 2.0)

    def probability(self, slot: int, context: Context) -> float:
        """Return how likely a quality of a model is to arrive in a context."""
        self._settle()
        own = self._own[self._rows[slot]] if slot in self._rows else _prior(_OWN_VARIANCE)
        return expect_arrival(self._common, own, *_known(context))

    def weight(self, slot: int, context: Context, bound: float) -> float:
        """Return what a quality that arrived counts for, so that contexts count as often as they came.

        The inverse of its probability times the model's rate: weights are 1 on average, so that what arrives counts for
        as many observations as it is (stabilised weights; Robins, Hernan and Brumback 2000).

        Args:
            slot: Number of the model.
            context: What was known.
            bound: At least 1: weights are cut to [1 / bound, bound].
        """
        if bound <= 1.0 or self.counts(slot)[1] == 0:
            return 1.0
        ratio = self.rate(slot) / self.probability(slot, context)
        return min(max(ratio, 1.0 / bound), bound)

    def drop(self, slot: int) -> None:
        """Forget a model."""
        self._settle()
        if slot in self._rows:
            kept = {other: row for other, row in self._rows.items() if other != slot}
            self._keep(list(kept), self._own[list(kept.values())], [self._counts[row] for row in kept.values()])

    def to_arrays(self) -> dict[str, AnyArray]:
        """Return the whole state as named arrays; none before the first decision was resolved.

        What models have in common outlasts them: it is there even if all were removed.
        """
        self._settle()
        slots = sorted(self._rows)
        if not slots and np.array_equal(self._common, _prior(_COMMON_VARIANCE)):
            return {}
        rows = [self._rows[slot] for slot in slots]
        counts = [[slot, *self._counts[row]] for slot, row in zip(slots, rows, strict=True)]
        return {
            "common": self._common,
            "own": self._own[rows],
            "counts": np.array(counts, np.float64).reshape(-1, 3),
        }

    def load_arrays(self, arrays: Mapping[str, AnyArray]) -> None:
        """Put the state that `to_arrays` returned in the place of this one.

        Raises:
            DataLossError: The arrays do not fit.
        """
        self._waiting.clear()
        if not arrays:
            self._common = _prior(_COMMON_VARIANCE)
            self._keep([], np.zeros((0, 2, _WIDTH)), [])
            return
        shapes = {name: array.shape for name, array in arrays.items()}
        models = len(arrays.get("counts", ()))
        if shapes != {"common": (2, _WIDTH), "own": (models, 2, _WIDTH), "counts": (models, 3)}:
            raise DataLossError(Reason.CORRUPT_RECORD, f"snapshot: expected the state of arrivals, got {shapes}")
        rows = [[int(value) for value in row] for row in arrays["counts"].tolist()]
        self._common = arrays["common"].copy()
        self._keep([row[0] for row in rows], arrays["own"].copy(), [row[1:] for row in rows])

    def _keep(self, slots: list[int], own: Array64, counts: list[list[int]]) -> None:
        """Put what is known of these models in the place of what was kept of models."""
        self._rows, self._own, self._counts = {slot: row for row, slot in enumerate(slots)}, own, counts


def _prior(variance: float) -> Array64:
    """Return means and variances of coefficients of which nothing is known."""
    prior = np.zeros((2, _WIDTH))
    prior[1] = variance
    return prior


def _known(context: Context) -> tuple[Bits16, Index, float, int]:
    """Return what kernels take for what is known of a prompt: embedding, its sketch, length, column of the category."""
    embedding = context.embedding
    length = length_feature(context.input_tokens)
    return embedding.view(np.uint16), _places(len(embedding)), length, _category_column(context)


def _category_column(context: Context) -> int:
    """Return the column of a prompt's category; -1 for none."""
    return _column(context.category) if context.category else -1


@lru_cache(maxsize=1024)
def _column(category: str) -> int:
    """Return the column of a category; callers have few."""
    digest = hashlib.blake2b(category.encode(), digest_size=2, person=b"arrival").digest()
    return _CATEGORIES_AT + int.from_bytes(digest, "little") % _CATEGORIES


@cache
def _places(dimension: int) -> Index:
    """Return place and sign of each value of an embedding, as `expect_arrival` reads them."""
    raw = hashlib.shake_256(b"banditd arrival").digest(2 * dimension)
    pairs = np.frombuffer(raw, np.uint8).reshape(dimension, 2).astype(np.int64)
    return frozen(pairs[:, 0] % SKETCH * 2 + (pairs[:, 1] & 1))
