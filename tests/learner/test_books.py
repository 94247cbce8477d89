"""The books: received = waiting + what became of each, whoever looks and whenever."""

import sys
import threading

import pytest

from banditd.domain.outcome import OutcomeStatus
from banditd.learner.books import Books, name_of


def balance(counts):
    """Return what is received but neither settled nor waiting: 0 in sound books."""
    return 2 * counts["received"] - sum(counts.values())


def test_every_status_has_a_name():
    """No status is counted under another's name or nowhere."""
    names = [name_of(status) for status in OutcomeStatus] + [name_of(None)]
    assert len(set(names)) == len(names)
    assert set(names) == set(Books({}).settled())


@pytest.mark.parametrize("status", [None, *OutcomeStatus])
def test_a_settled_outcome_moves_from_waiting_to_its_status(status):
    """What was received waits until it is answered, and is then counted once."""
    books = Books({"late": 3})
    books.receive(2)
    assert books.all() == {**Books({"late": 3}).all(), "received": 5, "waiting": 2}
    books.settle({status: 1})
    assert books.all()["waiting"] == 1
    assert books.all()[name_of(status)] == 1 + 3 * (status is OutcomeStatus.LATE)
    assert balance(books.all()) == 0


def test_a_restart_keeps_what_was_written():
    """What waited at a crash was never answered, so it was not received; the client sends it again."""
    books = Books({"applied": 7, "duplicate": 2, "unknown": 9})
    assert books.all()["received"] == 9
    assert books.all()["waiting"] == 0


def test_books_balance_at_every_instant():
    """A reader in another thread never sees an outcome that is nowhere or twice."""
    books = Books({})
    stopping = threading.Event()
    seen = []

    def look():
        while not stopping.is_set():
            seen.append(balance(books.all()))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    reader = threading.Thread(target=look)
    reader.start()
    try:
        for _ in range(5000):
            books.receive(3)
            books.settle({OutcomeStatus.APPLIED: 2, None: 1})
    finally:
        stopping.set()
        reader.join()
        sys.setswitchinterval(interval)
    assert len(seen) > 10
    assert set(seen) == {0}
