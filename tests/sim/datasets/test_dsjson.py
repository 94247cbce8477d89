"""dsjson: lines as Vowpal Wabbit's services write them, what comes back, and what is refused."""

import gzip
import json
import re

import numpy as np
import pytest

from banditd_sim.datasets import DatasetError, load_dsjson, write_dsjson

from .made import log, same_log, write_lines

# Made up after the form in Vowpal Wabbit's wiki.
LINE = {
    "_label_cost": -0.5,
    "_label_probability": 0.75,
    "_label_Action": 2,
    "_labelIndex": 1,
    "o": [{"EventId": "e1", "v": 0.5}],
    "Timestamp": "2017-10-24T00:00:15.5160000Z",
    "Version": "1",
    "EventId": "e1",
    "a": [2, 1],
    "c": {
        "User": {"age": 30, "country": "US", "_private": 5, "member": True, "guest": False, "note": None},
        "x": [0.5, -1],
        "_multi": [{"A": {"size": 1, "price": 3}}, {"A": {"size": 2}}],
    },
    "p": [0.75, 0.25],
    "VWState": {"m": "abc"},
}
OTHER = LINE | {
    "_label_cost": 0,
    "_label_Action": 1,
    "_labelIndex": 0,
    "_label_probability": 0.25,
    "EventId": "e2",
    "c": {"User": {"country": "BR"}, "_multi": [{"A": {"size": 1, "price": 4}}, {"A": {"size": 2}}]},
}


def _load(tmp_path, *records, **options):
    return load_dsjson(write_lines(tmp_path / "log.dsjson", records), **options)


def test_every_field_has_its_place(tmp_path):
    """Minus the cost is the reward; p is by a; features by path; an action's own count only where they change."""
    rounds = _load(tmp_path, LINE, OTHER)
    assert rounds.model_ids == ("1", "2")
    assert rounds.action.tolist() == [1, 0]
    assert rounds.reward.tolist() == [0.5, 0.0]
    assert rounds.propensity.tolist() == [0.75, 0.25]
    assert rounds.pmf.tolist() == [[0.25, 0.75], [0.25, 0.75]]
    assert rounds.decision_ids == ["e1", "e2"]
    # age, country=US, member, x[0], x[1], price of the first action, country=BR.
    assert rounds.context.tolist() == [[30, 1, 1, 0.5, -1, 3, 0], [0, 0, 0, 0, 0, 4, 1]]


def test_named_actions_may_come_and_go(tmp_path):
    """By Model.id or _tag; a model that a line does not offer is not eligible there."""
    named = [{"_tag": "m1"}, {"Model": {"id": "m2"}}]
    one = LINE | {"c": {"_multi": named}}
    two = OTHER | {"c": {"_multi": [{"_tag": "m3"}, {"_tag": "m1"}]}, "a": [1, 2], "p": [0.25, 0.75]}
    rounds = _load(tmp_path, one, two)
    assert rounds.model_ids == ("m1", "m2", "m3")
    assert rounds.action.tolist() == [1, 2]
    assert rounds.eligible.tolist() == [[True, True, False], [True, False, True]]
    assert rounds.pmf.tolist() == [[0.25, 0.75, 0.0], [0.75, 0.0, 0.25]]
    assert rounds.context is None
    assert _load(tmp_path, one, two, model_ids=("m3", "m2", "m1")).action.tolist() == [1, 0]
    with pytest.raises(DatasetError, match=r"log\.dsjson:2: c\._multi: expected one of the models m1, m2, got 'm3'"):
        _load(tmp_path, one, two, model_ids=("m1", "m2"))


def test_skipped_rounds_have_no_reward(tmp_path):
    """As vw-estimators passes them over."""
    assert np.isnan(_load(tmp_path, LINE, OTHER | {"_skipLearn": True}).reward).tolist() == [False, True]


def test_rewards_without_a_decision_are_passed_over(tmp_path):
    """Joined logs hold them between decisions; blank lines are harmless, and messages still name lines."""
    dangling = {"RewardValue": 1.0, "EventId": "e0"}
    assert len(_load(tmp_path, dangling, LINE, "", OTHER)) == 2
    with pytest.raises(DatasetError, match=r"log\.dsjson:4: _label_cost: .* got nothing"):
        _load(tmp_path, dangling, LINE, "", {})


