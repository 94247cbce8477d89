"""The duel belief: a utility per model on the encoded context, learnt from comparisons and from scores alike.

theta_k'x is the utility of model k, with a Gaussian posterior per model. A comparison is a vote by Rao & Kupper 1967; a
score in [0, 1] is a share of votes against what is just good enough, whose utility is 0: E[score] = s(theta'x). So both
move the same utilities, and the expected quality s(theta'x) is on the scores' scale. Where there are only comparisons
the origin is that of the prior, and only differences mean anything.

A score is not one vote: its dispersion phi, the variance of scores relative to that of votes of the same mean
(McCullagh & Nelder 1989, section 4.5), is learnt per model, and a score counts for 1 / phi votes.

Cost and latency are those of a linear belief, which learns everything but quality.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import numpy as np

from banditd.domain.arrays import AnyArray, Array32, Array64, frozen
from banditd.domain.comparison import Comparison
from banditd.domain.decision import Decision
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson
from banditd.errors import DataLossError, Reason
from banditd.features.spec import INTERCEPT, FeatureSpec
from banditd.kernels.duel import predict_duel, predict_duel_rows, update_duel, update_utility
from banditd.policies.base import BeliefSnapshot, ModelSummary, Prediction, Residuals
from banditd.policies.beliefs.judges import Judges, is_of_judges
from banditd.policies.beliefs.linear import LinearBelief
from banditd.policies.registry import PolicyParameters

# Dispersion of scores before any is seen, relative to votes: that of a standard deviation of 0.25 around 0.5.
_DISPERSION_GUESS: Final = 0.25
# How many scores that guess counts for.
_DISPERSION_COUNT: Final = 10.0
# A score counts for at most this many votes, so that scores which never vary do not freeze the belief.
_DISPERSION_MIN: Final = 0.02
# Guesses beyond these have no finite logit.
_QUALITY_MIN: Final = 0.01
_MODERATION: Final = math.pi / 8.0
_MONEY: Final = "money/"


class Utility:
    """One model's utility. Mutable; the writer's thread only.

    Attributes:
        cov: Shape (N, N), float64.
        mean: Shape (N,), float64.
        numbers: Shape (5,), float64: prior mean, scores learnt, sum of squared Pearson residuals, their count,
            comparisons learnt.
    """

    __slots__ = ("cov", "mean", "numbers")

    def __init__(self, penalties: Array64, prior_mean: float) -> None:
        self.cov: Array64 = np.diag(1.0 / penalties)
        self.mean: Array64 = np.zeros_like(penalties)
        self.mean[INTERCEPT] = prior_mean
        self.numbers: Array64 = np.array(
            [prior_mean, 0.0, _DISPERSION_COUNT * _DISPERSION_GUESS, _DISPERSION_COUNT, 0.0]
        )

    @property
    def dispersion(self) -> float:
        """Variance of a score relative to a vote's."""
        return max(float(self.numbers[2] / self.numbers[3]), _DISPERSION_MIN)

    @property
    def learnt_count(self) -> int:
        """Scores and comparisons learnt."""
        return int(self.numbers[1] + self.numbers[4])

    def learn(self, row: Array32, score: float, weight: float) -> None:
        """Learn a score that counts for *weight* scores."""
        utility, leverage = update_utility(self.cov, self.mean, row, score, weight / self.dispersion)
        if not math.isfinite(utility):
            return  # the kernels change nothing where an input is not finite, and neither do we
        p = expected_quality(utility, leverage)
        variance = p * (1.0 - p)
        self.numbers[1] += 1.0
        self.numbers[2] += weight * min((score - p) ** 2 / max(variance, 1e-6), 10.0)
        self.numbers[3] += weight

    def suppose(self, score: float, strength: float) -> None:
        """Take *strength* scores at the average prompt for seen; they say nothing of how scores disperse."""
        unit = np.zeros(len(self.mean), np.float32)
        unit[INTERCEPT] = 1.0
        bounded = min(max(score, _QUALITY_MIN), 1.0 - _QUALITY_MIN)
        update_utility(self.cov, self.mean, unit, bounded, strength / self.dispersion)


def expected_quality(utility: float, variance: float) -> float:
    """Return the expected s(u) of u with a Gaussian distribution (MacKay 1992)."""
    z = utility / math.sqrt(1.0 + _MODERATION * max(variance, 0.0))
    return 1.0 / (1.0 + math.exp(-z)) if z >= 0.0 else 1.0 - 1.0 / (1.0 + math.exp(z))


