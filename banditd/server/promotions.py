"""Shadows and promotions at the border: what is asked for, checked; what is known, as messages."""

import math
from collections.abc import Sequence
from typing import Final

from banditd.domain.promotion import SHADOWS_MAX, PromotionCause, PromotionRule
from banditd.domain.records import Record
from banditd.domain.router import NamedPolicy, PolicySpec
from banditd.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError, Reason
from banditd.evaluation import Figures
from banditd.learner.commands import ChangeSettings
from banditd.learner.router_state import RouterState, promotion_records
from banditd.learner.state import LearnerState
from banditd.policies.registry import resolve
from banditd.server import checks, convert
from banditd.server.settings import find_router
from banditd_proto.v1 import promotion_pb2, router_pb2

_SAMPLES_MAX: Final = 1e9
_SHARE_MAX: Final = 1000.0
_WINDOW_MS: Final = (1_000, 7_776_000_000)


def policy_spec(message: router_pb2.Policy) -> PolicySpec:
    """Return the policy of a message, unchecked."""
    return PolicySpec(message.preset, dict(sorted(message.parameters.items())), dict(sorted(message.texts.items())))


def check_shadows(messages: Sequence[router_pb2.NamedPolicy]) -> tuple[NamedPolicy, ...]:
    """Return the shadows of a message."""
    if len(messages) > SHADOWS_MAX:
        raise InvalidArgumentError(
            Reason.TOO_MANY_SHADOWS, "router.shadows", f"at most {SHADOWS_MAX}", f"{len(messages)}"
        )
    shadows: dict[str, NamedPolicy] = {}
    for i, message in enumerate(messages):
        field = f"router.shadows[{i}]"
        name = checks.check_name(message.name, f"{field}.name", checks.ROUTER_ID, Reason.BAD_NAME)
        if name in shadows:
            raise InvalidArgumentError(Reason.DUPLICATE_POLICY, f"{field}.name", "each name once", repr(name))
        policy = policy_spec(message.policy)
        resolve(policy, f"{field}.policy")
        shadows[name] = NamedPolicy(name, policy)
    return tuple(shadows.values())


def check_rule(message: router_pb2.PromotionRule) -> PromotionRule:
    """Return the rule of a message, with defaults where it says nothing."""
    default = PromotionRule()

    def number(name: str, otherwise: float, high: float) -> float:
        if not message.HasField(name):
            return otherwise
        return checks.check_range(getattr(message, name), f"router.promotion.{name}", 0.0, high)

    window_ms = message.rollback_window_ms or default.rollback_window_ms
    checks.check_range(window_ms, "router.promotion.rollback_window_ms", *_WINDOW_MS)
    return PromotionRule(
        is_automatic=message.automatic,
        margin=checks.check_range(message.utility_margin, "router.promotion.utility_margin", 0.0, 1.0),
        effective_samples_min=number("effective_sample_count_min", default.effective_samples_min, _SAMPLES_MAX),
        cost_ratio_max=number("cost_share_max", default.cost_ratio_max, _SHARE_MAX),
        latency_ratio_max=number("latency_share_max", default.latency_ratio_max, _SHARE_MAX),
        rollback_window_ms=window_ms,
    )


def promote_policy(router_id: str, name: str, reason: str, now_ms: int) -> ChangeSettings:
    """Let a shadow decide."""

    def decide(state: LearnerState) -> tuple[Record, ...]:
        router = find_router(state, router_id)
        if name == router.router.policy_name:
            raise FailedPreconditionError(Reason.POLICY_DECIDES, f"name: {name!r} is the policy that decides")
        if name not in router.shadows:
            raise NotFoundError(Reason.POLICY_NOT_FOUND, f"name: router {router_id!r} has no shadow {name!r}")
        return promotion_records(router, router.promotion(name, PromotionCause.ASKED, reason), now_ms)

    return ChangeSettings(decide)


def rollback_policy(router_id: str, reason: str, now_ms: int) -> ChangeSettings:
    """Let the policy decide again that did before the last promotion."""

    def decide(state: LearnerState) -> tuple[Record, ...]:
        router = find_router(state, router_id)
        if router.former not in router.shadows:
            raise FailedPreconditionError(
                Reason.NO_FORMER_POLICY, f"router_id: router {router_id!r} has no former policy to go back to"
            )
        return promotion_records(router, router.promotion(router.former, PromotionCause.ROLLBACK, reason), now_ms)

    return ChangeSettings(decide)


def listed_policies(state: RouterState, now_ms: int) -> list[promotion_pb2.ListedPolicy]:
    """Return a router's policies, the one that decides first. The writer's thread only: it reads the state itself."""
    deciding = promotion_pb2.ListedPolicy(
        name=state.router.policy_name,
        policy=_policy(state),
        deciding=True,
        evaluation=_evaluation(state.account.figures()) if state.account.is_open else None,
        promotion_time=convert.timestamp(state.promotion_ms) if state.promotion_ms else None,
    )
    shadows = [
        promotion_pb2.ListedPolicy(
            name=name,
            policy=_policy(shadow),
            former=name == state.former,
            evaluation=_evaluation(shadow.account.figures()),
            verdict=convert.wire(state.verdict(name, now_ms)),
        )
        for name, shadow in state.shadows.items()
    ]
    return [deciding, *shadows]


def _policy(state: RouterState) -> router_pb2.Policy:
    return router_pb2.Policy(preset=state.policy.preset, parameters=state.policy.values, texts=state.policy.texts)


def _evaluation(figures: Figures) -> promotion_pb2.Evaluation:
    known = {
        "utility": figures.shadow,
        "deciding_utility": figures.live,
        "utility_difference": figures.difference,
        "utility_difference_low": figures.low,
        "utility_difference_high": figures.high,
        "snips_utility": figures.shadow_snips,
        "deciding_snips_utility": figures.live_snips,
        "agreement_probability": figures.overlap,
        "unsupported_probability": figures.unsupported,
        "cost_usd": figures.shadow_cost_usd,
        "deciding_cost_usd": figures.live_cost_usd,
        "latency_ms": figures.shadow_latency_ms,
        "deciding_latency_ms": figures.live_latency_ms,
    }
    return promotion_pb2.Evaluation(
        decision_count=figures.decisions,
        waiting_count=figures.waiting,
        dropped_count=figures.dropped,
        effective_sample_count=figures.effective_samples,
        **{name: value for name, value in known.items() if math.isfinite(value)},
    )
