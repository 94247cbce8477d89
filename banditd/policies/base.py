"""What a policy is made of. The types say who may change what."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import msgspec

from banditd.domain.arrays import AnyArray, Array32, Array64, Index, Mask
from banditd.domain.comparison import Comparison
from banditd.domain.context import Context
from banditd.domain.decision import Decision, Objective
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson
from banditd.domain.records import PastChoice
from banditd.policies.rule import Numbers
from banditd.policies.stretch import Pace, Stretch


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """What a belief says of one context, or of a batch of B. K models in catalogue order.

    Attributes:
        values: Shape (4, K) or (B, 4, K), float64; the properties name its parts. One array, because taking it apart
            and handing on the parts would take as long as a kernel.
        members: Of a portfolio, shape (M, 2, K) or (B, M, 2, K): quality and its deviation as each member has them.
    """

    values: Array64
    members: Array64 | None = None

    def of(self, b: int) -> "Prediction":
        """Return what is said of one context of a batch."""
        return Prediction(self.values[b], None if self.members is None else self.members[b])

    @property
    def quality(self) -> Array64:
        """Expected quality: shape (K,) or (B, K)."""
        return self.values[..., 0, :]

    @property
    def deviation(self) -> Array64:
        """Standard deviation of that expectation, >= 0."""
        return self.values[..., 1, :]

    @property
    def cost_usd(self) -> Array64:
        """Expected cost of the tokens, >= 0, without what is charged beside them; NaN where nothing is known."""
        return self.values[..., 2, :]

    @property
    def latency_ms(self) -> Array64:
        """Expected latency, > 0."""
        return self.values[..., 3, :]


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """What a belief holds of one model.

    Attributes:
        quality_count: Qualities learnt.
        cost_count: Costs learnt.
        latency_count: Latencies learnt.
        quality: Expected quality at the average prompt.
        deviation: Its standard deviation.
        cost_usd: Expected cost of the tokens there; None where unknown.
        latency_ms: Expected latency there.
    """

    quality_count: int
    cost_count: int
    latency_count: int
    quality: float
    deviation: float
    cost_usd: float | None
    latency_ms: float


class BeliefSnapshot(Protocol):
    """A frozen belief; any thread."""

    def predict(self, row: Array32, category: str = "") -> Prediction:
        """Return what is expected for one encoded context, shape (N,), of the caller's category, if it names one."""
        ...

    def predict_rows(self, rows: Array32, categories: Sequence[str] | None = None) -> Prediction:
        """Return the same for rows (B, N), each bit-identical to `predict`; None means that none has a category."""
        ...

    @property
    def learnt_count(self) -> int:
        """Qualities learnt so far, over all models: the clock of explorers that calm down."""
        ...

    @property
    def evidence(self) -> Array64 | None:
        """Qualities learnt of each model, as far as not forgotten: shape (K,), >= 0; None where nobody can tell."""
        ...

    @property
    def latency_half_variance(self) -> Array64:
        """Half the variance of a log latency around what `predict` expects: shape (K,), >= 0."""
        ...


class Question(msgspec.Struct, frozen=True, gc=False):
    """What a whole policy is asked. K' counts the candidates.

    Attributes:
        context: What is known.
        candidates: Shape (K',), indices of the candidates among the models; None means all of them.
        expected: Shape (4, K'), what is expected of the candidates, as in `Prediction`, with what is charged beside
            tokens in the costs.
        members: Shape (M, 2, K'), as in `Prediction`.
        objective: The trade-off, with the shadow price of the budget in it.
        allowance_usd: What exploration may cost more than the greatest utility does; infinite without a budget.
    """

    context: Context
    candidates: Index | None
    expected: Array64
    members: Array64 | None
    objective: Objective
    allowance_usd: float = math.inf


# Errors of one-step predictions of quality, cost and latency, each over its predicted deviation; NaN where none was
# made.
Residuals = tuple[float, float, float]


@runtime_checkable
class PolicySnapshot(BeliefSnapshot, Protocol):
    """A frozen belief that is a whole policy: its probabilities are its own, and no explorer is asked."""

    def fill_pmf(self, question: Question, eligible: Mask, out_pmf: Array64) -> None:
        """Write the pmf.

        Args:
            question: What is asked.
            eligible: Shape (K',), true where eligible; at least one is.
            out_pmf: Shape (K',), written: sums to 1, exactly 0 where not eligible; NaN if nothing can be said.
        """
        ...