@dataclass(frozen=True, slots=True)
class DuelSnapshot:
    """A frozen duel belief over K models.

    Attributes:
        mean: Shape (N, K), float32; models innermost, as kernels read.
        cov: Shape (N, N, K), float32.
        money: What is believed of cost and latency.
        learnt_count: Scores and comparisons learnt, over all models.
    """

    mean: Array32
    cov: Array32
    money: BeliefSnapshot
    learnt_count: int

    @property
    def evidence(self) -> None:
        """Not told."""
        return

    @property
    def latency_half_variance(self) -> Array64:
        """Shape (K,), half the variance of a log latency."""
        return self.money.latency_half_variance

    def predict(self, row: Array32, category: str = "") -> Prediction:  # noqa: ARG002 - as others have it
        """Return what is expected for one encoded context, shape (N,)."""
        prediction = self.money.predict(row)
        predict_duel(self.mean, self.cov, row, prediction.values)
        return prediction

    def predict_rows(
        self,
        rows: Array32,
        categories: Sequence[str] | None = None,  # noqa: ARG002 - as others have it
    ) -> Prediction:
        """Return the same for rows (B, N)."""
        prediction = self.money.predict_rows(rows)
        predict_duel_rows(self.mean, self.cov, rows, prediction.values)
        return prediction


