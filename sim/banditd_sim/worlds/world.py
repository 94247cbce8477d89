"""World: a table together with the expectations that its outcomes were drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from banditd_sim.ope.arrays import Float64, Int64
from banditd_sim.table import Table, TableModel, gaps

# Expected quality stays this far from 0 and 1: at either end the noise would vanish.
QUALITY_MARGIN = 0.05
_PRICE_LEAST_MTOK_USD = 0.1
_PRICE_STEP = 4.0  # each model is this much dearer than the one before it, as real catalogues are
_OUTPUT_PRICE = 4.0  # output tokens cost a multiple of input tokens
_TOKENS = 300.0


class WorldError(ValueError):
    """A world that cannot be: `<setting>: expected <what>, got <what>`."""

    def __init__(self, setting: str, expected: str, got: object) -> None:
        super().__init__(f"{setting}: expected {expected}, got {got}")
        self.setting = setting


@dataclass(frozen=True, slots=True)
class World:
    """N rounds by K models of which everything is known. Row i is round i: in a drifting world, order is time.

    Attributes:
        table: The outcomes that were drawn, all of them, with embeddings.
        mean_quality: Float64 (N, K), in (0, 1): expected quality of each model in each round; read-only.
        mean_cost_usd: Float64 (N, K), > 0: expected cost; read-only.
    """

    table: Table
    mean_quality: Float64
    mean_cost_usd: Float64

    def best(self, usd_weight: float = 0.0) -> Int64:
        """Return int64 (N,): the model with the greatest expected quality - *usd_weight* * expected cost."""
        best: Int64 = np.argmax(self.mean_quality - usd_weight * self.mean_cost_usd, axis=1).astype(np.int64)
        return best

    def optimum(self, usd_weight: float = 0.0) -> float:
        """Return the mean over rounds of the greatest expected utility: no policy can do better on average."""
        return float((self.mean_quality - usd_weight * self.mean_cost_usd).max(axis=1).mean())


def draw_world(
    name: str,
    embeddings: Float64,
    mean_quality: Float64,
    rng: np.random.Generator,
    *,
    noise: float,
    category: tuple[str, ...] = (),
) -> World:
    """Draw the outcomes of a world, unbiased and without clipping.

    Quality is drawn from a beta distribution of the given mean, so that its expectation is exact although it ends at 0
    and 1; cost from a gamma distribution.

    Args:
        name: Of the table.
        embeddings: (N, D). The table holds them rounded to float16; *mean_quality* must be computed from those.
        mean_quality: (N, K), in [0.05, 0.95].
        rng: The source of all randomness.
        noise: In (0, 1): deviation of quality as a share of the greatest possible, sqrt(mean (1 - mean)).
        category: N names; empty for none.

    Raises:
        WorldError: *noise* is out of range.
    """
    if not 0.0 < noise < 1.0:
        raise WorldError("noise", "a number in (0, 1)", noise)
    count, models = mean_quality.shape
    assert mean_quality.min() >= QUALITY_MARGIN - 1e-9
    assert mean_quality.max() <= 1.0 - QUALITY_MARGIN + 1e-9
    # Var = mean (1 - mean) / (strength + 1) of a beta distribution with parameters strength * (mean, 1 - mean).
    strength = 1.0 / noise**2 - 1.0
    quality = rng.beta(strength * mean_quality, strength * (1.0 - mean_quality))
    price = _PRICE_LEAST_MTOK_USD * _PRICE_STEP ** np.arange(models)
    length = rng.lognormal(0.0, 0.5, (count, 1))
    mean_cost = _TOKENS * length * price * (1.0 + _OUTPUT_PRICE) / 1e6
    cost = mean_cost * rng.gamma(25.0, 1.0 / 25.0, (count, models))
    mean_quality = mean_quality.copy()
    for array in (mean_quality, mean_cost):
        array.setflags(write=False)
    table = Table(
        name=name,
        prompt_ids=tuple(f"{name}:{i:07d}" for i in range(count)),
        texts=(),
        category=category or ("",) * count,
        split=("",) * count,
        models=tuple(TableModel(f"model-{k}", price[k], _OUTPUT_PRICE * price[k]) for k in range(models)),
        quality=quality,
        cost_usd=cost,
        input_tokens=gaps(count, models),
        output_tokens=gaps(count, models),
        latency_ms=gaps(count, models),
        embeddings=embeddings.astype(np.float16),
    )
    return World(table=table, mean_quality=mean_quality, mean_cost_usd=mean_cost)


def unit_rows(count: int, dimension: int, rng: np.random.Generator) -> Float64:
    """Return float64 (count, dimension): directions, uniform on the sphere, exact in float16."""
    rows = rng.standard_normal((count, dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rounded(rows)


def rounded(rows: Float64) -> Float64:
    """Return *rows* as float16 holds them, so that expectations are functions of what a policy is shown."""
    return rows.astype(np.float16).astype(np.float64)


def unit_vectors(models: int, dimension: int, rng: np.random.Generator) -> Float64:
    """Return float64 (models, dimension): directions, uniform on the sphere."""
    rows: Float64 = rng.standard_normal((models, dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def check_sizes(*, prompts: int, models: int, dimension: int, seed: int) -> None:
    """Refuse sizes and seeds that make no world.

    Raises:
        WorldError: fewer than one prompt, two models or two dimensions, or a seed below 0.
    """
    least_of = (("prompts", prompts, 1), ("models", models, 2), ("dimension", dimension, 2), ("seed", seed, 0))
    for setting, value, least in least_of:
        if value < least:
            raise WorldError(setting, f"at least {least}", value)
