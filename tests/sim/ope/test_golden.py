"""The estimators and intervals against Open Bandit Pipeline 0.5.7 and vw-estimators 0.2.2."""

import json
from pathlib import Path

import numpy as np
import pytest

from banditd_sim.ope import (
    LoggedRounds,
    confidence_sequence,
    direct_values,
    estimate,
    ips_outcomes,
    normal_interval,
    round_values,
    weighted,
)
from banditd_sim.ope import estimators as est
from banditd_sim.ope.sequence import mixture_bound
from banditd_sim.ope.tuning import choose_by_mse, choose_by_slope
from banditd_sim.ope.weights import cluster_weights

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "ope" / "goldens.json").read_text())
CASES = sorted(GOLDEN["cases"])
TOLERANCE = 1e-12


class Case:
    """One golden log, as the estimators take it."""

    def __init__(self, name):
        case = GOLDEN["cases"][name]
        self.obp, self.vw = case["obp"], case["vw"]
        raw = case["log"]
        pmf = np.array(raw["pmf"])
        action = np.array(raw["action"])
        self.target = np.array(raw["target"])
        rows = np.arange(action.size)
        self.log = LoggedRounds(
            action=action,
            reward=np.array(raw["reward"]),
            propensity=pmf[rows, action],
            model_ids=[f"m{k}" for k in range(pmf.shape[1])],
            pmf=pmf,
        )
        q = np.array(raw["q"])
        self.weights = weighted(self.log, self.target)
        self.reward, self.weight = self.weights.reward, self.weights.weight
        self.q_drawn, self.model_value = q[rows, action], direct_values(q, self.target)

    @property
    def arrays(self):
        """What the doubly robust family takes."""
        return self.reward, self.weight, self.q_drawn, self.model_value


@pytest.fixture(params=CASES)
def case(request):
    """Each golden log in turn."""
    return Case(request.param)


def all_terms(case):
    """Return every estimator's terms at the goldens' parameters."""
    p = GOLDEN["parameters"]
    r, w = case.reward, case.weight
    cluster = np.arange(case.log.models_count) // 2
    return {
        "dm": est.dm(case.model_value),
        "ips": est.ips(r, w),
        "clipped_ips": est.clipped_ips(r, w, weight_max=p["clip"]),
        "snips": est.snips(r, w),
        "dr": est.dr(*case.arrays),
        "sndr": est.sndr(*case.arrays),
        "switch_dr": est.switch_dr(*case.arrays, weight_max=p["switch"]),
        "dr_os": est.dr_os(*case.arrays, shrinkage=p["shrinkage"]),
        "sub_gaussian_ips": est.sub_gaussian_ips(r, w, mixing=p["mixing"]),
        "sub_gaussian_dr": est.sub_gaussian_dr(*case.arrays, mixing=p["mixing"]),
        "mips": est.mips(r, cluster_weights(case.log, case.target, cluster)),
    }


def test_estimators_equal_open_bandit_pipeline(case):
    """All eleven agree to 1e-12 on every log."""
    terms = all_terms(case)
    theirs = {name: value for name, value in case.obp["values"].items() if name != "replay"}
    assert terms.keys() == theirs.keys()
    for name, value in theirs.items():
        assert estimate(terms[name]) == pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE), name


def test_replay_equals_open_bandit_pipeline():
    """On the uniform log with a deterministic target."""
    case = Case("uniform")
    count = np.full(len(case.log), float(case.log.models_count))
    terms = est.replay(case.reward, case.weights.target_drawn, case.log.propensity, count)
    assert estimate(terms) == pytest.approx(case.obp["values"]["replay"], rel=TOLERANCE)


