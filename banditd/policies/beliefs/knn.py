"""The neighbours belief: what the nearest logged prompts came to, per model and metric.

A prompt is the direction of its projected embedding, in float16, and the nearest are those of the largest cosine,
found exactly. `kernels.neighbours.judge_neighbours` says how their outcomes are weighed. How fast the weight falls with
distance, and which share of the variance depends on the prompt at all, is chosen by the evidence: every quality is
predicted under each pair of a grid before it is learnt, and the pair that predicted best so far is used.

Up to ROWS_MAX prompts are kept, over all models; beyond, each new one takes the place of a random one of the model that
has most, so that what is rare is kept and what is frequent stays a sample of the recent past.
"""

import hashlib
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
from banditd.kernels.neighbours import ROW_CODES, judge_neighbours, keep_nearest, take_values
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

ROWS_MAX: Final = 100_000
# The first chunk of a model is small, so that a model with few prompts takes little memory. It grows by doubling, for
# each chunk is a search of its own.
_FIRST_CHUNK: Final = 512
_CHUNK: Final = 8192
# Codes of a chunk are kept in blocks of as many columns: their products are summed at once, in the first cache.
_BLOCK: Final = 512
# What the evidence chooses from: exponents of the similarity, and shares of the variance.
_SHARPNESS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
_SHARES: Final = (0.03, 0.1, 0.3, 0.6, 0.9)
_GRID: Final = tuple((sharpness, share) for sharpness in _SHARPNESS for share in _SHARES)
_START: Final = _GRID.index((2.0, 0.1))
# Prompts of a model that an alarm leaves, and values that its level is worth then: so few that as many new ones
# outweigh them wherever they fall.
_KEPT_BY_ALARM: Final = 30
_NOTHING: Final = -2.0
_LEAST_NORMAL: Final = np.float16(2.0**-14)
_COUNT, _MEAN, _SQUARES = range(3)


# Of a chunk: bits, codes, values, rows in use.
_Part = tuple[AnyArray, AnyArray, Array32, int]


@dataclass(slots=True)
class Chunk:
    """A run of rows. What a snapshot reads of it is never written again.

    Attributes:
        bits: Shape (Q / 512, 512, D), float16 as uint16: the rows.
        codes: Shape (Q / 512, D, 512), int8: the same, rounded, one row per column of a block.
        values: Shape (3, Q), float32: quality, log cost ratio, log latency; NaN where not seen.
        positions: Shape (Q,), int64: of the decisions; -1 for none.
        shared: Columns that snapshots read.
    """

    bits: AnyArray
    codes: AnyArray
    values: Array32
    positions: AnyArray
    shared: int = 0

    def put(self, column: int, bits: AnyArray) -> None:
        """Write a row."""
        block, place = divmod(column, _BLOCK)
        self.bits[block, place] = bits
        self.codes[block, :, place] = np.rint(bits.view(np.float16).astype(np.float32) * np.float32(ROW_CODES))


def _chunk(width: int, size: int) -> Chunk:
    """Return an empty chunk of *size* rows."""
    values = np.full((3, size), math.nan, np.float32)
    blocks = size // _BLOCK
    bits, codes = np.zeros((blocks, _BLOCK, width), np.uint16), np.zeros((blocks, width, _BLOCK), np.int8)
    return Chunk(bits, codes, values, np.full(size, -1, np.int64))


