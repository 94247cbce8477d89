"""Administration values to protobuf messages and back."""

from dataclasses import asdict

from banditd_client.admin_types import (
    Budget,
    BudgetStatus,
    DecisionBooks,
    Estimate,
    JudgeStanding,
    Leaderboard,
    Model,
    ModelBelief,
    OutcomeBooks,
    Policy,
    PolicyStatus,
    Price,
    PromotionRule,
    Router,
    Snapshot,
    Standing,
)
from banditd_client.convert import label, members, names, objective_to_wire, present, time_from_wire
from banditd_client.enums import BudgetWindow, ModelHealth, ModelState, Verdict
from banditd_client.policy_types import Evaluation, ListedPolicy
from banditd_client.types import Objective
from banditd_proto.v1 import leaderboard_pb2, model_pb2, policy_pb2, promotion_pb2, router_pb2

BUDGET_WINDOWS = {0: BudgetWindow.REQUEST, **members(BudgetWindow, router_pb2.BudgetWindow, "BUDGET_WINDOW_")}
VERDICTS = members(Verdict, promotion_pb2.Verdict, "VERDICT_")
MODEL_HEALTHS = members(ModelHealth, model_pb2.ModelHealth, "MODEL_HEALTH_")
MODEL_STATES = members(ModelState, model_pb2.ModelState, "MODEL_STATE_")


def model_to_wire(model: Model) -> model_pb2.Model:
    """Return a model. ValueError for a state UNKNOWN."""
    price = model.price
    return model_pb2.Model(
        model_id=model.model_id,
        price=None if price is None else model_pb2.Price(**asdict(price)),
        context_window_token_count=model.context_window_tokens,
        tags=names(model.tags, "tags"),
        state=label(model.state, ModelState, "MODEL_STATE_"),
        quality_guess=model.quality_guess,
        latency_ms_guess=model.latency_ms_guess,
        sibling_model_id=model.sibling_model,
    )


def model_from_wire(message: model_pb2.Model) -> Model:
    """Return a model."""
    price = present(message, "price")
    return Model(
        model_id=message.model_id,
        price=price
        and Price(
            price.input_mtok_usd, price.output_mtok_usd, present(price, "cached_input_mtok_usd"), price.request_usd
        ),
        context_window_tokens=message.context_window_token_count or None,
        tags=tuple(message.tags),
        state=MODEL_STATES.get(message.state, ModelState.UNKNOWN),
        quality_guess=present(message, "quality_guess"),
        latency_ms_guess=present(message, "latency_ms_guess"),
        create_time=time_from_wire(message, "create_time"),
        update_time=time_from_wire(message, "update_time"),
        sibling_model=message.sibling_model_id,
    )


def router_to_wire(router: Router) -> router_pb2.Router:
    """Return a router."""
    policy = router.policy
    return router_pb2.Router(
        router_id=router.router_id,
        embedding_dimension=router.embedding_dimension,
        embedding_model=router.embedding_model,
        model_ids=names(router.model_ids, "model_ids"),
        policy=None if policy is None else _policy_to_wire(policy),
        objective=objective_to_wire(router.objective),
        switch_usd=router.switch_usd,
        budget=_budget_to_wire(router.budget),
        exploration_share=router.exploration_share,
        fallback_model_id=router.fallback_model,
        attribution_window_ms=router.attribution_window_ms,
        default_quality=router.default_quality,
        quality_guess=router.quality_guess,
        shadows=[
            router_pb2.NamedPolicy(name=name, policy=_policy_to_wire(shadow)) for name, shadow in router.shadows.items()
        ],
        promotion=None if router.promotion is None else router_pb2.PromotionRule(**asdict(router.promotion)),
    )


def router_from_wire(message: router_pb2.Router) -> Router:
    """Return a router."""
    objective = present(message, "objective")
    return Router(
        router_id=message.router_id,
        embedding_dimension=message.embedding_dimension or None,
        embedding_model=message.embedding_model,
        model_ids=tuple(message.model_ids),
        policy=_policy_from_wire(message),
        objective=objective and Objective(present(objective, "usd_weight"), present(objective, "second_weight")),
        switch_usd=message.switch_usd,
        budget=_budget_from_wire(message),
        exploration_share=present(message, "exploration_share"),
        fallback_model=message.fallback_model_id,
        attribution_window_ms=message.attribution_window_ms or None,
        default_quality=present(message, "default_quality"),
        quality_guess=present(message, "quality_guess"),
        create_time=time_from_wire(message, "create_time"),
        update_time=time_from_wire(message, "update_time"),
        shadows={shadow.name: _policy_from_wire(shadow) or Policy("") for shadow in message.shadows},
        promotion=_rule_from_wire(message),
        policy_name=message.policy_name,
    )


