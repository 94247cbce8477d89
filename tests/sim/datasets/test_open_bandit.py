"""Open Bandit logs: both forms, the real one, what comes back, and what is refused."""

import numpy as np
import pytest

from banditd_sim.datasets import DatasetError, load_open_bandit, write_open_bandit
from banditd_sim.ope import LoggedRounds

from .made import log, same_log, write_csv, write_parquet

ROWS = [
    {
        "item_id": 2,
        "position": 1,
        "click": 0,
        "propensity_score": 0.5,
        "user_feature_0": "aa",
        "user-item_affinity_0": 1.5,
    },
    {
        "item_id": 10,
        "position": 3,
        "click": 1,
        "propensity_score": 1.0,
        "user_feature_0": "bb",
        "user-item_affinity_0": 0,
    },
    {
        "item_id": 2,
        "position": 1,
        "click": 1,
        "propensity_score": 1e-6,
        "user_feature_0": "aa",
        "user-item_affinity_0": 0,
    },
]


def _with(i, **changes):
    return [row | changes if j == i else row for j, row in enumerate(ROWS)]


def test_original_form_has_its_places(tmp_path):
    """Items in order of their numbers; position and user features one-hot; affinities when asked for."""
    path = write_csv(tmp_path / "all.csv", ROWS)
    rounds = load_open_bandit(path)
    assert rounds.model_ids == ("2", "10")
    assert rounds.action.tolist() == [0, 1, 0]
    assert rounds.reward.tolist() == [0, 1, 1]
    assert rounds.propensity.tolist() == [0.5, 1.0, 1e-6]
    assert rounds.context.tolist() == [[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]
    assert load_open_bandit(path, affinity=True).context[:, -1].tolist() == [1.5, 0, 0]
    assert load_open_bandit(path, position=1).action.tolist() == [0, 0]


def test_items_beside_the_log_are_the_models(tmp_path):
    """An item that was never shown is one that another policy could show."""
    path = write_csv(tmp_path / "all.csv", ROWS)
    write_csv(tmp_path / "item_context.csv", [{"item_id": i, "item_feature_0": 0.5} for i in (0, 2, 10)])
    rounds = load_open_bandit(path)
    assert rounds.model_ids == ("0", "2", "10")
    assert rounds.action.tolist() == [1, 2, 1]


@pytest.mark.parametrize("policy, clicks", [("random", 38), ("bts", 42)])
def test_real_log_is_whole(shared_dir, policy, clicks):
    """10,000 rounds on 80 items; the random policy's propensity is 1/80; counts as counted in the file by hand."""
    rounds = load_open_bandit(shared_dir / "data/obd/log_all.parquet", policy=policy)
    assert (len(rounds), rounds.models_count, rounds.reward.sum()) == (10_000, 80, clicks)
    assert (rounds.propensity == 1 / 80).all() == (policy == "random")
    affine = load_open_bandit(shared_dir / "data/obd/log_all.parquet", policy=policy, affinity=True)
    assert affine.context.shape[1] == rounds.context.shape[1] + 80


def test_real_log_of_two_policies_needs_a_choice(shared_dir):
    """A mixture of two logging policies would be evaluated as one."""
    path = shared_dir / "data/obd/log_men.parquet"
    with pytest.raises(DatasetError, match=r"policy: expected the choice of one policy, got several: bts, random"):
        load_open_bandit(path)
    with pytest.raises(DatasetError, match=r"policy: expected one of bts, random, got 'x'"):
        load_open_bandit(path, policy="x")


@pytest.mark.parametrize(
    "rows, message",
    [
        (_with(1, propensity_score=0), r"all\.csv row 2: propensity_score: expected a number in \(0, 1\], got 0\.0"),
        (_with(1, propensity_score=1.5), r"all\.csv row 2: propensity_score: .* got 1\.5"),
        (_with(1, propensity_score="nan"), r"all\.csv row 2: propensity_score: .* got nan"),
        (_with(1, propensity_score=None), r"all\.csv row 2: propensity_score: .* got nothing"),
        (_with(2, click=2), r"all\.csv row 3: click: expected a number in \[0, 1\], got 2\.0"),
        (_with(2, click=None), r"all\.csv row 3: click: .* got nothing"),
        (_with(0, item_id=None), r"all\.csv row 1: item_id: expected a text, got an empty one"),
        ([{"item_id": 1, "click": 1}], r"all\.csv: expected a column propensity_score, got only item_id, click"),
        (ROWS[:1], r"all\.csv: model_ids: expected at least 2 models, got 1"),
        (_with(2, **{"user-item_affinity_0": "inf"}), r"all\.csv row 3: user-item_affinity_0: .* got inf"),
    ],
)
def test_broken_log_is_named(tmp_path, rows, message):
    """File, row and column."""
    with pytest.raises(DatasetError, match=message):
        load_open_bandit(write_csv(tmp_path / "all.csv", rows), affinity=True)


@pytest.mark.parametrize(
    "items, message",
    [
        ([0, 2], r"all\.csv row 2: item_id: expected an item of the list of items, got '10'"),
        (
            [2, 10, 2],
            r"item_context\.csv row 3: item_id: expected distinct ids, got '2', already in item_context\.csv row 1",
        ),
    ],
)
def test_items_that_do_not_fit_are_named(tmp_path, items, message):
    """The list beside the log is the truth about K."""
    write_csv(tmp_path / "item_context.csv", [{"item_id": i} for i in items])
    with pytest.raises(DatasetError, match=message):
        load_open_bandit(write_csv(tmp_path / "all.csv", ROWS))


def test_choices_that_are_not_there_are_refused(tmp_path):
    """The message says what there is."""
    path = write_csv(tmp_path / "all.csv", ROWS)
    with pytest.raises(DatasetError, match="position: expected one of 1, 3, got 2"):
        load_open_bandit(path, position=2)
    with pytest.raises(DatasetError, match="policy: expected a column policy to choose by, got none"):
        load_open_bandit(path, policy="bts")


@pytest.mark.parametrize(
    "items, values, message",
    [
        ([[0], [2]], [[1.0], [1.0]], r"row 2: affinity_items: expected items of 0\.\.1, got another"),
        ([[0], [0]], [[1.0], []], r"row 2: affinity_values: expected as many values as affinity_items"),
        ([[0], [0]], [[1.0], [np.nan]], r"row 2: affinity_values: expected finite numbers"),
    ],
)
def test_broken_affinities_are_named(tmp_path, items, values, message):
    """Sparse lists must fit each other and the items."""
    rows = [
        {"item_id": i, "click": 0, "propensity": 0.5, "affinity_items": at, "affinity_values": what}
        for i, (at, what) in enumerate(zip(items, values, strict=True))
    ]
    with pytest.raises(DatasetError, match=message):
        load_open_bandit(write_parquet(tmp_path / "log.parquet", rows), affinity=True)


def test_what_is_written_comes_back(tmp_path):
    """All but the pmf and the ids of decisions, which the form does not hold."""
    made = log()
    made = log(eligible=None, reward=np.where(np.isnan(made.reward), 0.0, made.reward))
    path = write_open_bandit(made, tmp_path / "obd")
    assert path == tmp_path / "obd/all.csv"
    back = load_open_bandit(path)
    wanted = LoggedRounds(
        action=made.action,
        reward=made.reward,
        propensity=made.propensity,
        model_ids=made.model_ids,
        context=made.context,
        cost=made.cost,
        category=made.category,
    )
    assert same_log(back, wanted)


def test_written_file_has_the_original_columns(tmp_path):
    """As the authors' loader finds them: an index without a name first."""
    made = log(3, eligible=None, reward=[0, 1, 0], context=None, cost=None, category=None)
    lines = write_open_bandit(made, tmp_path).read_text().splitlines()
    assert lines[0] == ",timestamp,item_id,position,click,propensity_score"
    assert len(lines) == 4
    assert (tmp_path / "item_context.csv").read_text().splitlines()[:2] == [
        ",item_id,item_feature_0,name",
        "0,0,0.0,vendor/m0",
    ]


@pytest.mark.parametrize(
    "made, message",
    [
        (log(eligible=None), r"all\.csv row \d+: click: expected an observed reward in \[0, 1\], got nan"),
        (
            log(reward=np.zeros(200)),
            r"all\.csv row \d+: item_id: expected all models eligible, as the form has no other",
        ),
        (log(eligible=None, reward=np.full(200, 2.0), reward_max=2.0), r"row 1: click: .* got 2\.0"),
    ],
)
def test_log_that_the_form_cannot_hold_is_refused(tmp_path, made, message):
    """Rather than written as something else."""
    with pytest.raises(DatasetError, match=message):
        write_open_bandit(made, tmp_path)
