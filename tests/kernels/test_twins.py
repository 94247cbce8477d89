"""Every kernel equals its twin in tests/reference, which computes the same by another route."""

import hashlib
import importlib
import inspect
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from banditd.kernels import COMPILED, KERNELS
from banditd.kernels.neighbours import ROW_CODES

SEEDS = range(12 if COMPILED else 4)
SIZES = {
    "K": (1, 3, 10),
    "N": (1, 5, 26, 66),
    "B": (1, 3, 9),
    "M": (1, 3),
    "E": (1, 7, 96),
    "D": (1, 6, 16, 64),
    "R": (1, 8),
    "T": (3,),
    "V": (4,),
    "X": (16,),
    "S": (19,),
    "C": (1, 4, 17),
    "G": (1, 7),
    "Q": (8, 40, 1104),
    "J": (1, 5, 48),
    "Y": (5,),
    "H": (2,),
    "A": (50,),
    "W": (66, 70),
    "L": (1, 5, 12),
    "P": (17,),
}


def _precisions(rng, n, count):
    """Inverses of Gram matrices as snapshots hold them: float32, symmetric, of very different conditions."""
    matrices = []
    for _ in range(count):
        rows = rng.normal(size=(rng.integers(1, 3 * n + 2), n)) * rng.choice([0.1, 1.0, 10.0])
        inverse = np.linalg.inv(rows.T @ rows + np.eye(n))
        matrices.append((inverse + inverse.T) / 2)
    return np.array(matrices)


def _gram(rng, n):
    rows = rng.normal(size=(rng.integers(1, 3 * n + 2), n))
    return rows.T @ rows


def _theta(rng, s):
    if "Y" in s:
        return rng.normal(size=(3, s["N"])) * 0.1
    if "T" in s:
        return rng.normal(size=(s["N"], 3, s["K"])) * 0.1
    return rng.normal(size=(s["K"], s["N"]) if "B" in s else s["N"]) * 0.1


def _utilities(rng, k):
    kind = rng.integers(4)
    if kind == 0:
        return np.full(k, rng.normal())
    if kind == 1:
        return rng.integers(0, 3, k).astype(float)
    return rng.normal(size=k) * 10.0 ** rng.integers(-3, 3)