class DuelBelief:
    """A duel belief that learns; the writer's thread only.

    Args:
        parameters: Of the policy.
        features: How rows are encoded, N values each.
        quality_guess: Of a model that has none of its own.
    """

    def __init__(self, parameters: PolicyParameters, features: FeatureSpec, quality_guess: float) -> None:
        self._quality_guess = quality_guess
        self._penalties = np.full(features.row_width, parameters.slope_penalty)
        self._penalties[INTERCEPT] = parameters.intercept_penalty
        self._utilities: dict[int, Utility] = {}
        self._judges = Judges()
        self._money = LinearBelief(parameters, features, quality_guess)
        self._changed: set[int] = set()
        self._last: tuple[tuple[ModelSpec, ...], DuelSnapshot] | None = None

    def learn(
        self,
        model: ModelSpec,
        row: Array32,
        lesson: Lesson,
        category: str = "",  # noqa: ARG002 - as others have it
        decision: Decision | None = None,  # noqa: ARG002 - as others have it
    ) -> Residuals | None:
        """Learn what was seen of one model; what money and time missed by is told, a quality's error is no residual."""
        if lesson.quality is not None:
            self._utility(model).learn(row, lesson.quality, lesson.weight)
            self._changed.add(model.slot)
        rest = msgspec.structs.replace(lesson, quality=None)
        return self._money.learn(model, row, rest) if rest.metrics else None

    def compare(self, model_a: ModelSpec, model_b: ModelSpec, row: Array32, comparison: Comparison) -> None:
        """Learn who did better in one encoded context."""
        a, b = self._utility(model_a), self._utility(model_b)
        judge, shares = comparison.judge, comparison.shares
        expected_a, expected_b = update_duel(
            a.cov,
            a.mean,
            b.cov,
            b.mean,
            self._judges.shared,
            row,
            *shares,
            comparison.order,
            self._judges.reliability(judge),
            comparison.weight,
        )
        if not math.isfinite(expected_a):
            return
        self._judges.learn(judge, shares, expected_a, expected_b)
        for model, utility in ((model_a, a), (model_b, b)):
            utility.numbers[4] += 1.0
            self._changed.add(model.slot)

    def suppose(self, model: ModelSpec, quality: float, strength: float) -> None:
        """Set the prior of a model's quality at the average prompt."""
        self._utility(model).suppose(quality, strength)
        self._changed.add(model.slot)

    def change_model(self, old: ModelSpec | None, new: ModelSpec | None) -> None:
        """Take note of a model that came, changed or went."""
        self._money.change_model(old, new)
        if new is None:
            if old is not None:
                self._utilities.pop(old.slot, None)
            return
        utility = self._utilities.get(new.slot)
        if utility is None or old is None:
            return
        # To first order, as if the data had been seen from the other prior.
        prior = self._prior_mean(new)
        by = float(self._penalties[INTERCEPT]) * (prior - float(utility.numbers[0]))
        utility.mean += utility.cov[:, INTERCEPT] * by
        utility.numbers[0] = prior
        self._changed.add(new.slot)

    def freeze(
        self,
        models: tuple[ModelSpec, ...],
        *,
        live: bool = False,  # noqa: ARG002 - as others have it
    ) -> DuelSnapshot:
        """Return a frozen copy that speaks of *models*, in their order; only what changed is copied anew."""
        width = len(self._penalties)
        if self._last is not None and self._last[0] == models:
            mean, cov = self._last[1].mean.copy(), self._last[1].cov.copy()
            stale = [k for k, model in enumerate(models) if model.slot in self._changed]
        else:
            mean = np.empty((width, len(models)), np.float32)
            cov = np.empty((width, width, len(models)), np.float32)
            stale = list(range(len(models)))
        for k in stale:
            utility = self._peek(models[k])
            mean[:, k], cov[:, :, k] = utility.mean, utility.cov
        snapshot = DuelSnapshot(
            mean=frozen(mean),
            cov=frozen(cov),
            money=self._money.freeze(models),
            learnt_count=sum(utility.learnt_count for utility in self._utilities.values()),
        )
        self._last = (models, snapshot)
        self._changed.clear()
        return snapshot

    def summary(self, model: ModelSpec) -> ModelSummary:
        """Return what is held of one model; the average prompt is the row that is 0 but for its intercept."""
        utility = self._peek(model)
        variance = float(utility.cov[INTERCEPT, INTERCEPT])
        quality = expected_quality(float(utility.mean[INTERCEPT]), variance)
        return replace(
            self._money.summary(model),
            quality_count=int(utility.numbers[1]),
            quality=quality,
            deviation=quality * (1.0 - quality) * math.sqrt(max(variance, 0.0)),
        )

    def to_arrays(self) -> dict[str, AnyArray]:
        """Return the whole state as named arrays."""
        arrays: dict[str, AnyArray] = {}
        for slot in sorted(self._utilities):
            for part in Utility.__slots__:
                arrays[f"{slot}/UTILITY/{part}"] = getattr(self._utilities[slot], part)
        arrays |= self._judges.to_arrays()
        return arrays | {_MONEY + name: array for name, array in self._money.to_arrays().items()}

    def load_arrays(self, arrays: Mapping[str, AnyArray]) -> None:
        """Put the state that `to_arrays` returned in the place of this one; raises DataLossError."""
        width = len(self._penalties)
        shapes = {"cov": (width, width), "mean": (width,), "numbers": (5,)}
        own = [name for name in arrays if not name.startswith(_MONEY) and not is_of_judges(name)]
        utilities: dict[int, Utility] = {}
        for slot in sorted({int(name.split("/")[0]) for name in own}):
            utility = Utility(self._penalties, 0.0)
            for part, shape in shapes.items():
                array = arrays.get(f"{slot}/UTILITY/{part}")
                if array is None or array.shape != shape:
                    got = None if array is None else array.shape
                    raise DataLossError(Reason.CORRUPT_RECORD, f"snapshot: expected {part} of shape {shape}, got {got}")
                setattr(utility, part, array.copy())
            utilities[slot] = utility
        self._judges.load_arrays(arrays)
        self._money.load_arrays({n.removeprefix(_MONEY): a for n, a in arrays.items() if n.startswith(_MONEY)})
        self._utilities, self._last = utilities, None
        self._changed.clear()

    def digest(self) -> bytes:
        """Return 16 bytes over the state: equal digests mean bit-identical state."""
        hasher = hashlib.blake2b(digest_size=16)
        for name, array in self.to_arrays().items():
            hasher.update(name.encode())
            hasher.update(array.tobytes())
        return hasher.digest()

    def _utility(self, model: ModelSpec) -> Utility:
        utility = self._utilities.get(model.slot)
        if utility is None:
            utility = self._utilities[model.slot] = Utility(self._penalties, self._prior_mean(model))
        return utility

    def _peek(self, model: ModelSpec) -> Utility:
        return self._utilities.get(model.slot) or Utility(self._penalties, self._prior_mean(model))

    def _prior_mean(self, model: ModelSpec) -> float:
        guess = self._quality_guess if model.quality_guess is None else model.quality_guess
        bounded = min(max(guess, _QUALITY_MIN), 1.0 - _QUALITY_MIN)
        return math.log(bounded / (1.0 - bounded))
