"""Pairs: whom to compare the chosen model with.

MaxInP (Saha 2021, "Optimal algorithms for stochastic contextual preference bandits"), with the first model by the
router's own policy: of those that may be the best, the one whose comparison with the first is the least certain.
Utilities count what a model costs at today's prices, so that one which is too dear for what it might be is not among
them.
"""

from typing import Final

import numpy as np

from banditd.domain.arrays import Array64, Mask

# Standard deviations by which a model may be better than expected, to be among those that may be the best.
PLAUSIBLE_DEVIATIONS: Final = 2.0


def rival_pmf(utility: Array64, deviation: Array64, eligible: Mask, first: int, floor: float) -> Array64:
    """Return the probabilities of the second model: shape (K,), 0 for the first and for who is not eligible.

    Args:
        utility: Shape (K,), expected utility.
        deviation: Shape (K,), its standard deviation.
        eligible: Shape (K,); at least one besides the first is.
        first: The first model.
        floor: Share that is spread evenly over all that are eligible, in [0, 1].
    """
    others = eligible.copy()
    others[first] = False
    spread = np.sqrt(deviation * deviation + deviation[first] * deviation[first])
    best = np.max(utility[eligible])
    # The first itself may be there for what it might be, and the best of the others always stays.
    plausible = others & (utility + PLAUSIBLE_DEVIATIONS * spread >= best)
    if not plausible.any():
        plausible = others & (utility >= np.max(utility[others]))
    most = plausible & (spread >= np.max(spread[plausible]))
    pmf = np.zeros(len(utility))
    pmf[others] = floor / np.count_nonzero(others)
    # Equals share, so that what is new is not tried in the order of the catalogue.
    pmf[most] += (1.0 - floor) / np.count_nonzero(most)
    return pmf