class Shelf:
    """The prompts of one model; the writer's thread only.

    Attributes:
        chunks: The rows.
        count: Rows in use.
        totals: Shape (3, 3): per metric the count, mean and sum of squares of all values learnt, as far as not faded.
        learnt: Shape (3,): values ever learnt, per metric.
        prior: Shape (3,): what was expected before.
    """

    __slots__ = ("_parts", "chunks", "count", "learnt", "prior", "totals", "width")

    def __init__(self, width: int, prior: Array64) -> None:
        self.width = width
        self.chunks: list[Chunk] = []
        self.count = 0
        self.totals: Array64 = np.zeros((3, 3))
        self.learnt: Array64 = np.zeros(3)
        self.prior: Array64 = prior
        self._parts: tuple[_Part, ...] | None = None

    def append(self, bits: AnyArray, values: Array32, position: int) -> None:
        """Add a row at the end; snapshots do not see it."""
        index, column = divmod(self.count, _CHUNK)
        if index == len(self.chunks):
            self.chunks.append(_chunk(self.width, _CHUNK if index else _FIRST_CHUNK))
        chunk = self.chunks[index]
        if column == len(chunk.positions):
            chunk = self.chunks[index] = _twice(chunk)
        if column < chunk.shared:  # a snapshot reads a row that was here and went
            chunk = self._own(index)
        chunk.put(column, bits)
        chunk.values[:, column], chunk.positions[column] = values, position
        self.count += 1
        self._parts = None

    def set_values(self, row: int, values: Array32) -> None:
        """Put in what was seen at a row where it was not seen before."""
        index, column = divmod(row, _CHUNK)
        chunk = self.chunks[index]
        seen = ~np.isnan(values)
        if column < chunk.shared:
            self.chunks[index] = chunk = replace(chunk, values=chunk.values.copy())
        chunk.values[seen, column] = values[seen]
        self._parts = None

    def remove(self, row: int) -> int:
        """Take a row out and put the last one in its place; returns the position of the decision that went."""
        index, column = divmod(row, _CHUNK)
        gone = int(self.chunks[index].positions[column])
        self.count -= 1
        last_index, last_column = divmod(self.count, _CHUNK)
        if (last_index, last_column) != (index, column):
            last = self.chunks[last_index]
            chunk = self._own(index) if column < self.chunks[index].shared else self.chunks[index]
            chunk.put(column, last.bits[last_column // _BLOCK, last_column % _BLOCK])
            chunk.values[:, column] = last.values[:, last_column]
            chunk.positions[column] = last.positions[last_column]
        self._parts = None
        return gone

    def position(self, row: int) -> int:
        """Return the position of the decision of a row; -1 for none."""
        index, column = divmod(row, _CHUNK)
        return int(self.chunks[index].positions[column])

    def parts(self) -> tuple[_Part, ...]:
        """Return bits, codes, values and the number of rows of each chunk in use."""
        if self._parts is None:
            left, parts = self.count, []
            for chunk in self.chunks:
                used = min(left, len(chunk.positions))
                left -= used
                if used:
                    parts.append((chunk.bits, chunk.codes, chunk.values, used))
            self._parts = tuple(parts)
        return self._parts

    def freeze(self) -> tuple[_Part, ...]:
        """Return the parts for a snapshot: what they hold now stays as it is."""
        parts = self.parts()
        for chunk, (_, _, _, used) in zip(self.chunks, parts, strict=False):  # the last chunk may have become empty
            chunk.shared = max(chunk.shared, used)
        return parts

    def rows(self) -> tuple[AnyArray, AnyArray, AnyArray]:
        """Return bits (count, D), values (3, count) and positions (count,) of all rows."""
        if not self.count:
            return np.zeros((0, self.width), np.uint16), np.zeros((3, 0), np.float32), np.zeros(0, np.int64)
        bits = np.concatenate([chunk.bits for chunk in self.chunks]).reshape(-1, self.width)[: self.count]
        values = np.concatenate([chunk.values for chunk in self.chunks], axis=1)[:, : self.count]
        positions = np.concatenate([chunk.positions for chunk in self.chunks])[: self.count]
        return np.ascontiguousarray(bits), np.ascontiguousarray(values), positions

    def _own(self, index: int) -> Chunk:
        """Return a chunk after copying it, so that snapshots keep theirs."""
        chunk = self.chunks[index]
        self.chunks[index] = Chunk(chunk.bits.copy(), chunk.codes.copy(), chunk.values.copy(), chunk.positions.copy())
        return self.chunks[index]


def _twice(chunk: Chunk) -> Chunk:
    """Return a chunk of twice the size that begins with the same rows; snapshots keep theirs."""
    blocks, size = len(chunk.bits), len(chunk.positions)
    larger = _chunk(chunk.bits.shape[2], 2 * size)
    larger.bits[:blocks], larger.codes[:blocks] = chunk.bits, chunk.codes
    larger.values[:, :size], larger.positions[:size] = chunk.values, chunk.positions
    return larger


@dataclass(frozen=True, slots=True)
class KnnSnapshot:
    """A frozen neighbours belief over K models.

    Attributes:
        parts: Per model the chunks: bits, codes, values, rows in use.
        neighbours: Rows that are looked at per model.
        means: Shape (K, 3): expected quality, log cost ratio and log latency anywhere.
        variances: Shape (K, 3): of values around them.
        mean_variances: Shape (K,): of the expected quality itself.
        offsets: Shape (K, 3): added to the logs of cost and latency; 0 for the quality.
        sharpness: Exponent of the similarity.
        share: Of the variance that depends on the prompt.
        widths: Shape (K,): factors on the deviations, for evidence that has faded since.
        learnt_count: Qualities learnt so far, over all models.
        width: Values of a row's projected part.
    """

    parts: tuple[tuple[_Part, ...], ...]
    neighbours: int
    means: Array64
    variances: Array64
    mean_variances: Array64
    offsets: Array64
    sharpness: float
    share: float
    widths: Array64
    learnt_count: int
    width: int

    @property
    def evidence(self) -> None:
        """Not told."""
        return

    @property
    def latency_half_variance(self) -> Array64:
        """Half the variance of a log latency at any prompt, which is at least that at one with near neighbours."""
        return 0.5 * self.variances[:, LATENCY]

    def predict(self, row: Array32, category: str = "") -> Prediction:  # noqa: ARG002 - as others have it
        """Return what is expected for one encoded context, shape (N,)."""
        values = np.empty((len(self.parts), 4))
        if not np.isfinite(row).all():
            values.fill(math.nan)
            return Prediction(values.T)
        x = direction(row, self.width).astype(np.float32)
        for k, parts in enumerate(self.parts):
            similarity, seen = nearest(parts, x, self.neighbours)
            judge_neighbours(
                similarity,
                seen,
                self.means[k],
                self.variances[k],
                self.offsets[k],
                self.share,
                self.sharpness,
                values[k],
            )
            values[k, 1] = self.widths[k] * math.sqrt(values[k, 1] * values[k, 1] + self.mean_variances[k])
        values = np.ascontiguousarray(values.T)
        return Prediction(values)

    def predict_rows(
        self,
        rows: Array32,
        categories: Sequence[str] | None = None,  # noqa: ARG002 - as others have it
    ) -> Prediction:
        """Return the same for rows (B, N)."""
        return Prediction(np.stack([self.predict(row).values for row in rows]))


def direction(row: Array32, width: int) -> AnyArray:
    """Return the direction of the projected part of a row, of *width* values, in float16; zero where there is none."""
    body = row[LENGTH + 1 : LENGTH + 1 + width].astype(np.float64)
    length = math.sqrt(math.fsum((body * body).tolist()))  # exact, and so the same whatever adds it up
    half = (body / length if length > 0.0 else body * 0.0).astype(np.float16)
    half[np.abs(half) < _LEAST_NORMAL] = 0.0  # the kernel reads no subnormal numbers
    return half


def nearest(parts: tuple[_Part, ...], x: Array32, count: int) -> tuple[Array32, Array32]:
    """Return similarities (J,) and values (3, J) of the nearest rows, in the order in which they are kept."""
    similarity = np.full(count, _NOTHING, np.float32)
    index = np.full(count, -1, np.int64)
    for i, (bits, codes, _, used) in enumerate(parts):
        keep_nearest(bits, codes, x, used, i * _CHUNK, similarity, index)
    seen = np.full((3, count), math.nan, np.float32)
    for i, (_, _, values, used) in enumerate(parts):
        take_values(values, index, used, i * _CHUNK, seen)
    return similarity, seen


class KnnBelief:
    """A neighbours belief that learns; the writer's thread only.

    Args:
        policy: The router's.
        features: Its encoding.
        quality_guess: Of a model that has none of its own.
    """

    def __init__(self, policy: PolicyParameters, features: FeatureSpec, quality_guess: float) -> None:
        self._quality_guess = quality_guess
        self._neighbours = round(policy.values["neighbours"])
        self._width = features.projected_dimension
        self._shelves: dict[int, Shelf] = {}
        # Where the row of a decision stands, so that what is seen later joins it.
        self._places: dict[int, tuple[int, int]] = {}
        # Log-likelihood of the qualities so far under each pair of the grid, and the rows ever added.
        self._evidence = np.zeros(len(_GRID))
        self._added = np.zeros(1)
        self._rows = 0

    def learn(
        self,
        model: ModelSpec,
        row: Array32,
        lesson: Lesson,
        category: str = "",  # noqa: ARG002 - as others have it
        decision: Decision | None = None,
    ) -> Residuals | None:
        """Learn what was seen of one model; None where nothing was."""
        values = np.array(measured(model, lesson), np.float32)
        if not np.isfinite(row).all() or np.isnan(values).all():
            return None
        shelf = self._shelves.get(model.slot)
        if shelf is None:
            shelf = self._shelves[model.slot] = self._shelf(model)
        half = direction(row, self._width)
        neighbours = nearest(shelf.parts(), half.astype(np.float32), self._neighbours)
        residuals = self._residuals(shelf, neighbours, values)
        if not np.isnan(values[QUALITY]):
            self._weigh_evidence(shelf, neighbours, float(values[QUALITY]))
        for metric in range(3):
            if not np.isnan(values[metric]):
                _add(shelf.totals[metric], float(values[metric]))
                shelf.learnt[metric] += 1.0
        self._keep(model.slot, shelf, half, values, -1 if decision is None else position_of(decision))
        return residuals

    def widen(self, model: ModelSpec, metric: int) -> None:
        """Take what was learnt of one metric for worth little: it has changed.

        A prompt with an outcome from before would stand in the way of one from after: few stay, for all metrics.
        """
        shelf = self._shelves.get(model.slot)
        if shelf is None:
            return
        share = _KEPT_BY_ALARM / max(float(shelf.totals[metric, _COUNT]), float(_KEPT_BY_ALARM))
        shelf.totals[metric, _COUNT] *= share
        shelf.totals[metric, _SQUARES] *= share
        self._thin(model.slot, min(shelf.count, _KEPT_BY_ALARM))

    def fade(self, model: ModelSpec, share: float) -> None:
        """Keep a share of a model's prompts, whichever: so the chance to be still there falls with age, evenly."""
        shelf = self._shelves.get(model.slot)
        if shelf is not None:
            shelf.totals[:, _COUNT] *= share
            shelf.totals[:, _SQUARES] *= share
            self._thin(model.slot, math.ceil(shelf.count * share))

    def start_like(self, model: ModelSpec, sibling: ModelSpec) -> None:
        """Guess of a model, of which nothing is seen, what is expected of *sibling* at any prompt."""
        like = self._shelves.get(sibling.slot)
        if like is None or model.slot in self._shelves:
            return
        shelf = self._shelves[model.slot] = self._shelf(model)
        for metric, (mean, _, _) in enumerate(_anywhere(like)):
            if like.learnt[metric]:
                shelf.prior[metric] = mean

    def freeze_faded(self, models: tuple[ModelSpec, ...], shares: Mapping[int, float]) -> KnnSnapshot:
        """Return `freeze` with the deviations of quality that `fade` to these shares, by slot, would about give.

        Evidence of which a share is left has deviations larger by one over its root, up to about those of the prior: no
        less is left than one part of as many as there are values and one more.
        """
        evidence = [float(self._shelf(model).totals[QUALITY, _COUNT]) for model in models]
        kept = [max(shares.get(m.slot, 1.0), 1.0 / (1.0 + n)) for m, n in zip(models, evidence, strict=True)]
        return replace(self.freeze(models), widths=frozen(1.0 / np.sqrt(np.array(kept))))

    def change_model(self, old: ModelSpec | None, new: ModelSpec | None) -> None:
        """Take note of a model that came, changed or went."""
        if new is None:
            shelf = None if old is None else self._shelves.pop(old.slot, None)
            if shelf is not None:
                self._rows -= shelf.count
                for row in range(shelf.count):
                    self._places.pop(shelf.position(row), None)
            return
        shelf = self._shelves.get(new.slot)
        if old is None or shelf is None:
            return
        shift = shift_of_costs(old, new)
        shelf.prior[COST] += shift
        before, after = prior_means(old, self._quality_guess), prior_means(new, self._quality_guess)
        for metric in (QUALITY, LATENCY):
            if before[metric] != after[metric]:  # only then: what a sibling has lent stays
                shelf.prior[metric] = after[metric]
        if shift:
            shelf.totals[COST, _MEAN] += shift
            for row in range(shelf.count):
                index, column = divmod(row, _CHUNK)
                value = shelf.chunks[index].values[COST, column]
                shelf.set_values(row, np.array([math.nan, value + np.float32(shift), math.nan], np.float32))

    def freeze(
        self,
        models: tuple[ModelSpec, ...],
        *,
        live: bool = False,  # noqa: ARG002 - as others have it
    ) -> KnnSnapshot:
        """Return a frozen copy that speaks of *models*, in their order; the rows are not copied."""
        shelves = [self._shelf(model) for model in models]
        beliefs = [_anywhere(shelf) for shelf in shelves]
        variances = np.array([[b[1] for b in belief] for belief in beliefs]).reshape(-1, 3)
        shifts = [
            (0.0, cost_offset(model, float(spread[COST]), int(shelf.learnt[COST])), 0.5 * float(spread[LATENCY]))
            for model, shelf, spread in zip(models, shelves, variances, strict=True)
        ]
        sharpness, share = self._weighing
        return KnnSnapshot(
            parts=tuple(shelf.freeze() for shelf in shelves),
            neighbours=self._neighbours,
            means=frozen(np.array([[b[0] for b in belief] for belief in beliefs]).reshape(-1, 3)),
            variances=frozen(variances),
            mean_variances=frozen(np.array([belief[QUALITY][2] for belief in beliefs])),
            offsets=frozen(np.array(shifts).reshape(-1, 3)),
            sharpness=sharpness,
            share=share,
            widths=frozen(np.ones(len(models))),
            learnt_count=sum(int(shelf.learnt[QUALITY]) for shelf in self._shelves.values()),
            width=self._width,
        )

    def summary(self, model: ModelSpec) -> ModelSummary:
        """Return what is held of one model, over all prompts."""
        shelf = self._shelf(model)
        belief = _anywhere(shelf)
        counts = shelf.learnt
        cost_usd = expected(belief[COST][0], cost_offset(model, belief[COST][1], int(counts[COST])))
        return ModelSummary(
            quality_count=int(counts[QUALITY]),
            cost_count=int(counts[COST]),
            latency_count=int(counts[LATENCY]),
            quality=belief[QUALITY][0],
            deviation=math.sqrt(belief[QUALITY][2]),
            cost_usd=None if math.isnan(cost_usd) else cost_usd,
            latency_ms=expected(belief[LATENCY][0], 0.5 * belief[LATENCY][1]),
        )

    def to_arrays(self) -> dict[str, AnyArray]:
        """Return the whole state as named arrays."""
        arrays: dict[str, AnyArray] = {"evidence": self._evidence, "added": self._added}
        for slot in sorted(self._shelves):
            shelf = self._shelves[slot]
            bits, values, positions = shelf.rows()
            arrays[f"{slot}/rows"] = bits.view(np.float16)
            arrays[f"{slot}/values"] = values
            arrays[f"{slot}/positions"] = positions
            arrays[f"{slot}/totals"] = shelf.totals
            arrays[f"{slot}/learnt"] = shelf.learnt
            arrays[f"{slot}/prior"] = shelf.prior
        return arrays

    def load_arrays(self, arrays: Mapping[str, AnyArray]) -> None:
        """Put the state that `to_arrays` returned in the place of this one.

        Raises:
            DataLossError: The arrays do not fit.
        """
        shelves: dict[int, Shelf] = {}
        places: dict[int, tuple[int, int]] = {}
        try:
            for slot in sorted({int(name.split("/")[0]) for name in arrays if name[0].isdigit()}):
                bits = arrays[f"{slot}/rows"]
                values, positions = arrays[f"{slot}/values"], arrays[f"{slot}/positions"]
                shelf = Shelf(self._width, arrays[f"{slot}/prior"].copy())
                shelf.totals, shelf.learnt = arrays[f"{slot}/totals"].copy(), arrays[f"{slot}/learnt"].copy()
                sums = (shelf.totals.shape, shelf.learnt.shape, shelf.prior.shape)
                shapes = (bits.shape, values.shape, positions.shape, *sums)
                if shapes != ((len(bits), self._width), (3, len(bits)), (len(bits),), (3, 3), (3,), (3,)):
                    raise _unfit(f"rows of {self._width} values", f"{shapes}")
                for row, position in enumerate(positions.tolist()):
                    if position >= 0:
                        places[position] = (slot, row)
                    shelf.append(bits[row].view(np.uint16), values[:, row], position)
                shelves[slot] = shelf
            evidence, added = arrays["evidence"].copy(), arrays["added"].copy()
        except (KeyError, ValueError) as error:
            raise _unfit("a neighbours belief", str(error)) from error
        if evidence.shape != self._evidence.shape or added.shape != (1,):
            raise _unfit(f"evidence of shape {self._evidence.shape}", f"{evidence.shape}")
        self._shelves, self._places, self._evidence, self._added = shelves, places, evidence, added
        self._rows = sum(shelf.count for shelf in shelves.values())

    def digest(self) -> bytes:
        """Return 16 bytes over the state: equal digests mean bit-identical state."""
        hasher = hashlib.blake2b(digest_size=16)
        for name, array in self.to_arrays().items():
            hasher.update(name.encode())
            hasher.update(array.tobytes())
        return hasher.digest()

    def _shelf(self, model: ModelSpec) -> Shelf:
        """Return the model's shelf, to be read: a model that was only looked at is no part of the state."""
        found = self._shelves.get(model.slot)
        return found or Shelf(self._width, np.array(prior_means(model, self._quality_guess)))

    def _keep(self, slot: int, shelf: Shelf, half: AnyArray, values: Array32, position: int) -> None:
        """Keep a prompt with what was seen, or add that to the row that its decision has."""
        place = self._places.get(position)
        if place is not None and place[0] == slot:
            shelf.set_values(place[1], values)
            return
        if self._rows == ROWS_MAX:
            self._make_room()
        if position >= 0:
            self._places[position] = (slot, shelf.count)
        shelf.append(half.view(np.uint16), values, position)
        self._rows += 1
        self._added[0] += 1.0

    @property
    def _weighing(self) -> tuple[float, float]:
        """Exponent of the similarity and share of the variance that were the most likely so far."""
        return _GRID[int(self._evidence.argmax()) if self._evidence.any() else _START]

    def _residuals(self, shelf: Shelf, neighbours: tuple[Array32, Array32], values: Array32) -> Residuals:
        """Return the errors of the predictions of *values*, in standard deviations."""
        similarity, seen = neighbours
        anywhere = np.array(_anywhere(shelf))
        sharpness, share = self._weighing
        found, nothing = np.empty(4), np.zeros(3)
        residuals = [math.nan, math.nan, math.nan]
        for metric in range(3):
            if not np.isnan(values[metric]):
                # The kernel tells the deviation of what comes first.
                order = [metric, *(other for other in range(3) if other != metric)]
                means, variances, level = np.ascontiguousarray(anywhere[order].T)
                judge_neighbours(
                    similarity, np.ascontiguousarray(seen[order]), means, variances, nothing, share, sharpness, found
                )
                spread = found[1] * found[1] + level[0] + (1.0 - share) * variances[0]
                # Whoever is chosen for the largest estimate is overestimated, by up to what the estimate may be off:
                # neighbours tell that in one place after the other, which a regression over all of them averages out.
                error = float(values[metric]) - float(found[0])
                excess = max(abs(error) - float(found[1]), 0.0)
                residuals[metric] = math.copysign(excess, error) / math.sqrt(spread)
        return residuals[0], residuals[1], residuals[2]

    def _weigh_evidence(self, shelf: Shelf, neighbours: tuple[Array32, Array32], quality: float) -> None:
        """Predict a quality under each pair of the grid, before it is learnt, and add up how likely it was."""
        similarity, seen = neighbours
        anywhere = _anywhere(shelf)
        means, variances = np.array([b[0] for b in anywhere]), np.array([b[1] for b in anywhere])
        found, nothing = np.empty(4), np.zeros(3)
        for i, (sharpness, share) in enumerate(_GRID):
            judge_neighbours(similarity, seen, means, variances, nothing, share, sharpness, found)
            total = found[1] * found[1] + (1.0 - share) * variances[QUALITY]
            self._evidence[i] -= 0.5 * ((quality - found[0]) ** 2 / total + math.log(total))

    def _make_room(self) -> None:
        """Take out a row of the model that has most."""
        slot = max(self._shelves, key=lambda slot: (self._shelves[slot].count, -slot))
        self._thin(slot, self._shelves[slot].count - 1)

    def _thin(self, slot: int, count: int) -> None:
        """Take out rows of a model until *count* are left."""
        while self._shelves[slot].count > count:
            self._take_out(slot)

    def _take_out(self, slot: int) -> None:
        """Take out a row of a model; which one is a function of how many rows were ever added, and are there."""
        shelf = self._shelves[slot]
        key = self._added.tobytes() + shelf.count.to_bytes(8, "big")
        drawn = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
        row = drawn % shelf.count
        self._places.pop(shelf.remove(row), None)
        if row < shelf.count and shelf.position(row) >= 0:
            self._places[shelf.position(row)] = (slot, row)
        self._rows -= 1


def position_of(decision: Decision) -> int:
    """Return where a decision stands in the log: the head of its id."""
    return int.from_bytes(decision.decision_id[:6], "big")


def _anywhere(shelf: Shelf) -> list[tuple[float, float, float]]:
    """Return per metric the expected value at any prompt, the variance of values, and that of the expectation."""
    found = []
    for metric, (count, mean, squares) in enumerate(shelf.totals.tolist()):
        # The prior counts as one value.
        centre = (shelf.prior[metric] + count * mean) / (1.0 + count)
        guess = NOISE_GUESS_COUNT * NOISE_GUESS[metric] ** 2
        variance = (guess + squares) / (NOISE_GUESS_COUNT + count)
        found.append((float(centre), variance, variance / (1.0 + count)))
    return found


def _add(cell: Array64, value: float) -> None:
    """Add one value to a count, mean and sum of squares (Welford 1962)."""
    cell[_COUNT] += 1.0
    step = value - cell[_MEAN]
    cell[_MEAN] += step / cell[_COUNT]
    cell[_SQUARES] += step * (value - cell[_MEAN])


def _unfit(wanted: str, got: str) -> DataLossError:
    return DataLossError(Reason.CORRUPT_RECORD, f"snapshot: expected {wanted}, got {got}")
