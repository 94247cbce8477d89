"""Compiled numerical kernels: NumPy arrays in, NumPy arrays written in place.

They neither check their arguments nor raise, and give the same bits on every machine; `_jit` tells how. Needs NumPy and
Numba only.
"""

from banditd.kernels._jit import COMPILED, KERNELS, UNCACHED, Array32, Array64, Kernel, Mask, Parameter
from banditd.kernels.exploration import draw, greedy, inverse_gap, mix_floor, softmax, ucb
from banditd.kernels.linear import (
    score_linear,
    score_linear_rows,
    score_mean,
    score_mean_rows,
    score_models,
    update_ridge,
    update_ridge_forgetting,
)
from banditd.kernels.projection import fourier, fourier_rows, project, project_rows
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
    "draw",
    "fourier",
    "fourier_rows",
    "greedy",
    "inverse_gap",
    "mix_floor",
    "probability_best",
    "project",
    "project_rows",
    "sample_arguments",
    "score_linear",
    "score_linear_rows",
    "score_mean",
    "score_mean_rows",
    "score_models",
    "softmax",
    "ucb",
    "update_ridge",
    "update_ridge_forgetting",
    "warm_up",
]
