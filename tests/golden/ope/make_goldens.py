"""Make goldens.json beside this file from Open Bandit Pipeline 0.5.7 and vw-estimators 0.2.2.

Neither is a dependency of banditd. In a virtual environment of its own (Python 3.11):

    pip install numpy scipy scikit-learn pandas matplotlib seaborn tqdm pyyaml mypy_extensions
    pip install --no-deps --ignore-requires-python obp==0.5.7
    pip install --no-deps --no-binary vw-estimators vw-estimators==0.2.2
    python tests/golden/ope/make_goldens.py

obp imports torch when loaded but does not use it here; an empty stand-in is enough.
"""

import importlib.metadata
import json
import pathlib
import sys
import types

import numpy as np


class _Absent(types.ModuleType):
    """A module that has a class of any name, for torch's annotations and base classes."""

    def __getattr__(self, name):
        """Return a new class; dunder names stay missing."""
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


for name in ("torch", "torch.nn", "torch.nn.functional", "torch.optim", "torch.utils", "torch.utils.data"):
    sys.modules[name] = _Absent(name)
    if "." in name:
        parent, child = name.rsplit(".", 1)
        setattr(sys.modules[parent], child, sys.modules[name])

import obp.ope as o  # noqa: E402
from estimators.bandits import cs, gaussian, ips, snips  # noqa: E402
from obp.ope.estimators_tuning import (  # noqa: E402
    DoublyRobustWithShrinkageTuning,
    InverseProbabilityWeightingTuning,
    SubGaussianDoublyRobustTuning,
    SwitchDoublyRobustTuning,
)

CLIP, SWITCH, SHRINKAGE, MIXING = 5.0, 3.0, 2.0, 0.1
CLIPS = [1.0, 2.0, 4.0, 8.0, 16.0, 1000.0]
MIXINGS = [0.0, 0.01, 0.1, 0.5, 0.9]


def logs():
    """Return the fixed logs: three sizes, light and heavy weights, a deterministic target, a uniform log."""
    cases = {}
    for name, seed, n, models, heat in (
        ("light", 1, 40, 3, 0.5),
        ("heavy", 2, 300, 5, 2.0),
        ("tiny", 3, 5, 2, 1.0),
        ("larger", 4, 1000, 4, 1.5),
    ):
        rng = np.random.default_rng(seed)
        logging = _softmax(heat * rng.standard_normal((n, models)))
        logging = 0.9 * logging + 0.1 / models
        target = _softmax(2.0 * heat * rng.standard_normal((n, models)))
        action = np.array([rng.choice(models, p=p) for p in logging])
        quality = rng.random((n, models))
        reward = (rng.random(n) < quality[np.arange(n), action]).astype(float)
        q = np.clip(quality + 0.2 * rng.standard_normal((n, models)), 0.0, 1.0)
        cases[name] = (action, reward, logging, target, q)
    rng = np.random.default_rng(5)
    n, models = 200, 4
    logging = np.full((n, models), 0.25)
    target = np.eye(models)[rng.integers(0, models, n)]
    action = rng.integers(0, models, n)
    cases["uniform"] = (action, rng.random(n), logging, target, rng.random((n, models)))
    return cases


