"""Regret on the shared synthetic streams, through the whole pipeline: encoding, fits, floor and all.

Peers on the same streams (linear, shift, nonlinear): LinUCB in NumPy, tuned on these very streams, 212, 585 with
forgetting, 411 with random Fourier features; Vowpal Wabbit 344, 759, 1031; mabwiser 254, 1027, 958; ParetoBandit as
shipped 1947, 2012, 1765.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from banditd.domain.decision import Objective
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.routing.choose import Terms
from banditd_sim.environments.engine import Engine

LINEAR_BAR = 240.0
SHIFT_BAR = 700.0
NONLINEAR_BAR = 450.0
ANY_LINEAR_BAR = 500.0
# Not among them: `category`, which has no categories there and finds no clusters in prompts that have none (isotropic),
# and `vowpal_cover`, whose exploration never settles; both are measured, without a bar.
LEARNING = (
    "linucb",
    "lin_thompson",
    "squarecb",
    "epsilon_greedy",
    "softmax",
    "adaptive",
    "nonlinear",
    "vowpal_squarecb",
    "vowpal_bag",
    "vowpal_softmax",
    "vowpal_epsilon",
)


@pytest.fixture(scope="module")
def streams(shared_dir: Path) -> ModuleType:
    """The module that makes the streams."""
    spec = importlib.util.spec_from_file_location("shared_streams", shared_dir / "streams.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def regret(
    streams: ModuleType, kind: str, preset: str, seed: int, stream_seed: int = 20260, **parameters: float
) -> float:
    """Cumulative pseudo-regret over the stream's 10,000 rounds, learning after each."""
    contexts, rewards, means = streams.make(kind, seed=stream_seed)
    contexts = contexts.astype(np.float16)
    models = tuple(ModelSpec(k, f"arm-{k}") for k in range(rewards.shape[1]))
    router = RouterSpec(f"stream-{seed}", PolicySpec(preset, parameters), embedding_dimension=contexts.shape[1])
    engine = Engine(router, models, seed)
    terms = Terms(Objective())
    total = 0.0
    for t in range(len(contexts)):
        position, decision = engine.route(contexts[t], terms)
        k = decision.choice.index
        total += means[t].max() - means[t, k]
        engine.learn(position, decision, Lesson(quality=float(rewards[t, k])))
    return float(total)


def test_the_default_preset_learns_the_linear_stream(streams: ModuleType) -> None:
    """One seed; the long tier has five."""
    assert regret(streams, "linear", "linucb", 0) <= LINEAR_BAR


def test_the_adaptive_preset_follows_the_shift(streams: ModuleType) -> None:
    """One seed; and the control: without forgetting the bar is missed."""
    assert regret(streams, "shift", "adaptive", 0) <= SHIFT_BAR


@pytest.mark.long
@pytest.mark.parametrize(
    "kind, preset, bar",
    [
        ("linear", "linucb", LINEAR_BAR),
        ("shift", "adaptive", SHIFT_BAR),
        ("nonlinear", "nonlinear", NONLINEAR_BAR),
        *(("linear", preset, ANY_LINEAR_BAR) for preset in LEARNING),
        pytest.param(
            "linear", "knn", ANY_LINEAR_BAR, marks=pytest.mark.xfail(reason="516: see ARCHITECTURE", strict=True)
        ),
    ],
)
def test_mean_regret_over_five_seeds(streams: ModuleType, kind: str, preset: str, bar: float) -> None:
    """The issue's bars."""
    found = [regret(streams, kind, preset, seed) for seed in range(5)]
    print(f"{kind} {preset}: {np.mean(found):.1f} {[round(value) for value in found]}")
    assert np.mean(found) <= bar


@pytest.mark.long
@pytest.mark.parametrize("stream_seed", [101, 102, 103])
@pytest.mark.parametrize(
    "kind, preset, bar",
    [
        ("linear", "linucb", LINEAR_BAR),
        ("shift", "adaptive", SHIFT_BAR),
        ("nonlinear", "nonlinear", NONLINEAR_BAR),
    ],
)
def test_bars_hold_on_streams_never_looked_at(
    streams: ModuleType, kind: str, preset: str, bar: float, stream_seed: int
) -> None:
    """Fresh draws of the same kinds of streams."""
    found = regret(streams, kind, preset, 0, stream_seed)
    print(f"{kind} {preset} {stream_seed}: {found:.1f}")
    assert found <= bar


@pytest.mark.long
def test_without_forgetting_and_detector_the_shift_is_missed(streams: ModuleType) -> None:
    """The control of the adaptive preset; the detector alone follows as well, and forgets nothing meanwhile."""
    assert regret(streams, "shift", "linucb", 0, change_detection=0.0) > SHIFT_BAR
    assert regret(streams, "shift", "linucb", 0) <= SHIFT_BAR
