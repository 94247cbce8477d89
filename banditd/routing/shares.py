"""The explorer, within the largest shares that some models may have: newcomers, and models that come back."""

import numpy as np

from banditd.domain.arrays import Array64, Mask
from banditd.kernels.exploration import bound_shares
from banditd.policies.base import Explorer
from banditd.policies.registry import PolicyParameters


def explore(
    explorer: Explorer,
    policy: PolicyParameters,
    utility: Array64,
    deviation: Array64,
    eligible: Mask,
    learnt_count: int,
    caps: Array64 | None,
    out_pmf: Array64,
) -> None:
    """Write the explorer's pmf, mixed with what it would be without the bounded models until they keep their bounds.

    Utilities may come from any objective, so a mixture of several calls keeps the bounds as well.

    Args:
        explorer: Who explores.
        policy: The explorer's parameter, and the floor that is going to be mixed in.
        utility: Shape (K,).
        deviation: Shape (K,).
        eligible: Shape (K,); at least one is true.
        learnt_count: Qualities learnt so far.
        caps: Shape (K,): largest share of each model, 1 for no bound; None where nobody has one.
        out_pmf: Shape (K,), written.
    """
    explorer(utility, deviation, eligible, policy.exploration, learnt_count, out_pmf)
    if caps is None:
        return
    others = eligible & (caps >= 1.0)
    if not others.any():
        return  # somebody has to serve
    without = np.empty_like(out_pmf)
    explorer(utility, deviation, others, policy.exploration, learnt_count, without)
    bound_shares(caps, eligible, without, policy.floor, out_pmf)
