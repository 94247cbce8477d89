"""The category belief: per category, model and metric a mean, shrunk to the model's mean over all categories.

A category is the one that the caller names, or else the cluster of the prompt's embedding (see
`banditd.features.fit`). The model is the normal-normal one of empirical Bayes (Efron and Morris 1975; Gelman et al.
2013, section 5.4): values scatter around their category's mean with a variance that is pooled per model, and the
categories' means scatter around the model's with a variance that the evidence chooses, per metric, over all models
together. So a category that says nothing costs nothing, and one that is new starts from what the model does elsewhere.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from banditd.domain.arrays import AnyArray, Array32, Array64, frozen
from banditd.domain.decision import Decision
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson
from banditd.errors import DataLossError, Reason
from banditd.features.spec import LENGTH, FeatureSpec
from banditd.kernels.categories import add_evidence, shrink
from banditd.policies.base import ModelSummary, Prediction, Residuals
from banditd.policies.beliefs.measures import (
    COST,
    LATENCY,
    NOISE_GUESS,
    NOISE_GUESS_COUNT,
    QUALITY,
    cost_offset,
    expected,
    measured,
    prior_means,
    shift_of_costs,
)
from banditd.policies.registry import PolicyParameters

# Categories with a row of their own; what comes under later names is learnt of the model only.
CATEGORIES_MAX: Final = 1024
# Standard deviations between categories that are compared, in units of the noise before anything is seen; the fourth
# is where it starts, and each step away costs as much as half a nat of evidence.
_BETWEEN: Final = np.array([1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0])
_BETWEEN_START: Final = 3
# The evidence is weighed again whenever there are a sixteenth more values.
_WEIGH_GROWTH: Final = 16
# Values that the evidence of a metric is worth at most after an alarm. Unlike a regression, whose level an alarm frees
# by itself, a category has nothing but its level: so few that ten new values outweigh them.
_KEPT_BY_ALARM: Final = 10.0
_COUNT, _MEAN, _SQUARES = range(3)


@dataclass(frozen=True, slots=True)
class CategorySnapshot:
    """A frozen category belief over K models.

    Attributes:
        rows: Row of the table by category: the caller's name, or the number of a cluster.
        clusters: How many centres a row is compared with.
        table: Shape (C + 1, 4, K), as predictions; the last row is that of a category that was never seen.
        latency_half_variance: Shape (K,): half the variance of a log latency within its category.
        learnt_count: Qualities learnt so far, over all models.
    """

    rows: Mapping[str | int, int]
    clusters: int
    table: Array64
    latency_half_variance: Array64
    learnt_count: int

    @property
    def evidence(self) -> None:
        """Not told."""
        return

    def predict(self, row: Array32, category: str = "") -> Prediction:
        """Return what is expected in the caller's category, or in the cluster of an encoded context."""
        if not np.isfinite(row).all():
            return Prediction(np.full(self.table.shape[1:], math.nan))
        return Prediction(self.table[self.rows.get(category or cluster_of(row, self.clusters), len(self.table) - 1)])

    def predict_rows(self, rows: Array32, categories: Sequence[str] | None = None) -> Prediction:
        """Return the same for rows (B, N)."""
        names = categories if categories is not None else [""] * len(rows)
        return Prediction(np.stack([self.predict(row, name).values for row, name in zip(rows, names, strict=True)]))


def cluster_of(row: Array32, clusters: int) -> int:
    """Return the number of the cluster, of so many, whose centre is most like a prompt."""
    return int(row[LENGTH + 1 : LENGTH + 1 + clusters].argmax())


