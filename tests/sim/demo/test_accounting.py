"""The demo's figures, from choices whose outcomes are known."""

import json

import numpy as np
import pytest

from banditd_sim.demo.accounting import Point, compare, summary

EASY, HARD = ((0.8, 0.8), (0.001, 0.011)), ((0.2, 1.0), (0.001, 0.011))


def _world(make_data, learn=(), test=()):
    """Rows of (category, kind); a dollar is worth 10, so that the large model costs 0.1 of quality more."""
    rows = [("val", category, *kind) for category, kind in learn]
    return make_data(rows + [("test_holdout", category, *kind) for category, kind in test])


class TestCompare:
    """What is compared, and on which prompts."""

    @pytest.fixture
    def comparison(self, make_data):
        """Half of the test part is hard; the choices are right but for one hard prompt of four."""
        data = _world(
            make_data,
            learn=[("chat", EASY), ("maths", HARD)],
            test=[("chat", EASY)] * 4 + [("maths", HARD)] * 4,
        )
        chosen = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1])
        return compare(data, chosen, usd_weight=10.0, seed=0)

    def test_banditd_gets_what_its_choices_gave_on_the_test_part(self, comparison):
        """The mean over the test part; the learning part is told apart."""
        assert comparison.banditd.quality == pytest.approx((4 * 0.8 + 0.2 + 3 * 1.0) / 8)
        assert comparison.banditd.cost_usd == pytest.approx((5 * 0.001 + 3 * 0.011) / 8)
        assert comparison.learning == Point(0.5, 0.001)
        assert comparison.shares == {"small": 5 / 8, "large": 3 / 8}
        assert comparison.prompts_count == 8

    def test_constants_are_every_model_on_every_test_prompt(self, comparison):
        """Means of the columns."""
        assert comparison.constants["small"].quality == pytest.approx(0.5)
        assert comparison.constants["large"].quality == pytest.approx(0.9)
        assert comparison.constants["large"].cost_usd == pytest.approx(0.011)
        assert comparison.dearest == "large"

    def test_fixed_mix_costs_what_banditd_costs(self, comparison):
        """On the line from small (0.001, 0.5) to large (0.011, 0.9), at 3/8 of the way."""
        assert comparison.fixed_mix_quality == pytest.approx(0.5 + 3 / 8 * 0.4)
        assert comparison.gain_over_fixed_mix == pytest.approx(0.8 - 0.65)
        low, high = comparison.gain_interval
        assert low < comparison.gain_over_fixed_mix < high

    def test_oracle_takes_the_best_utility_of_each_prompt(self, comparison):
        """Where both models are equally good it takes the cheap one."""
        assert comparison.oracle.quality == pytest.approx(0.9)
        assert comparison.oracle.cost_usd == pytest.approx(0.006)
        assert comparison.utility(comparison.oracle) == pytest.approx(0.9 - 10 * 0.006)

    def test_saving_is_against_the_dearest_model(self, comparison):
        """The share of its cost, and the quality that went with it."""
        assert comparison.saved_share == pytest.approx(1 - 0.00475 / 0.011)
        assert comparison.quality_lost == pytest.approx(0.1)


class TestCategoryTable:
    """What the category table is fitted on."""

    def test_it_is_fitted_on_val_with_the_objective(self, make_data):
        """In val, chat is hard and maths easy; in test it is the other way round, which the table must not know."""
        data = _world(make_data, learn=[("chat", HARD), ("maths", EASY)], test=[("chat", EASY), ("maths", HARD)])
        assert compare(data, np.zeros(4, dtype=np.int64), usd_weight=10.0, seed=0).category == Point(0.5, 0.006)

    def test_a_category_that_val_lacks_gets_its_best_constant(self, make_data):
        """Over val as a whole, two easy prompts and a hard one, large is best by utility: 0.757 to 0.59."""
        data = _world(
            make_data, learn=[("chat", EASY), ("chat", EASY), ("maths", HARD)], test=[("aaa", HARD), ("zzz", HARD)]
        )
        category = compare(data, np.zeros(5, dtype=np.int64), usd_weight=10.0, seed=0).category
        assert category == Point(1.0, 0.011)


class TestGainInterval:
    """The interval of the gain."""

    def test_a_mix_of_constants_gains_nothing(self, make_data):
        """Choices by a coin are a fixed mix: the interval holds 0. The same seed gives the same interval."""
        rng = np.random.default_rng(3)
        kinds = [HARD if hard else EASY for hard in rng.random(400) < 0.5]
        data = _world(make_data, learn=[("chat", EASY)], test=[("chat", kind) for kind in kinds])
        chosen = (rng.random(401) < 0.5).astype(np.int64)
        first, second = (compare(data, chosen, usd_weight=10.0, seed=1).gain_interval for _ in range(2))
        assert first == second
        assert first[0] < 0.0 < first[1]

    def test_cheaper_than_the_cheapest_constant_is_compared_with_that(self, make_data):
        """No mix is so cheap; the cheapest model's quality stands in, and nothing is nan."""
        data = make_data(
            [
                ("val", "a", (0.5, 0.5), (0.001, 0.001)),
                ("test_holdout", "a", (0.6, 0.9), (0.001, 0.004)),
                ("test_holdout", "a", (0.6, 0.9), (0.004, 0.001)),
            ]
        )
        comparison = compare(data, np.array([0, 0, 1]), usd_weight=10.0, seed=0)
        assert comparison.banditd.cost_usd == pytest.approx(0.001)
        assert comparison.fixed_mix_quality == pytest.approx(0.9)


class TestSummary:
    """summary.json."""

    def test_it_has_the_promised_keys(self, make_data):
        """Each with quality and cost_usd, as JSON."""
        data = _world(make_data, learn=[("chat", EASY)], test=[("chat", HARD)])
        found = json.loads(json.dumps(summary(compare(data, np.array([0, 1]), usd_weight=10.0, seed=0))))
        for key in ("banditd", "category", "oracle"):
            assert found[key]["quality"] == pytest.approx(1.0 if key != "category" else 0.2)
            assert found[key]["cost_usd"] == pytest.approx(0.011 if key != "category" else 0.001)
        assert found["constants"]["small"] == pytest.approx({"quality": 0.2, "cost_usd": 0.001, "utility": 0.19})
        assert found["fixed_mix_quality"] == pytest.approx(1.0)
        assert found["gain_over_fixed_mix"] == pytest.approx(0.0)
        assert found["gain_over_fixed_mix_ci95"] == pytest.approx([0.0, 0.0])
        assert found["usd_weight"] == 10.0
