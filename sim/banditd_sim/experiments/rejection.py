"""Rejection: what a preset that learns as it goes would have received, replayed on the rounds where it agrees."""

from __future__ import annotations

from typing import Final

import numpy as np

from banditd_sim.environments.errors import SimError
from banditd_sim.environments.logged import LoggedWorld
from banditd_sim.environments.players import LogRouter
from banditd_sim.environments.router import parse_router_policy
from banditd_sim.ope import (
    LoggedRounds,
    RoundTerms,
    SupportLimits,
    estimate,
    skew_corrected_interval,
    standard_error,
)
from banditd_sim.report.ope_schema import OpeRow, OpeTarget

REPLAY_PREFIX: Final = "replay:"


def replayed(spec: str, log: LoggedRounds, *, seed: int, alpha: float) -> tuple[list[OpeRow], OpeTarget]:
    """Replay `replay:PRESET[:key=value,...]` on a log by rejection sampling (Li et al. 2011).

    The preset chooses in every offered round and learns from those alone in which it chose what the log has, so that
    the kept rounds are what it would have seen live. The interval takes their rewards for independent.

    Args:
        spec: As above; no reward of the log may be missing.
        log: With contexts.
        seed: Of thinning and of the preset's draws.
        alpha: One minus the interval's level.

    Returns:
        A row, and what to know about the target; no row but a refusal where too few rounds were kept.

    Raises:
        SimError: An unknown preset, no contexts, or censored rewards.
    """
    policy = parse_router_policy(spec.removeprefix(REPLAY_PREFIX), usd_weight=0.0, second_weight=0.0, name="target")
    try:
        kept = LoggedWorld(log, seed).play(LogRouter(log, policy, seed)).reward
    except SimError as error:
        if error.reason != "NO_SUPPORT":
            raise
        kept = np.zeros(0)
    least = SupportLimits().ess_min
    if len(kept) < least:
        refusal = f"expected at least {least:.0f} rounds in which policy and log agree, got {len(kept)}"
        return [], OpeTarget(spec, refusal, "NO_SUPPORT", float(len(kept)), None, None, None, None)
    terms = RoundTerms(addend=kept, numerator=None)
    ends = skew_corrected_interval(terms, alpha=alpha)
    row = OpeRow(
        target=spec,
        estimator="replay",
        interval="skew_corrected",
        value=estimate(terms),
        low=ends.low,
        high=ends.high,
        level=1.0 - alpha,
        standard_error=standard_error(terms),
        parameter=None,
        refusal="",
    )
    return [row], OpeTarget(spec, "", "", float(len(kept)), None, None, None, None)
