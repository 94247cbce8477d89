"""Ridge regression: the recursive state is the batch solution, stays positive definite, and never forgets its prior."""

import numpy as np
import pytest

from banditd.kernels import COMPILED, learn_metrics, mirror_model, predict_models, update_ridge, update_ridge_forgetting

N = 12 if COMPILED else 5
STEPS = 10_000 if COMPILED else 400


def _start(n=N, precision=1.0):
    return np.eye(n) / precision, np.zeros(n)


def _contexts(kind, rng, steps, n=N):
    rows = rng.normal(size=(steps, n))
    if kind == "collinear":
        rows = rng.normal(size=(steps, 1)) * rng.normal(size=n)
    if kind == "repeated":
        rows = np.repeat(rows[:3], -(-steps // 3), axis=0)[:steps]
    if kind == "zero":
        rows[::2] = 0.0
    if kind == "long":
        rows *= 1e3 / np.linalg.norm(rows, axis=1, keepdims=True)
    if kind == "mixed":
        rows *= 10.0 ** rng.integers(-3, 4, (steps, 1))
    return rows.astype(np.float32)


KINDS = ["ordinary", "collinear", "repeated", "zero", "long", "mixed"]


@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_updates_leave_the_inverse_an_inverse(kind):
    """||A A^-1 - I|| < 1e-6, theta solves the normal equations, A^-1 is symmetric to the bit and positive definite."""
    rng = np.random.default_rng(3)
    a_inv, theta = _start()
    x = _contexts(kind, rng, STEPS)
    y = rng.normal(size=STEPS)
    for row, value in zip(x, y, strict=True):
        update_ridge(a_inv, theta, row, value, 1.0)
    x = x.astype(float)
    gram = np.eye(N) + x.T @ x
    assert np.linalg.norm(gram @ a_inv - np.eye(N)) < 1e-6
    np.testing.assert_allclose(theta, np.linalg.solve(gram, x.T @ y), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(a_inv, a_inv.T)
    assert np.linalg.eigvalsh(a_inv)[0] > 0.0


def test_hand_worked():
    """X = I, y = (3, 5), prior precision 2: A = 3 I, theta = y / 3; the returns are from before each update."""
    a_inv, theta = _start(2, precision=2.0)
    assert update_ridge(a_inv, theta, np.array([1, 0], np.float32), 3.0, 1.0) == (0.0, 0.5)
    assert update_ridge(a_inv, theta, np.array([0, 1], np.float32), 5.0, 1.0) == (0.0, 0.5)
    np.testing.assert_allclose(theta, [1.0, 5 / 3])
    np.testing.assert_allclose(a_inv, np.eye(2) / 3, atol=1e-16)
    prediction, leverage = update_ridge(a_inv, theta, np.array([1, 1], np.float32), 0.0, 0.0)
    assert prediction == pytest.approx(1 + 5 / 3)
    assert leverage == pytest.approx(2 / 3)


def test_order_does_not_matter():
    """Outcomes that arrive shuffled give the same state, up to rounding."""
    rng = np.random.default_rng(0)
    x, y = _contexts("ordinary", rng, 200), rng.normal(size=200)
    states = []
    for order in (np.arange(200), rng.permutation(200)):
        a_inv, theta = _start()
        for i in order:
            update_ridge(a_inv, theta, x[i], y[i], 1.0)
        states.append((a_inv, theta))
    np.testing.assert_allclose(states[0][0], states[1][0], rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(states[0][1], states[1][1], rtol=1e-9, atol=1e-12)


def test_weight_two_is_twice():
    """And weight nought changes no bit."""
    rng = np.random.default_rng(0)
    once, twice = _start(), _start()
    for row in _contexts("ordinary", rng, 50):
        update_ridge(*once, row, 0.7, 2.0)
        before = [array.tobytes() for array in once]
        update_ridge(*once, row, 5.0, 0.0)
        assert [array.tobytes() for array in once] == before
        update_ridge(*twice, row, 0.7, 1.0)
        update_ridge(*twice, row, 0.7, 1.0)
    np.testing.assert_allclose(once[0], twice[0], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(once[1], twice[1], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["x", "y", "weight"])
@pytest.mark.parametrize("gamma", [None, 1.0, 0.9])
def test_what_is_not_finite_changes_nothing(wrong, place, gamma):
    """Poison does not enter the state: not one bit changes, and the returns say so."""
    rng = np.random.default_rng(0)
    a_inv, theta = _start()
    for row in _contexts("ordinary", rng, 20):
        update_ridge(a_inv, theta, row, 1.0, 1.0)
    before = a_inv.tobytes() + theta.tobytes()
    x, y, weight = _contexts("ordinary", rng, 1)[0], 1.0, 1.0
    if place == "x":
        x[2] = wrong
    if place == "y":
        y = wrong
    if place == "weight":
        weight = wrong
    if gamma is None:
        returned = update_ridge(a_inv, theta, x, y, weight)
    else:
        returned = update_ridge_forgetting(a_inv, theta, x, y, weight, np.ones(N), np.zeros(N), gamma, 3)
    assert np.isnan(returned).all()
    assert a_inv.tobytes() + theta.tobytes() == before


def test_a_negative_weight_changes_nothing():
    """Taking back an observation is done by replay: downdating an inverse loses its definiteness."""
    a_inv, theta = _start()
    returned = update_ridge(a_inv, theta, np.ones(N, np.float32), 1.0, -0.01)
    assert np.isnan(returned).all()
    np.testing.assert_array_equal(a_inv, np.eye(N))


def test_forgetting_nothing_is_the_plain_update_to_the_bit():
    """With gamma = 1 the two kernels are one, whatever the cursor and the prior."""
    rng = np.random.default_rng(0)
    plain, forgetting = _start(), _start()
    for cursor, row in enumerate(_contexts("mixed", rng, 300)):
        y = rng.normal()
        returned = update_ridge(*plain, row, y, 1.0)
        also = update_ridge_forgetting(*forgetting, row, y, 1.0, np.full(N, 3.0), np.full(N, -1.0), 1.0, cursor)
        assert returned == also
        assert plain[0].tobytes() == forgetting[0].tobytes()
        assert plain[1].tobytes() == forgetting[1].tobytes()


@pytest.mark.parametrize("kind", ["collinear", "repeated", "zero", "ordinary"])
@pytest.mark.parametrize("gamma", [0.9, 0.99, 0.999])
def test_forgetting_never_forgets_the_prior(kind, gamma):
    """After 1e5 updates no direction's variance exceeds the prior's by more than the factor gamma^-N."""
    n = 6
    steps = 100_000 if COMPILED else 1_000
    rng = np.random.default_rng(0)
    prior_precision = rng.uniform(0.5, 4.0, n)
    prior_theta = rng.normal(size=n)
    a_inv, theta = np.diag(1 / prior_precision), prior_theta.copy()
    worst = 0.0
    for cursor, row in enumerate(_contexts(kind, rng, steps, n)):
        update_ridge_forgetting(a_inv, theta, row, 0.5, 1.0, prior_precision, prior_theta, gamma, cursor)
        if cursor % 997 == 0 or cursor > steps - 2 * n:
            # Largest ratio of a variance to the prior's, over all directions.
            root = np.sqrt(prior_precision)
            eigenvalues = np.linalg.eigvalsh(root[:, None] * a_inv * root)
            assert eigenvalues[0] > 0.0
            worst = max(worst, eigenvalues[-1])
    np.testing.assert_array_equal(a_inv, a_inv.T)
    assert np.isfinite(theta).all()
    assert worst <= gamma**-n * (1 + 1e-9)
    if kind == "collinear" and gamma < 0.99:
        assert worst > 1.0  # the bound is not met by standing still


def test_the_fixed_point_is_discounted_data_plus_prior():
    """In the long run A = discounted Gram matrix + prior (averaged over a round), and theta goes to its solution."""
    n, gamma = 4, 0.998
    rng = np.random.default_rng(0)
    prior_precision, prior_theta = np.array([5.0, 50.0, 5.0, 500.0]), np.array([1.0, -1.0, 0.5, 2.0])
    a_inv, theta = np.diag(1 / prior_precision), prior_theta.copy()
    gram, moment = np.zeros((n, n)), np.zeros(n)
    for cursor, row in enumerate(_contexts("ordinary", rng, 6_000, n)):
        y = rng.normal()
        update_ridge_forgetting(a_inv, theta, row, y, 1.0, prior_precision, prior_theta, gamma, cursor)
        x = row.astype(float)
        gram = gamma * gram + np.outer(x, x)
        moment = gamma * moment + y * x
    total = gram + np.diag(prior_precision)
    np.testing.assert_allclose(np.linalg.inv(a_inv), total, rtol=0.01, atol=1e-9)
    np.testing.assert_allclose(theta, np.linalg.solve(total, moment + prior_precision * prior_theta), atol=0.01)


def test_an_idle_model_grows_less_certain_but_no_more_than_at_the_start():
    """Weight 0 only lets time pass: the width of a stale model grows back to the prior's."""
    a_inv, theta = _start(4)
    x = np.ones(4, np.float32)
    for cursor in range(200):
        update_ridge_forgetting(a_inv, theta, x, 1.0, 1.0, np.ones(4), np.zeros(4), 0.99, cursor)
    widths = []
    for cursor in range(2_000):
        update_ridge_forgetting(a_inv, theta, x, 0.0, 0.0, np.ones(4), np.zeros(4), 0.99, cursor)
        widths.append(x @ a_inv @ x)
    assert widths[0] < 0.1
    assert widths[-1] == pytest.approx(4.0, rel=0.05)
    assert max(widths) <= 4.0 * 0.99**-4
    np.testing.assert_allclose(theta, 0.0, atol=0.05)


def test_scores_never_have_a_negative_width():
    """Rounding of a nearly singular matrix would give a small negative one, whose root is nan; a real nan stays."""
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(40, N))
    a_inv = np.einsum("ki,kj->kij", direction, direction).astype(np.float32)
    # Orthogonal to the direction, as far as float32 can say.
    x = rng.normal(size=N)
    widths = []
    for k in range(40):
        x_k = (x - direction[k] * (x @ direction[k]) / (direction[k] @ direction[k])).astype(np.float32)
        deviation = _deviation(a_inv[k], x_k)
        raw = x_k @ (a_inv[k] @ x_k)
        widths.append(deviation)
        assert 0.0 <= deviation**2 < 1e-5
        assert abs(deviation**2 - raw) < 2e-5
    assert min(widths) == 0.0
    x_k[1] = np.nan
    assert np.isnan(_deviation(a_inv[0], x_k))


def _deviation(a_inv, x):
    """The deviation that one model's matrix gives, for unit noise."""
    values = np.empty((4, 1))
    theta = np.zeros((len(x), 3, 1), np.float32)
    predict_models(theta, np.ascontiguousarray(a_inv[:, :, None]), np.ones((3, 1)), x, values)
    return values[1, 0]


@pytest.mark.parametrize("gamma", [1.0, 0.9])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_metric_that_was_not_seen_keeps_its_bits(gamma, value):
    """Nor does one learn what is not finite; the others learn as they would alone."""
    rng = np.random.default_rng(3)
    row = rng.normal(size=N).astype(np.float32)
    states = []
    for quality in (value, 0.3):
        a_inv, theta = np.stack([np.eye(N)] * 3), np.zeros((3, N))
        numbers = np.tile([0.0, 2.0, 10.0, 0.0, 7.0], (3, 1))
        residuals = learn_metrics(
            a_inv, theta, numbers, np.zeros((3, N)), np.ones((3, N)), gamma, row, quality, 0.5, -1.0, 1.0
        )
        states.append((a_inv, theta, numbers, residuals))
    unseen, seen = states
    np.testing.assert_array_equal(unseen[0][0], np.eye(N))
    np.testing.assert_array_equal(unseen[1][0], np.zeros(N))
    np.testing.assert_array_equal(unseen[2][0], [0.0, 2.0, 10.0, 0.0, 7.0])
    assert np.isnan(unseen[3][0])
    assert np.isfinite(seen[3]).all()
    for ours, theirs in zip(unseen[:3], seen[:3], strict=True):
        np.testing.assert_array_equal(ours[1:], theirs[1:])
    assert unseen[3][1:] == seen[3][1:]


def test_a_cost_without_a_price_is_known_once_it_was_seen():
    """In dollars; where nothing was seen it is unknown, and a free model costs nothing whatever was seen."""
    numbers = np.tile([0.0, 2.0, 10.0, 0.0, 0.0], (3, 1))
    log_prices = np.array([np.nan, -np.inf])
    found = []
    for count in (0.0, 5.0):
        numbers[1, 0] = count
        offsets, evidence = np.empty((3, 2)), np.empty(2)
        theta, a_inv = np.empty((N, 3, 2), np.float32), np.empty((N, N, 2), np.float32)
        for k in range(2):
            state = np.stack([np.eye(N)] * 3), np.zeros((3, N)), numbers
            mirror_model(*state, log_prices, 10.0, k, theta, a_inv, offsets, evidence)
        found.append(offsets[1])
    np.testing.assert_array_equal(found, [[np.nan, -np.inf], [0.1, -np.inf]])
