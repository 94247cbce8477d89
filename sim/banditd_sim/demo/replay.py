"""The traffic: each prompt is routed, and the outcome of the chosen model, of no other, is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from banditd_client import AsyncClient, BanditdError, OutcomeStatus
from banditd_sim.datasets.paretobandit import SPLITS, ParetoBanditData

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

# A call waits for the disk, which on a busy machine can take its time. The retries of the client are inside it.
_CALL_SECONDS_MAX = 30.0
# A usual rule of thumb for English; the router wants the order of magnitude.
_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Round:
    """One prompt routed and its outcome acknowledged.

    Attributes:
        row: Row of the data.
        model_index: Column of the data.
        propensity: Probability with which the model was drawn.
        applied: Whether the server says that it learnt from the outcome.
    """

    row: int
    model_index: int
    propensity: float
    applied: bool


def shuffled_rows(data: ParetoBanditData, split: str, seed: int) -> Int64:
    """Return the rows of *split* in the order that *seed* decides."""
    rng = np.random.default_rng([seed, SPLITS.index(split)])
    return rng.permutation(data.rows_of(split)).astype(np.int64)


def replay(
    address: str,
    data: ParetoBanditData,
    embeddings: Float32,
    rows: Int64,
    *,
    in_flight: int,
    on_round: Callable[[Round], None],
) -> None:
    """Route the prompts *rows*, in their order, and record each one's outcome before its worker takes the next.

    Args:
        address: The server's.
        data: The prompts and what each model made of them.
        embeddings: (N, D), one row per prompt.
        rows: Row numbers of *data*.
        in_flight: Prompts worked on at once, and so the most by which learning lags behind.
        on_round: Called in the order in which outcomes are acknowledged.

    Raises:
        BanditdError: A call failed, after the client's retries.
    """
    try:
        asyncio.run(_replay(address, data, embeddings, iter(rows.tolist()), in_flight, on_round))
    except* BanditdError as group:
        raise _first(group) from None


async def _replay(
    address: str,
    data: ParetoBanditData,
    embeddings: Float32,
    rows: Iterator[int],
    in_flight: int,
    on_round: Callable[[Round], None],
) -> None:
    column = {model_id: k for k, model_id in enumerate(data.model_ids)}

    async def work() -> None:
        for row in rows:  # shared: each worker takes the next prompt that none has taken
            route = await client.route(
                embeddings[row],
                request_id=f"demo-{row}",
                input_tokens=len(data.texts[row]) // _CHARS_PER_TOKEN,
            )
            assert route.propensity is not None  # there is no fallback model, so the server has answered
            k = column[route.model]
            status = await client.record_outcome(
                route.decision_id,
                outcome_id=f"demo-{row}",
                quality=float(data.quality[row, k]),
                cost_usd=float(data.cost_usd[row, k]),
            )
            on_round(Round(row, k, route.propensity, status is OutcomeStatus.APPLIED))

    async with (
        AsyncClient(address, route_timeout=_CALL_SECONDS_MAX, timeout=_CALL_SECONDS_MAX) as client,
        asyncio.TaskGroup() as workers,
    ):
        for _ in range(in_flight):
            workers.create_task(work())


def _first(group: BaseExceptionGroup[BanditdError]) -> BanditdError:
    """Return one of the errors, which are of workers that met the same trouble."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
