"""From a policy to its belief: the one place where beliefs are made."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from banditd.domain.model import ModelSpec
from banditd.domain.router import RouterSpec
from banditd.features.spec import FeatureSpec
from banditd.policies.base import Belief
from banditd.policies.beliefs.category import CategoryBelief
from banditd.policies.beliefs.duel import DuelBelief
from banditd.policies.beliefs.knn import KnnBelief
from banditd.policies.beliefs.linear import LinearBelief
from banditd.policies.registry import PolicyParameters
from banditd.policies.vowpal import VowpalBelief


def make_belief(
    policy: PolicyParameters, features: FeatureSpec, router: RouterSpec, models: tuple[ModelSpec, ...] = ()
) -> Belief:
    """Return a belief that has learnt nothing.

    Args:
        policy: The router's, resolved.
        features: The encoding of the rows that it will be given.
        router: Its settings.
        models: The catalogue; changes of it follow by `change_model`.
    """
    return _MAKERS[policy.belief](policy, features, router, models)


def relearns(old: RouterSpec, old_policy: PolicyParameters, new: RouterSpec, new_policy: PolicyParameters) -> bool:
    """Return whether a change of a router's settings changes what its log teaches."""
    return (
        old_policy != new_policy
        or old.quality_guess != new.quality_guess
        or (new_policy.has_fixed_objective and old.objective != new.objective)
    )


def weighs(policy: PolicyParameters) -> bool:
    """Return whether a policy's belief learns observations that count for more or less than one.

    The others learn each as a whole one: knn keeps prompts, not sums, and Vowpal Wabbit has one learning rate.
    """
    return policy.belief in _WEIGHING


def supposes(policy: PolicyParameters) -> bool:
    """Return whether the prior of a policy's belief can be set by `suppose`."""
    return policy.belief in _SUPPOSING


_WEIGHING: Final = frozenset({"linear", "duel", "category"})
_SUPPOSING: Final = frozenset({"linear", "duel", "category"})

_Maker = Callable[[PolicyParameters, FeatureSpec, RouterSpec, tuple[ModelSpec, ...]], Belief]

_MAKERS: Final[Mapping[str, _Maker]] = MappingProxyType(
    {
        "linear": lambda policy, features, router, _: LinearBelief(policy, features.row_width, router.quality_guess),
        "duel": lambda policy, features, router, _: DuelBelief(policy, features.row_width, router.quality_guess),
        "category": lambda policy, features, router, _: CategoryBelief(policy, features, router.quality_guess),
        "knn": lambda policy, features, router, _: KnnBelief(policy, features, router.quality_guess),
        "vowpal": VowpalBelief,
    }
)
