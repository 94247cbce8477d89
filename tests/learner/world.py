"""Small facts to learn from, a clock that only moves when told, and a log in memory."""

import random
from collections.abc import Iterable
from types import MappingProxyType

import numpy as np

from banditd.domain.context import Context
from banditd.domain.decision import NO_LIMITS, Choice, Decision, DecisionSource, Objective
from banditd.domain.model import ModelSpec, Price
from banditd.domain.records import ComparisonRecord, Expiry, LogEntry, ModelChange, OutcomeRecord, RouterChange
from banditd.domain.router import PolicySpec, RouterSpec

NOON_MS = 1_790_000_000_000
WINDOW_MS = 60_000


class FakeClock:
    """A clock that stands still."""

    def __init__(self, now_ms: int = NOON_MS) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return the time."""
        return self._now_ms

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self._now_ms += ms


class ListLog:
    """A log in memory, for folding; the writer's is on disk."""

    def __init__(self, entries: Iterable[LogEntry] = ()) -> None:
        self.entries = list(entries)

    def decision(self, position: int) -> Decision:
        """Return the decision at *position*."""
        (found,) = [e.record for e in self.entries if e.position == position]
        assert isinstance(found, Decision)
        return found

    def newest_outcomes(self, router_id: str, before: int, count_max: int) -> list[LogEntry]:
        """Return a router's newest outcomes and expiries."""
        return [
            e
            for e in self.entries
            if e.position < before
            and isinstance(e.record, OutcomeRecord | ComparisonRecord | Expiry)
            and e.record.router_id == router_id
        ][-count_max:]


def model_change(slot: int, name: str = "", **fields) -> ModelChange:
    """Return the creation of a model."""
    name = name or f"m{slot}"
    values = {"price": Price(0.5 * (slot + 1), 2.0 * (slot + 1))} | fields
    return ModelChange(name, slot, ModelSpec(slot=slot, model_id=name, **values))


def router_change(
    router_id: str = "r",
    *,
    dimension: int = 4,
    preset: str = "linucb",
    parameters: dict[str, float] | None = None,
    **fields,
) -> RouterChange:
    """Return the creation or change of a router."""
    policy = PolicySpec(preset, MappingProxyType(parameters or {}))
    values = {"attribution_window_ms": WINDOW_MS} | fields
    return RouterChange(router_id, RouterSpec(router_id, policy, embedding_dimension=dimension, **values))


def decision(
    router_id: str = "r",
    *,
    decision_id: bytes = b"",
    slots: tuple[int, ...] = (0, 1),
    slot: int = 0,
    dimension: int = 4,
    uniform: float = 0.5,
    rng: random.Random | None = None,
    source: DecisionSource = DecisionSource.POLICY,
    expected: np.ndarray | None = None,
    **fields,
) -> Decision:
    """Return a decision of a uniform policy, of a category that depends on the embedding."""
    rng = rng or random.Random(0)
    count = len(slots)
    values = {
        "request_id": "",
        "request_digest": b"",
        "policy": "linucb",
        "policy_version": 1,
        "learnable": source is DecisionSource.POLICY,
        "limits": NO_LIMITS,
        "objective": Objective(),
        "input_tokens": -1,
    } | fields
    embedding = np.array([rng.gauss(0, 1) for _ in range(dimension)], np.float16)
    category = "code" if embedding.sum() > 1.0 else "chat" if embedding.sum() > -1.0 else ""
    context = Context(embedding, values.pop("input_tokens"), category, values.pop("session", ""))
    return Decision(
        decision_id=decision_id or rng.randbytes(16),
        router_id=router_id,
        context=context,
        slots=np.array(slots, np.uint16),
        choice=Choice(
            index=slots.index(slot),
            pmf=np.full(count, 1.0 / count),
            exclusions=np.zeros(count, np.uint8),
            expected=np.full((3, count), 0.5, np.float32) if expected is None else expected,
            source=source,
        ),
        uniform=uniform,
        **values,
    )
