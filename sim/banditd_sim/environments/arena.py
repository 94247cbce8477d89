"""Arena: what replays read of a table, as arrays. One per data set, shared by all seeds and never written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from banditd.domain.context import INPUT_TOKENS_UNKNOWN, Context
from banditd.domain.model import ModelSpec, Price
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.scores import MEASURED_COSTS, verdict_scores
from banditd_sim.ope.arrays import Bool, Float64, Int64
from banditd_sim.table import Comparisons, Table, TableModel

Float16 = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Arena:
    """N prompts by K models. A model is *measured* on a prompt where both quality and cost are known.

    Attributes:
        name: Of the data set.
        fingerprint: Of the table's content.
        models: K models.
        embeddings: Float16 (N, D), finite.
        tokens: Int64 (N,), the prompt's length in tokens; -1 where unknown.
        length: Float64 (N,): tokens where all are known, else characters: what a length threshold compares.
        category: Int64 (N,), index into `categories`.
        categories: Names, sorted.
        quality: Float64 (N, K), in [0, 1]; NaN where not measured.
        cost_usd: Float64 (N, K), >= 0; NaN where not measured.
        latency_ms: Float64 (N, K); NaN where unknown.
        input_tokens: Float64 (N, K); NaN where unknown.
        output_tokens: Float64 (N, K); NaN where unknown.
        measured: Bool (N, K).
        comparisons: What is revealed where the table has nothing but comparisons: the verdict on one pair. A model is
            then measured on the prompts on which it was compared, with the quality and the cost of `scores`.
        costs: Where costs are from: `MEASURED_COSTS`, or what `scores` took in their place.
    """

    name: str
    fingerprint: str
    models: tuple[TableModel, ...]
    embeddings: Float16
    tokens: Int64
    length: Float64
    category: Int64
    categories: tuple[str, ...]
    quality: Float64
    cost_usd: Float64
    latency_ms: Float64
    input_tokens: Float64
    output_tokens: Float64
    measured: Bool
    comparisons: Comparisons | None = None
    costs: str = MEASURED_COSTS

    @property
    def model_ids(self) -> tuple[str, ...]:
        """Names of the K models."""
        return tuple(model.model_id for model in self.models)

    @property
    def dimension(self) -> int:
        """D."""
        return int(self.embeddings.shape[1])

    def category_of(self, row: int) -> str:
        """Return the name of a prompt's category."""
        return self.categories[self.category.item(row)]

    def context_of(self, row: int) -> Context:
        """Return what is known of a prompt before a model is chosen; the embedding is a view."""
        return Context(self.embeddings[row], self.tokens.item(row), self.category_of(row))

    def index_of(self, model_id: str, field: str) -> int:
        """Return a model's index; raises SimError that names *field*."""
        if model_id not in self.model_ids:
            known = ", ".join(self.model_ids[:8]) + (", …" if len(self.models) > 8 else "")
            raise SimError(field, f"a model of {self.name} ({known})", repr(model_id), reason="UNKNOWN_MODEL")
        return self.model_ids.index(model_id)

    def plain(self) -> Arena:
        """Return the same over plain arrays: a worker gets memory maps, whose slices are slow to make."""
        changes: dict[str, Any] = {
            name: np.asarray(value) for name in self.__slots__ if isinstance(value := getattr(self, name), np.memmap)
        }
        return replace(self, **changes)


def arena_of(table: Table) -> Arena:
    """Return what replays read of *table*.

    Raises:
        SimError: One model only, no embeddings, no prompts, neither outcomes with quality and cost nor comparisons, or
            duplicated ids.
    """
    N, K = table.quality.shape
    if N == 0:
        raise SimError(table.name, "at least one prompt", "none", reason="EMPTY")
    if K < 2:
        raise SimError(table.name, "at least two models to choose from", K, reason="ONE_MODEL")
    if table.embeddings is None:
        raise SimError(table.name, "embedded prompts", "none; name an embedder", reason="NO_EMBEDDINGS")
    for field, values in (("prompt_ids", table.prompt_ids), ("models", tuple(m.model_id for m in table.models))):
        if len(set(values)) != len(values):
            twice = next(value for row, value in enumerate(values) if value in values[:row])
            raise SimError(f"{table.name}.{field}", "distinct names", f"{twice!r} twice", reason="DUPLICATE")
    quality, cost_usd, costs, comparisons = table.quality, table.cost_usd, MEASURED_COSTS, None
    measured = np.isfinite(quality) & np.isfinite(cost_usd)
    if not measured.any():
        comparisons = table.comparisons
        if comparisons is None:
            expected = "outcomes with quality and cost, or comparisons"
            raise SimError(table.name, expected, "neither", reason="NO_OUTCOMES")
        quality, cost_usd, costs = verdict_scores(table, comparisons)
        measured = np.isfinite(quality)
    tokens = _tokens(table.input_tokens)
    categories, codes = np.unique(np.array(table.category, dtype=np.str_), return_inverse=True)
    known = bool((tokens >= 0).all())
    length = tokens.astype(np.float64) if known else np.array([float(len(text)) for text in table.texts] or [0.0] * N)
    return Arena(
        name=table.name,
        fingerprint=table.fingerprint,
        models=table.models,
        embeddings=np.ascontiguousarray(table.embeddings),
        tokens=tokens,
        length=length,
        category=codes.astype(np.int64).reshape(N),
        categories=tuple(categories.tolist()),
        # Where only one of the two is known there is no point in the cost-quality plane.
        quality=np.where(measured, quality, np.nan),
        cost_usd=np.where(measured, cost_usd, np.nan),
        latency_ms=table.latency_ms,
        input_tokens=table.input_tokens,
        output_tokens=table.output_tokens,
        measured=measured,
        comparisons=comparisons,
        costs=costs,
    )


def model_spec(model: TableModel, slot: int, price: Price | None) -> ModelSpec:
    """Return the catalogue's view of a table's model."""
    return ModelSpec(slot, model.model_id, price)


def list_price(model: TableModel) -> Price | None:
    """Return a model's list price; None where either part is unknown."""
    if np.isfinite(model.input_mtok_usd) and np.isfinite(model.output_mtok_usd):
        return Price(float(model.input_mtok_usd), float(model.output_mtok_usd))
    return None


def _tokens(input_tokens: Float64) -> Int64:
    """Return one length per prompt: the mean over the models that tell one, since tokenizers differ."""
    told = np.isfinite(input_tokens)
    count = told.sum(axis=1)
    total = np.where(told, input_tokens, 0.0).sum(axis=1)
    mean = np.rint(total / np.maximum(count, 1))
    return np.asarray(np.where(count > 0, mean, INPUT_TOKENS_UNKNOWN), dtype=np.int64)
