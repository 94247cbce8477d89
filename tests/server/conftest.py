"""Servers: a fresh one per test, or one per module where tests leave no traces that matter."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from banditd.learner.commands import ChangeSettings
from tests.server.harness import Server, config_for, running


async def furnish(server: Server) -> None:
    """Create three models with prices; no prompt has fixed the dimension yet."""
    for k, model_id in enumerate(("small", "medium", "large")):
        await server.add_model(model_id, price=(0.1 * 10**k, 0.4 * 10**k), context_window_token_count=1_000_000)


@pytest.fixture
async def server(tmp_path) -> AsyncIterator[Server]:
    """A server of its own with three models."""
    async with running(config_for(tmp_path / "data")) as fresh:
        await furnish(fresh)
        yield fresh


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory) -> AsyncIterator[Server]:
    """A server that a module's tests share, with three models and one decision."""
    async with running(config_for(tmp_path_factory.mktemp("shared") / "data")) as fresh:
        await furnish(fresh)
        await fresh.route()
        yield fresh


@pytest.fixture
def blocked_writer():
    """Holds the writer's thread, as a slow disk would; what it returns lets go."""
    held = threading.Event()

    async def block(server: Server) -> Callable[[], None]:
        reached = asyncio.Event()
        loop = asyncio.get_running_loop()

        def decide(_: object) -> tuple[()]:
            loop.call_soon_threadsafe(reached.set)
            assert held.wait(30.0)
            return ()

        server.bridge.submit(ChangeSettings(decide))
        await reached.wait()
        return held.set

    yield block
    held.set()
