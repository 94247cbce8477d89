"""LoggedRounds: what a logging policy saw, chose and received, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from banditd_sim.ope.arrays import Bool, Float32, Float64, Int64, check_pmf, first_bad, frozen
from banditd_sim.ope.errors import LogError

# The propensity is also an entry of the logged pmf. Either may have gone through float32 (relative error 6e-8).
PROPENSITY_AGREES_RTOL = 1e-5


@dataclass(frozen=True, slots=True)
class LoggedRounds:
    """n rounds of a contextual bandit log over K models; checked when made, read-only afterwards.

    Anything array-like is accepted and cast to the type below; arrays of the right type are viewed, not copied.

    Attributes:
        action: int64 (n,), in [0, K): index of the model that was drawn.
        reward: float64 (n,), in [reward_min, reward_max]. nan marks a reward that was never observed (censored).
        propensity: float64 (n,), in (0, 1]: probability, as used, with which *action* was drawn.
        model_ids: K distinct names, K >= 2.
        context: float32 (n, D), finite, or None.
        pmf: float64 (n, K): the whole logged distribution, or None. Each row sums to 1, is 0 where not eligible and
            has *propensity* at *action*.
        eligible: bool (n, K): which models could be drawn, or None for all.
        cost: float64 (n,), finite and >= 0, nan where unknown, or None.
        category: int64 (n,), the prompt's category or cluster, or None.
        category_names: Distinct names that *category* counts, in order; "" is a prompt without one. None where the
            numbers are all there is.
        decision_ids: n distinct hashable ids, or None. Kept only to catch a log that counts a decision twice.
        floor: in (0, 1/2], the least probability that the logging policy gives to any eligible model *by
            construction*, or None if none is known. It bounds the importance weights that could have occurred.
        reward_min, reward_max: what a reward can be, not what it happened to be.

    Raises:
        LogError: names the field, the first bad row, what was expected and what was found.
    """

    action: Int64
    reward: Float64
    propensity: Float64
    model_ids: tuple[str, ...]
    context: Float32 | None = None
    pmf: Float64 | None = None
    eligible: Bool | None = None
    cost: Float64 | None = None
    category: Int64 | None = None
    category_names: tuple[str, ...] | None = None
    decision_ids: Sequence[object] | None = field(default=None, repr=False)
    floor: float | None = None
    reward_min: float = 0.0
    reward_max: float = 1.0

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "model_ids", tuple(self.model_ids))
        set_field(self, "action", _vector("action", self.action, np.int64))
        set_field(self, "reward", _vector("reward", self.reward, np.float64))
        set_field(self, "propensity", _vector("propensity", self.propensity, np.float64))
        if self.context is not None:
            set_field(self, "context", _matrix("context", self.context, np.float32))
        if self.pmf is not None:
            set_field(self, "pmf", _matrix("pmf", self.pmf, np.float64))
        if self.eligible is not None:
            set_field(self, "eligible", _matrix("eligible", self.eligible, np.bool_))
        if self.cost is not None:
            set_field(self, "cost", _vector("cost", self.cost, np.float64))
        if self.category is not None:
            set_field(self, "category", _vector("category", self.category, np.int64))
        if self.category_names is not None:
            set_field(self, "category_names", tuple(self.category_names))
        _check_shapes(self)
        _check_values(self)
        _check_distribution(self)

    def __len__(self) -> int:
        return int(self.action.shape[0])

    @property
    def models_count(self) -> int:
        """K."""
        return len(self.model_ids)

    @property
    def observed(self) -> Bool:
        """Mask (n,) of the rounds whose reward is known."""
        return ~np.isnan(self.reward)


def with_reward(log: LoggedRounds, reward: Float64, *, reward_min: float, reward_max: float) -> LoggedRounds:
    """Return the same rounds with another reward, e.g. cost, so that its value under a target can be estimated too.

    Args:
        log: The rounds.
        reward: (n,), in [*reward_min*, *reward_max*], nan where unobserved.
        reward_min: Least possible reward.
        reward_max: Greatest possible reward, > *reward_min*.
    """
    return replace(log, reward=reward, reward_min=reward_min, reward_max=reward_max)


def take(log: LoggedRounds, rows: Int64 | Bool) -> LoggedRounds:
    """Return the rounds *rows* (an index or a mask), in that order."""
    ids = None if log.decision_ids is None else [log.decision_ids[i] for i in np.arange(len(log))[rows]]
    return replace(
        log,
        action=log.action[rows],
        reward=log.reward[rows],
        propensity=log.propensity[rows],
        context=None if log.context is None else log.context[rows],
        pmf=None if log.pmf is None else log.pmf[rows],
        eligible=None if log.eligible is None else log.eligible[rows],
        cost=None if log.cost is None else log.cost[rows],
        category=None if log.category is None else log.category[rows],
        decision_ids=ids,
    )


def _vector(name: str, value: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
    return _cast(name, value, dtype, dimensions=1)


def _matrix(name: str, value: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
    return _cast(name, value, dtype, dimensions=2)


def _cast(name: str, value: npt.ArrayLike, dtype: npt.DTypeLike, *, dimensions: int) -> npt.NDArray[np.generic]:
    try:
        raw = np.asarray(value)
        # A float that is not whole would silently become another model.
        if dtype is np.int64 and raw.dtype.kind == "f" and not bool((raw == np.floor(raw)).all()):
            row = first_bad(raw != np.floor(raw))
            raise LogError(name, "whole numbers", raw[row], row=row, reason="NOT_WHOLE")
        array = raw.astype(dtype, copy=False)
    except (TypeError, ValueError) as error:
        if isinstance(error, LogError):
            raise
        raise LogError(name, f"numbers castable to {np.dtype(dtype)}", error, reason="WRONG_TYPE") from error
    if array.ndim != dimensions:
        raise LogError(name, f"{dimensions} dimension(s)", f"shape {array.shape}", reason="WRONG_SHAPE")
    return frozen(array)


def _check_shapes(log: LoggedRounds) -> None:
    n, models = len(log), log.models_count
    if models < 2:
        # With one model every policy is the same policy: the answer is the mean reward, and no question was asked.
        raise LogError("model_ids", "at least 2 models", models, reason="ONE_MODEL")
    if len(set(log.model_ids)) != models:
        twice = next(m for i, m in enumerate(log.model_ids) if m in log.model_ids[:i])
        raise LogError("model_ids", "distinct names", f"{twice!r} twice", reason="DUPLICATE_MODEL")
    if n == 0:
        raise LogError("action", "at least 1 round", "an empty log", reason="EMPTY_LOG")
    for name in ("reward", "propensity", "cost", "category", "context", "pmf", "eligible"):
        array = getattr(log, name)
        if array is not None and array.shape[0] != n:
            raise LogError(name, f"{n} rows, as in action", f"{array.shape[0]} rows", reason="WRONG_SHAPE")
    for name in ("pmf", "eligible"):
        array = getattr(log, name)
        if array is not None and array.shape[1] != models:
            raise LogError(name, f"{models} columns, one per model", f"{array.shape[1]}", reason="WRONG_SHAPE")
    if log.decision_ids is not None:
        _check_ids(log.decision_ids, n)


def _check_ids(ids: Sequence[object], n: int) -> None:
    if len(ids) != n:
        raise LogError("decision_ids", f"{n} ids, as in action", f"{len(ids)} ids", reason="WRONG_SHAPE")
    if len(set(ids)) != n:
        seen: dict[object, int] = {}
        for row, decision_id in enumerate(ids):
            if decision_id in seen:
                got = f"{decision_id!r}, already in row {seen[decision_id]}"
                raise LogError("decision_ids", "distinct ids", got, row=row, reason="DUPLICATE_DECISION")
            seen[decision_id] = row


def _check_values(log: LoggedRounds) -> None:
    models = log.models_count
    row = first_bad((log.action < 0) | (log.action >= models))
    if row >= 0:
        raise LogError("action", f"0..{models - 1}", log.action[row], row=row, reason="UNKNOWN_MODEL")
    # Written as "not inside", so that a nan is refused as well.
    row = first_bad(~((log.propensity > 0.0) & (log.propensity <= 1.0)))
    if row >= 0:
        raise LogError("propensity", "in (0, 1]", log.propensity[row], row=row, reason="PROPENSITY_OUT_OF_RANGE")
    if not (np.isfinite(log.reward_min) and np.isfinite(log.reward_max) and log.reward_min < log.reward_max):
        got = f"[{log.reward_min}, {log.reward_max}]"
        raise LogError("reward_max", "finite and above reward_min", got, reason="REWARD_RANGE")
    row = first_bad((log.reward < log.reward_min) | (log.reward > log.reward_max))
    if row >= 0:
        expected = f"in [{log.reward_min}, {log.reward_max}] or nan"
        raise LogError("reward", expected, log.reward[row], row=row, reason="REWARD_OUT_OF_RANGE")
    if not log.observed.any():
        raise LogError("reward", "at least one observed reward", "only nan", reason="NO_REWARDS")
    if log.cost is not None:
        row = first_bad((log.cost < 0.0) | np.isinf(log.cost))
        if row >= 0:
            raise LogError("cost", "finite and >= 0, or nan", log.cost[row], row=row, reason="COST_OUT_OF_RANGE")
    if log.category_names is not None:
        _check_names(log.category, log.category_names)
    if log.context is not None and not np.isfinite(log.context).all():
        row = first_bad(~np.isfinite(log.context))
        raise LogError("context", "finite numbers", "nan or infinity", row=row, reason="NOT_FINITE")


def _check_names(category: Int64 | None, names: tuple[str, ...]) -> None:
    if category is None:
        raise LogError("category_names", "a category per round beside them", "none", reason="NO_CATEGORY")
    if len(set(names)) != len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise LogError("category_names", "distinct names", f"{twice!r} twice", reason="DUPLICATE_CATEGORY")
    row = first_bad((category < 0) | (category >= len(names)))
    if row >= 0:
        raise LogError("category", f"0..{len(names) - 1}", category[row], row=row, reason="UNKNOWN_CATEGORY")


def _check_distribution(log: LoggedRounds) -> None:
    rows = np.arange(len(log))
    if log.eligible is not None:
        row = first_bad(~log.eligible[rows, log.action])
        if row >= 0:
            got = f"model {log.action[row]}, not eligible"
            raise LogError("action", "an eligible model", got, row=row, reason="INELIGIBLE_MODEL")
    if log.pmf is not None:
        check_pmf(log.pmf, field="pmf", eligible=log.eligible)
        drawn = log.pmf[rows, log.action]
        row = first_bad(np.abs(drawn - log.propensity) > PROPENSITY_AGREES_RTOL * log.propensity)
        if row >= 0:
            expected = f"the pmf's entry for the drawn model, {drawn[row]:.9g}"
            raise LogError("propensity", expected, log.propensity[row], row=row, reason="PROPENSITY_MISMATCH")
    if log.floor is not None:
        if not 0.0 < log.floor <= 0.5:
            raise LogError("floor", "in (0, 1/2]", log.floor, reason="FLOOR_OUT_OF_RANGE")
        row = first_bad(log.propensity < log.floor * (1.0 - PROPENSITY_AGREES_RTOL))
        if row >= 0:
            expected = f"at least the floor, {log.floor}"
            raise LogError("propensity", expected, log.propensity[row], row=row, reason="BELOW_FLOOR")