def _softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def from_obp(action, reward, logging, target, q):
    """Return Open Bandit Pipeline's numbers on one log."""
    n, models = logging.shape
    position = np.zeros(n, dtype=int)
    common = {
        "reward": reward,
        "action": action,
        "pscore": logging[np.arange(n), action],
        "action_dist": target[:, :, None],
        "position": position,
    }
    model = {"estimated_rewards_by_reg_model": q[:, :, None]}
    cluster = np.arange(models) // 2
    embedding = np.zeros((models, cluster.max() + 1, 1))
    embedding[np.arange(models), cluster, 0] = 1.0
    out = {
        "dm": o.DirectMethod().estimate_policy_value(action_dist=target[:, :, None], position=position, **model),
        "ips": o.InverseProbabilityWeighting().estimate_policy_value(**common),
        "clipped_ips": o.InverseProbabilityWeighting(lambda_=CLIP).estimate_policy_value(**common),
        "snips": o.SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**common),
        "dr": o.DoublyRobust().estimate_policy_value(**common, **model),
        "sndr": o.SelfNormalizedDoublyRobust().estimate_policy_value(**common, **model),
        "switch_dr": o.SwitchDoublyRobust(lambda_=SWITCH).estimate_policy_value(**common, **model),
        "dr_os": o.DoublyRobustWithShrinkage(lambda_=SHRINKAGE).estimate_policy_value(**common, **model),
        "sub_gaussian_ips": o.SubGaussianInverseProbabilityWeighting(lambda_=MIXING).estimate_policy_value(**common),
        "sub_gaussian_dr": o.SubGaussianDoublyRobust(lambda_=MIXING).estimate_policy_value(**common, **model),
        "mips": float(
            o.MarginalizedInverseProbabilityWeighting(n_actions=models)
            ._estimate_round_rewards(
                context=np.zeros((n, 1)),
                reward=reward,
                action=action,
                action_embed=cluster[action][:, None],
                pi_b=logging[:, :, None],
                action_dist=target[:, :, None],
                position=position,
                p_e_a=embedding,
            )
            .mean()
        ),
    }
    if set(np.unique(target)) <= {0.0, 1.0}:
        out["replay"] = o.ReplayMethod().estimate_policy_value(
            reward=reward, action=action, action_dist=target[:, :, None], position=position
        )
    tuned = {}
    for rule in ("mse", "slope"):
        for name, kind, grid, needs_model in (
            ("clipped_ips", InverseProbabilityWeightingTuning, CLIPS, False),
            ("switch_dr", SwitchDoublyRobustTuning, CLIPS, True),
            ("dr_os", DoublyRobustWithShrinkageTuning, CLIPS, True),
            ("sub_gaussian_dr", SubGaussianDoublyRobustTuning, MIXINGS, True),
        ):
            tuner = kind(lambdas=grid, tuning_method=rule)
            tuner.estimate_policy_value(**common, **(model if needs_model else {}))
            tuned[f"{name}/{rule}"] = float(tuner.best_hyperparam)
    return {"values": {k: float(v) for k, v in out.items()}, "tuned": tuned}


def from_vw(action, reward, logging, target):
    """Return vw-estimators' numbers on one log."""
    rows = np.arange(len(action))
    p, pi = logging[rows, action], target[rows, action]
    point = {"ips": ips.Estimator(), "snips": snips.Estimator()}
    normal, sequence = gaussian.Interval(), cs.Interval(rmin=0, rmax=1)
    out = {"cs": []}
    for i in rows:
        for estimator in point.values():
            estimator.add_example(p[i], reward[i], pi[i])
        normal.add_example(p[i], reward[i], pi[i])
        sequence.add_example(p[i], reward[i], pi[i])
        if i + 1 in {1, 5, 20, 40, 100, 300, 1000}:
            out["cs"].append([int(i + 1), *map(float, sequence.get(0.05)), *map(float, sequence.get(0.2))])
    out |= {name: float(estimator.get()) for name, estimator in point.items()}
    out["gaussian"] = [float(end) for end in normal.get(0.05)]
    return out


def main():
    """Write goldens.json."""
    cases = {}
    for name, (action, reward, logging, target, q) in logs().items():
        cases[name] = {
            "log": {
                "action": action.tolist(),
                "reward": reward.tolist(),
                "pmf": logging.tolist(),
                "target": target.tolist(),
                "q": q.tolist(),
            },
            "obp": from_obp(action, reward, logging, target, q),
            "vw": from_vw(action, reward, logging, target),
        }
    made_with = {p: importlib.metadata.version(p) for p in ("obp", "vw-estimators", "numpy", "scipy")}
    parameters = {"clip": CLIP, "switch": SWITCH, "shrinkage": SHRINKAGE, "mixing": MIXING}
    grids = {"clips": CLIPS, "mixings": MIXINGS}
    document = {"made_with": made_with, "parameters": parameters, "grids": grids, "cases": cases}
    pathlib.Path(__file__).with_name("goldens.json").write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
