"""RouterSnapshot: everything a decision reads, frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from banditd.catalog.eligibility import exclusions_of
from banditd.catalog.models import Catalog
from banditd.domain.arrays import Codes, Slots, frozen
from banditd.domain.decision import NO_LIMITS
from banditd.domain.model import ModelSpec
from banditd.domain.router import RouterSpec
from banditd.features.spec import FeatureSpec
from banditd.policies.base import BeliefSnapshot, PolicySnapshot
from banditd.policies.registry import PolicyParameters


@dataclass(frozen=True)
class RouterSnapshot:
    """A router as it decides now.

    Attributes:
        router: Its settings.
        policy: Its policy, resolved.
        features: Its encoding; None while its embedding dimension is not fixed.
        belief: What it believes of `models`; None like `features`.
        models: The models that it offers, in catalogue order: what index k counts.
        version: Log position of the last change to any of this.
        slots: Shape (K,), uint16, numbers of `models`.
        exclusions: Shape (K,), uint8: who is excluded whatever the request says.
        window_tokens_min: The smallest context window among `models`; prompts up to it fit everywhere.
        fallback_index: Index of the configured fallback model; -1 for none.
        whole: The belief, where it is a whole policy.
    """

    router: RouterSpec
    policy: PolicyParameters
    features: FeatureSpec | None
    belief: BeliefSnapshot | None
    models: tuple[ModelSpec, ...]
    version: int
    slots: Slots = field(init=False)
    exclusions: Codes = field(init=False)
    window_tokens_min: float = field(init=False)
    fallback_index: int = field(init=False)
    index_of: Mapping[str, int] = field(init=False)
    whole: PolicySnapshot | None = field(init=False)

    def __post_init__(self) -> None:
        windows = [model.context_window_tokens for model in self.models if model.context_window_tokens > 0]
        index_of = {model.model_id: k for k, model in enumerate(self.models)}
        derived = {
            "slots": frozen(np.array([model.slot for model in self.models], np.uint16)),
            "exclusions": frozen(exclusions_of(self.models, limits=NO_LIMITS, input_tokens=-1)),
            "window_tokens_min": min(windows, default=np.inf),
            "index_of": MappingProxyType(index_of),
            "whole": self.belief if isinstance(self.belief, PolicySnapshot) else None,
            "fallback_index": index_of.get(self.router.fallback_model_id, -1),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class ServingSnapshot:
    """All routers as they decide now, and the catalogue. Picked up once per request.

    Attributes:
        catalog: The models.
        routers: By name.
        position: Log position up to which this has learnt.
    """

    catalog: Catalog
    routers: Mapping[str, RouterSnapshot]
    position: int


def offered_models(catalog: Catalog, router: RouterSpec) -> tuple[ModelSpec, ...]:
    """Return the models that *router* offers, in catalogue order."""
    if not router.model_ids:
        return catalog.models
    offered = frozenset(router.model_ids)
    return tuple(model for model in catalog.models if model.model_id in offered)
