"""What an embedder is, and what this package refuses.

EmbedError
├── MissingExtraError      a package that the embedder needs is not installed
├── ModelFileError         a model file is absent from its package, or is not the file that was measured
├── EmbedderSpecError      an embedder's name cannot be understood or found
└── EmbedderOutputError    an embedder gave something other than one finite row per text
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

# What banditd's routers accept.
DIMENSION_MIN = 2
DIMENSION_MAX = 4096


class Embedder(Protocol):
    """Turns texts into rows."""

    @property
    def fingerprint(self) -> str | None:
        """Names everything that decides the rows; None where that cannot be known, and then nothing is cached."""

    def embed(self, texts: Sequence[str]) -> Float32:
        """Return float32 (len(*texts*), D), finite; row i belongs to text i and depends on no other text."""


class EmbedError(Exception):
    """Base of everything that this package raises on purpose."""


class MissingExtraError(EmbedError):
    """An optional package is absent.

    Args:
        embedder: The embedder that was asked for.
        distribution: The name of the absent package on the package index.
    """

    def __init__(self, embedder: str, distribution: str) -> None:
        super().__init__(
            f"embedder {embedder}: expected the package {distribution} to be installed, got none; "
            "install it with: pip install 'banditd-sim[embed]'"
        )
        self.distribution = distribution


class ModelFileError(EmbedError):
    """A file of a model is absent or is another file than the pinned one."""


class EmbedderSpecError(EmbedError):
    """An embedder's name cannot be resolved."""


class EmbedderOutputError(EmbedError):
    """An embedder broke its promise."""


def check_rows(name: str, rows: npt.ArrayLike, *, texts_count: int) -> Float32:
    """Return *rows* as C-contiguous float32 (*texts_count*, D), D in [2, 4096].

    Args:
        name: The embedder, for the message.
        rows: What it returned.
        texts_count: How many texts it was given.

    Raises:
        EmbedderOutputError: for another shape, or a value that is not a finite float32.
    """
    try:
        with np.errstate(over="ignore"):  # too large for float32 becomes inf, which is refused below
            array = np.asarray(rows, dtype=np.float32, order="C")
    except (TypeError, ValueError) as error:
        raise EmbedderOutputError(
            f"embedder {name}: expected an array of numbers, got {type(rows).__name__}"
        ) from error
    if array.ndim != 2 or array.shape[0] != texts_count or not DIMENSION_MIN <= array.shape[1] <= DIMENSION_MAX:
        raise EmbedderOutputError(
            f"embedder {name}: expected shape ({texts_count}, {DIMENSION_MIN}..{DIMENSION_MAX}), got {array.shape}"
        )
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise EmbedderOutputError(f"embedder {name}: expected finite values, got {array[row].min()} in row {row}")
    return array
