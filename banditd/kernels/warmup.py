"""Call each kernel once, so that no request pays for a first call."""

import time

import numpy as np
from numpy.typing import NDArray

from banditd.kernels._jit import KERNELS, Kernel, Parameter
from banditd.kernels.accounts import NUMBERS
from banditd.kernels.arrival import ARRIVAL_WIDTH_MIN
from banditd.kernels.contrasts import CONTRAST_WIDTH, SUMS_WIDTH

# Any length will do; four also enters the loops that take four rows at once.
_LENGTH = 5
# Axes that are always as long: metrics, the four rows of what is expected, what `contrast` and `tally` write.
_FIXED = {"T": 3, "V": 4, "X": CONTRAST_WIDTH, "S": SUMS_WIDTH, "A": ARRIVAL_WIDTH_MIN, "W": _LENGTH + 2, "P": NUMBERS}


def _sample(parameter: Parameter) -> NDArray[np.generic] | float | int:
    if not parameter.shape:
        return 0 if parameter.dtype == "int64" else 0.5
    values = np.ones([_FIXED.get(axis, _LENGTH) for axis in parameter.shape], parameter.dtype)
    values.setflags(write=parameter.mutable)
    return values


def sample_arguments(kernel: Kernel) -> list[NDArray[np.generic] | float | int]:
    """Make small arguments that *kernel* accepts: ones, and read-only wherever it does not write."""
    return [_sample(parameter) for parameter in kernel.parameters]


def warm_up() -> list[tuple[str, float]]:
    """Call every registered kernel once, in order of name; return what each call took, in seconds.

    The kernels are compiled, or loaded from the cache, when `banditd.kernels` is imported. This catches what is left:
    the first call of a function touches its code and NumPy's, and proves that it runs on this processor.
    """
    timings = []
    for name in sorted(KERNELS):
        arguments = sample_arguments(KERNELS[name])
        started = time.perf_counter()
        KERNELS[name].function(*arguments)
        timings.append((name, time.perf_counter() - started))
    return timings
