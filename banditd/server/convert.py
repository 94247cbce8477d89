"""Domain values to public messages."""

import math
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from banditd.catalog.models import Catalog
from banditd.domain.budget import Budget
from banditd.domain.context import Context
from banditd.domain.decision import NO_SLOT, Decision, Resolution
from banditd.domain.health import GOOD_HEALTH, ModelHealth
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Outcome
from banditd.domain.promotion import PromotionRule
from banditd.domain.router import RouterSpec
from banditd.domain.snapshot import StoredSnapshot
from banditd.learner.leaderboard import Interval, Leaderboard
from banditd.learner.router_state import RouterState
from banditd.objective.pacer import PacerView
from banditd.policies.base import Belief
from banditd.policies.portfolio import PortfolioBelief
from banditd.routing.choose import rank
from banditd_proto.v1 import (
    decision_pb2,
    leaderboard_pb2,
    model_pb2,
    outcome_pb2,
    policy_pb2,
    router_pb2,
)


def wire(value: IntEnum) -> Any:
    """Return an enum's number. The generated stubs know no enums but their own, which have the same numbers."""
    return int(value)


def timestamp(time_ms: int) -> Timestamp:
    """Return a time."""
    return Timestamp(seconds=time_ms // 1000, nanos=time_ms % 1000 * 1_000_000)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def candidates(decision: Decision, catalog: Catalog) -> list[decision_pb2.Candidate]:
    """Return the candidates of a decision in rank order."""
    choice = decision.choice
    names = catalog.names
    slots = decision.slots.tolist()
    pmf = choice.pmf.tolist()
    reasons = choice.exclusions.tolist()
    quality, cost, latency = choice.expected.tolist()
    rivals = None if choice.rival is None else choice.rival.pmf.tolist()
    return [
        decision_pb2.Candidate(
            model_id=names[slots[k]],
            probability=pmf[k],
            expected_quality=_known(quality[k]),
            expected_cost_usd=_known(cost[k]),
            expected_latency_ms=_known(latency[k]),
            exclusion_reason=reasons[k],
            rival_probability=None if rivals is None else rivals[k],
        )
        for k in rank(choice, decision.objective, decision.limits)
    ]


def outcome_message(outcome: Outcome, catalog: Catalog) -> outcome_pb2.Outcome:
    """Return an outcome as it was recorded."""
    return outcome_pb2.Outcome(
        decision_id=outcome.decision_id.hex(),
        outcome_id=outcome.outcome_id,
        quality=outcome.quality,
        cost_usd=outcome.cost_usd,
        input_token_count=outcome.input_tokens,
        cached_input_token_count=outcome.cached_input_tokens,
        output_token_count=outcome.output_tokens,
        latency_ms=outcome.latency_ms,
        failure=wire(outcome.failure),
        served_model_id=catalog.names[outcome.served_slot] if outcome.served_slot >= 0 else "",
        observe_time=timestamp(outcome.observe_time_ms) if outcome.observe_time_ms else None,
    )


def decision_message(
    decision: Decision, time_ms: int, resolution: Resolution, outcomes: Sequence[Outcome], catalog: Catalog
) -> decision_pb2.Decision:
    """Return a decision with what was recorded of it."""
    rival = decision.choice.rival
    return decision_pb2.Decision(
        decision_id=decision.decision_id.hex(),
        router_id=decision.router_id,
        request_id=decision.request_id,
        create_time=timestamp(time_ms),
        model_id=catalog.names[decision.slot],
        propensity=decision.choice.propensity,
        candidates=candidates(decision, catalog),
        previous_model_id="" if decision.previous_slot == NO_SLOT else catalog.names[decision.previous_slot],
        policy_version=decision.policy_version,
        policy=decision.policy,
        source=wire(decision.choice.source),
        learnable=decision.learnable,
        resolution=wire(resolution),
        outcomes=[outcome_message(outcome, catalog) for outcome in outcomes],
        usd_weight=decision.objective.usd_weight + decision.choice.pacing.mean,
        second_weight=decision.objective.second_weight,
        rival_model_id="" if rival is None else catalog.names[decision.slots[rival.index]],
        pair_propensity=0.0 if rival is None else decision.choice.pair_propensity,
    )


def model_message(model: ModelSpec) -> model_pb2.Model:
    """Return a model."""
    price = None
    if model.price is not None:
        price = model_pb2.Price(
            input_mtok_usd=model.price.input_mtok_usd,
            output_mtok_usd=model.price.output_mtok_usd,
            cached_input_mtok_usd=model.price.cached_input_mtok_usd,
            request_usd=model.price.request_usd,
        )
    return model_pb2.Model(
        model_id=model.model_id,
        price=price,
        context_window_token_count=model.context_window_tokens,
        tags=model.tags,
        state=model_pb2.MODEL_STATE_ENABLED if model.enabled else model_pb2.MODEL_STATE_DISABLED,
        quality_guess=model.quality_guess,
        latency_ms_guess=model.latency_ms_guess,
        create_time=timestamp(model.create_time_ms),
        update_time=timestamp(model.update_time_ms),
        sibling_model_id=model.sibling_model_id,
    )


def router_message(router: RouterSpec) -> router_pb2.Router:
    """Return a router."""
    return router_pb2.Router(
        router_id=router.router_id,
        embedding_dimension=router.embedding_dimension,
        embedding_model=router.embedding_model,
        model_ids=router.model_ids,
        policy=router_pb2.Policy(
            preset=router.policy.preset, parameters=router.policy.parameters, texts=router.policy.texts
        ),
        objective=router_pb2.Objective(
            usd_weight=router.objective.usd_weight, second_weight=router.objective.second_weight
        ),
        switch_usd=router.switch_usd,
        fallback_model_id=router.fallback_model_id,
        attribution_window_ms=router.attribution_window_ms,
        default_quality=router.default_quality,
        quality_guess=router.quality_guess,
        create_time=timestamp(router.create_time_ms),
        update_time=timestamp(router.update_time_ms),
        budget=None
        if router.budget is None
        else router_pb2.Budget(
            amount_usd=router.budget.usd, window=wire(router.budget.window), hard=router.budget.is_hard
        ),
        exploration_share=router.exploration_share,
        shadows=_shadows(router),
        promotion=_rule(router.promotion),
        policy_name=router.policy_name,
    )


def _budget(budget: Budget | None) -> router_pb2.Budget | None:
    if budget is None:
        return None
    return router_pb2.Budget(amount_usd=budget.usd, window=wire(budget.window), hard=budget.is_hard)


def _shadows(router: RouterSpec) -> list[router_pb2.NamedPolicy]:
    return [
        router_pb2.NamedPolicy(
            name=shadow.name,
            policy=router_pb2.Policy(
                preset=shadow.policy.preset, parameters=shadow.policy.parameters, texts=shadow.policy.texts
            ),
        )
        for shadow in router.shadows
    ]


def _rule(rule: PromotionRule) -> router_pb2.PromotionRule | None:
    if rule == PromotionRule():
        return None
    return router_pb2.PromotionRule(
        automatic=rule.is_automatic,
        utility_margin=rule.margin,
        effective_sample_count_min=rule.effective_samples_min,
        cost_share_max=rule.cost_ratio_max,
        latency_share_max=rule.latency_ratio_max,
        rollback_window_ms=rule.rollback_window_ms,
    )


def _budget_status(view: PacerView | None) -> policy_pb2.BudgetStatus | None:
    if view is None:
        return None
    return policy_pb2.BudgetStatus(
        shadow_usd_weight=view.pacing.mean,
        target_usd=view.target_usd,
        spent_usd=view.spent_usd,
        request_count=view.request_count,
        window_end_time=timestamp(view.window_end_ms) if view.window_end_ms else None,
    )


def policy_status(
    state: RouterState,
    catalog: Catalog,
    books: dict[str, int],
    health: Mapping[int, ModelHealth],
    context: Context | None = None,
) -> policy_pb2.PolicyStatus:
    """Return what a router has learnt. The writer's thread only: it reads the state itself.

    Args:
        state: The router's.
        catalog: All models.
        books: Of outcomes.
        health: Of models, by slot.
        context: A prompt that is asked about; None for none.
    """
    resolved = (state.observed, state.expired, state.censored)
    return policy_pb2.PolicyStatus(
        router_id=state.router.router_id,
        policy=router_pb2.Policy(preset=state.policy.preset, parameters=state.policy.values, texts=state.policy.texts),
        policy_version=state.version,
        state_digest=state.digest(),
        feature_fingerprint="" if state.features is None else state.features.fingerprint,
        embedding_dimension=state.router.embedding_dimension,
        feature_fit_position=state.fit_position,
        models=[
            _model_belief(state, model, health.get(model.slot, GOOD_HEALTH), context)
            for model in state.offered(catalog)
        ],
        outcomes=policy_pb2.OutcomeBooks(**{f"{name}_count": count for name, count in books.items()}),
        decisions=policy_pb2.DecisionBooks(
            decision_count=state.decision_count,
            observed_count=state.observed,
            expired_count=state.expired,
            censored_count=state.censored,
            waiting_count=state.decision_count - sum(resolved),
        ),
        budget=_budget_status(state.pacer_view((), None)),
        comparison_count=state.comparison_count,
        portfolio_members=_portfolio_members(state.belief),
    )


def _portfolio_members(belief: Belief | None) -> list[policy_pb2.PortfolioMember]:
    if not isinstance(belief, PortfolioBelief):
        return []
    return [
        policy_pb2.PortfolioMember(preset=name, mix_weight=unpriced, priced_mix_weight=priced)
        for name, unpriced, priced in zip(belief.names, *belief.weights.tolist(), strict=True)
    ]


def _model_belief(
    state: RouterState, model: ModelSpec, health: ModelHealth, context: Context | None
) -> policy_pb2.ModelBelief:
    changes = state.changes
    alarms = changes.alarm_counts.get(model.slot, (0, 0, 0))
    message = policy_pb2.ModelBelief(
        model_id=model.model_id,
        decision_count=state.decision_counts.get(model.slot, 0),
        failure_count=state.failure_counts.get(model.slot, 0),
        unpriced=model.price is None,
        health=wire(health.state),
        health_until_time=timestamp(health.until_ms) if health.until_ms else None,
        newcomer=model.slot in changes.newcomers,
        quality_alarm_count=alarms[0],
        cost_alarm_count=alarms[1],
        latency_alarm_count=alarms[2],
        last_alarm_time=timestamp(changes.alarm_times[model.slot]) if model.slot in changes.alarm_times else None,
    )
    message.observed_count, message.missing_count = state.arrival.counts(model.slot)
    message.observation_probability = state.arrival.rate(model.slot)
    if context is not None:
        message.context_observation_probability = state.arrival.probability(model.slot, context)
    support = state.support.of(model.slot)
    if support is not None:
        message.probability_sum, message.probability_min = support
    if state.belief is not None:
        summary = state.belief.summary(model)
        message.quality_count = summary.quality_count
        message.cost_count = summary.cost_count
        message.latency_count = summary.latency_count
        message.quality = summary.quality
        message.quality_deviation = summary.deviation
        message.latency_ms = summary.latency_ms
        if summary.cost_usd is not None:
            message.cost_usd = summary.cost_usd + (0.0 if model.price is None else model.price.request_usd)
    return message


def _estimate(interval: Interval | None) -> leaderboard_pb2.Estimate | None:
    if interval is None:
        return None
    return leaderboard_pb2.Estimate(value=interval.value, low=interval.low, high=interval.high)


def leaderboard_message(
    board: Leaderboard, router_id: str, category: str, confidence: float, names: Sequence[str]
) -> leaderboard_pb2.Leaderboard:
    """Return a leaderboard."""
    return leaderboard_pb2.Leaderboard(
        router_id=router_id,
        category=category,
        standings=[
            leaderboard_pb2.Standing(
                model_id=names[s.slot],
                rating=_estimate(s.rating),
                won_count=s.won,
                lost_count=s.lost,
                tied_count=s.tied,
                both_bad_count=s.both_bad,
                score=_estimate(s.score),
                score_count=s.score_count,
            )
            for s in board.standings
        ],
        judges=[
            leaderboard_pb2.JudgeStanding(judge=j.judge, vote_count=j.vote_count, honest_probability=j.honest)
            for j in board.judges
        ],
        comparison_count=board.comparison_count,
        position_bias=board.position_bias,
        categories=board.categories,
        confidence=confidence,
        truncated=board.truncated,
    )


def snapshot_message(snapshot: StoredSnapshot) -> policy_pb2.Snapshot:
    """Return a stored snapshot."""
    return policy_pb2.Snapshot(
        router_id=snapshot.router_id,
        policy_version=snapshot.version,
        create_time=timestamp(snapshot.time_ms),
        size_bytes=len(snapshot.state),
        policy=snapshot.policy,
    )
