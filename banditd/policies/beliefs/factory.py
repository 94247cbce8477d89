"""From a policy to its belief: the one place where beliefs are made."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from banditd.domain.model import ModelSpec
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.features.fit import intercept_spec
from banditd.features.spec import FeatureKind, FeatureSpec
from banditd.policies.base import Belief
from banditd.policies.beliefs.category import CategoryBelief
from banditd.policies.beliefs.duel import DuelBelief
from banditd.policies.beliefs.knn import KnnBelief
from banditd.policies.beliefs.linear import LinearBelief
from banditd.policies.portfolio import Member, PortfolioBelief
from banditd.policies.registry import PRESETS, PolicyParameters, resolve
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
        or (new_policy.learns_objective and old.objective != new.objective)
    )


def weighs(policy: PolicyParameters) -> bool:
    """Return whether a policy's belief learns observations that count for more or less than one.

    The others learn each as a whole one: knn keeps prompts, not sums, and Vowpal Wabbit has one learning rate.
    """
    return _beliefs_of(policy) <= _WEIGHING


def supposes(policy: PolicyParameters) -> bool:
    """Return whether the prior of a policy's belief can be set by `suppose`; of a portfolio, that of some member."""
    return not _SUPPOSING.isdisjoint(_beliefs_of(policy))


def _beliefs_of(policy: PolicyParameters) -> frozenset[str]:
    """Return the kinds of beliefs that a policy learns: its own, or a portfolio's members'."""
    if policy.belief != "portfolio":
        return frozenset({policy.belief})
    return frozenset(PRESETS[name].belief for name in policy.texts["members"].split())


_WEIGHING: Final = frozenset({"linear", "duel", "category"})
_SUPPOSING: Final = frozenset({"linear", "duel", "category"})


def _make_portfolio(
    policy: PolicyParameters, features: FeatureSpec, router: RouterSpec, models: tuple[ModelSpec, ...]
) -> PortfolioBelief:
    """Return a portfolio; its members have its parameters where they have one of the name."""
    members = []
    for name in policy.texts["members"].split():
        own = {key: value for key, value in policy.values.items() if key in PRESETS[name].parameters}
        resolved = resolve(PolicySpec(name, own))
        is_blind = resolved.features is FeatureKind.INTERCEPT_ONLY
        encoding = intercept_spec(features.input_dimension) if is_blind else features
        members.append(Member(resolved, make_belief(resolved, encoding, router, models)))
    return PortfolioBelief(policy, tuple(members), router.objective, models)


_Maker = Callable[[PolicyParameters, FeatureSpec, RouterSpec, tuple[ModelSpec, ...]], Belief]

_MAKERS: Final[Mapping[str, _Maker]] = MappingProxyType(
    {
        "linear": lambda policy, features, router, _: LinearBelief(policy, features, router.quality_guess),
        "duel": lambda policy, features, router, _: DuelBelief(policy, features, router.quality_guess),
        "category": lambda policy, features, router, _: CategoryBelief(policy, features, router.quality_guess),
        "knn": lambda policy, features, router, _: KnnBelief(policy, features, router.quality_guess),
        "vowpal": VowpalBelief,
        "portfolio": _make_portfolio,
    }
)
