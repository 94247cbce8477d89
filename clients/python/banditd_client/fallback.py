"""What is answered when the router cannot be reached in time: the caller's own model, marked as such."""

from banditd_client.batch import RouteBatch
from banditd_client.convert import column
from banditd_client.enums import DecisionSource
from banditd_client.types import Route

_NAN = float("nan")


def fallback_route(model: str) -> Route:
    """Return the route to *model* that no router decided."""
    return Route(
        decision_id="",
        model=model,
        propensity=None,
        candidates=(),
        policy_version=0,
        source=DecisionSource.CLIENT_FALLBACK,
        learnable=False,
    )


def fallback_batch(model: str, rows: int) -> RouteBatch:
    """Return *rows* routes to *model* that no router decided."""

    def unknown(code: str) -> memoryview:
        return column("unknown", code, [_NAN] * rows, rows, 1)

    return RouteBatch(
        model_ids=(model,),
        decision_ids=("",) * rows,
        model_indices=column("model_indices", "i", [0] * rows, rows),
        propensities=column("propensities", "d", [_NAN] * rows, rows),
        probabilities=unknown("d"),
        expected_qualities=unknown("f"),
        expected_costs_usd=unknown("f"),
        expected_latencies_ms=unknown("f"),
        ranked_model_indices=column("ranked_model_indices", "B", [0] * rows, rows, 1),
        exclusion_reasons=(),
        sources=(DecisionSource.CLIENT_FALLBACK,) * rows,
        policy_version=0,
    )
