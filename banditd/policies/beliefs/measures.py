"""What beliefs regress: quality as it is, cost as log(cost / blended price), latency as its log; and their priors.

All beliefs share these conventions, so that a change of preset changes no meaning.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from banditd.domain.arrays import Array64
from banditd.domain.context import INPUT_TOKENS_GUESS
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson

QUALITY, COST, LATENCY = range(3)
# Standard deviations of the noise before anything is seen: of a quality in [0, 1], and of logs.
NOISE_GUESS: Final = (0.25, 0.5, 0.5)
# How many values that guess counts for.
NOISE_GUESS_COUNT: Final = 10.0
# What a model is taken to write before anything of it is seen, in tokens.
_OUTPUT_TOKENS_GUESS: Final = 300
_LATENCY_MS_GUESS: Final = 2000.0
# Logs of zeros would dominate everything; less than these is a zero that was rounded.
_COST_USD_MIN: Final = 1e-9
_LATENCY_MS_MIN: Final = 1e-3
# A price below this is none: over a denormal price a cost would be infinite, and nothing could be learnt after it.
_PRICE_MTOK_USD_MIN: Final = 1e-12
# exp() of what a log regression predicts stays finite and above zero.
_LOG_MAX: Final = 60.0


def measured(model: ModelSpec, lesson: Lesson) -> tuple[float, float, float]:
    """Return quality, log cost ratio and log latency of a lesson; NaN where nothing finite was seen."""
    quality, cost_usd, latency_ms = lesson.quality, lesson.cost_usd, lesson.latency_ms
    cost = latency = math.nan
    if quality is None or not math.isfinite(quality):
        quality = math.nan
    if cost_usd is not None and math.isfinite(cost_usd) and not is_free(model):
        cost = math.log(max(lesson.token_cost_usd, _COST_USD_MIN) / _unit(model, lesson.price_mtok_usd))
    if latency_ms is not None and math.isfinite(latency_ms):
        latency = math.log(max(latency_ms, _LATENCY_MS_MIN))
    return quality, cost, latency


def measured_rows(
    models: Sequence[ModelSpec],
    prices: Sequence[float | None],
    quality: Array64,
    cost_usd: Array64,
    latency_ms: Array64,
) -> Array64:
    """Return `measured` of what each of K models would give in each of B contexts, bit for bit: shape (B, K, 3).

    Args:
        models: K models.
        prices: Their blended prices in force; None where there is none.
        quality: Shape (B, K), NaN where there is none.
        cost_usd: Likewise, without a fee.
        latency_ms: Likewise.
    """
    units = [math.nan if is_free(model) else _unit(model, told) for model, told in zip(models, prices, strict=True)]
    seen = np.full((*quality.shape, 3), math.nan)
    np.copyto(seen[..., QUALITY], quality, where=np.isfinite(quality))
    ratio = np.maximum(cost_usd, _COST_USD_MIN) / units
    np.copyto(seen[..., COST], _logs(ratio), where=np.isfinite(ratio))
    if np.isfinite(latency_ms).any():
        np.copyto(seen[..., LATENCY], _logs(np.maximum(latency_ms, _LATENCY_MS_MIN)), where=np.isfinite(latency_ms))
    return seen


def _logs(values: Array64) -> Array64:
    """Return logarithms, each with the bits of `math.log`, which NumPy's need not have."""
    return np.array(list(map(math.log, values.ravel().tolist()))).reshape(values.shape)


def _unit(model: ModelSpec, told: float | None) -> float:
    """Return what a cost of a model that is not free is learnt as a ratio to, under the blended price it was *told*."""
    return told if told is not None and model.price is not None and told >= _PRICE_MTOK_USD_MIN else unit_price(model)


def prior_means(model: ModelSpec, quality_guess: float) -> tuple[float, float, float]:
    """Return what is expected of a model before anything of it is seen, as `measured` gives it."""
    quality = quality_guess if model.quality_guess is None else model.quality_guess
    latency = _LATENCY_MS_GUESS if model.latency_ms_guess is None else model.latency_ms_guess
    cost = 0.0 if model.price is None else model.price.token_cost_usd(INPUT_TOKENS_GUESS, _OUTPUT_TOKENS_GUESS)
    # The mean of a log is below the log of the mean by half the variance.
    return (
        quality,
        math.log(cost / unit_price(model)) - 0.5 * NOISE_GUESS[COST] ** 2 if cost > 0.0 else 0.0,
        math.log(latency) - 0.5 * NOISE_GUESS[LATENCY] ** 2,
    )


def is_free(model: ModelSpec) -> bool:
    """Return whether the model costs nothing whatever was billed: there is no ratio to learn."""
    return model.price is not None and model.price.blended_mtok_usd < _PRICE_MTOK_USD_MIN


def unit_price(model: ModelSpec) -> float:
    """Return what costs are learnt as ratios to: the blended price, or a dollar where there is none."""
    blended = 0.0 if model.price is None else model.price.blended_mtok_usd
    return blended if blended >= _PRICE_MTOK_USD_MIN else 1.0


def log_price(model: ModelSpec) -> float:
    """Return the log of the blended price; -inf for a free model, NaN where there is no price."""
    if model.price is None:
        return math.nan
    return -math.inf if is_free(model) else math.log(model.price.blended_mtok_usd)


def shift_of_costs(old: ModelSpec, new: ModelSpec) -> float:
    """Return what is to be added to logs that were learnt as ratios to a price, and are none now, or the reverse."""
    if (old.price is None) == (new.price is None):
        return 0.0
    return math.log(unit_price(old)) - math.log(unit_price(new))


def cost_offset(model: ModelSpec, variance: float, count: int) -> float:
    """Return what turns a predicted log ratio into the log of the expected dollars.

    Args:
        model: The model.
        variance: Of the logs around what is predicted: the mean of a log-normal is larger by half of it.
        count: Costs seen: without a price the cost is known as far as it was reported.

    Returns:
        -inf for a free model, NaN where neither price nor cost is known.
    """
    if model.price is None:
        return 0.5 * variance if count else math.nan
    return -math.inf if is_free(model) else math.log(model.price.blended_mtok_usd) + 0.5 * variance


def expected(log: float, offset: float) -> float:
    """Return e^(log + offset), finite; NaN stays NaN."""
    return math.exp(min(log + offset, _LOG_MAX)) if not math.isnan(offset) else math.nan
