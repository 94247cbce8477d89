"""RouterSnapshot: everything a decision reads, frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np

from banditd.catalog.eligibility import exclusions_of
from banditd.catalog.models import Catalog
from banditd.domain.arrays import Array64, Codes, Slots, frozen
from banditd.domain.budget import FREE, Pacing
from banditd.domain.decision import NO_LIMITS, Exclusion, Limits
from banditd.domain.health import Health
from banditd.domain.model import ModelSpec
from banditd.domain.router import RouterSpec
from banditd.features.spec import FeatureSpec
from banditd.objective.charges import Charges, charges_of
from banditd.objective.pacer import PacerView
from banditd.policies.base import BeliefSnapshot, PolicySnapshot
from banditd.policies.registry import PolicyParameters
from banditd.routing.sessions import Sessions


@dataclass(frozen=True)
class RouterSnapshot:
    """A router as it decides now.

    Attributes:
        router: Its settings.
        policy: Its policy, resolved.
        features: Its encoding; None while its embedding dimension is not fixed.
        belief: What it believes of `models`; None like `features`.
        models: The models that it offers, in catalogue order: what index k counts.
        version: Log position of the last change to any of this but the pacer.
        pacer: Its budget as it stands; None without one.
        sessions: The last model of each session. Not frozen: it goes on with the log, see there.
        health: Of the models that are not healthy, by slot; models of other routers may be among them.
        newcomers: Slots of the models that are not yet known.
        slots: Shape (K,), uint16, numbers of `models`.
        exclusions: Shape (K,), uint8: who is excluded whatever the request says.
        unhealthy: Shape (K,), uint8: who is left out for its health; None where nobody is.
        share_caps: Shape (K,), float64: largest share of each model, 1 for no bound.
        untold: Shape (K,), float64: zeros, the evidence of a belief that cannot tell it.
        window_tokens_min: The smallest context window among `models`; prompts up to it fit everywhere.
        fallback_index: Index of the configured fallback model; -1 for none.
        charges: What calls cost beside tokens; None where nothing.
        whole: The belief, where it is a whole policy.
    """

    router: RouterSpec
    policy: PolicyParameters
    features: FeatureSpec | None
    belief: BeliefSnapshot | None
    models: tuple[ModelSpec, ...]
    version: int
    pacer: PacerView | None = None
    sessions: Sessions = field(default_factory=Sessions, compare=False, repr=False)
    health: Mapping[int, Health] = field(default_factory=lambda: MappingProxyType({}))
    newcomers: frozenset[int] = frozenset()
    slots: Slots = field(init=False)
    exclusions: Codes = field(init=False)
    unhealthy: Codes | None = field(init=False)
    share_caps: Array64 = field(init=False)
    untold: Array64 = field(init=False)
    window_tokens_min: float = field(init=False)
    fallback_index: int = field(init=False)
    index_of: Mapping[str, int] = field(init=False)
    whole: PolicySnapshot | None = field(init=False)
    charges: Charges | None = field(init=False)
    # By required tags, as `exclusions`: requests ask for few different ones. Reading and adding are one step each.
    _by_tags: dict[tuple[str, ...], Codes] = field(init=False, compare=False, repr=False)

    def renewed(self, belief: BeliefSnapshot | None, version: int, pacer: PacerView | None) -> "RouterSnapshot":
        """Return the same with what was learnt since; settings, models and what is derived of them are kept."""
        changed = object.__new__(RouterSnapshot)
        object.__setattr__(changed, "__dict__", self.__dict__.copy())
        changed.overwrite(belief, version, pacer)
        return changed

    def overwrite(self, belief: BeliefSnapshot | None, version: int, pacer: PacerView | None) -> None:
        """Become what `renewed` would return. Only for who made the snapshot, while nobody else holds it."""
        values = self.__dict__
        values["belief"], values["version"], values["pacer"] = belief, version, pacer
        values["whole"] = belief if self.whole is not None and isinstance(belief, PolicySnapshot) else None

    @property
    def pacing(self) -> Pacing:
        """The shadow prices of its budget; a policy whose trade-off is learnt can follow none."""
        return FREE if self.pacer is None or self.policy.has_fixed_objective else self.pacer.pacing

    def exclusions_for(self, limits: Limits, input_tokens: int) -> Codes:
        """Return who is excluded for the tags and the length of a request, or whatever it says: a copy, shape (K,)."""
        if input_tokens > self.window_tokens_min:
            return self._exclusions_of(limits, input_tokens)
        if not limits.required_tags:
            return self.exclusions.copy()
        codes = self._by_tags.get(limits.required_tags)
        if codes is None:
            if len(self._by_tags) >= _TAGS_MAX:
                self._by_tags.clear()
            codes = self._by_tags[limits.required_tags] = frozen(self._exclusions_of(limits, input_tokens))
        return codes.copy()

    def _exclusions_of(self, limits: Limits, input_tokens: int) -> Codes:
        codes = exclusions_of(self.models, limits=limits, input_tokens=input_tokens)
        if self.unhealthy is not None:
            leave_out(self.unhealthy, codes)
        return codes

    def __post_init__(self) -> None:
        windows = [model.context_window_tokens for model in self.models if model.context_window_tokens > 0]
        index_of = {model.model_id: k for k, model in enumerate(self.models)}
        exclusions = exclusions_of(self.models, limits=NO_LIMITS, input_tokens=-1)
        unhealthy = self._unhealthy()
        if unhealthy is not None:
            leave_out(unhealthy, exclusions)
        slots: Slots = frozen(np.array([model.slot for model in self.models], np.uint16))
        derived: dict[str, object] = {
            "slots": slots,
            "charges": charges_of(self.models, slots, self.router.switch_usd),
            "exclusions": frozen(exclusions),
            "unhealthy": unhealthy,
            "share_caps": self._share_caps(),
            "_by_tags": {},
            "untold": frozen(np.zeros(len(self.models))),
            "window_tokens_min": min(windows, default=np.inf),
            "index_of": MappingProxyType(index_of),
            "whole": self.belief if isinstance(self.belief, PolicySnapshot) else None,
            "fallback_index": index_of.get(self.router.fallback_model_id, -1),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def _unhealthy(self) -> Codes | None:
        codes = np.array(
            [_LEFT_OUT.get(self.health.get(model.slot, Health.HEALTHY), 0) for model in self.models], np.uint8
        )
        return frozen(codes) if codes.any() else None

    def _share_caps(self) -> Array64:
        change = self.policy.change
        caps = np.ones(len(self.models))
        for k, model in enumerate(self.models):
            if model.slot in self.newcomers:
                caps[k] = change.newcomer_share
            if self.health.get(model.slot) is Health.PROBING:
                caps[k] = min(caps[k], change.probe_share)
        return frozen(caps)


# Different combinations of tags that are kept: callers may ask for any number.
_TAGS_MAX: Final = 64
_LEFT_OUT: Final = {
    Health.DEGRADED: Exclusion.DEGRADED,
    Health.DOWN: Exclusion.DOWN,
    Health.BACKING_OFF: Exclusion.BACKING_OFF,
}


def leave_out(unhealthy: Codes, inout_codes: Codes) -> None:
    """Write the reasons of health where there is no other reason."""
    np.copyto(inout_codes, unhealthy, where=inout_codes == Exclusion.ELIGIBLE)


@dataclass(frozen=True, slots=True)
class ServingSnapshot:
    """All routers as they decide now, and the catalogue. Picked up once per request.

    Attributes:
        catalog: The models.
        routers: By name.
        position: Log position up to which this has learnt.
        health: Of the models that are not healthy, by slot.
    """

    catalog: Catalog
    routers: Mapping[str, RouterSnapshot]
    position: int
    health: Mapping[int, Health] = field(default_factory=lambda: MappingProxyType({}))


def offered_models(catalog: Catalog, router: RouterSpec) -> tuple[ModelSpec, ...]:
    """Return the models that *router* offers, in catalogue order."""
    if not router.model_ids:
        return catalog.models
    offered = frozenset(router.model_ids)
    return tuple(model for model in catalog.models if model.model_id in offered)