@pytest.mark.parametrize("rule", ["mse", "slope"])
def test_tuning_chooses_what_open_bandit_pipeline_chooses(case, rule):
    """The same grid gives the same parameter, for clipping, switching, shrinkage and mixing."""
    r, w = case.reward, case.weight
    clips, mixings = GOLDEN["grids"]["clips"], GOLDEN["grids"]["mixings"]
    choices = {
        "clipped_ips": (clips, lambda x: est.clipped_ips(r, w, weight_max=x), lambda x: np.minimum(w, x), r),
        "switch_dr": (
            clips,
            lambda x: est.switch_dr(*case.arrays, weight_max=x),
            lambda x: np.where(w <= x, w, 0.0),
            r - case.q_drawn,
        ),
        "dr_os": (
            clips,
            lambda x: est.dr_os(*case.arrays, shrinkage=x),
            lambda x: est.shrunk_weight(w, x),
            r - case.q_drawn,
        ),
        "sub_gaussian_dr": (
            mixings,
            lambda x: est.sub_gaussian_dr(*case.arrays, mixing=x),
            lambda x: w / (1.0 - x + x * w),
            r - case.q_drawn,
        ),
    }
    for name, (grid, make, modified, residual) in choices.items():
        if rule == "mse":
            chosen = choose_by_mse(grid, make, modified, weight=w, residual=residual)
        else:
            chosen = choose_by_slope(grid, make)
        theirs = case.obp["tuned"][f"{name}/{rule}"]
        # Parameters above every weight are one and the same; ties among them are broken by rounding.
        assert chosen == theirs or (round_values(make(chosen)) == round_values(make(theirs))).all(), name


def test_point_estimates_equal_vw_estimators(case):
    """Ips and snips, by a third implementation."""
    assert estimate(est.ips(case.reward, case.weight)) == pytest.approx(case.vw["ips"], rel=TOLERANCE)
    assert estimate(est.snips(case.reward, case.weight)) == pytest.approx(case.vw["snips"], rel=TOLERANCE)


def test_normal_interval_equals_vw_estimators(case):
    """Both ends."""
    interval = normal_interval(est.ips(case.reward, case.weight))
    assert [interval.low, interval.high] == pytest.approx(case.vw["gaussian"], rel=1e-11, abs=1e-12)


def sides(case):
    """Return the two sides: pseudo-outcomes, and what turns a lower bound into the end of the interval."""
    outcomes = ips_outcomes(case.reward, case.weight)
    return (outcomes.low, lambda bound: bound), (outcomes.high, lambda bound: 1.0 - bound)


def centres(x):
    """The predictable means (sum so far + 1/2) / t, before any minimum is taken."""
    before = np.concatenate([[0.0], np.cumsum(x)[:-1]])
    return (before + 0.5) / np.arange(1, x.size + 1)


def test_the_mixture_bound_equals_vw_estimators(case):
    """With vw-estimators' own centres, which are not kept below 1, its bounds come out at every look."""
    for side, (x, end) in enumerate(sides(case)):
        variance, total = np.cumsum((x - centres(x)) ** 2), np.cumsum(x)
        for n, *ends in case.vw["cs"]:
            for alpha, theirs in ((0.05, ends[side]), (0.2, ends[2 + side])):
                bound = float(mixture_bound(variance[n - 1 : n], threshold=np.log(2.0 / alpha), rho=1.0)[0])
                assert end(np.clip((total[n - 1] - bound) / n, 0.0, 1.0)) == pytest.approx(theirs, abs=1e-9)


def test_confidence_sequence_equals_vw_estimators_where_that_is_valid(case):
    """Equal at every look up to which the centre stays in [0, 1], as the proof of validity has it."""
    looks = [row[0] for row in case.vw["cs"]]
    outcomes = ips_outcomes(case.reward, case.weight)
    for alpha, column in ((0.05, 1), (0.2, 3)):
        ours = confidence_sequence(outcomes, alpha=alpha, looks=looks)
        for i, row in enumerate(case.vw["cs"]):
            if centres(outcomes.low[: row[0]]).max() <= 1.0:
                assert ours.low[i] == pytest.approx(row[column], abs=1e-9)
            if centres(outcomes.high[: row[0]]).max() <= 1.0:
                assert ours.high[i] == pytest.approx(row[column + 1], abs=1e-9)


def test_the_golden_logs_hold_looks_that_say_something():
    """Among the looks compared, at least one lower and one upper bound are off their ends."""
    telling = [False, False]
    for name in CASES:
        case = Case(name)
        for side, (x, _) in enumerate(sides(case)):
            trivial = float(side)
            compared = [row for row in case.vw["cs"] if centres(x[: row[0]]).max() <= 1.0]
            telling[side] |= any(row[1 + side] != trivial for row in compared)
    assert telling == [True, True]
