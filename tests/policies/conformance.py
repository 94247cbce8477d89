"""The checks that every preset must pass, whatever its belief and explorer."""

from collections.abc import Iterable

import numpy as np

from banditd.domain.arrays import Array16, Array64
from banditd.domain.decision import Choice, Limits, Objective
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.kernels.exploration import draw
from banditd.policies.registry import resolve
from banditd.routing.choose import Terms, choose
from banditd_sim.environments.engine import Engine

DIMENSION = 24
MODELS = 5
FREE = Terms(Objective(usd_weight=20.0, second_weight=0.01))


def models(count: int = MODELS) -> tuple[ModelSpec, ...]:
    """Models of which one is free and one has no price."""
    prices = [None, Price(0.0, 0.0), Price(0.1, 0.3), Price(2.0, 8.0), Price(15.0, 60.0)]
    return tuple(
        ModelSpec(slot, f"model-{slot}", prices[slot % len(prices)], tags=("even",) if slot % 2 == 0 else ())
        for slot in range(count)
    )


def prompts(count: int, seed: int) -> Array16:
    """Unit vectors, as they are logged."""
    x = np.random.default_rng(seed).standard_normal((count, DIMENSION))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16)


def lessons(count: int, seed: int) -> Iterable[Lesson]:
    """Whatever may be learnt: some metrics are missing, each in its own way."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        seen = rng.random(3) < 0.8
        yield Lesson(
            quality=float(rng.random()) if seen[0] else None,
            cost_usd=float(rng.lognormal(-7.0, 2.0)) if seen[1] else None,
            price_mtok_usd=None,
            latency_ms=float(rng.lognormal(7.0, 1.0)) if seen[2] else None,
        )


def taught(preset: str, rounds: int, seed: int = 0, **parameters: float) -> Engine:
    """An engine after *rounds* decisions, all with outcomes, across at least one fit of its encoding."""
    router = RouterSpec("conformance", PolicySpec(preset, parameters), embedding_dimension=DIMENSION)
    engine = Engine(router, models(), seed)
    for x, lesson in zip(prompts(rounds, seed), lessons(rounds, seed), strict=True):
        engine.learn(*engine.route(x, Terms(Objective())), lesson)
    return engine


def choices(engine: Engine, terms: Terms, count: int = 64, seed: int = 99) -> list[Choice]:
    """Choices for fresh prompts; the engine stays as it is."""
    from banditd.domain.context import Context

    snapshot = engine.snapshot.routers["conformance"]
    uniforms = np.random.default_rng(seed).random(count)
    return [
        choose(snapshot, Context(x, int(50 * u * 100)), terms, float(u))
        for x, u in zip(prompts(count, seed), uniforms, strict=True)
    ]


def check_pmf(engine: Engine, preset: str) -> None:
    """A pmf sums to one, is zero where ineligible and keeps the floor."""
    floor = resolve(PolicySpec(preset)).floor
    variants = (
        Terms(Objective()),
        FREE,
        Terms(Objective(), Limits(required_tags=("even",))),
        Terms(Objective(), Limits(latency_ms_max=5000.0, cost_usd_max=1.0)),
        Terms(Objective(usd_weight=1e9)),
        Terms(Objective(), candidates=np.array([1, 3])),
        Terms(Objective(), candidates=np.array([2])),
    )
    for terms in variants:
        for choice in choices(engine, terms):
            eligible = choice.exclusions == 0
            assert abs(choice.pmf.sum() - 1.0) < 1e-12
            assert (choice.pmf[~eligible] == 0.0).all()
            # Where money matters the floor keeps to a share of the spend; it never falls to zero.
            least = floor / eligible.sum() * (1 - 1e-12) if terms.objective.usd_weight == 0.0 else 5e-324
            assert (choice.pmf[eligible] >= least).all()
            assert eligible[choice.index]
            assert 0.0 < choice.propensity <= 1.0


def check_frequencies(engine: Engine, draws: int = 100_000) -> None:
    """Models are drawn as often as their probabilities say: chi-square below its 1e-6 quantile."""
    from scipy.stats import chi2

    choice = choices(engine, FREE, 1)[0]
    uniforms = np.random.default_rng(7).random(draws)
    drawn = np.bincount([draw(choice.pmf, u) for u in uniforms], minlength=MODELS)
    expected = choice.pmf * draws
    seen = expected > 0
    assert (drawn[~seen] == 0).all()
    statistic = float(np.sum((drawn[seen] - expected[seen]) ** 2 / expected[seen]))
    assert statistic <= chi2.isf(1e-6, max(1, seen.sum() - 1)) or seen.sum() == 1


def parameters_of(engine: Engine) -> dict[str, Array64]:
    """The belief's arrays."""
    belief = engine.state.routers["conformance"].belief
    assert belief is not None
    return belief.to_arrays()
