"""Names of array types. Shapes stand in docstrings: K models, D features, N row width, B rows of a batch."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array16 = NDArray[np.float16]
Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
Index = NDArray[np.int64]
Slots = NDArray[np.uint16]
Bits16 = NDArray[np.uint16]
Mask = NDArray[np.bool_]
Codes = NDArray[np.uint8]
AnyArray = NDArray[Any]


_A = TypeVar("_A", bound=NDArray[Any])


def frozen(array: _A) -> _A:
    """Return *array* after making it read-only, so that a snapshot can be shared between threads."""
    array.setflags(write=False)
    return array
