"""From a policy to its belief: the one place where beliefs are made."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from banditd.domain.model import ModelSpec
from banditd.domain.router import RouterSpec
from banditd.features.spec import FeatureSpec
from banditd.policies.beliefs.duel import DuelBelief
from banditd.policies.beliefs.linear import LinearBelief
from banditd.policies.registry import PolicyParameters

AnyBelief = LinearBelief | DuelBelief


def make_belief(
    policy: PolicyParameters, features: FeatureSpec, router: RouterSpec, models: tuple[ModelSpec, ...] = ()
) -> AnyBelief:
    """Return a belief that has learnt nothing.

    Args:
        policy: The router's, resolved.
        features: The encoding of the rows that it will be given.
        router: Its settings.
        models: The catalogue; changes of it follow by `change_model`.
    """
    return _MAKERS[policy.belief](policy, features, router, models)


_Maker = Callable[[PolicyParameters, FeatureSpec, RouterSpec, tuple[ModelSpec, ...]], AnyBelief]

_MAKERS: Final[Mapping[str, _Maker]] = MappingProxyType(
    {
        "linear": lambda policy, features, router, _: LinearBelief(policy, features.row_width, router.quality_guess),
        "duel": lambda policy, features, router, _: DuelBelief(policy, features.row_width, router.quality_guess),
    }
)
