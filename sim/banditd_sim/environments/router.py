"""RouterPolicy: a preset with its parameters and trade-off, and the one place where a budget becomes a setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from banditd.domain.budget import Budget
from banditd.domain.decision import Objective
from banditd.domain.router import DEFAULT_ROUTER, PolicySpec, RouterSpec
from banditd.errors import InvalidArgumentError
from banditd.policies.registry import PRESETS, resolve
from banditd_sim.environments.errors import SimError

# What `NAME:key=value,...` may set beside the preset's own parameters, and where it goes.
_ROUTER_KEYS: Final = frozenset({"usd_weight", "second_weight", "quality_guess"})


@dataclass(frozen=True, slots=True)
class RouterPolicy:
    """A policy that the shipped router runs.

    Attributes:
        preset: Name of the preset.
        parameters: Those that differ from its defaults.
        usd_weight: What a dollar is worth in quality.
        second_weight: What a second is worth in quality.
        quality_guess: Mean quality of a model before anything is known.
    """

    preset: str
    parameters: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    usd_weight: float = 0.0
    second_weight: float = 0.0
    quality_guess: float = 0.5


def parse_router_policy(text: str, *, usd_weight: float, second_weight: float, name: str = "policy") -> RouterPolicy:
    """Read `PRESET` or `PRESET:key=value,key=value`.

    Args:
        text: Keys are the preset's parameters, usd_weight, second_weight and quality_guess.
        usd_weight: Where the text says none.
        second_weight: Likewise.
        name: What to call the field in messages.

    Raises:
        SimError: An unknown preset or key, or a value out of range.
    """
    preset, _, rest = text.partition(":")
    if preset not in PRESETS:
        raise SimError(name, f"one of {', '.join(sorted(PRESETS))}", repr(preset), reason="UNKNOWN_POLICY")
    given = parse_parameters(rest, name)
    own = {key: value for key, value in given.items() if key not in _ROUTER_KEYS}
    policy = RouterPolicy(
        preset,
        MappingProxyType(own),
        usd_weight=given.get("usd_weight", usd_weight),
        second_weight=given.get("second_weight", second_weight),
        quality_guess=given.get("quality_guess", 0.5),
    )
    for key, low, high in (("usd_weight", 0.0, 1e9), ("second_weight", 0.0, 1e6), ("quality_guess", 0.0, 1.0)):
        value = getattr(policy, key)
        if not low <= value <= high:
            raise SimError(f"{name}.{key}", f"{low:g}..{high:g}", value, reason="OUT_OF_RANGE")
    try:
        resolve(PolicySpec(preset, policy.parameters), name)
    except InvalidArgumentError as error:
        raise SimError(name, "parameters of the preset", error, reason="BAD_PARAMETER") from error
    return policy


def parse_parameters(text: str, name: str) -> dict[str, float]:
    """Read `key=value,key=value`.

    Raises:
        SimError: Not of that form, or a value that is no number.
    """
    found: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        try:
            found[key.strip()] = float(value)
        except ValueError as error:
            raise SimError(name, "key=number", repr(part), reason="BAD_PARAMETER") from error
        if not equals:
            raise SimError(name, "key=number", repr(part), reason="BAD_PARAMETER")
    return found


def router_spec(policy: RouterPolicy, dimension: int, budget_usd: float | None) -> RouterSpec:
    """Return the settings of a router that runs *policy* within a budget.

    The only place that knows how a budget is told to the router.

    Args:
        policy: What it runs.
        dimension: Values in an embedding.
        budget_usd: USD per request on average; None for none.
    """
    return RouterSpec(
        router_id=DEFAULT_ROUTER,
        policy=PolicySpec(policy.preset, policy.parameters),
        embedding_dimension=dimension,
        objective=Objective(policy.usd_weight, policy.second_weight),
        quality_guess=policy.quality_guess,
        budget=None if budget_usd is None else Budget(budget_usd),
    )