def test_reward_range_can_be_set(tmp_path):
    """Costs above 0 are negative rewards."""
    rounds = _load(tmp_path, LINE | {"_label_cost": 3}, OTHER, reward_min=-3.0, reward_max=0.0)
    assert rounds.reward.tolist() == [-3.0, 0.0]
    assert (rounds.reward_min, rounds.reward_max) == (-3.0, 0.0)
    with pytest.raises(DatasetError, match=r"log\.dsjson:2: _label_cost: expected a cost in \[-1, -?0\], .*, got 3"):
        _load(tmp_path, OTHER, LINE | {"_label_cost": 3})


def test_many_features_are_hashed(tmp_path):
    """To the width asked for; each keeps its size and gets a sign, and the same file gives the same numbers."""
    lines = [LINE | {"EventId": str(i), "c": {"id": f"user {i}", "_multi": [{}, {}]}} for i in range(50)]
    rounds = _load(tmp_path, *lines, features_max=8)
    assert rounds.context.shape == (50, 8)
    assert (np.abs(rounds.context).sum(axis=1) == 1.0).all()
    assert {-1.0, 1.0} <= set(rounds.context.ravel().tolist())
    assert np.array_equal(rounds.context, _load(tmp_path, *lines, features_max=8).context)
    assert _load(tmp_path, *lines).context.shape == (50, 50)


def test_compressed_lines_are_read(tmp_path):
    """And a cut file is told as such."""
    path = tmp_path / "log.json.gz"
    content = gzip.compress("".join(json.dumps(line) + "\n" for line in (LINE, OTHER)).encode())
    path.write_bytes(content)
    assert len(load_dsjson(path)) == 2
    path.write_bytes(content[:-9])
    with pytest.raises(DatasetError, match=r"log\.json\.gz: expected a whole gzip file, got"):
        load_dsjson(path)


MULTI = LINE["c"]["_multi"]


@pytest.mark.parametrize(
    "line, message",
    [
        ('{"_label_cost": 0, "_lab', r"expected JSON, got character"),
        ("[]", "expected a JSON object, got a list"),
        (LINE | {"_label_cost": None}, "_label_cost: expected a finite number, got nothing"),
        (LINE | {"_label_cost": "1"}, "_label_cost: expected a finite number, got a text"),
        (LINE | {"_label_cost": float("nan")}, "_label_cost: .* got nan"),
        (LINE | {"_label_cost": float("-inf")}, "_label_cost: .* got -inf"),
        (LINE | {"_label_cost": -1.25}, r"_label_cost: expected a cost in \[-1, -?0\], .* got -1\.25"),
        (LINE | {"_label_probability": 0}, r"_label_probability: expected a number in \(0, 1\], got 0\.0"),
        (LINE | {"_label_probability": 1.01}, r"_label_probability: .* got 1\.01"),
        (LINE | {"_label_probability": 0.5}, r"propensity: expected the pmf's entry .*, 0\.75, got 0\.5"),
        (LINE | {"p": [0.75, 0.5]}, r"pmf: expected a sum of 1, got 1\.25"),
        (LINE | {"p": [0.75]}, "p: expected 2 probabilities, one per entry of a, got a list"),
        (LINE | {"p": [0.75, None]}, "p: expected a finite number, got nothing"),
        (LINE | {"p": [0.75, -0.25, 0.5], "a": [2, 1, 3]}, r"a: expected actions of 1\.\.2, as in c\._multi"),
        (LINE | {"a": [2, 2]}, "a: expected distinct actions, got one twice"),
        (LINE | {"a": []}, "a: expected a list of actions, got a list"),
        (LINE | {"a": [2, True]}, "a: expected actions"),
        (LINE | {"_label_Action": 3}, "_label_Action: expected one of the actions in a, got 3"),
        (LINE | {"_labelIndex": 0}, "_labelIndex: expected 1, one less than _label_Action, got 0"),
        (LINE | {"c": None}, "c: expected an object, got nothing"),
        (LINE | {"c": {"_multi": [1, 2]}}, r"c\._multi: expected a list of objects, one per action"),
        (LINE | {"c": {"_multi": [{"_tag": "a"}, {}]}}, r"c\._multi: expected a name .* of each action, or of none"),
        (LINE | {"c": {"_multi": [{"_tag": "a"}, {"_tag": "a"}]}}, r"c\._multi: expected distinct names of actions"),
        (LINE | {"c": {"x": [float("nan")], "_multi": MULTI}}, r"c\.x\[0\]: expected a finite number, got nan"),
        (LINE | {"_label_ca": {}}, "_label_ca: expected one action of several per line"),
        (LINE | {"_outcomes": []}, "_outcomes: expected one action of several per line"),
        (LINE | {"pdrop": 0.5}, r"pdrop: expected 0\.0, as before"),
        (LINE | {"EventId": "e0"}, r"EventId: expected distinct ids, got 'e0', already in line 1"),
        ({k: v for k, v in LINE.items() if k != "p"}, "p: expected probabilities, as in other lines"),
    ],
)
def test_broken_line_is_named(tmp_path, line, message):
    """File, line and field."""
    with pytest.raises(DatasetError, match=rf"log\.dsjson:2: {message}"):
        _load(tmp_path, LINE | {"EventId": "e0"}, line)


