"""Sessions: switching models inside one costs a cold prompt cache, and what was chosen last survives."""

import asyncio

import numpy as np

from banditd_proto.v1 import model_pb2
from tests.server.conftest import furnish
from tests.server.harness import batch_request, config_for, context, running


def costs(answer):
    """Return the expected cost of each candidate."""
    return {c.model_id: c.expected_cost_usd for c in answer.candidates}


async def ask(server, session="", *, model=None, tokens=1000, **rest):
    """Route a prompt of a session."""
    return await server.route(
        context=context(session_id=session, input_token_count=tokens),
        candidate_model_ids=[] if model is None else [model],
        **rest,
    )


async def previous(server, answer):
    """Return the session's model before an answer."""
    return (await server.decision(answer.decision_id)).previous_model_id


async def test_switching_costs_the_routers_price_or_that_of_the_models_cold_cache(server):
    """The last model keeps its cost; a change of any price acts on the next decision."""
    await server.change_router("default", switch_usd=0.125)
    cached = model_pb2.Price(input_mtok_usd=10.0, output_mtok_usd=40.0, cached_input_mtok_usd=1.0)
    await server.change_model("large", price=cached)
    plain = costs(await ask(server))
    assert costs(await ask(server, "s", model="medium")) == {"medium": plain["medium"]}
    sticky = await ask(server, "s", objective={"usd_weight": 10.0})
    assert sticky.model_id == "medium"
    extra = {name: value - plain[name] for name, value in costs(sticky).items()}
    np.testing.assert_allclose([extra["small"], extra["medium"], extra["large"]], [0.125, 0.0, 0.009], rtol=1e-3)
    assert await previous(server, sticky) == "medium"
    await server.change_router("default", switch_usd=0.0)
    assert costs(await ask(server, "s"))["small"] == plain["small"]


async def test_each_session_and_each_router_has_its_own_last_model(server):
    """A prompt without a session belongs to none."""
    await server.add_router("other", embedding_dimension=8)
    assert await previous(server, await ask(server, "a", model="small")) == ""
    assert await previous(server, await ask(server, "b", model="large")) == ""
    assert await previous(server, await ask(server, "a", model="medium")) == "small"
    assert await previous(server, await ask(server, "b", model="medium")) == "large"
    assert await previous(server, await ask(server, "a", model="medium")) == "medium"
    assert await previous(server, await ask(server, model="small")) == ""
    assert await previous(server, await ask(server, "a", router_id="other")) == ""


async def test_rows_of_a_batch_have_sessions(server):
    """They see what was chosen before the batch, and leave what they chose."""
    await ask(server, "a", model="small")
    batch = await server.routing.RouteBatch(
        batch_request(3, session_ids=["a", "", "b"], candidate_model_ids=["medium"])
    )
    ids = [batch.decision_ids[i : i + 16].hex() for i in (0, 16, 32)]
    assert [(await server.decision(i)).previous_model_id for i in ids] == ["small", "", ""]
    assert await previous(server, await ask(server, "b", model="large")) == "medium"


async def test_a_repeated_request_is_answered_as_the_first_time(server):
    """It does not count as the session's last."""
    await ask(server, "s", model="small")
    await server.change_router("default", switch_usd=0.5)
    first = await ask(server, "s", request_id="r-1")
    assert await ask(server, "s", request_id="r-1") == first
    assert await previous(server, first) == "small"


async def test_the_model_of_a_session_may_be_gone(server):
    """Then every model is cold, and the decision still tells which it was."""
    await server.change_router("default", switch_usd=0.125)
    plain = costs(await ask(server))
    await ask(server, "s", model="small")
    await server.delete_model("small")
    answer = await ask(server, "s")
    np.testing.assert_allclose(costs(answer)["large"] - plain["large"], 0.125, rtol=1e-3)
    assert await previous(server, answer) == "small"


async def test_sessions_survive_a_restart(tmp_path):
    """From the snapshot that a stop leaves, and from the log after it."""
    config = config_for(tmp_path / "data")
    async with running(config) as server:
        await furnish(server)
        await ask(server, "a", model="small")
        await ask(server, "b", model="large")
        digest = (await server.status()).state_digest
    async with running(config) as server:
        assert (await server.status()).state_digest == digest
        assert await previous(server, await ask(server, "a", model="medium")) == "small"
        assert await previous(server, await ask(server, "b", model="medium")) == "large"
    async with running(config) as server:
        assert await previous(server, await ask(server, "a")) == "medium"


async def test_calls_side_by_side_in_one_session_are_all_answered(server):
    """Each records what it saw; the fold of the log has the last."""
    await server.change_router("default", switch_usd=0.01)
    answers = await asyncio.gather(*(ask(server, "s") for _ in range(50)))
    assert len({answer.decision_id for answer in answers}) == 50
    last = max(answers, key=lambda answer: int(answer.decision_id[:12], 16))
    assert await previous(server, await ask(server, "s")) == last.model_id