def _rule_from_wire(message: router_pb2.Router) -> PromotionRule | None:
    rule = present(message, "promotion")
    return rule and PromotionRule(
        automatic=rule.automatic,
        utility_margin=rule.utility_margin,
        effective_sample_count_min=present(rule, "effective_sample_count_min"),
        cost_share_max=present(rule, "cost_share_max"),
        latency_share_max=present(rule, "latency_share_max"),
        rollback_window_ms=rule.rollback_window_ms or None,
    )


def listed_policy_from_wire(message: promotion_pb2.ListedPolicy) -> ListedPolicy:
    """Return a policy of a router."""
    return ListedPolicy(
        name=message.name,
        policy=_policy_from_wire(message),
        deciding=message.deciding,
        former=message.former,
        evaluation=_evaluation_from_wire(message),
        verdict=VERDICTS.get(message.verdict, Verdict.UNKNOWN) if message.verdict else None,
        promotion_time=time_from_wire(message, "promotion_time"),
    )


def _evaluation_from_wire(message: promotion_pb2.ListedPolicy) -> Evaluation | None:
    evaluation = present(message, "evaluation")
    return evaluation and Evaluation(
        decision_count=evaluation.decision_count,
        waiting_count=evaluation.waiting_count,
        dropped_count=evaluation.dropped_count,
        effective_sample_count=evaluation.effective_sample_count,
        utility=present(evaluation, "utility"),
        deciding_utility=present(evaluation, "deciding_utility"),
        utility_difference=present(evaluation, "utility_difference"),
        utility_difference_low=present(evaluation, "utility_difference_low"),
        utility_difference_high=present(evaluation, "utility_difference_high"),
        snips_utility=present(evaluation, "snips_utility"),
        deciding_snips_utility=present(evaluation, "deciding_snips_utility"),
        agreement_probability=present(evaluation, "agreement_probability"),
        unsupported_probability=present(evaluation, "unsupported_probability"),
        cost_usd=present(evaluation, "cost_usd"),
        deciding_cost_usd=present(evaluation, "deciding_cost_usd"),
        latency_ms=present(evaluation, "latency_ms"),
        deciding_latency_ms=present(evaluation, "deciding_latency_ms"),
    )


def _budget_to_wire(budget: Budget | None) -> router_pb2.Budget | None:
    if budget is None:
        return None
    window = None if budget.window is BudgetWindow.REQUEST else label(budget.window, BudgetWindow, "BUDGET_WINDOW_")
    return router_pb2.Budget(amount_usd=budget.amount_usd, window=window, hard=budget.hard)


def _budget_from_wire(message: router_pb2.Router) -> Budget | None:
    budget = present(message, "budget")
    return budget and Budget(
        budget.amount_usd, BUDGET_WINDOWS.get(budget.window, BudgetWindow.UNKNOWN), bool(budget.hard)
    )


def _budget_status_from_wire(message: policy_pb2.PolicyStatus) -> BudgetStatus | None:
    status = present(message, "budget")
    return status and BudgetStatus(
        shadow_usd_weight=status.shadow_usd_weight,
        target_usd=status.target_usd,
        spent_usd=status.spent_usd,
        request_count=status.request_count,
        window_end_time=time_from_wire(status, "window_end_time"),
    )


def _policy_to_wire(policy: Policy) -> router_pb2.Policy:
    return router_pb2.Policy(preset=policy.preset, parameters=policy.parameters, texts=policy.texts)


def _policy_from_wire(
    message: router_pb2.Router | router_pb2.NamedPolicy | policy_pb2.PolicyStatus | promotion_pb2.ListedPolicy,
) -> Policy | None:
    if not message.HasField("policy"):
        return None
    return Policy(message.policy.preset, dict(message.policy.parameters), dict(message.policy.texts))