def test_file_without_decisions_is_refused(tmp_path):
    """An empty log, one of a single action, and one that is not there."""
    with pytest.raises(DatasetError, match=r"log\.dsjson: expected at least one decision, got none"):
        _load(tmp_path, "")
    alone = {"_label_Action": 1, "_labelIndex": 0, "_label_probability": 1, "a": [1], "p": [1], "c": {}}
    with pytest.raises(DatasetError, match="model_ids: expected at least 2 models, got 1"):
        _load(tmp_path, LINE | alone)
    with pytest.raises(DatasetError, match="expected a file, got none"):
        load_dsjson(tmp_path / "absent")


def test_what_is_written_comes_back(tmp_path):
    """Bit for bit: unobserved rewards, who was eligible, costs and categories too."""
    made = log()
    write_dsjson(made, tmp_path / "x.dsjson")
    back = load_dsjson(tmp_path / "x.dsjson")
    assert same_log(back, made)
    assert back.decision_ids == made.decision_ids
    assert not list(tmp_path.glob("*.partial"))


def test_log_without_extras_comes_back(tmp_path):
    """No pmf is no p, and no context no features."""
    made = log(pmf=None, eligible=None, context=None, cost=None, category=None, decision_ids=None)
    write_dsjson(made, tmp_path / "x.dsjson")
    back = load_dsjson(tmp_path / "x.dsjson")
    assert same_log(back, made)


KEYS = re.compile(
    rb'\{"_label_cost":[^,]+,"_label_probability":[^,]+,"_label_Action":\d+,"_labelIndex":\d+(?P<skip>,"_skipLearn":true)?'
    rb',"Timestamp":"[^"]{28}","Version":"1","EventId":"[^"]+","a":\[(?P<a>\d+)[\d,]*\],"c":\{.*\},"p":\[[^ ]+\}\n'
)


def test_keys_stand_where_vw_estimators_looks(tmp_path):
    """Its parser finds values by offsets from the line's start: order, spacing and the length of the time matter."""
    made = log()
    write_dsjson(made, tmp_path / "x.dsjson")
    for line in (tmp_path / "x.dsjson").read_bytes().splitlines(keepends=True):
        match = KEYS.fullmatch(line)
        assert match, line
        assert int(match["a"]) == json.loads(line)["_label_Action"]
    assert b'{"_label_cost":0,' in (tmp_path / "x.dsjson").read_bytes()
    assert b"-0.0," not in (tmp_path / "x.dsjson").read_bytes()


def test_vw_estimators_reads_what_is_written(tmp_path):
    """Cost, probability, drawn action and skipped lines, by its own parser."""
    ds_parse = pytest.importorskip("estimators.utils.ds_parse", reason="needs vw-estimators 0.2.2, from its sdist")
    made = log()
    write_dsjson(made, tmp_path / "x.dsjson")
    for i, line in enumerate((tmp_path / "x.dsjson").read_bytes().splitlines(keepends=True)):
        data = ds_parse.json_cooked(line)
        assert data["skipLearn"] == bool(np.isnan(made.reward[i]))
        assert data["p"] == made.propensity[i]
        assert data["num_a"] == made.eligible[i].sum()
        if not data["skipLearn"]:
            assert -float(data["cost"]) == made.reward[i]
