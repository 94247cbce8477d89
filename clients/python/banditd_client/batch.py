"""The answer to RouteBatch: columns that cost little to carry, and rows that are pleasant to read."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from banditd_client.enums import DecisionSource, ExclusionReason
from banditd_client.types import Candidate, Route


@dataclass(frozen=True, slots=True)
class RouteBatch:
    """One decision per prompt. `batch[r]`, `len(batch)` and iteration give rows as `Route`.

    The matrices are memory views of shape (rows, models): `batch.probabilities[r, k]`; `numpy.asarray(view)` makes an
    array of one without a copy.
    """

    model_ids: tuple[str, ...]
    """What the second axis of the matrices counts."""
    decision_ids: tuple[str, ...]
    model_indices: memoryview
    """int32, (rows,): which of `model_ids` was chosen."""
    propensities: memoryview
    """float64, (rows,): probability with which it was drawn. NaN in a client-side fallback."""
    probabilities: memoryview
    """float64, (rows, models); 0 where the model was excluded. NaN in a client-side fallback."""
    expected_qualities: memoryview
    """float32, (rows, models). NaN where unknown."""
    expected_costs_usd: memoryview
    """float32, (rows, models). NaN where unknown."""
    expected_latencies_ms: memoryview
    """float32, (rows, models). NaN where unknown."""
    ranked_model_indices: memoryview
    """uint8, (rows, models): the models in rank order, the chosen one first and the excluded ones last."""
    exclusion_reasons: tuple[ExclusionReason | None, ...]
    """Row after row, None where the model was eligible. Empty means that all were."""
    sources: tuple[DecisionSource, ...]
    policy_version: int
    create_time: datetime | None = None
    rival_indices: memoryview | None = None
    """int32, (rows,): which of `model_ids` to compare the chosen one with; -1 for none. None unless pairs were asked
    for."""
    rival_probabilities: memoryview | None = None
    """float64, (rows, models): of each to be that one. None unless pairs were asked for."""

    @property
    def models(self) -> list[str]:
        """The model to call, per row."""
        return [self.model_ids[k] for k in self.model_indices]

    def __len__(self) -> int:
        return len(self.decision_ids)

    def __iter__(self) -> Iterator[Route]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, row: int) -> Route:
        """Return row *row* as `route` would have answered it."""
        rows = len(self)
        if not -rows <= row < rows:
            raise IndexError(f"row: expected {-rows}..{rows - 1}, got {row}")
        row %= rows
        source = self.sources[row]
        chosen = self.model_indices[row]
        propensity = None if source is DecisionSource.CLIENT_FALLBACK else self.propensities[row]
        ranked = [self.ranked_model_indices[row, place] for place in range(len(self.model_ids))]
        rival = -1 if self.rival_indices is None else self.rival_indices[row]
        pair_propensity = None
        if rival >= 0 and self.rival_probabilities is not None:
            pair_propensity = self.propensities[row] * self.rival_probabilities[row, rival]
        return Route(
            decision_id=self.decision_ids[row],
            model=self.model_ids[chosen],
            propensity=propensity,
            candidates=() if propensity is None else tuple(self._candidate(row, k) for k in ranked),
            policy_version=self.policy_version,
            source=source,
            # The rule by which the server fills RouteResponse.learnable; the batch does not carry it.
            learnable=source in {DecisionSource.POLICY, DecisionSource.UNHEALTHY},
            create_time=self.create_time,
            rival="" if rival < 0 else self.model_ids[rival],
            pair_propensity=pair_propensity,
        )

    def _candidate(self, row: int, k: int) -> Candidate:
        reasons = self.exclusion_reasons
        return Candidate(
            model=self.model_ids[k],
            probability=self.probabilities[row, k],
            expected_quality=_known(self.expected_qualities[row, k]),
            expected_cost_usd=_known(self.expected_costs_usd[row, k]),
            expected_latency_ms=_known(self.expected_latencies_ms[row, k]),
            exclusion_reason=reasons[row * len(self.model_ids) + k] if reasons else None,
            rival_probability=(
                None
                if self.rival_probabilities is None or self.rival_indices is None or self.rival_indices[row] < 0
                else self.rival_probabilities[row, k]
            ),
        )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
