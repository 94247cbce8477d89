"""ParetoBandit 0.1.1 through its public calls, on the prompts, orders, embeddings and budgets of the pareto protocol.

Its own settings: warm the priors that it ships for these three models (fitted on 8,374 other prompts, all outcomes),
then `val` by its `update`, with its best parameters; cold those that it calls tabula rasa; the pacer in the mode of its
demo, and no other penalty on costs, as there (the default of 0.3 was worse at 2.3e-4 and 5.3e-3 USD). Without a budget
there is no pacer. Features are those of its pipeline: its principal components of the same all-MiniLM-L6-v2 embeddings.
As in its demo, what a call really cost is put into the log before the feedback.
"""

import contextlib
import functools
import io
import logging

import numpy as np

from banditd_sim.environments.rounds import Rounds


def play_paretobandit(pareto, world, budget, *, warm):
    """Return the rounds of ParetoBandit."""
    router = _router(pareto, world.seed, budget, warm=warm)
    arena, features = pareto.arena, _features(pareto)
    if warm:
        for row in pareto.val.tolist():
            for k, model_id in enumerate(arena.model_ids):
                router.update(model_id, features[row], float(arena.quality[row, k]), advance_time=k == 0)
    quality, cost = world.outcomes
    n = len(world)
    chosen, segment = np.empty(n, np.int16), 0
    for t, row in enumerate(world.rows.tolist()):
        if world.segment[t] != segment:
            segment = int(world.segment[t])
            _reprice(router, arena, world.scenario.price[segment])
        model_id, log = router.route(features[row])
        k = chosen[t] = arena.model_ids.index(model_id)
        log.cost_usd = float(cost[t, k])
        router.process_feedback(log.request_id, float(quality[t, k]))
    at, k = np.arange(n), chosen.astype(np.int64)
    unknown = np.full(n, np.nan)
    return Rounds(
        row=world.rows,
        model=chosen,
        propensity=unknown,
        quality=quality[at, k],
        cost_usd=cost[at, k],
        latency_ms=unknown,
        failed=np.zeros(n, np.bool_),
        reported=quality[at, k],
        learn_count=world.learn_count,
        seconds=float("nan"),
    )


def _router(pareto, seed, budget, *, warm):
    from pareto_bandit import BanditRouter
    from pareto_bandit.budget_pacer import BudgetPacer, PacingMode
    from pareto_bandit.config import BEST_K3_HPARAMS, BEST_K3_TABULA_RASA_HPARAMS

    logging.getLogger("pareto_bandit").setLevel(logging.ERROR)
    best = BEST_K3_HPARAMS if warm else BEST_K3_TABULA_RASA_HPARAMS
    with contextlib.redirect_stdout(io.StringIO()):
        return BanditRouter.create(
            {
                model.model_id: {"input_cost_per_m": model.input_mtok_usd, "output_cost_per_m": model.output_mtok_usd}
                for model in pareto.arena.models
            },
            feature_service=_pipeline(pareto),
            priors="warmup" if warm else "none",
            prior_n_effective=best["prior_n_effective"],
            alpha=best["alpha"],
            forgetting_factor=best["forgetting_factor"],
            cost_penalty=0.0,
            budget_pacer=None if budget is None else BudgetPacer(budget, mode=PacingMode.ADAPTIVE),
            bandit_seed=seed,
        )


def _reprice(router, arena, prices):
    for model, price in zip(arena.models, prices, strict=True):
        router.update_model_pricing(
            model.model_id, input_cost_per_m=price.input_mtok_usd, output_cost_per_m=price.output_mtok_usd
        )


@functools.cache
def _pipeline(pareto):
    """Return its pipeline of features over embeddings that are there already."""
    from pareto_bandit import FeatureService
    from pareto_bandit.config import DEFAULT_PCA_PATH

    row_of = {text: row for row, text in enumerate(pareto.texts)}
    embeddings = pareto.arena.embeddings.astype(np.float64)
    return FeatureService(
        custom_encoder=lambda text: embeddings[row_of[text]],
        embedding_dim=embeddings.shape[1],
        pca_path=DEFAULT_PCA_PATH,
    )


@functools.cache
def _features(pareto):
    """Return its features of every prompt."""
    pipeline = _pipeline(pareto)
    return [pipeline.extract_features(text) for text in pareto.texts]
