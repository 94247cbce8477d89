"""What features may rely on: bounded leverage, honest nan, and a kernel approximated."""

import numpy as np
import pytest

from banditd.kernels import fourier, project


def _project(x, *, scale=1.0, row_norm_max=5.0, columns=16):
    rng = np.random.default_rng(0)
    basis = (scale * np.linalg.qr(rng.normal(size=(len(x), columns)))[0]).astype(np.float32)
    row = np.full(columns + 3, 7, np.float32)
    embedding = np.asarray(x, np.float16).view(np.uint16)
    project(embedding, np.zeros(len(x), np.float32), basis, 0.25, row_norm_max, row)
    assert row[[0, 1, -1]].tolist() == [1.0, 0.25, 7.0]
    return row[2:-1]


@pytest.mark.parametrize("length", [1e-3, 1.0, 1e3, 2e4])
def test_a_row_is_never_longer_than_its_bound(length):
    """One strange prompt has no more leverage than the longest ordinary one; its direction stays."""
    x = np.random.default_rng(1).normal(size=64)
    out = _project(x * length, row_norm_max=2.0)
    assert np.linalg.norm(out.astype(float)) <= 2.0 * (1 + 1e-6)
    expected = _project(x, row_norm_max=1e9)
    assert np.corrcoef(out, expected)[0, 1] > 1 - 1e-6


def test_a_short_row_is_not_stretched():
    """The bound is a bound, not a normalisation."""
    x = np.random.default_rng(1).normal(size=64)
    np.testing.assert_array_equal(_project(x, row_norm_max=1e3), _project(x, row_norm_max=1e6))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_visible(wrong):
    """Nan and infinity come out as something that is not finite, for the caller to refuse."""
    x = np.ones(64)
    x[5] = wrong
    assert not np.isfinite(_project(x)).all()


def test_subnormal_results_are_zero():
    """They would slow down every product that they enter."""
    out = _project(np.full(64, 1e-3), scale=1e-37)
    assert not out.any()


def test_random_features_approximate_the_gaussian_kernel():
    """Inner products are within 4 standard errors of exp(-|a - b|^2 / 2) (Rahimi & Recht 2007)."""
    rng = np.random.default_rng(0)
    features = 4096
    omega = rng.normal(size=(8, features)).astype(np.float32)
    phase = rng.uniform(0, 2 * np.pi, features).astype(np.float32)
    for distance in (0.0, 0.5, 1.0, 2.0):
        a = rng.normal(size=8).astype(np.float32)
        step = rng.normal(size=8)
        b = (a + distance * step / np.linalg.norm(step)).astype(np.float32)
        out_a = np.empty(features, np.float32)
        out_b = np.empty(features, np.float32)
        fourier(a, omega, phase, out_a)
        fourier(b, omega, phase, out_b)
        assert abs(out_a @ out_b - np.exp(-(distance**2) / 2)) < 4 / np.sqrt(features)
