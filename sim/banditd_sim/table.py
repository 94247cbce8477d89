"""Table: what is known of N prompts and K models, in memory. Every loader makes one; every replay reads one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from banditd_sim.ope.arrays import Float64, Int64

# Who won a comparison, as in `Comparisons.winner`.
A_WON, B_WON, TIE, BOTH_BAD = range(4)
WINNERS: Final = ("a", "b", "tie", "both_bad")


@dataclass(frozen=True, slots=True)
class TableModel:
    """A model of a table.

    Attributes:
        model_id: Its name.
        input_mtok_usd: USD per million input tokens; NaN where unknown.
        output_mtok_usd: USD per million output tokens; NaN where unknown.
    """

    model_id: str
    input_mtok_usd: float = float("nan")
    output_mtok_usd: float = float("nan")


@dataclass(frozen=True, slots=True)
class Comparisons:
    """M comparisons of two models each, in the order in which they were made.

    Attributes:
        prompt: Int64 (M,), in [0, N): row of the prompt.
        model_a: Int64 (M,), in [0, K): the model that was shown first.
        model_b: Int64 (M,), in [0, K), not *model_a*.
        winner: Int64 (M,): one of A_WON, B_WON, TIE, BOTH_BAD.
        judge: M names; empty where unknown.
        strength_a: Float64 (M,), in [0, 1]: how far the judge prefers a; NaN where it gave none.
    """

    prompt: Int64
    model_a: Int64
    model_b: Int64
    winner: Int64
    judge: tuple[str, ...]
    strength_a: Float64

    def __len__(self) -> int:
        return len(self.prompt)


@dataclass(frozen=True, slots=True)
class Table:
    """N prompts by K models, with gaps: NaN is what was not measured.

    Attributes:
        name: Of the data set.
        prompt_ids: N distinct ids.
        texts: N texts, or empty where there are none.
        category: N names; "" where unknown.
        split: N names like "train" and "test"; "" where there is no split.
        models: K models with distinct names.
        quality: Float64 (N, K), in [0, 1].
        cost_usd: Float64 (N, K), >= 0: USD per call.
        input_tokens: Float64 (N, K), >= 0.
        output_tokens: Float64 (N, K), >= 0.
        latency_ms: Float64 (N, K), >= 0.
        embeddings: Float16 (N, D), finite, or None where the prompts have yet to be embedded.
        comparisons: Of these prompts and models, or None.
        fingerprint: 32 hexadecimal digits over the content: equal data sets have equal ones.
    """

    name: str
    prompt_ids: tuple[str, ...]
    texts: tuple[str, ...]
    category: tuple[str, ...]
    split: tuple[str, ...]
    models: tuple[TableModel, ...]
    quality: Float64
    cost_usd: Float64
    input_tokens: Float64
    output_tokens: Float64
    latency_ms: Float64
    embeddings: npt.NDArray[np.float16] | None = None
    comparisons: Comparisons | None = None
    fingerprint: str = ""
