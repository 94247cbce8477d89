"""Routers: named routing domains and their settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from banditd.domain.budget import Budget
from banditd.domain.decision import Objective
from banditd.domain.promotion import FIRST_POLICY, PromotionRule

DEFAULT_ROUTER: Final = "default"
ROUTERS_MAX: Final = 64
ROUTER_MODELS_MAX: Final = 64
EXPLORATION_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """A policy by name.

    Attributes:
        preset: Name of the preset.
        parameters: Those that differ from the preset's defaults.
        texts: Those of the preset's parameters that are texts, where they differ from its defaults.
    """

    preset: str
    parameters: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    texts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A policy that sees a router's log and does not decide.

    Attributes:
        name: Its name, another one than that of the router's other policies.
        policy: How it would decide, and how it learns.
    """

    name: str
    policy: PolicySpec


@dataclass(frozen=True, slots=True)
class RouterSpec:
    """Settings of a router.

    Attributes:
        router_id: Its name.
        policy: How it decides and learns.
        embedding_dimension: Values in an embedding; 0 means not fixed yet.
        embedding_model: Name of the embedding model; empty means that any is taken.
        model_ids: Models that it offers; empty means all.
        objective: Its trade-off.
        fallback_model_id: Served if the policy breaks; empty means the first eligible one.
        attribution_window_ms: How long after a decision its outcomes are learnt.
        default_quality: Learnt when the window closes without a quality; None means nothing.
        quality_guess: Mean quality of a model before anything is known.
        budget: What it may spend; None means as much as the objective says.
        exploration_share: What exploration may add to the expected spend where money matters, (0, 1]: the floor to that
            of a decision; under a budget the explorer to what is meant to be spent on it, and the floor a quarter.
        create_time_ms: When it was created.
        update_time_ms: When it was last changed.
        switch_usd: What another model than a session's last one costs more, where it has no cached price.
        policy_name: What the policy that decides is called.
        shadows: Those that do not, at most `SHADOWS_MAX`.
        promotion: When one of them takes over.
    """

    router_id: str
    policy: PolicySpec
    embedding_dimension: int = 0
    embedding_model: str = ""
    model_ids: tuple[str, ...] = ()
    objective: Objective = Objective()
    fallback_model_id: str = ""
    attribution_window_ms: int = 86_400_000
    default_quality: float | None = None
    quality_guess: float = 0.5
    budget: Budget | None = None
    exploration_share: float = EXPLORATION_SHARE
    create_time_ms: int = 0
    update_time_ms: int = 0
    switch_usd: float = 0.0
    policy_name: str = FIRST_POLICY
    shadows: tuple[NamedPolicy, ...] = ()
    promotion: PromotionRule = PromotionRule()


def promoted(router: RouterSpec, name: str) -> RouterSpec:
    """Return *router* with the shadow of that name, which it has, in the place of the policy that decides."""
    (chosen,) = (shadow for shadow in router.shadows if shadow.name == name)
    former = NamedPolicy(router.policy_name, router.policy)
    return replace(
        router,
        policy=chosen.policy,
        policy_name=name,
        shadows=tuple(former if shadow.name == name else shadow for shadow in router.shadows),
    )
