"""Frontiers: figures over all budgets, against a case that was worked out by hand."""

import pytest

from banditd_sim.report.frontiers import frontiers

NAMES = {"dataset": "hand", "scenario": "plain"}
# Always the weak model is 0.2 for a dollar, always the strong one 0.8 for three.
CONSTANTS = {"weak": (1.0, 0.2), "strong": (3.0, 0.8)}


def point(cost, quality, strong_share=0.0, constants=CONSTANTS):
    """Return the figures of one seed at one budget."""
    shares = {"weak": 1.0 - strong_share, "strong": strong_share}
    return {"cost_usd": cost, "quality": quality, "shares": shares, "constants": constants}


def only(policies, policy="router"):
    """Return the frontier of one of the policies."""
    return next(one for one in frontiers(NAMES, policies) if one.policy == policy)


def test_two_budgets_by_hand():
    """0.7 for two dollars with half of the calls strong, 0.75 for 2.5 with 0.7 of them, and 0.2 for one dollar."""
    one = only({"router": [[point(2.0, 0.7, 0.5)], [point(2.5, 0.75, 0.7)]]})
    assert (one.settings, one.cost_min_usd, one.cost_max_usd, one.quality_ref) == (2, 1.0, 3.0, 0.2)
    # Trapezoids of 1, 0.5 and (level) 0.5 dollars.
    area = 0.45 + 0.5 * 0.725 + 0.5 * 0.75
    assert one.aiq_paper == pytest.approx(area / 2.0)
    assert one.aiq_code == pytest.approx(area / 3.0)
    assert one.hypervolume == pytest.approx(0.5 * 1.0 + 0.05 * 0.5)
    assert one.quality_at_best_constant_cost == pytest.approx(0.75)
    # 0.72 is two fifths of the way from 0.7 to 0.75; 0.76 is not reached.
    assert one.cost_saving == {"0.9": pytest.approx(1.0 - 2.2 / 3.0), "0.95": None, "1": None}
    # Quality over the share of strong calls: 0.2, 0.7 at 0.5, 0.75 at 0.7, 0.8 at 1.
    under = 0.225 + 0.2 * 0.725 + 0.3 * 0.775
    assert one.apgr == pytest.approx((under - 0.2) / 0.6)
    assert one.cpt == {"0.5": pytest.approx(0.3), "0.8": pytest.approx(0.48)}
    assert one.aiq_paper_ci is None


def test_all_policies_share_one_range():
    """It ends at the dearest point of anybody, and constants themselves have no frontier."""
    policies = {"router": [[point(2.0, 0.7)]], "dear": [[point(5.0, 0.9)]], "constant:weak": [[point(1.0, 0.2)]]}
    found = frontiers(NAMES, policies)
    assert [one.policy for one in found] == ["router", "dear"]
    assert {one.cost_max_usd for one in found} == {5.0}
    assert found[0].aiq_paper == pytest.approx((0.45 + 3.0 * 0.7) / 4.0)
    assert found[1].cost_saving["1"] == pytest.approx(1.0 - (1.0 + 4.0 * 0.6 / 0.7) / 3.0)


def test_seeds_give_an_interval():
    """Mean of the seeds' own figures; a figure that a seed lacks is not told."""
    seeds = [point(2.0, 0.6), point(2.0, 0.8)]
    one = only({"router": [seeds]})
    single = [only({"router": [[seed]]}) for seed in seeds]
    assert one.hypervolume == pytest.approx(sum(each.hypervolume for each in single) / 2.0)
    low, high = one.hypervolume_ci
    assert low < one.hypervolume < high
    assert single[1].cost_saving["1"] == pytest.approx(1.0 / 3.0)
    assert one.cost_saving["1"] is None


def test_what_is_about_two_models_needs_two():
    """With three there is no strong and weak one; with equal ones no gap; with none throughout, no frontier."""
    three = {**CONSTANTS, "other": (2.0, 0.5)}
    assert only({"router": [[point(2.0, 0.7, constants=three)]]}).apgr is None
    equal = {"weak": (1.0, 0.5), "strong": (3.0, 0.5)}
    assert only({"router": [[point(2.0, 0.7, constants=equal)]]}).cpt == {"0.5": None, "0.8": None}
    assert frontiers(NAMES, {"router": [[point(2.0, 0.7, constants={})]]}) == []


def test_models_of_one_cost_have_no_range():
    """Nothing to integrate over, and no division by it."""
    same = {"weak": (1.0, 0.2), "strong": (1.0, 0.8)}
    one = only({"router": [[point(1.0, 0.7, constants=same)]]})
    assert (one.aiq_paper, one.aiq_code, one.hypervolume) == (None, None, 0.0)
