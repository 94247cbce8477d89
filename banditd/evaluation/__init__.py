"""Evaluation of policies that do not decide: folds of constant size, bounds that may be looked at at any time."""

from banditd.evaluation.account import Account, Figures
from banditd.evaluation.verdict import judge

__all__ = ["Account", "Figures", "judge"]
