"""Compiled numerical kernels: NumPy arrays in, NumPy arrays written in place.

They neither check their arguments nor raise, and give the same bits on every machine; `_jit` tells how. Needs NumPy and
Numba only.
"""

from banditd.kernels._jit import COMPILED, KERNELS, UNCACHED, Array32, Array64, Kernel, Mask, Parameter
from banditd.kernels.accounts import account_cost, account_decision, account_price, price_at
from banditd.kernels.arrival import expect_arrival, update_arrivals
from banditd.kernels.categories import add_evidence, shrink
from banditd.kernels.choice import decide, decide_rows
from banditd.kernels.contrasts import contrast, tally
from banditd.kernels.decision import (
    count_support,
    predict_models,
    predict_models_rows,
    rank_models_rows,
    settle,
    weigh,
)
from banditd.kernels.detection import watch_metrics
from banditd.kernels.duel import predict_duel, predict_duel_rows, update_duel, update_utility
from banditd.kernels.exploration import (
    bound_shares,
    draw,
    greedy,
    inverse_gap,
    mix_floor,
    softmax,
    ucb,
    widen_unknown,
)
from banditd.kernels.half import to_half
from banditd.kernels.linear import (
    learn_metrics,
    learn_metrics_rows,
    mirror_model,
    update_ridge,
    update_ridge_forgetting,
)
from banditd.kernels.neighbours import judge_neighbours, keep_nearest, take_values
from banditd.kernels.pacing import (
    greedy_cost,
    hold_within,
    mix_floor_within,
    mix_into,
    shadow_price,
    stake_of,
    try_within,
)
from banditd.kernels.projection import fourier, fourier_rows, project, project_rows
from banditd.kernels.rounds import play_rounds
from banditd.kernels.shrinkage import (
    add_outcome,
    add_outcomes,
    choose_at_prices,
    digest_rows,
    expect,
    factorise,
    invert_factorised,
    solve_factorised,
    tell_apart,
    times,
)
from banditd.kernels.terms import add_charges, exclude_slow
from banditd.kernels.thompson import probability_best
from banditd.kernels.warmup import sample_arguments, warm_up

__all__ = [
    "COMPILED",
    "KERNELS",
    "UNCACHED",
    "Array32",
    "Array64",
    "Kernel",
    "Mask",
    "Parameter",
    "account_cost",
    "account_decision",
    "account_price",
    "add_charges",
    "add_evidence",
    "add_outcome",
    "add_outcomes",
    "bound_shares",
    "choose_at_prices",
    "contrast",
    "count_support",
    "decide",
    "decide_rows",
    "digest_rows",
    "draw",
    "exclude_slow",
    "expect",
    "expect_arrival",
    "factorise",
    "fourier",
    "fourier_rows",
    "greedy",
    "greedy_cost",
    "hold_within",
    "inverse_gap",
    "invert_factorised",
    "judge_neighbours",
    "keep_nearest",
    "learn_metrics",
    "learn_metrics_rows",
    "mirror_model",
    "mix_floor",
    "mix_floor_within",
    "mix_into",
    "play_rounds",
    "predict_duel",
    "predict_duel_rows",
    "predict_models",
    "predict_models_rows",
    "price_at",
    "probability_best",
    "project",
    "project_rows",
    "rank_models_rows",
    "sample_arguments",
    "settle",
    "shadow_price",
    "shrink",
    "softmax",
    "solve_factorised",
    "stake_of",
    "take_values",
    "tally",
    "tell_apart",
    "times",
    "to_half",
    "try_within",
    "ucb",
    "update_arrivals",
    "update_duel",
    "update_ridge",
    "update_ridge_forgetting",
    "update_utility",
    "warm_up",
    "watch_metrics",
    "weigh",
    "widen_unknown",
]
