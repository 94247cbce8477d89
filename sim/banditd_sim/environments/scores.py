"""Scores: what comparisons say of each model on each prompt, so that choices among compared models can be measured."""

from __future__ import annotations

from typing import Final

import numpy as np

from banditd_sim.ope.arrays import Float64
from banditd_sim.table import A_WON, B_WON, TIE, Comparisons, Table

# Where the costs of a data set are from.
MEASURED_COSTS: Final = "measured"
PRICED_COSTS: Final = "list prices, 1,000 tokens per call"
NO_COSTS: Final = "unknown, counted as 0"

# What a verdict is worth to the first and to the second of a pair; both_bad is a tie that pleases nobody.
WORTH: Final = {A_WON: (1.0, 0.0), B_WON: (0.0, 1.0), TIE: (0.5, 0.5)}
BOTH_BAD_WORTH: Final = (0.0, 0.0)

# Three parts of input to one of output, as everywhere where there is one number for a price (`Price`).
_INPUT_TOKENS, _OUTPUT_TOKENS = 750.0, 250.0


def verdict_scores(table: Table, comparisons: Comparisons) -> tuple[Float64, Float64, str]:
    """Return quality and cost (N, K) of the compared models, NaN elsewhere, and where the costs are from.

    A model's quality on a prompt is the mean worth of all verdicts on it there: 1 for a win, 1/2 for a tie, 0 for a
    defeat or where both were bad. What it is measured against differs from prompt to prompt, so it is a share of duels
    won and no grade. A model costs what 1,000 tokens cost at its list price: ratios of costs are then right, if all
    models write as much. Unless every model has a list price, all cost 0.
    """
    shape = len(table.prompt_ids), len(table.models)
    worth = np.array([WORTH.get(winner, BOTH_BAD_WORTH) for winner in comparisons.winner.tolist()])
    total, count = np.zeros(shape), np.zeros(shape)
    for side, model in enumerate((comparisons.model_a, comparisons.model_b)):
        np.add.at(total, (comparisons.prompt, model), worth[:, side])
        np.add.at(count, (comparisons.prompt, model), 1.0)
    quality = np.divide(total, count, out=np.full(shape, np.nan), where=count > 0.0)
    prices = np.array([(model.input_mtok_usd, model.output_mtok_usd) for model in table.models])
    cost = 1e-6 * (prices @ np.array([_INPUT_TOKENS, _OUTPUT_TOKENS]))
    priced = bool(np.isfinite(cost).all())
    cost = np.where(count > 0.0, cost if priced else 0.0, np.nan)
    return quality, cost, PRICED_COSTS if priced else NO_COSTS
