"""The last model of each session: bounded, in order, and readable while it is written."""

import struct
import threading

import pytest

from banditd.domain.decision import NO_SLOT
from banditd.routing import sessions as module
from banditd.routing.sessions import Sessions


def test_the_last_slot_of_a_session_is_remembered():
    """Each session has its own; a prompt without one has none."""
    sessions = Sessions()
    sessions.remember("a", 3)
    sessions.remember("b", 65_535)
    sessions.remember("a", 0)
    sessions.remember("", 7)
    assert [sessions.last(name) for name in ("a", "b", "c", "")] == [0, 65_535, NO_SLOT, NO_SLOT]
    assert len(sessions) == 2


def test_the_session_that_was_silent_for_longest_is_forgotten(monkeypatch):
    """The limit holds; a session that goes on is young again."""
    monkeypatch.setattr(module, "SESSIONS_MAX", 3)
    sessions = Sessions()
    for name in ("a", "b", "c", "a", "d"):
        sessions.remember(name, 1)
    assert [sessions.last(name) for name in "abcd"] == [1, NO_SLOT, 1, 1]
    assert len(sessions) == 3


def test_bytes_bring_back_sessions_and_their_order(monkeypatch):
    """So that what is forgotten next is the same after a restart."""
    monkeypatch.setattr(module, "SESSIONS_MAX", 3)
    sessions, again = Sessions(), Sessions()
    again.remember("z", 9)
    for name in ("a", "b", "c", "a"):
        sessions.remember(name, ord(name))
    again.load(sessions.to_bytes())
    assert again.to_bytes() == sessions.to_bytes()
    again.remember("d", 1)
    assert [again.last(name) for name in "abcdz"] == [97, NO_SLOT, 99, 1, NO_SLOT]
    with pytest.raises(struct.error):
        again.load(sessions.to_bytes()[:-1])


def test_a_reader_never_misses_a_session_that_is_being_written():
    """While one thread writes, another always finds one of the slots that were written."""
    sessions, ended, seen = Sessions(), threading.Event(), set()
    sessions.remember("s", 1)

    def read():
        while not ended.is_set():
            seen.add(sessions.last("s"))

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(100_000):
        sessions.remember("s", 1 + i % 2)
        sessions.remember(f"other {i % 100}", 5)
    ended.set()
    reader.join()
    assert seen <= {1, 2}
    assert seen