def policy_status_from_wire(message: policy_pb2.PolicyStatus) -> PolicyStatus:
    """Return a router's status."""
    outcomes, decisions = message.outcomes, message.decisions
    return PolicyStatus(
        router=message.router_id,
        policy=_policy_from_wire(message),
        policy_version=message.policy_version,
        state_digest=message.state_digest,
        feature_fingerprint=message.feature_fingerprint,
        embedding_dimension=message.embedding_dimension or None,
        feature_fit_position=message.feature_fit_position,
        models=tuple(_belief_from_wire(model) for model in message.models),
        outcomes=OutcomeBooks(
            received_count=outcomes.received_count,
            applied_count=outcomes.applied_count,
            duplicate_count=outcomes.duplicate_count,
            late_count=outcomes.late_count,
            rejected_count=outcomes.rejected_count,
            waiting_count=outcomes.waiting_count,
            overridden_count=outcomes.overridden_count,
            not_learned_count=outcomes.not_learned_count,
            orphaned_count=outcomes.orphaned_count,
        ),
        decisions=DecisionBooks(
            decision_count=decisions.decision_count,
            observed_count=decisions.observed_count,
            expired_count=decisions.expired_count,
            censored_count=decisions.censored_count,
            waiting_count=decisions.waiting_count,
        ),
        budget=_budget_status_from_wire(message),
        portfolio={member.preset: member.mix_weight for member in message.portfolio_members},
        priced_portfolio={member.preset: member.priced_mix_weight for member in message.portfolio_members},
    )


def _belief_from_wire(message: policy_pb2.ModelBelief) -> ModelBelief:
    return ModelBelief(
        model=message.model_id,
        decision_count=message.decision_count,
        quality_count=message.quality_count,
        cost_count=message.cost_count,
        latency_count=message.latency_count,
        failure_count=message.failure_count,
        quality=message.quality,
        cost_usd=present(message, "cost_usd"),
        latency_ms=message.latency_ms,
        quality_deviation=message.quality_deviation,
        unpriced=message.unpriced,
        observed_count=message.observed_count,
        missing_count=message.missing_count,
        observation_probability=message.observation_probability or None,
        probability_sum=message.probability_sum,
        probability_min=present(message, "probability_min"),
        health=MODEL_HEALTHS.get(message.health, ModelHealth.UNKNOWN),
        health_until_time=time_from_wire(message, "health_until_time"),
        newcomer=message.newcomer,
        quality_alarm_count=message.quality_alarm_count,
        cost_alarm_count=message.cost_alarm_count,
        latency_alarm_count=message.latency_alarm_count,
        last_alarm_time=time_from_wire(message, "last_alarm_time"),
        context_observation_probability=present(message, "context_observation_probability"),
    )


def leaderboard_from_wire(message: leaderboard_pb2.Leaderboard) -> Leaderboard:
    """Return a leaderboard."""
    return Leaderboard(
        router=message.router_id,
        category=message.category,
        standings=tuple(_standing_from_wire(standing) for standing in message.standings),
        judges=tuple(JudgeStanding(j.judge, j.vote_count, j.honest_probability) for j in message.judges),
        comparison_count=message.comparison_count,
        position_bias=message.position_bias,
        categories=tuple(message.categories),
        confidence=message.confidence,
        truncated=message.truncated,
    )


def _standing_from_wire(message: leaderboard_pb2.Standing) -> Standing:
    rating, score = present(message, "rating"), present(message, "score")
    return Standing(
        model=message.model_id,
        rating=rating and Estimate(rating.value, rating.low, rating.high),
        won_count=message.won_count,
        lost_count=message.lost_count,
        tied_count=message.tied_count,
        both_bad_count=message.both_bad_count,
        score=score and Estimate(score.value, score.low, score.high),
        score_count=message.score_count,
    )


def snapshot_from_wire(message: policy_pb2.Snapshot) -> Snapshot:
    """Return a snapshot."""
    return Snapshot(
        router=message.router_id,
        policy_version=message.policy_version,
        create_time=time_from_wire(message, "create_time"),
        size_bytes=message.size_bytes,
        policy=message.policy,
    )