class Belief(Protocol):
    """A belief that learns; the writer's thread only."""

    def learn(
        self, model: ModelSpec, row: Array32, lesson: Lesson, category: str = "", decision: Decision | None = None
    ) -> Residuals | None:
        """Learn what was seen of one model in one encoded context; None from a belief that predicts no deviations.

        Args:
            model: The model.
            row: Shape (N,), float32.
            lesson: What was seen of it.
            category: The caller's, if it names one.
            decision: What chose it: its context, its propensity, who else was eligible. None where nothing did.
        """
        ...

    def change_model(self, old: ModelSpec | None, new: ModelSpec | None) -> None:
        """Take note of a model that came, changed or went. None and a model: it is there, whatever was known of it."""
        ...

    def freeze(self, models: tuple[ModelSpec, ...], *, live: bool = False) -> BeliefSnapshot:
        """Return what decisions read of *models*, in their order.

        Args:
            models: The models.
            live: Whether the snapshot is done with before the belief changes again, and so need not be a copy.
        """
        ...

    def summary(self, model: ModelSpec) -> ModelSummary:
        """Return what is held of one model."""
        ...

    def to_arrays(self) -> dict[str, AnyArray]:
        """Return the whole state as named arrays."""
        ...

    def load_arrays(self, arrays: Mapping[str, AnyArray]) -> None:
        """Put the state that `to_arrays` returned in the place of this one.

        Raises:
            DataLossError: The arrays do not fit.
        """
        ...

    def digest(self) -> bytes:
        """Return 16 bytes over the state: equal digests mean bit-identical state."""
        ...


@runtime_checkable
class GatheringBelief(Protocol):
    """A belief that learns many lessons at once faster than one by one; the writer's thread only."""

    def learn_rows(self, models: Sequence[ModelSpec], rows: Array32, lessons: Sequence[Lesson]) -> None:
        """Do `Belief.learn` for each of B models, rows (B, N) and lessons, bit for bit."""
        ...


@runtime_checkable
class PlayingBelief(Protocol):
    """A belief that decides and learns many rounds in one call; the writer's thread only."""

    @property
    def rounds_max(self) -> int:
        """Rounds that `play` may be given now, >= 1."""
        ...

    def play(self, stretch: Stretch, rule: Numbers, detectors: Array64 | None, support: Array64, pace: Pace) -> int:
        """Decide and `Belief.learn` round by round, bit for bit as one by one; return how many were played.

        Args:
            stretch: At most `rounds_max` rounds among the models of the last `Belief.freeze`, since which nothing was
                learnt.
            rule: By which is decided, as it is at the start.
            detectors: Shape (K, 3, 3), updated: an alarm ends the stretch. None where nobody watches.
            support: Shape (L, 2), updated: as `kernels.decision.count_support` has it.
            pace: Of the budget, updated.
        """
        ...


@runtime_checkable
class RecallingBelief(Protocol):
    """A belief that remembers some of the contexts from which it has learnt; the writer's thread only."""

    def recall(self, count_max: int) -> Array32:
        """Return at most so many of the encoded contexts, each as likely to be among them as any other: (n, N)."""
        ...


@runtime_checkable
class ChangingBelief(Protocol):
    """What a belief can do about change, beside learning; one that cannot is left alone."""

    def widen(self, model: ModelSpec, metric: int) -> None:
        """Take what was learnt of one metric (0 quality, 1 cost, 2 latency) for worth little: it has changed."""
        ...

    def fade(self, model: ModelSpec, share: float) -> None:
        """Keep a *share* in (0, 1] of a model's evidence, and all of its prior."""
        ...

    def start_like(self, model: ModelSpec, sibling: ModelSpec) -> None:
        """Guess of a model, of which nothing is seen, what is expected of *sibling*."""
        ...

    def freeze_faded(self, models: tuple[ModelSpec, ...], shares: Mapping[int, float]) -> BeliefSnapshot:
        """Return `freeze` with the deviations that `fade` to these shares, by slot, would give."""
        ...


@runtime_checkable
class ComparingBelief(Protocol):
    """A belief that learns from comparisons too; the writer's thread only. Others pass them over."""

    def compare(self, model_a: ModelSpec, model_b: ModelSpec, row: Array32, comparison: Comparison) -> None:
        """Learn who of two models did better in one encoded context."""
        ...


@runtime_checkable
class SupposingBelief(Protocol):
    """A belief whose prior of a model can be set; the writer's thread only."""

    def suppose(self, model: ModelSpec, quality: float, strength: float) -> None:
        """Take a *quality* in [0, 1] at the average prompt for what *strength* > 0 observations have shown."""
        ...


@runtime_checkable
class JudgingBelief(Protocol):
    """A belief of several that finds out which of them to follow; the writer's thread only."""

    def judge(self, context: Context, row: Array32, seen: Sequence[tuple[ModelSpec, Lesson]]) -> None:
        """Take note of how good choices would have been on a prompt, before `learn` has its lessons.

        Args:
            context: What was known of the prompt.
            row: The same, encoded.
            seen: Models and what was seen of them.
        """
        ...


@runtime_checkable
class WitnessingBelief(Protocol):
    """A belief that learns choices and can be told of those that others made; the writer's thread only."""

    def witness(
        self,
        context: Context,
        row: Array32,
        seen: Sequence[tuple[ModelSpec, Lesson]],
        choice: PastChoice | None,
    ) -> None:
        """Learn what came of a prompt that the router did not decide, after `learn` has had each of its lessons.

        Args:
            context: What was known of the prompt.
            row: The same, encoded.
            seen: Models and what was seen of them.
            choice: How the one model was chosen; None where nobody is known to have chosen.
        """
        ...
