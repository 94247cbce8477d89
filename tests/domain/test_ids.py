"""Decision ids: in the order of the log, not forgeable, and the source of a decision's randomness."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banditd.domain.ids import (
    KEY_BYTES,
    POSITION_MAX,
    DecisionId,
    issue_decision_id,
    parse_decision_id,
    verify_decision_id,
)
from banditd.errors import InvalidArgumentError, Reason

KEY = bytes(range(KEY_BYTES))
POSITIONS = st.integers(1, POSITION_MAX)
EPOCHS = st.integers(0, 2**20)


@given(POSITIONS, EPOCHS)
def test_an_id_tells_where_its_decision_stands(position, epoch):
    """Position and epoch come back, from bytes and from text of either case."""
    raw, uniform = issue_decision_id(KEY, position, epoch)
    expected = DecisionId(position, epoch % 2**16)
    assert len(raw) == 16
    assert verify_decision_id(KEY, raw) == expected
    assert parse_decision_id(KEY, raw.hex()) == expected
    assert parse_decision_id(KEY, raw.hex().upper()) == expected
    assert 0.0 <= uniform < 1.0
    assert issue_decision_id(KEY, position, epoch) == (raw, uniform)


@given(POSITIONS, POSITIONS, EPOCHS, EPOCHS)
def test_ids_are_in_the_order_of_the_log(a, b, epoch_a, epoch_b):
    """So that LMDB appends, and a list sorts by time."""
    if a == b:
        return
    first, _ = issue_decision_id(KEY, min(a, b), epoch_a)
    second, _ = issue_decision_id(KEY, max(a, b), epoch_b)
    assert first < second


@given(POSITIONS, EPOCHS, st.binary(max_size=40))
def test_only_what_was_issued_is_taken(position, epoch, other):
    """Whatever is wrong, the message is the same."""
    raw, _ = issue_decision_id(KEY, position, epoch)
    candidates = [other, raw[:-1], raw + b"\0", raw[:8] + bytes(8), bytes(8) + raw[8:]]
    messages = set()
    for candidate in candidates:
        if candidate == raw:
            continue
        with pytest.raises(InvalidArgumentError) as caught:
            verify_decision_id(KEY, candidate)
        assert caught.value.reason is Reason.INVALID_DECISION_ID
        messages.add(caught.value.message)
    assert len(messages) == 1


def test_every_flipped_bit_is_noticed():
    """Of a thousand ids, each of the 128 bits; and another server's key fits none of them."""
    chance = random.Random(7)
    other_key = bytes(KEY_BYTES)
    for _ in range(1000):
        raw, _ = issue_decision_id(KEY, chance.randrange(1, POSITION_MAX), chance.randrange(2**16))
        bit = chance.randrange(128)
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        for key, candidate in ((KEY, bytes(flipped)), (other_key, raw)):
            with pytest.raises(InvalidArgumentError):
                verify_decision_id(key, candidate)
    raw, _ = issue_decision_id(KEY, 42, 1)
    for bit in range(128):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidArgumentError):
            verify_decision_id(KEY, bytes(flipped))


def test_an_id_of_another_epoch_draws_another_number():
    """A position that is used again after a crash neither repeats an id nor a draw."""
    issued = [issue_decision_id(KEY, 42, epoch) for epoch in range(1, 200)]
    assert len({raw for raw, _ in issued}) == len({uniform for _, uniform in issued}) == 199


@pytest.mark.parametrize("text", ["", "0" * 31, "0" * 33, "g" * 32, " " * 32, "é" * 32, "٣" * 32, "\x00" * 32])
def test_what_is_no_hexadecimal_is_refused_alike(text):
    """The message names the field that it came in."""
    with pytest.raises(InvalidArgumentError) as caught:
        parse_decision_id(KEY, text, "outcome.decision_id")
    assert caught.value.message == "outcome.decision_id: expected an id that Route returned, got another value"