class CategoryBelief:
    """A category belief that learns; the writer's thread only.

    Args:
        policy: The router's.
        features: Its encoding: of clusters; in a portfolio, of components, which then stand for them.
        quality_guess: Of a model that has none of its own.
    """

    def __init__(self, policy: PolicyParameters, features: FeatureSpec, quality_guess: float) -> None:
        del policy  # nothing of it is needed
        self._clusters = features.projected_dimension
        self._quality_guess = quality_guess
        self._keys: dict[str | int, int] = {}
        # Per model (3, 3, C + 1): per metric the count, mean and sum of squares of each category's values. The last
        # column stays empty. And (3, 3) the same over all categories, with those that have no column, and never faded.
        self._cells: dict[int, Array64] = {}
        self._totals: dict[int, Array64] = {}
        self._between = np.array([_BETWEEN[_BETWEEN_START] * guess for guess in NOISE_GUESS])
        # Values learnt, and at how many the evidence is weighed next.
        self._numbers = np.array([0.0, 1.0])
        self._priors: dict[int, Array64] = {}
        # What the prior of a model's quality counts for beyond the one observation that any prior does.
        self._strengths: dict[int, float] = {}
        self._changed: set[int] = set()
        self._last: tuple[tuple[ModelSpec, ...], CategorySnapshot] | None = None

    def learn(
        self,
        model: ModelSpec,
        row: Array32,
        lesson: Lesson,
        category: str = "",
        decision: Decision | None = None,  # noqa: ARG002 - as others have it
    ) -> Residuals | None:
        """Learn what was seen of one model; None where nothing was."""
        values = measured(model, lesson)
        if not np.isfinite(row).all() or all(math.isnan(value) for value in values):
            return None
        column = self._column(category or cluster_of(row, self._clusters))
        self._make_cells(model)
        noise = self._noise(model.slot)
        residuals = [math.nan, math.nan, math.nan]
        for metric, value in enumerate(values):
            if not math.isnan(value):
                mean, deviation, _ = self._shrunk(model, metric, 0.0, logs=False)
                spread = math.sqrt(float(noise[metric]) + float(deviation[column]) ** 2)
                residuals[metric] = (value - float(mean[column])) / spread
                _add(self._totals[model.slot][metric], value, lesson.weight)
                if column >= 0:
                    _add(self._cells[model.slot][metric, :, column], value, lesson.weight)
                self._numbers[0] += 1.0
        self._changed.add(model.slot)
        if self._numbers[0] >= self._numbers[1]:
            self._weigh_evidence()
        return residuals[0], residuals[1], residuals[2]

    def suppose(self, model: ModelSpec, quality: float, strength: float) -> None:
        """Set the prior of a model's quality over all categories."""
        self._make_cells(model)
        self._priors[model.slot][QUALITY] = quality
        self._strengths[model.slot] = strength
        self._changed.add(model.slot)

    def widen(self, model: ModelSpec, metric: int) -> None:
        """Take what was learnt of one metric for worth little: it has changed."""
        cells = self._cells.get(model.slot)
        if cells is None:
            return
        share = _KEPT_BY_ALARM / max(float(cells[metric, _COUNT].sum()), _KEPT_BY_ALARM)
        cells[metric, _COUNT] *= share
        cells[metric, _SQUARES] *= share
        self._changed.add(model.slot)

    def fade(self, model: ModelSpec, share: float) -> None:
        """Keep a share of the evidence of a model."""
        if model.slot in self._cells:
            self._cells[model.slot][:, _COUNT] *= share
            self._cells[model.slot][:, _SQUARES] *= share
            self._changed.add(model.slot)

    def start_like(self, model: ModelSpec, sibling: ModelSpec) -> None:
        """Guess of a model, of which nothing is seen, what is expected of *sibling* over all categories."""
        if sibling.slot not in self._cells or model.slot in self._cells:
            return
        self._make_cells(model)
        for metric in range(3):
            if self._totals[sibling.slot][metric, _COUNT]:
                self._priors[model.slot][metric] = self._shrunk(sibling, metric, 0.0, logs=False)[2][0]
        self._changed.add(model.slot)

    def freeze_faded(self, models: tuple[ModelSpec, ...], shares: Mapping[int, float]) -> CategorySnapshot:
        """Return `freeze` with the deviations of quality that `fade` to these shares, by slot, would about give.

        Evidence of which a share is left has deviations larger by one over its root, up to about those of the prior: no
        less is left than one part of as many as there are values and one more.
        """
        snapshot = self.freeze(models)
        evidence = [float(self._cells[m.slot][QUALITY, _COUNT].sum()) if m.slot in self._cells else 0.0 for m in models]
        kept = [max(shares.get(m.slot, 1.0), 1.0 / (1.0 + n)) for m, n in zip(models, evidence, strict=True)]
        table = snapshot.table.copy()
        table[:, 1] /= np.sqrt(np.array(kept))
        return replace(snapshot, table=frozen(table))

    def change_model(self, old: ModelSpec | None, new: ModelSpec | None) -> None:
        """Take note of a model that came, changed or went."""
        if new is None:
            if old is not None:
                for kept in (self._cells, self._totals, self._priors, self._strengths):
                    kept.pop(old.slot, None)
            return
        if old is None or new.slot not in self._cells:
            return
        self._changed.add(new.slot)
        shift = shift_of_costs(old, new)
        self._cells[new.slot][COST, _MEAN] += shift
        self._totals[new.slot][COST, _MEAN] += shift
        priors = self._priors[new.slot]
        priors[COST] += shift
        before, after = prior_means(old, self._quality_guess), prior_means(new, self._quality_guess)
        for metric in (QUALITY, LATENCY):
            if before[metric] != after[metric]:  # only then: what a sibling has lent stays
                priors[metric] = after[metric]

    def freeze(
        self,
        models: tuple[ModelSpec, ...],
        *,
        live: bool = False,  # noqa: ARG002 - as others have it
    ) -> CategorySnapshot:
        """Return a frozen copy that speaks of *models*, in their order; only what changed is computed anew."""
        shape = (len(self._keys) + 1, 4, len(models))
        if self._last is not None and self._last[0] == models and self._last[1].table.shape == shape:
            table = self._last[1].table.copy()
            stale = [k for k, model in enumerate(models) if model.slot in self._changed]
        else:
            table, stale = np.empty(shape), list(range(len(models)))
        for k in stale:
            table[:, :, k] = self._column_of_table(models[k])
        learnt = sum(int(total[QUALITY, _COUNT]) for total in self._totals.values())
        half_variance = np.array([0.5 * self._noise(model.slot)[LATENCY] for model in models])
        snapshot = CategorySnapshot(dict(self._keys), self._clusters, frozen(table), frozen(half_variance), learnt)
        self._last = (models, snapshot)
        self._changed.clear()
        return snapshot

    def summary(self, model: ModelSpec) -> ModelSummary:
        """Return what is held of one model, over all categories."""
        totals = self._totals.get(model.slot, np.zeros((3, 3)))
        common = [self._shrunk(model, metric, 0.0, logs=False)[2] for metric in range(3)]
        noise = self._noise(model.slot).tolist()
        cost_usd = expected(common[COST][0], cost_offset(model, noise[COST], int(totals[COST, _COUNT])))
        return ModelSummary(
            quality_count=int(totals[QUALITY, _COUNT]),
            cost_count=int(totals[COST, _COUNT]),
            latency_count=int(totals[LATENCY, _COUNT]),
            quality=common[QUALITY][0],
            deviation=math.sqrt(common[QUALITY][1]),
            cost_usd=None if math.isnan(cost_usd) else cost_usd,
            latency_ms=expected(common[LATENCY][0], 0.5 * noise[LATENCY]),
        )

    def to_arrays(self) -> dict[str, AnyArray]:
        """Return the whole state as named arrays."""
        keys = json.dumps(list(self._keys)).encode()
        arrays: dict[str, AnyArray] = {
            "keys": np.frombuffer(keys, np.uint8),
            "between/numbers": self._between,
            "numbers": self._numbers,
        }
        for slot in sorted(self._cells):
            arrays[f"{slot}/cells"] = self._cells[slot]
            arrays[f"{slot}/totals"] = self._totals[slot]
            arrays[f"{slot}/prior"] = self._priors[slot]
        if self._strengths:
            arrays["strengths"] = np.array(sorted(self._strengths.items()))
        return arrays

    def load_arrays(self, arrays: Mapping[str, AnyArray]) -> None:
        """Put the state that `to_arrays` returned in the place of this one.

        Raises:
            DataLossError: The arrays do not fit.
        """
        try:
            keys = {key: i for i, key in enumerate(json.loads(arrays["keys"].tobytes()))}
            shapes = {"cells": (3, 3, len(keys) + 1), "totals": (3, 3), "prior": (3,)}
            slots = sorted({int(name.split("/")[0]) for name in arrays if name[0].isdigit()})
            found = {part: {slot: arrays[f"{slot}/{part}"].copy() for slot in slots} for part in shapes}
            between, numbers = arrays["between/numbers"].copy(), arrays["numbers"].copy()
        except (KeyError, ValueError) as error:
            raise DataLossError(Reason.CORRUPT_RECORD, f"snapshot: expected a category belief, got {error}") from error
        for part, shape in shapes.items():
            for array in found[part].values():
                if array.shape != shape:
                    raise DataLossError(
                        Reason.CORRUPT_RECORD, f"snapshot: expected {part} of shape {shape}, got {array.shape}"
                    )
        self._keys, self._between, self._numbers = keys, between, numbers
        self._cells, self._totals, self._priors = found["cells"], found["totals"], found["prior"]
        self._strengths = {int(slot): strength for slot, strength in arrays.get("strengths", np.zeros((0, 2))).tolist()}
        self._last = None
        self._changed.clear()

    def digest(self) -> bytes:
        """Return 16 bytes over the state: equal digests mean bit-identical state."""
        hasher = hashlib.blake2b(digest_size=16)
        for name, array in self.to_arrays().items():
            hasher.update(name.encode())
            hasher.update(array.tobytes())
        return hasher.digest()

    def _column(self, key: str | int) -> int:
        """Return the column of a category, which it gets at its first lesson; -1 where there are too many."""
        column = self._keys.get(key, -1)
        if column < 0 and len(self._keys) < CATEGORIES_MAX:
            column = self._keys[key] = len(self._keys)
            for slot, cells in self._cells.items():
                self._cells[slot] = np.concatenate([cells, np.zeros((3, 3, 1))], axis=2)
        return column

    def _make_cells(self, model: ModelSpec) -> None:
        """Give a model cells, with which it is part of the state."""
        if model.slot not in self._cells:
            self._cells[model.slot] = np.zeros((3, 3, len(self._keys) + 1))
            self._totals[model.slot] = np.zeros((3, 3))
            self._priors[model.slot] = np.array(prior_means(model, self._quality_guess))

    def _noise(self, slot: int) -> Array64:
        """Return the variance of each metric's values within categories, pooled, with the guess in it."""
        noise = np.square(NOISE_GUESS)
        cells = self._cells.get(slot)
        if cells is None:
            return noise
        freedom = np.maximum(cells[:, _COUNT] - 1.0, 0.0).sum(axis=1)
        pooled: Array64 = (NOISE_GUESS_COUNT * noise + cells[:, _SQUARES].sum(axis=1)) / (NOISE_GUESS_COUNT + freedom)
        return pooled

    def _shrunk(
        self, model: ModelSpec, metric: int, offset: float, *, logs: bool
    ) -> tuple[Array64, Array64, tuple[float, float]]:
        cells = self._cells.get(model.slot)
        if cells is None:
            cells, prior = np.zeros((3, 3, len(self._keys) + 1)), prior_means(model, self._quality_guess)[metric]
        else:
            prior = float(self._priors[model.slot][metric])
        between = float(self._between[metric]) ** 2
        noise = float(self._noise(model.slot)[metric])
        mean, deviation = np.empty(cells.shape[2]), np.empty(cells.shape[2])
        precision = self._precision(model.slot, metric, noise)
        common = shrink(
            cells[metric, _COUNT], cells[metric, _MEAN], noise, between, prior, precision, int(logs), offset, mean,
            deviation,
        )  # fmt: skip
        return mean, deviation, common

    def _precision(self, slot: int, metric: int, noise: float) -> float:
        """Return the precision of a model's prior mean, given the variance of a value."""
        return (1.0 + (self._strengths.get(slot, 0.0) if metric == QUALITY else 0.0)) / noise

    def _column_of_table(self, model: ModelSpec) -> Array64:
        totals = self._totals.get(model.slot)
        cost_count = 0 if totals is None else int(totals[COST, _COUNT])
        noise = self._noise(model.slot).tolist()
        quality, deviation, _ = self._shrunk(model, QUALITY, 0.0, logs=False)
        cost, _, _ = self._shrunk(model, COST, cost_offset(model, noise[COST], cost_count), logs=True)
        latency, _, _ = self._shrunk(model, LATENCY, 0.5 * noise[LATENCY], logs=True)
        return np.stack([quality, deviation, cost, latency], axis=1)

    def _weigh_evidence(self) -> None:
        """Choose the variances between categories anew: the most likely of the grid, for all models together."""
        self._numbers[1] = self._numbers[0] + max(1.0, self._numbers[0] // _WEIGH_GROWTH)
        for metric in range(3):
            grid = _BETWEEN * NOISE_GUESS[metric]
            evidence = -0.5 * np.abs(np.arange(len(grid)) - _BETWEEN_START)
            for slot in sorted(self._cells):
                cells, noise = self._cells[slot], float(self._noise(slot)[metric])
                add_evidence(
                    cells[metric, _COUNT], cells[metric, _MEAN], noise, np.square(grid),
                    float(self._priors[slot][metric]), self._precision(slot, metric, noise), evidence,
                )  # fmt: skip
            self._between[metric] = grid[int(evidence.argmax())]
        self._changed.update(self._cells)
        self._last = None


def _add(cell: Array64, value: float, weight: float) -> None:
    """Add a value to a count, mean and sum of squares (Welford 1962, with weights as West 1979)."""
    cell[_COUNT] += weight
    step = value - cell[_MEAN]
    cell[_MEAN] += step * (weight / cell[_COUNT]) if weight != 1.0 else step / cell[_COUNT]
    cell[_SQUARES] += weight * step * (value - cell[_MEAN])
