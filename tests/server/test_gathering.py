"""Who calls alone is served at once; who call side by side share a group."""

import asyncio

from banditd.server import gathering
from banditd.server.gathering import Gathering


class Writer:
    """Counts how often it is woken, and takes what is queued when it is."""

    def __init__(self):
        self.queued = 0
        self.last_group_commands = 0
        self.groups = []

    def wake(self):
        self.groups.append(self.queued)
        self.last_group_commands, self.queued = self.queued, 0


def put(writer):
    """Return work that queues one command."""

    def work():
        writer.queued += 1

    return work


def test_who_calls_alone_is_served_at_once():
    """Nobody side by side: no look, no waiting, whatever came before."""

    async def call():
        writer = Writer()
        gathering_ = Gathering(writer)
        for _ in range(3):
            gathering_.join(put(writer))
        return writer.groups

    assert asyncio.run(call()) == [1, 1, 1]


def test_side_by_side_they_share_a_group():
    """After a group of several, the next ones gather, and none of them is forgotten."""

    async def call():
        writer = Writer()
        writer.last_group_commands = 2
        gathering_ = Gathering(writer)
        for _ in range(5):
            gathering_.join(put(writer))
        assert writer.groups == []
        await asyncio.sleep(5 * gathering._LOOK_S)
        return writer.groups

    assert asyncio.run(call()) == [5]


def test_a_group_closes_in_time():
    """However many go on joining, the first is not kept waiting for longer than the group may be open."""

    async def call():
        writer = Writer()
        writer.last_group_commands = 2
        gathering_ = Gathering(writer)
        loop = asyncio.get_running_loop()
        end = loop.time() + 20 * gathering._OPEN_S
        while not writer.groups and loop.time() < end:
            gathering_.join(put(writer))
            await asyncio.sleep(gathering._LOOK_S / 4)
        return len(writer.groups), loop.time() < end

    assert asyncio.run(call()) == (1, True)


def test_a_command_that_is_queued_already_joins_too():
    """Joining without work closes the group like any other."""

    async def call():
        writer = Writer()
        writer.last_group_commands = 2
        gathering_ = Gathering(writer)
        writer.queued = 1
        gathering_.join()
        gathering_.join(put(writer))
        await asyncio.sleep(5 * gathering._LOOK_S)
        return writer.groups

    assert asyncio.run(call()) == [2]


def test_as_many_as_last_time_are_not_kept_waiting(monkeypatch):
    """Once they are back, the group closes though it would look for others later; a larger one may form."""
    monkeypatch.setattr(gathering, "_LOOK_S", 60.0)
    monkeypatch.setattr(gathering, "_OPEN_S", 60.0)

    async def call():
        writer = Writer()
        writer.last_group_commands = 2
        gathering_ = Gathering(writer)
        gathering_._expected = 3
        for count in (3, 5):
            for _ in range(count):
                gathering_.join(put(writer))
            await asyncio.sleep(20 * gathering._SOON_S)
        assert writer.groups == [3, 5]
        for _ in range(4):
            gathering_.join(put(writer))
        await asyncio.sleep(20 * gathering._SOON_S)
        return writer.groups

    assert asyncio.run(call()) == [3, 5]