def _half_rows(rng, blocks, width, count):
    """Rows as the belief of neighbours keeps them: directions in float16, nothing subnormal; some stand twice."""
    rows = rng.normal(size=(blocks, count, width)) * (rng.random((blocks, count, width)) < 0.8)
    half = (rows / np.maximum(np.linalg.norm(rows, axis=2, keepdims=True), 1e-9)).astype(np.float16)
    half[np.abs(half) < 2.0**-14] = 0.0
    half[:, count // 2] = half[:, 0]
    return half.view(np.uint16)


def _pmf(rng, eligible):
    pmf = rng.random(len(eligible)) ** 4 * eligible
    return pmf / pmf.sum()


def _accounts(rng):
    """A budget's accounts: per request or within a window, with and without a price, in debt or not."""
    start, end = (1000.0, 5000.0) if rng.random() < 0.5 else (0.0, 0.0)
    account, prices = rng.choice([0.0, 40.0, -40.0, -400.0]) * rng.random(), sorted(rng.random(2))
    if rng.random() < 0.4:
        prices = [0.0, 0.0]
    due, recalled = rng.integers(0, 2, 2)
    count = int(rng.integers(0, 20))
    spending = [rng.random(), account, rng.random(), rng.random(), *prices, rng.random()]
    window = [start, end, rng.random() * 2, count, rng.choice([0.0, 0.01])]
    return np.array([count, *spending, *window, 1.0, due, recalled, rng.integers(0, 3)])


# What cannot be drawn from a standard normal distribution, by kernel and parameter; s holds the sizes.
SPECIAL = {
    # Models innermost where there are several.
    "a_inv": lambda rng, s: (
        _precisions(rng, s["N"], 3)
        if "Y" in s
        else np.moveaxis(_precisions(rng, s["N"], s["K"]), 0, 2)
        if "K" in s
        else _precisions(rng, s["N"], 1)[0]
    ),
    "noise": lambda rng, _: 0.01 + rng.random(),
    "offsets": lambda rng, s: np.vstack([rng.random(s["K"]), rng.normal(size=(2, s["K"]))]),
    "theta": _theta,
    "gram": lambda rng, s: np.stack([_gram(rng, s["N"])] * 2) if "H" in s else _gram(rng, s["N"]),
    "bits": lambda rng, s: (
        rng.integers(0, 2**32, (s["B"], s["N"])) if "N" in s else _half_rows(rng, s["B"], s["D"], s["Q"])
    ),
    "half": lambda rng, _: int(rng.integers(2)),
    "halves": lambda rng, s: rng.integers(0, 2, s["B"]),
    "prices": lambda rng, s: rng.choice([0.0, 1.0, 7.0], s["G"]),
    "weights": lambda rng, s: rng.choice([1.0, 0.3, 4.0], s["B"]),
    "ours": lambda rng, s: rng.integers(0, s["K"], (s["G"], s["B"])),
    "theirs": lambda rng, s: rng.integers(0, s["K"], (s["G"], s["B"])),
    "penalties": lambda rng, s: rng.uniform(0.1, 3.0, s["N"]),
    "root": lambda rng, s: np.linalg.cholesky(_gram(rng, s["N"]) + np.eye(s["N"])).T,
    "retention": lambda rng, _: rng.choice([1.0, rng.uniform(0.5, 1.0)]),
    "inout_codes": lambda rng, s: rng.choice([0, 0, 1, 3], (s["B"], s["K"]) if "B" in s else s["K"]),
    "left_usd": lambda rng, _: rng.choice([np.inf, 1.0]),
    "explorer": lambda rng, _: int(rng.integers(6)),
    "spend_share": lambda rng, _: rng.choice([0.0, 0.02, 1.0]),
    "allowance_usd": lambda rng, _: rng.choice([0.0, 0.1, math.inf]),
    "share_high": lambda rng, _: rng.choice([0.0, rng.random()]),
    "given": lambda rng, s: np.array([_pmf(rng, np.ones(s["K"], bool)) for _ in range(2)]),
    "uniform": lambda rng, s: rng.random(s["B"]) if "B" in s else rng.random(),
    "codes": lambda rng, s: rng.choice([0, 0, 0, 5], (s["B"], s["K"]) if "B" in s else s["K"]),
    "slots": lambda rng, s: rng.permutation(s["K"]),
    "previous_slot": lambda rng, s: int(rng.integers(-1, s["K"])),
    "half_variance": lambda rng, s: rng.random(s["K"]) * rng.choice([0.0, 1.0, 4.0]),
    "deviation": lambda rng, s: rng.random(s["K"]) * rng.choice([0.0, 1.0, 4.0]),
    "normal_quantile": lambda rng, _: rng.uniform(-2.4, 3.1),
    "chosen": lambda rng, s: int(rng.integers(s["K"])),
    "eligible": lambda rng, s: (np.arange(s["K"]) == rng.integers(s["K"])) | (rng.random(s["K"]) < 0.7),
    "u": lambda rng, s: _utilities(rng, s["K"]),
    "spread": lambda rng, s: np.abs(_utilities(rng, s["K"])),
    "sd": lambda rng, s: np.exp(rng.normal(size=s["K"]) * rng.choice([0, 1, 3])) * (rng.random(s["K"]) > 0.2),
    "caps": lambda rng, s: rng.choice([1.0, 1.0, 0.2, 0.05, 0.0], s["K"]),
    "known_from": lambda rng, _: rng.choice([0.0, 2.0, 15.0]),
    "evidence": lambda rng, s: rng.choice([0.0, 0.3, 2.0, 30.0, 1000.0], s["K"]),
    "alpha": lambda rng, _: rng.random(),
    "temperature": lambda rng, _: 10.0 ** rng.uniform(-2, 2),
    "gamma": lambda rng, s: rng.choice([1.0, rng.uniform(0.5, 1.0)]) if "N" in s else 10.0 ** rng.uniform(-2, 4),
    "floor": lambda rng, _: rng.choice([0.0, 0.05, 1.0, rng.random()]),
    "row_norm_max": lambda rng, _: 10.0 ** rng.uniform(-1, 2),
    "phase": lambda rng, s: rng.uniform(0, 2 * np.pi, s["R"]),
    "y": lambda rng, _: rng.normal(),
    "weight": lambda rng, _: rng.choice([0.0, 1.0, 2.0, rng.random()]),
    "cost": lambda rng, s: np.exp(rng.normal(size=(s["B"], s["K"]) if "B" in s else s["K"]) * 3.0),
    "base": lambda rng, s: _pmf(rng, np.ones(s["K"], bool)),
    "target_usd": lambda rng, _: np.exp(rng.normal() * 3.0),
    "price_max": lambda rng, _: 1e4,
    "margin": lambda rng, _: rng.uniform(0.01, 0.2),
    "cov": lambda rng, s: (
        np.moveaxis(_precisions(rng, s["N"], s["K"]), 0, 2) if "K" in s else _precisions(rng, s["N"], 1)[0]
    ),
    "cov_a": lambda rng, s: _precisions(rng, s["N"], 1)[0],
    "cov_b": lambda rng, s: _precisions(rng, s["N"], 1)[0],
    "shared": lambda rng, _: np.array([rng.normal() * 0.3, rng.random(), rng.normal() - 1.0, rng.random()]),
    "share_a": lambda rng, _: rng.choice([0.0, 0.3]),
    "share_b": lambda rng, _: rng.choice([0.0, 0.6]),
    "share_tie": lambda rng, _: rng.choice([0.0, 0.1]),
    "order": lambda rng, _: float(rng.integers(-1, 2)),
    "reliability": lambda rng, _: rng.choice([1.0, 0.9, 0.3]),
    "prior_precision": lambda rng, s: rng.uniform(0.1, 3, (3, s["N"]) if "Y" in s else s.get("N")),
    "live": lambda rng, s: 0.001 / s["K"] + 0.999 * _pmf(rng, np.ones(s["K"], bool)),
    "shadow": lambda rng, s: _pmf(rng, np.ones(s["K"], bool)),
    "expected": lambda rng, s: rng.random((s["B"], 3, s["K"]) if "B" in s else (3, s["K"])),
    "usd_weights": lambda rng, s: rng.choice([0.0, 0.5, 5.0], s["B"]),
    "drawn": lambda rng, s: rng.integers(0, s["K"], s["B"]),
    "usd_weight": lambda rng, _: rng.choice([0.0, 0.5, 5.0]),
    "second_weight": lambda rng, _: rng.choice([0.0, 100.0]),
    "common": lambda rng, s: np.stack([rng.normal(size=s["A"]), rng.uniform(0.01, 4.0, s["A"])]),
    "own": lambda rng, s: np.stack([rng.normal(size=s["A"]), rng.uniform(0.01, 1.0, s["A"])]),
    "embedding": lambda rng, s: (
        (rng.normal(size=(s["B"], s["E"]) if "B" in s else s["E"]) * 10.0 ** rng.uniform(-8, 1))
        .astype(np.float16)
        .view(np.uint16)
    ),
    "embeddings": lambda rng, s: (
        (rng.normal(size=(s["B"], s["E"])) * 10.0 ** rng.uniform(-8, 1)).astype(np.float16).view(np.uint16)
    ),
    "places": lambda rng, s: rng.integers(0, 64, s["E"]),
    "column": lambda rng, _: int(rng.choice([-1, 2, 17])),
    "owns": lambda rng, s: np.array([SPECIAL["own"](rng, s) for _ in range(s["K"])]),
    "models": lambda rng, s: rng.integers(0, s["K"], s["B"]),
    "columns": lambda rng, s: rng.choice([-1, 2, 17], s["B"]),
    "arrived": lambda rng, s: rng.integers(0, 2, s["B"]).astype(float),
    "counts": lambda rng, s: rng.choice([0, 0, 1, 2, 50], s["C"]),
    "means": lambda rng, s: rng.normal(size=s["C"]),
    "betweens": lambda rng, s: 10.0 ** rng.uniform(-3, 1, s["G"]),
    "between": lambda rng, _: 10.0 ** rng.uniform(-3, 1),
    "logs": lambda rng, _: int(rng.integers(2)),
    "variance": lambda rng, _: 10.0 ** rng.uniform(-3, 1, 3),
    "share": lambda rng, _: rng.uniform(0.01, 0.9),
    "sharpness": lambda rng, _: float(rng.choice([0.5, 1.0, 2.0, 4.0, 8.0])),
    "count": lambda rng, s: int(rng.integers(s.get("B", 1) * s["Q"] + 1)) if "Q" in s else float(rng.integers(2)),
    "inout_similarity": lambda rng, s: np.sort(
        np.where(rng.random(s["J"]) < rng.choice([0.0, 0.3, 1.0]), -2.0, 0.3 * rng.normal(size=s["J"]))
    ),
    "first": lambda rng, _: int(rng.integers(0, 1000)),
    "index": lambda rng, s: rng.integers(-1, 2000, s["J"]) if "J" in s else int(rng.integers(s["K"])),
    "similarity": lambda rng, s: -np.sort(-rng.uniform(-0.5, 1.01, s["J"])),
    "numbers": lambda rng, _: rng.integers(1, 50, (3, 5)).astype(float),
    "log_prices": lambda rng, s: rng.choice([math.nan, -3.0, 2.0], s["K"]),
    "guess_count": lambda rng, _: 25.0,
    "matrix": lambda rng, s: _gram(rng, s["N"]),
    # Near the threshold, and on both sides of the warm-up.
    "inout_sums": lambda rng, _: np.column_stack([rng.uniform(0.0, 10.0, (3, 2)), rng.integers(28, 33, 3)]),
    "of_quality": lambda rng, _: rng.choice([math.nan, math.inf, -9.0, 0.7]),
    "of_cost": lambda rng, _: rng.choice([math.nan, -math.inf, 9.0, 0.7]),
    "of_latency": lambda rng, _: rng.choice([math.nan, 1.5, -0.7]),
    "prior_theta": lambda rng, s: rng.normal(size=(3, s["N"]) if "Y" in s else s.get("N")),
    # Of several rounds in one call: what is learnt by, and what decisions read.
    "watches": lambda rng, _: int(rng.integers(2)),
    "inout_evidence": lambda rng, s: rng.choice([0.0, 2.0, 30.0], s["K"]) if "K" in s else None,
    "inout_a_invs": lambda rng, s: np.array([_precisions(rng, s["N"], 3) for _ in range(s["K"])]),
    "inout_numbers": lambda rng, s: rng.integers(1, 50, (s["K"], 3, 5)).astype(float),
    "inout_mirrored_theta": lambda rng, s: rng.normal(size=(s["N"], 3, s["K"])) * 0.1,
    "inout_mirrored_a_inv": lambda rng, s: np.moveaxis(_precisions(rng, s["N"], s["K"]), 0, 2),
    "inout_offsets": lambda rng, s: np.vstack([rng.random(s["K"]), rng.normal(size=(2, s["K"]))]),
    "inout_detectors": lambda rng, s: np.array([SPECIAL["inout_sums"](rng, s) for _ in range(s["K"])]),
    # Of a budget.
    "time_ms": lambda rng, _: rng.uniform(1500.0, 4500.0),
    "rival_usd": lambda rng, _: rng.choice([math.nan, 0.3]),
    "answers": lambda rng, s: rng.random((2, s["M"])),
    "inout_answers": lambda rng, s: rng.random((2, s["M"])),
    "inout_contexts": lambda rng, s: rng.random((2, s["M"], s["K"])),
    "inout_accounts": lambda rng, s: _accounts(rng)[: s["P"]],
    "costs": lambda rng, s: rng.random((s["B"], s["K"])),
    "cursor": lambda rng, _: int(rng.integers(0, 1000)),
}


def _arguments(kernel, seed):
    """Make arguments that are legal for *kernel*, read-only where it must not write."""
    rng = np.random.default_rng([seed, *kernel.name.encode()])
    letters = {letter for parameter in kernel.parameters for letter in parameter.shape}
    sizes = {letter: int(rng.choice(SIZES[letter])) for letter in sorted(letters)}
    names = list(inspect.signature(kernel.python).parameters)
    if "inout_a_invs" in names:
        sizes["P"] = int(rng.choice([0, 17]))  # without a budget, and with one
    drawn = {}
    for name, parameter in zip(names, kernel.parameters, strict=True):
        shape = tuple(sizes[letter] for letter in parameter.shape)
        value = None
        if name in SPECIAL and (shape or name != "u"):  # the u of draw is a uniform number
            value = SPECIAL[name](rng, sizes)
        if name == "pmf":
            eligible = np.array(SPECIAL["eligible"](rng, sizes))
            value = _pmf(rng, eligible)
            drawn["mask_of_pmf"] = eligible
        if name == "row_codes":
            rows = drawn["bits"].view(np.float16).astype(np.float32)
            value = np.rint(rows * np.float32(ROW_CODES)).astype(np.int8).transpose(0, 2, 1)
        if name == "inout_index":
            value = np.where(drawn["inout_similarity"] == -2.0, -1, 20_000 + np.arange(sizes["J"]))
        if name == "x" and "row_codes" in drawn:
            value = _half_rows(rng, 1, sizes["D"], 2).view(np.float16)[0, 1].astype(np.float32)
        if name == "eligible" and "mask_of_pmf" in drawn:
            value = drawn["mask_of_pmf"]
        if name == "values" and "explorer" in names:
            value = np.abs(rng.normal(size=shape))
        if name == "without":
            value = _pmf(rng, drawn["eligible"])
        if name == "inout_pmf":
            value = _pmf(rng, drawn["eligible"])
        if "inout_a_invs" in names and name in ("cost_usd_max", "latency_ms_max", "quality_min"):
            # Whom limits leave none for plays no round.
            value = -math.inf if name == "quality_min" else math.inf
        if value is None:
            value = rng.normal(size=shape) if shape else rng.random()
        if parameter.out:
            value = np.full(shape, 7.0)
        if shape:
            value = np.ascontiguousarray(value, parameter.dtype)
            assert value.shape == shape, name
        drawn[name] = value
    return [drawn[name] for name in names]


def _call(function, kernel, arguments):
    """Call with copies; return everything that was written or returned."""
    copies = [np.array(a) if isinstance(a, np.ndarray) else a for a in arguments]
    for copy, parameter in zip(copies, kernel.parameters, strict=True):
        if isinstance(copy, np.ndarray):
            copy.setflags(write=parameter.mutable)
    result = function(*copies)
    results = result if isinstance(result, tuple) else () if result is None else (result,)
    return [
        *(np.asarray(r) for r in results),
        *(copy for copy, parameter in zip(copies, kernel.parameters, strict=True) if parameter.mutable),
    ]


def _twin(kernel):
    return getattr(importlib.import_module(f"tests.reference.{kernel.module}"), kernel.name)


# Absolute, with as much relative: float32 sums of some dozens of terms of size 1 to 10, else rounding of float64.
TOLERANCE = {
    "predict_models": 3e-4,
    "predict_models_rows": 3e-4,
    "project": 2e-5,
    "project_rows": 2e-5,
    "fourier": 5e-6,
    "fourier_rows": 5e-6,
    "probability_best": 1e-7,
    "decide": 1e-7,
    "decide_rows": 1e-7,
    "predict_duel": 3e-4,
    "predict_duel_rows": 3e-4,
    "update_duel": 1e-8,
    "shrink": 1e-8,
    "add_evidence": 1e-8,
    "keep_nearest": 2e-5,
    "judge_neighbours": 1e-8,
    "update_ridge": 1e-9,
    "learn_metrics": 1e-9,
    "learn_metrics_rows": 1e-9,
    "expect_arrival": 1e-8,
    "update_arrivals": 1e-8,
    "factorise": 1e-9,
    "solve_factorised": 1e-9,
    "invert_factorised": 1e-9,
    "update_ridge_forgetting": 1e-9,
    "update_utility": 1e-8,
}


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_a_kernel_has_a_twin_with_the_same_parameters(name):
    """A kernel without an independent second opinion does not land."""
    assert list(inspect.signature(_twin(KERNELS[name])).parameters) == list(
        inspect.signature(KERNELS[name].python).parameters
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", sorted(KERNELS))
def test_a_kernel_equals_its_twin(name, seed):
    """What it writes and returns is what the other route gives, within the rounding of its arithmetic."""
    kernel = KERNELS[name]
    arguments = _arguments(kernel, seed)
    tolerance = TOLERANCE.get(name, 1e-12)
    ours = _call(kernel.function, kernel, arguments)
    theirs = _call(_twin(kernel), kernel, arguments)
    names = list(inspect.signature(kernel.python).parameters)
    written = [name for name, parameter in zip(names, kernel.parameters, strict=True) if parameter.mutable]
    results = ["result"] * (len(ours) - len(written))
    for place, our, their in zip(results + written, ours, theirs, strict=True):
        # Of a model that was no candidate a budget remembers nan.
        assert np.isfinite(their).all() or place == "inout_contexts"
        np.testing.assert_allclose(our, their, rtol=tolerance, atol=tolerance)


def test_rounds_are_played(monkeypatch):
    """The rounds above are not over before the first: several are played, with and without an alarm that ends them."""
    monkeypatch.setitem(SIZES, "N", (5,))
    kernel = KERNELS["play_rounds"]
    ends = set()
    for seed in range(12):
        arguments = _arguments(kernel, seed)
        played, *_ = _call(kernel.function, kernel, arguments)
        ends.add("all" if 1 < played == len(arguments[0]) else "some" if played > 0 else "none")
    assert {"all", "some"} <= ends


def _digests():
    """Hash what every kernel makes of the same arguments, bit for bit."""
    digests = {}
    for name, kernel in sorted(KERNELS.items()):
        for seed in range(3):
            results = _call(kernel.function, kernel, _arguments(kernel, seed))
            digests[f"{name} {seed}"] = hashlib.sha256(b"".join(r.tobytes() for r in results)).hexdigest()
    return digests


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_compiled_and_interpreted_give_the_same_bits(root_dir):
    """Strict arithmetic: no reordered sum, no fused multiply-add, no function of the C library. So machines agree.

    The interpreter runs in a process of its own, for in this one the helpers that kernels call are compiled too.
    """
    code = "import json; from tests.kernels import test_twins; print(json.dumps(test_twins._digests()))"
    interpreted = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=root_dir,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(interpreted.stdout) == _digests()


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_inputs_stay_as_they_were(name):
    """Read-only arrays are accepted, and only what is declared mutable is written."""
    kernel = KERNELS[name]
    arguments = _arguments(kernel, 0)
    copies = [np.array(a) if isinstance(a, np.ndarray) else a for a in arguments]
    kernel.function(*copies)
    for before, after, parameter in zip(arguments, copies, kernel.parameters, strict=True):
        if isinstance(before, np.ndarray) and not parameter.mutable:
            np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    "name, single",
    [
        ("predict_models_rows", "predict_models"),
        ("project_rows", "project"),
        ("fourier_rows", "fourier"),
    ],
)
@pytest.mark.parametrize("batch", [1, 2, 5, 70])
def test_a_batch_gives_the_bits_of_its_rows(name, single, batch, monkeypatch):
    """A prompt is routed alike alone and in a batch of any size."""
    monkeypatch.setitem(SIZES, "B", (batch if COMPILED else min(batch, 5),))
    monkeypatch.setitem(SIZES, "N", (26,))
    monkeypatch.setitem(SIZES, "E", (67,))
    kernel = KERNELS[name]
    arguments = _arguments(kernel, 3)
    together = _call(kernel.function, kernel, arguments)
    batched = ["B" in parameter.shape for parameter in kernel.parameters]
    for b in range(together[0].shape[0]):
        row = [argument[b] if is_batched else argument for argument, is_batched in zip(arguments, batched, strict=True)]
        alone = _call(KERNELS[single].function, KERNELS[single], row)
        for ours, theirs in zip(together, alone, strict=True):
            assert ours[b].tobytes() == theirs.tobytes()
