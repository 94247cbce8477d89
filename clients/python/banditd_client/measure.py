"""Times the call of a model and reports what came of it."""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from banditd_client.enums import Failure, OutcomeStatus
from banditd_client.errors import BanditdError, DeadlineExceeded, ResourceExhausted, Unavailable
from banditd_client.types import Outcome, Route

_log = logging.getLogger("banditd_client")

# After these failures the answer of the model is as good as ever, so it is not thrown away with an exception. Any other
# error of the report is a mistake of the caller, which should be seen at once.
_FORGIVEN = (Unavailable, DeadlineExceeded, ResourceExhausted)
# Failures without a complete answer, whose time is not a latency.
_UNANSWERED = (Failure.TIMEOUT, Failure.RATE_LIMIT, Failure.UNAVAILABLE)


@dataclass(slots=True)
class MeasuredCall:
    """What the body of `with client.measure(route) as call:` fills in, and what it can read afterwards."""

    quality: float | None = None
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    served_model: str = ""
    failure: Failure | None = None
    """How the call failed. Set by an exception, unless the body has set it."""
    latency_ms: float | None = None
    """Set on leaving, unless the body has set it."""
    status: OutcomeStatus | None = None
    """Afterwards: what became of the report. None if it failed, or if there was none."""
    report_error: Exception | None = None
    """Afterwards: why the report failed, if it did and no exception says so."""


def failure_of(error: Exception) -> Failure:
    """Return how a call failed, from what it raised.

    TIMEOUT for TimeoutError. UNAVAILABLE for everything else: providers' libraries have exceptions of their own, which
    mostly mean that the provider answered with an error. Who knows better sets `call.failure`.
    """
    return Failure.TIMEOUT if isinstance(error, TimeoutError) else Failure.UNAVAILABLE


def outcome_of(route: Route, call: MeasuredCall) -> Outcome:
    """Return what is reported of *call*."""
    return Outcome(
        decision_id=route.decision_id,
        quality=call.quality,
        cost_usd=call.cost_usd,
        input_tokens=call.input_tokens,
        cached_input_tokens=call.cached_input_tokens,
        output_tokens=call.output_tokens,
        latency_ms=call.latency_ms,
        failure=call.failure,
        served_model=call.served_model,
    )


@contextmanager
def measure(route: Route, record: Callable[[Outcome], OutcomeStatus]) -> Iterator[MeasuredCall]:
    """Time the body and report its outcome by *record*; see `Client.measure`."""
    call, start_s = MeasuredCall(), time.perf_counter()
    try:
        yield call
    except Exception as error:
        _fail(call, error)
        try:
            call.status = record(outcome_of(route, call))
        except Exception as report_error:  # noqa: BLE001 (whatever it is, the body's exception is the one to see)
            _keep(call, report_error)
        raise
    _finish(call, start_s)
    try:
        call.status = record(outcome_of(route, call))
    except _FORGIVEN as report_error:
        _keep(call, report_error)


@asynccontextmanager
async def measure_async(
    route: Route, record: Callable[[Outcome], Awaitable[OutcomeStatus]]
) -> AsyncIterator[MeasuredCall]:
    """Time the body and report its outcome by *record*; see `AsyncClient.measure`."""
    call, start_s = MeasuredCall(), time.perf_counter()
    try:
        yield call
    except Exception as error:
        _fail(call, error)
        try:
            call.status = await record(outcome_of(route, call))
        except Exception as report_error:  # noqa: BLE001 (whatever it is, the body's exception is the one to see)
            _keep(call, report_error)
        raise
    _finish(call, start_s)
    try:
        call.status = await record(outcome_of(route, call))
    except _FORGIVEN as report_error:
        _keep(call, report_error)


def _fail(call: MeasuredCall, error: Exception) -> None:
    if call.failure is None:
        call.failure = failure_of(error)


def _finish(call: MeasuredCall, start_s: float) -> None:
    if call.latency_ms is None and call.failure not in _UNANSWERED:
        call.latency_ms = (time.perf_counter() - start_s) * 1000


def _keep(call: MeasuredCall, error: Exception) -> None:
    call.report_error = error
    code = error.code if isinstance(error, BanditdError) else type(error).__name__
    _log.warning("outcome was not reported: %s", code)
