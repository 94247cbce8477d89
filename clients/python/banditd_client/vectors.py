"""Embeddings of any kind to little-endian float32 bytes, the form in which they travel.

NumPy is never imported: an array brings its own methods, and a caller without NumPy does not pay for it.
"""

import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeAlias

FLOAT32_BYTES = 4
# Kinds of NumPy dtypes that are no plain numbers: complex, bytes, text, dates, durations.
_NOT_NUMBERS = frozenset("cSUMm")


class ArrayLike(Protocol):
    """A NumPy array, or what knows how to become one (a tensor on the CPU, a pandas column)."""

    def __array__(self) -> Any:
        """Return a NumPy array."""


Embedding: TypeAlias = ArrayLike | Sequence[float] | memoryview | bytes | bytearray
"""One vector; an `array.array` is a sequence. Bytes are taken as little-endian float32 already."""

Embeddings: TypeAlias = ArrayLike | Sequence[Embedding] | memoryview
"""Vectors of one length: a two-dimensional array, or a sequence with a vector per row."""


def float32_bytes(embedding: Embedding) -> bytes:
    """Return one vector as little-endian float32 bytes; what float32 cannot hold becomes infinite.

    ValueError or TypeError if it is not one vector of real numbers.
    """
    data, shape = _packed(embedding)
    if len(shape) != 1:
        raise ValueError(f"embedding: expected one dimension, got {len(shape)}")
    return data


def float32_rows(embeddings: Embeddings) -> tuple[bytes, int]:
    """Return vectors as little-endian float32 bytes, row after row, and their number.

    ValueError or TypeError if they are not vectors of real numbers, all of one length.
    """
    if isinstance(embeddings, (bytes, bytearray)):
        raise TypeError("embeddings: expected two dimensions, got bytes, which have one")
    if hasattr(embeddings, "__array__") or isinstance(embeddings, memoryview):
        data, shape = _packed(embeddings)
        if len(shape) != 2:
            raise ValueError(f"embeddings: expected two dimensions, got {len(shape)}")
        return data, shape[0]
    rows = [float32_bytes(row) for row in embeddings]
    for index, row in enumerate(rows):
        if len(row) != len(rows[0]):
            expected, got = len(rows[0]) // FLOAT32_BYTES, len(row) // FLOAT32_BYTES
            raise ValueError(f"embeddings[{index}]: expected {expected} values as in row 0, got {got}")
    return b"".join(rows), len(rows)


def _packed(values: Any) -> tuple[bytes, tuple[int, ...]]:
    """Return the values as little-endian float32 bytes in C order, and their shape."""
    if isinstance(values, (bytes, bytearray)):
        return _checked(bytes(values))
    if isinstance(values, str):
        raise TypeError("embedding: expected numbers, got str")
    if hasattr(values, "__array__"):
        values = values.__array__()
        if values.dtype.kind in _NOT_NUMBERS:
            raise TypeError(f"embedding: expected real numbers, got {values.dtype}")
        # astype swaps the bytes of big-endian arrays; tobytes gathers strided ones in C order.
        return values.astype("<f4").tobytes(), values.shape
    if isinstance(values, (array, memoryview)):
        return _buffer(memoryview(values))
    numbers = _floats(values)
    return numbers, (len(numbers) // FLOAT32_BYTES,)


def _buffer(view: memoryview) -> tuple[bytes, tuple[int, ...]]:
    """Pack a buffer; memoryview itself can read native formats only, so others go through struct."""
    if view.format == "B":
        return _checked(view.tobytes())
    order, code = (view.format[0], view.format[1:]) if view.format[0] in "<>=@!" else ("@", view.format)
    little = order == "<" or (order in "=@" and sys.byteorder == "little")
    shape = tuple(view.shape or ())
    if code == "f" and little:
        return view.tobytes(), shape
    if len(code) != 1 or code not in "efdbBhHiIlLqQ":
        raise TypeError(f"embedding: expected real numbers, got a buffer of format {view.format!r}")
    count = view.nbytes // view.itemsize
    return _floats(struct.unpack(f"{order}{count}{code}", view.tobytes())), shape


def _floats(values: Iterable[float]) -> bytes:
    # array, not struct: struct.pack refuses a double beyond float32 where NumPy gives infinity, and is slower.
    numbers = array("f", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _checked(data: bytes) -> tuple[bytes, tuple[int, ...]]:
    if len(data) % FLOAT32_BYTES:
        raise ValueError(f"embedding: expected a multiple of {FLOAT32_BYTES} bytes, got {len(data)}")
    return data, (len(data) // FLOAT32_BYTES,)
