"""FeatureSpec: how a context becomes a row. A fact in the log, because its numbers come from a fit."""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Final

import msgspec
import numpy as np

from banditd.domain.arrays import Array32, frozen
from banditd.errors import DataLossError, Reason

DIMENSION_MIN: Final = 2
DIMENSION_MAX: Final = 4096
# Column 0 is the intercept, column 1 the log of the prompt's length; the projection follows, then random Fourier
# features, then categories.
INTERCEPT: Final = 0
LENGTH: Final = 1
_FIXED_COLUMNS: Final = 2

# Format 2 ends with the categories; an encoding without any has format 1.
_FORMAT: Final = 1
_FORMAT_OF_CATEGORIES: Final = 2
_HEADER = struct.Struct("<4sBBHHHd")
_MAGIC: Final = b"bdfs"


class FeatureKind(IntEnum):
    """What the row holds beside the intercept."""

    INTERCEPT_ONLY = 0
    """Nothing: the belief is blind to the context."""
    LINEAR = 1
    """The prompt's length, the projected embedding, and the category that the caller named."""
    FOURIER = 2
    """These, and random Fourier features of the projected embedding: what is not linear in it, too."""
    CLUSTERS = 3
    """The prompt's length and the embedding's products with the centres of clusters: the largest is its cluster's."""


@dataclass(frozen=True)
class FeatureSpec:
    """An encoding.

    Attributes:
        kind: What the row holds.
        centre: Shape (Din,), float32, subtracted from the embedding.
        basis: Shape (Din, D), float32, with the scale of each component in it.
        row_norm_max: Longest projected row; longer ones are shortened to it, which bounds the leverage of one prompt.
        omega: Shape (D, M), float32, frequencies of the random Fourier features; (D, 0) without.
        phase: Shape (M,), float32, their phases.
        categories: Names that have a column each, the last C of a row.
        shares: Shape (C,), float32: of the prompts that were fitted on, subtracted from every prompt's columns.
    """

    kind: FeatureKind
    centre: Array32
    basis: Array32
    row_norm_max: float
    omega: Array32
    phase: Array32
    categories: tuple[str, ...] = ()
    shares: Array32 = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        assert self.basis.shape[0] == self.centre.shape[0]
        assert self.omega.shape == (self.basis.shape[1], self.phase.shape[0])
        assert self.shares.shape == (len(self.categories),)
        for array in (self.centre, self.basis, self.omega, self.phase, self.shares):
            assert array.dtype == np.float32
            assert array.flags.c_contiguous
            frozen(array)

    @property
    def input_dimension(self) -> int:
        """Values in an embedding."""
        return int(self.centre.shape[0])

    @property
    def projected_dimension(self) -> int:
        """Components kept of it."""
        return int(self.basis.shape[1])

    @property
    def row_width(self) -> int:
        """Values in a row, N."""
        if self.kind is FeatureKind.INTERCEPT_ONLY:
            return 1
        return _FIXED_COLUMNS + int(self.basis.shape[1] + self.phase.shape[0]) + len(self.categories)

    @cached_property
    def categories_at(self) -> int:
        """Column of the first category; the end of a row without any."""
        return self.row_width - len(self.categories)

    @cached_property
    def category_table(self) -> Array32:
        """What a row ends with: shape (C + 1, C), by `category_place`."""
        return frozen(np.eye(len(self.categories) + 1, len(self.categories), dtype=np.float32) - self.shares)

    @cached_property
    def _category_places(self) -> Mapping[str, int]:
        return {name: place for place, name in enumerate(self.categories)}

    def category_place(self, category: str) -> int:
        """Return where in `category_table` a category stands; last are none, and those without a column."""
        return self._category_places.get(category, len(self.categories))

    @cached_property
    def fingerprint(self) -> str:
        """32 hexadecimal digits over everything above: equal fingerprints encode equally."""
        return hashlib.blake2b(encode_spec(self), digest_size=16).hexdigest()


def encode_spec(spec: FeatureSpec) -> bytes:
    """Return the bytes of *spec*: a header, the arrays as little-endian float32, and pairs of category and share."""
    header = _HEADER.pack(
        _MAGIC,
        _FORMAT_OF_CATEGORIES if spec.categories else _FORMAT,
        spec.kind,
        spec.input_dimension,
        spec.projected_dimension,
        spec.phase.shape[0],
        spec.row_norm_max,
    )
    arrays = b"".join(a.astype("<f4").tobytes() for a in (spec.centre, spec.basis, spec.omega, spec.phase))
    pairs = list(zip(spec.categories, spec.shares.tolist(), strict=True))
    return header + arrays + (msgspec.json.encode(pairs) if pairs else b"")


def decode_spec(raw: bytes) -> FeatureSpec:
    """Return the spec that `encode_spec` made *raw* of.

    Raises:
        DataLossError: *raw* is of another format or length, or tells of categories that cannot be.
    """
    if len(raw) < _HEADER.size:
        raise DataLossError(
            Reason.CORRUPT_RECORD, f"feature spec: expected at least {_HEADER.size} bytes, got {len(raw)}"
        )
    magic, version, kind, d_in, d, m, norm = _HEADER.unpack_from(raw)
    sizes = (d_in, d_in * d, d * m, m)
    expected = _HEADER.size + 4 * sum(sizes)
    fits = len(raw) == expected if version == _FORMAT else version == _FORMAT_OF_CATEGORIES and len(raw) > expected
    if magic != _MAGIC or kind not in set(FeatureKind) or not fits:
        raise DataLossError(
            Reason.CORRUPT_RECORD,
            f"feature spec: expected format {_FORMAT} and {expected} bytes, or {_FORMAT_OF_CATEGORIES} and more, "
            f"got format {version} and {len(raw)}",
        )
    values = np.frombuffer(raw, "<f4", sum(sizes), _HEADER.size).astype(np.float32)
    bounds = np.cumsum(sizes)[:-1]
    centre, basis, omega, phase = (part.copy() for part in np.split(values, bounds))
    pairs = _decode_pairs(raw[expected:], FeatureKind(kind)) if len(raw) > expected else []
    return FeatureSpec(
        kind=FeatureKind(kind),
        centre=centre,
        basis=basis.reshape(d_in, d),
        row_norm_max=norm,
        omega=omega.reshape(d, m),
        phase=phase,
        categories=tuple(name for name, _ in pairs),
        shares=np.array([share for _, share in pairs], np.float32),
    )


def _decode_pairs(raw: bytes, kind: FeatureKind) -> list[tuple[str, float]]:
    try:
        pairs = msgspec.json.decode(raw, type=list[tuple[str, float]])
    except msgspec.MsgspecError as error:
        raise DataLossError(
            Reason.CORRUPT_RECORD, f"feature spec: expected pairs of category and share, got {error}"
        ) from error
    names = {name for name, _ in pairs}
    if (
        kind not in (FeatureKind.LINEAR, FeatureKind.FOURIER)
        or not pairs
        or len(names) < len(pairs)
        or "" in names
        or not all(0.0 < share < 1.0 for _, share in pairs)
    ):
        raise DataLossError(
            Reason.CORRUPT_RECORD,
            f"feature spec: expected different categories with shares between 0 and 1 of an encoding that has columns "
            f"for them, got {kind.name} and {pairs[:4]!r}",
        )
    return pairs
