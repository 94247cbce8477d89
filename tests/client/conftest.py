"""Fixtures: a scripted server, and a way to connect either client to it."""

import pytest

from banditd_client import RetryPolicy

from .fakes import AsyncCaller, FakeBanditd, SyncCaller

QUICK = RetryPolicy(backoff_initial_s=0.001, backoff_max_s=0.002)


@pytest.fixture
async def server():
    """A running server; its event loop is the test's."""
    fake = FakeBanditd()
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture(params=[SyncCaller, AsyncCaller], ids=["sync", "async"])
async def connect(request, server):
    """Connects a client; what holds for one holds for the other, so every test runs with both."""
    callers = []

    def connect(target=None, **options):
        options = {"retry": QUICK, "route_timeout": 5.0} | options
        callers.append(request.param(target or server.address, **options))
        return callers[-1]

    yield connect
    for caller in callers:
        await caller.close()


@pytest.fixture
def caller(connect):
    """A client with quick retries."""
    return connect()
