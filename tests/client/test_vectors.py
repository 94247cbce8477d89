"""Embeddings of any kind become the same bytes."""

import struct
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from banditd_client.vectors import float32_bytes, float32_rows

VALUES = [0.5, -1.25, 3.0, 65504.0]
PACKED = struct.pack("<4f", *VALUES)
SPREAD = np.zeros((4, 3), np.float32)
SPREAD[:, 1] = VALUES


class Tensor:
    """Knows how to become an array, and nothing else."""

    def __array__(self):
        return np.array(VALUES)


@pytest.mark.parametrize(
    "embedding",
    [
        VALUES,
        tuple(VALUES),
        (value for value in VALUES),
        PACKED,
        bytearray(PACKED),
        memoryview(PACKED),
        array("f", VALUES),
        array("d", VALUES),
        memoryview(array("f", VALUES)),
        memoryview(array("d", VALUES))[::1],
        memoryview(array("f", [value for value in VALUES for _ in range(2)]))[::2],
        np.array(VALUES, "<f4"),
        np.array(VALUES, ">f4"),
        np.array(VALUES, "<f8"),
        np.array(VALUES, ">f8"),
        np.array(VALUES, np.float16),
        np.array(VALUES, object),
        SPREAD[:, 1],
        np.array(VALUES[::-1], np.float32)[::-1],
        memoryview(SPREAD[:, 1]),
        memoryview(np.array(VALUES, ">f4")),
        memoryview(np.array(VALUES, ">f8")),
        memoryview(np.array(VALUES, np.float16)),
        list(np.array(VALUES, np.float32)),
        Tensor(),
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'dtype', getattr(value, 'format', ''))}",
)
def test_every_kind_of_vector_gives_the_same_bytes(embedding):
    """Lists, arrays, bytes, other orders of bytes and steps through memory are one embedding."""
    assert float32_bytes(embedding) == PACKED


def test_whole_numbers_are_numbers():
    """A vector of counts is taken as it is."""
    expected = struct.pack("<3f", 1, 2, 3)
    kinds = [[1, 2, 3], np.array([1, 2, 3]), array("i", [1, 2, 3]), array("q", [1, 2, 3])]
    assert [float32_bytes(kind) for kind in kinds] == [expected] * 4


@given(st.lists(st.floats(width=32)))
def test_a_list_and_an_array_agree_on_every_float32(values):
    """NaN and infinities travel too: to refuse them is the server's business."""
    as_array = np.array(values, np.float32)
    assert float32_bytes(values) == float32_bytes(as_array) == struct.pack(f"<{len(values)}f", *values)


@given(st.lists(st.floats(min_value=-1e38, max_value=1e38)))
def test_doubles_are_rounded_as_numpy_rounds_them(values):
    """The nearest float32, whoever packs."""
    assert float32_bytes(values) == np.array(values).astype("<f4").tobytes()


@pytest.mark.parametrize(
    "embedding, error, message",
    [
        (b"12345", ValueError, "embedding: expected a multiple of 4 bytes, got 5"),
        (memoryview(b"12345"), ValueError, "embedding: expected a multiple of 4 bytes, got 5"),
        (np.zeros((1, 4)), ValueError, "embedding: expected one dimension, got 2"),
        (np.float32(1.0), ValueError, "embedding: expected one dimension, got 0"),
        ("0.5", TypeError, "embedding: expected numbers, got str"),
        (np.array([1j]), TypeError, "embedding: expected real numbers, got complex128"),
        (np.array(["0.5"]), TypeError, "embedding: expected real numbers, got <U3"),
        (memoryview(np.zeros(2, "U1")), TypeError, "embedding: expected real numbers, got a buffer of format '1w'"),
        (["0.5"], TypeError, None),
        (None, TypeError, None),
    ],
    ids=["odd", "odd-view", "matrix", "scalar", "str", "complex", "text", "text-view", "list-of-text", "none"],
)
def test_what_is_no_vector_is_refused(embedding, error, message):
    """A mistake in the caller's code is named before anything is sent."""
    with pytest.raises(error) as caught:
        float32_bytes(embedding)
    assert message is None or str(caught.value) == message


def test_rows_of_every_kind_give_the_same_bytes():
    """A matrix, and a sequence with a vector of any kind per row."""
    matrix = np.array([VALUES, VALUES[::-1]])
    kinds = [
        matrix,
        matrix.astype(">f4"),
        np.asfortranarray(matrix),
        matrix.tolist(),
        [array("d", row) for row in matrix.tolist()],
        [matrix[0], PACKED[::-1][::-1][12:] + PACKED[8:12] + PACKED[4:8] + PACKED[:4]],
        memoryview(matrix.astype("f4")),
        memoryview(matrix),
    ]
    assert [float32_rows(kind) for kind in kinds] == [(matrix.astype("<f4").tobytes(), 2)] * len(kinds)


@pytest.mark.parametrize(
    "embeddings, error, message",
    [
        ([[1.0, 2.0], [1.0]], ValueError, "embeddings[1]: expected 2 values as in row 0, got 1"),
        (np.zeros(4), ValueError, "embeddings: expected two dimensions, got 1"),
        (memoryview(PACKED), ValueError, "embeddings: expected two dimensions, got 1"),
        (PACKED, TypeError, "embeddings: expected two dimensions, got bytes, which have one"),
    ],
)
def test_what_is_no_matrix_is_refused(embeddings, error, message):
    """Rows of different lengths would otherwise shift into each other."""
    with pytest.raises(error) as caught:
        float32_rows(embeddings)
    assert str(caught.value) == message
