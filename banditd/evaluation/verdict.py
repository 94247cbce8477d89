"""The rule by which a shadow takes over."""

from banditd.domain.promotion import PromotionRule, Verdict
from banditd.evaluation.account import Account, Figures


def judge(account: Account, rule: PromotionRule) -> Verdict:
    """Return what the rule says of a shadow. Where that is that it is not better, this takes a microsecond."""
    if not account.exceeds(rule.margin):
        return Verdict.NOT_BETTER
    return _guard(account.figures(), rule)


def _guard(figures: Figures, rule: PromotionRule) -> Verdict:
    if figures.effective_samples < rule.effective_samples_min:
        return Verdict.FEW_SAMPLES
    # Where nothing is known of costs, there is nothing to compare.
    if 0.0 < rule.cost_ratio_max * figures.live_cost_usd < figures.shadow_cost_usd:
        return Verdict.COST_GUARD
    if 0.0 < rule.latency_ratio_max * figures.live_latency_ms < figures.shadow_latency_ms:
        return Verdict.LATENCY_GUARD
    return Verdict.PROMOTE
