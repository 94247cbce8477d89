"""Pacer: turns a budget into a shadow price, decision by decision."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from banditd.domain.arrays import Array64
from banditd.domain.budget import FREE, Budget, BudgetWindow, Pacing, window_of
from banditd.domain.decision import Decision, Objective
from banditd.domain.router import EXPLORATION_SHARE
from banditd.errors import DataLossError, Reason
from banditd.kernels.pacing import greedy_cost, shadow_price
from banditd.policies.base import Prediction

# Decisions whose expectations the shadow price is computed from: the newest ones.
CONTEXTS: Final = 128
# Decisions between two computations.
_EVERY: Final = 8
# Decisions over which what was over- or underspent is made good. Where a dear call costs what fifty requests may, a
# price that answered it sooner would have the next requests served worse than need be.
_HORIZON: Final = 120.0
# The same for a debt, where making it good sooner would cost more than `_STEEP` times as much quality per dollar: where
# few dear calls are all that is paid for above one model's price, two of them more would have the next ones served by
# a worse one.
_PATIENT_HORIZON: Final = 480.0
_STEEP: Final = 2.0
# Requests' budgets up to which a debt may wait. A larger one is no bad luck: expectations are too low.
_PATIENCE: Final = 60.0
# Requests at what they are meant to cost that the guess counts for that exploration costs nothing.
_ANSWER_GUESS: Final = 16.0
# The two prices of a mix lie a factor of 1 + this on either side of the one between them.
_SPREAD: Final = 0.05
# Where even an infinite price would not do, one at which quality no longer counts.
_QUALITY_RANGE: Final = 1e4
# How much of a window the rate of the one before counts for, when what is left is divided among who will still come.
_RATE_MEMORY: Final = 0.05
_LATENCY_MS_PER_S: Final = 1e-3


@dataclass(frozen=True, slots=True)
class PacerView:
    """A pacer as decisions see it.

    Attributes:
        budget: The budget.
        pacing: The shadow prices.
        left_usd: What may be spent before the window's end; for a mean per request, what the next one may cost.
        window_end_ms: When `left_usd` starts anew with the whole budget; 0 for a mean per request.
        spent_usd: Spent in the window; over all requests for a mean per request.
        request_count: Decisions in the window; all for a mean per request.
        target_usd: What a request is meant to cost now.
        decided_usd: Expected costs of all decisions up to this view.
        is_in_doubt: Whether a model has changed so lately that who is best is open.
    """

    budget: Budget
    pacing: Pacing
    left_usd: float
    window_end_ms: int
    spent_usd: float
    request_count: int
    target_usd: float
    decided_usd: float
    is_in_doubt: bool


class Pacer:
    """A budget's accounts and the shadow price that keeps it; part of the fold, so a function of the log alone.

    Budgeted contextual bandits as a Lagrangian (Badanidiyuru, Kleinberg and Slivkins 2018; Agrawal and Devanur 2016):
    decide by quality - price * cost, at the price where the newest contexts cost what may be spent. What may be spent
    is the budget plus what was saved before, spread over the next `_HORIZON` requests (proportional control of the
    account, which is the integral of the error). A price that does not bind saves nothing up.

    Explorers choose otherwise than by the greatest utility. What that may add to the expected cost is a share of the
    target, and where no price is needed, what the greatest utilities leave of it: money that nobody would spend. What
    costs no more is paid for in quality, of which a share of what is at stake may be lost as soon as the model is
    known; where no price is needed the budget is no reason to learn less.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._slots: list[int] = []
        self._quality: Array64 = np.full((CONTEXTS, 0), np.nan)
        self._cost: Array64 = np.full((CONTEXTS, 0), np.nan)
        # What each of those was expected to cost, as it was drawn and by the greatest utilities; 0 without a price.
        self._drawn_usd: Array64 = np.zeros(CONTEXTS)
        self._greedy_usd: Array64 = np.zeros(CONTEXTS)
        self._recalled_count = 0
        self._doubted_count = 0
        self._count = 0
        self._count_before = 0
        self._is_due = False
        self._decided_usd = 0.0
        self._account_usd = 0.0
        self._target_usd = budget.usd if budget.window is BudgetWindow.REQUEST else math.inf
        self._pacing = FREE
        self._idle_usd = 0.0
        self._window_ms = (0, 0)
        self._spent_usd = 0.0
        self._window_count = 0
        self._last_rate = 0.0

    def recall(self, slots: list[int], past: Prediction, objective: Objective) -> None:
        """Start from contexts of before the first decision; those of decisions take their places one by one.

        Args:
            slots: Numbers of the K models.
            past: What is expected of them in n <= `CONTEXTS` contexts: shapes (n, K); of a quality of NaN they are no
                candidates.
            objective: The router's own trade-off.
        """
        count = len(past.quality)
        self._slots = slots
        self._quality, self._cost = np.full((2, CONTEXTS, len(slots)), np.nan)
        self._quality[:count], self._cost[:count] = _worth(past.quality, past.latency_ms, objective), past.cost_usd
        self._recalled_count = count

    def observe(self, decision: Decision, time_ms: int) -> None:
        """Take in a decision: what it is expected to cost counts from now on."""
        self._enter_window(time_ms)
        choice = decision.choice
        quality, cost, latency = choice.expected.astype(np.float64)
        row = self._count % CONTEXTS
        self._remember(row, decision, quality, cost, latency)
        expected = _known(cost[choice.index])
        weighed = float(np.nansum(choice.pmf * cost))
        if choice.rival is not None:
            expected += _known(cost[choice.rival.index])
            weighed += float(np.nansum(choice.rival.pmf * cost))
        self._drawn_usd[row] = self._greedy_usd[row] = 0.0
        if choice.pacing.high > 0.0 and choice.rival is None:
            self._drawn_usd[row], self._greedy_usd[row] = weighed, self._greedy_cost(row, decision)
        self._decided_usd += expected
        self._count += 1
        self._doubted_count = max(self._doubted_count - 1, 0)
        self._window_count += 1
        self._spent_usd += expected
        deposit = self.budget.usd
        if self._pacing is FREE and self._account_usd + deposit > expected:
            # Nothing holds the spend back, so what was not meant to be spent is not saved either; what the draw saved
            # is, for another draw costs as much more.
            deposit = min(deposit, weighed)
        self._account_usd += deposit - expected
        if self._is_due or self._count % _EVERY == 0 or self._count <= _EVERY:
            self._is_due = False
            filled = max(self._recalled_count, min(self._count, CONTEXTS))
            self._solve((self._quality[:filled], self._cost[:filled]), decision.objective.usd_weight, time_ms)

    def correct(self, expected_usd: float, actual_usd: float) -> None:
        """Take in what a decision that was observed before really cost."""
        unexpected = actual_usd - _known(expected_usd)
        self._spent_usd += unexpected
        self._account_usd -= unexpected

    def reprice(self, slot: int, factor: float) -> None:
        """Multiply what a model was expected to cost: its price has changed by *factor*."""
        if slot in self._slots and math.isfinite(factor):
            self._cost[:, self._slots.index(slot)] *= factor
            self._is_due = True

    @property
    def is_fresh(self) -> bool:
        """Whether no decision was observed yet."""
        return self._count == 0

    @property
    def asks_for_past(self) -> bool:
        """Whether its price depends on what is believed now: before the first decision, of a mean per request."""
        return self._count == 0 and math.isfinite(self._target_usd)

    @property
    def is_in_doubt(self) -> bool:
        """Whether some of the newest decisions were made before an alarm, and expected what is not so any more."""
        return self._doubted_count > 0

    def doubt(self) -> None:
        """Take note of an alarm: until as many decisions as there are contexts were made, `reconsider` is wanted."""
        if not self.is_fresh:
            self._doubted_count = CONTEXTS

    def reconsider(self, past: Prediction, objective: Objective, time_ms: int) -> None:
        """Compute the price from what is believed now, not from what decisions expected.

        Args:
            past: What is expected in n contexts of the past, as `recall` has it.
            objective: The router's own trade-off.
            time_ms: When.
        """
        self._enter_window(time_ms)
        worth = _worth(past.quality, past.latency_ms, objective)
        self._solve((worth, past.cost_usd), objective.usd_weight, time_ms)

    def change_budget(self, budget: Budget) -> None:
        """Keep another budget from now on; what was saved or overspent under the old one is forgotten."""
        if budget.window is not self.budget.window:
            self._window_ms, self._spent_usd, self._window_count, self._last_rate = (0, 0), 0.0, 0, 0.0
        if budget.window is BudgetWindow.REQUEST:
            self._count_before, self._spent_usd = self._count, 0.0
        self.budget = budget
        self._account_usd = 0.0
        self._target_usd = budget.usd if budget.window is BudgetWindow.REQUEST else math.inf
        self._is_due = True

    def view(
        self,
        past: Prediction | None,
        objective: Objective,
        exploration_share: float = EXPLORATION_SHARE,
    ) -> PacerView:
        """Return what decisions see.

        Args:
            past: What the belief expects of n prompts of the past, or of the average one, shapes (n, K), from which the
                price starts where no decision was made yet; None where nothing is believed.
            objective: The router's own trade-off.
            exploration_share: What exploration may add to the target, as a share of it.
        """
        pacing, idle = self._pacing, self._idle_usd
        if self._count == 0 and past is not None:
            worth = _worth(past.quality, past.latency_ms, objective)
            pacing, idle = _price(worth, past.cost_usd, objective.usd_weight, self._target_usd)
        if self.budget.window is BudgetWindow.REQUEST:
            left = self.budget.usd * (self._count - self._count_before + 1) - self._spent_usd
        else:
            left = self.budget.usd - self._spent_usd
        return PacerView(
            budget=self.budget,
            pacing=replace(pacing, allowance_usd=exploration_share * self._target_usd + idle),
            left_usd=left,
            window_end_ms=self._window_ms[1],
            spent_usd=self._spent_usd,
            request_count=self._window_count,
            target_usd=self._target_usd,
            decided_usd=self._decided_usd,
            is_in_doubt=self.is_in_doubt,
        )

    def _enter_window(self, time_ms: int) -> None:
        if self.budget.window is BudgetWindow.REQUEST or time_ms < self._window_ms[1]:
            return
        start_ms, end_ms = self._window_ms
        if end_ms > 0:
            self._last_rate = self._window_count / (end_ms - start_ms)
        self._window_ms = window_of(self.budget.window, time_ms)
        self._spent_usd = 0.0
        self._window_count = 0

    def _remember(self, row: int, decision: Decision, quality: Array64, cost: Array64, latency: Array64) -> None:
        slots = decision.slots.tolist()
        if slots != self._slots:
            new = [slot for slot in slots if slot not in self._slots]
            if new:
                blank = np.full((CONTEXTS, len(new)), np.nan)
                self._slots = self._slots + new
                self._quality = np.hstack([self._quality, blank])
                self._cost = np.hstack([self._cost, blank])
        worth = np.where(decision.choice.exclusions == 0, _worth(quality, latency, decision.objective), np.nan)
        if slots == self._slots:
            self._quality[row], self._cost[row] = worth, cost
        else:
            columns = [self._slots.index(slot) for slot in slots]
            self._quality[row], self._cost[row] = np.nan, np.nan
            self._quality[row, columns], self._cost[row, columns] = worth, cost

    def _greedy_cost(self, row: int, decision: Decision) -> float:
        """Return what the greatest utilities, at the prices of a decision that was remembered, cost on average."""
        pacing, weight = decision.choice.pacing, decision.objective.usd_weight
        quality, cost = self._quality[row : row + 1], self._cost[row : row + 1]
        low = float(greedy_cost(quality, cost, weight + pacing.low))
        high = float(greedy_cost(quality, cost, weight + pacing.high)) if pacing.share_high > 0.0 else low
        return low + pacing.share_high * (high - low)

    def _solve(self, contexts: tuple[Array64, Array64], usd_weight: float, time_ms: int) -> None:
        """Compute target and price from what models are worth and cost in contexts, shape (n, K) each."""
        budget = self.budget
        if budget.window is BudgetWindow.REQUEST:
            self._target_usd = max(budget.usd + self._account_usd / _HORIZON, 0.0)
        else:
            start_ms, end_ms = self._window_ms
            memory = _RATE_MEMORY * (end_ms - start_ms) if self._last_rate > 0.0 else 0.0
            elapsed = time_ms - start_ms + 1.0
            rate = (self._window_count + self._last_rate * memory) / (elapsed + memory)
            coming = max(rate * (end_ms - time_ms), 1.0)
            self._target_usd = max((budget.usd - self._spent_usd) / coming, 0.0)
        self._pacing, self._idle_usd = self._price_at(self._target_usd, contexts, usd_weight)
        if budget.window is BudgetWindow.REQUEST and self._account_usd < 0.0:
            # A debt has no date: it is made good where that is cheap.
            waiting_usd = max(self._account_usd, -_PATIENCE * budget.usd)
            owed_usd = waiting_usd / _PATIENT_HORIZON + (self._account_usd - waiting_usd) / _HORIZON
            patient_usd = max(budget.usd + owed_usd, 0.0)
            pacing, idle = self._price_at(patient_usd, contexts, usd_weight)
            if self._pacing.low > _STEEP * pacing.low:
                self._target_usd, self._pacing, self._idle_usd = patient_usd, pacing, idle

    def _price_at(
        self, target_usd: float, contexts: tuple[Array64, Array64], usd_weight: float
    ) -> tuple[Pacing, float]:
        """Return the prices at which contexts are expected to cost a target, and what is left at none."""
        return _price(*contexts, usd_weight, target_usd / self._answer())

    def _answer(self) -> float:
        """Return how many times what the greatest utilities would cost is expected to be spent.

        The price is computed for those; exploration buys what they would not, or makes do with less. Left to the
        account alone, that would be a lasting debt or saving in it. Compared are the same decisions, so that which
        prompts came makes no difference.
        """
        guess = _ANSWER_GUESS * self._target_usd
        greedy = float(self._greedy_usd.sum()) + guess
        return (float(self._drawn_usd.sum()) + guess) / greedy if 0.0 < greedy < math.inf else 1.0

    def to_arrays(self) -> dict[str, Array64]:
        """Return the whole state as named arrays."""
        pacing = self._pacing
        return {
            "slots": np.array(self._slots, np.float64),
            "quality": self._quality,
            "cost": self._cost,
            "drawn": self._drawn_usd,
            "greedy": self._greedy_usd,
            "numbers": np.array(
                [
                    self._count,
                    self._decided_usd,
                    self._account_usd,
                    self._idle_usd,
                    self._target_usd,
                    pacing.low,
                    pacing.high,
                    pacing.share_high,
                    *self._window_ms,
                    self._spent_usd,
                    self._window_count,
                    self._last_rate,
                    self._count_before,
                    self._is_due,
                    self._recalled_count,
                    self._doubted_count,
                ]
            ),
        }

    def load_arrays(self, arrays: Mapping[str, Array64]) -> None:
        """Put the state that `to_arrays` returned in the place of this one.

        Raises:
            DataLossError: The arrays do not fit.
        """
        try:
            slots = [int(slot) for slot in arrays["slots"]]
            quality, cost, numbers = arrays["quality"], arrays["cost"], arrays["numbers"].tolist()
            drawn, greedy = arrays["drawn"], arrays["greedy"]
            fits = quality.shape == cost.shape == (CONTEXTS, len(slots)) and len(numbers) == _NUMBERS
            fits = fits and drawn.shape == greedy.shape == (CONTEXTS,)
        except KeyError as error:
            raise DataLossError(Reason.CORRUPT_RECORD, f"snapshot: expected the pacer's {error}, got none") from error
        if not fits:
            raise DataLossError(
                Reason.CORRUPT_RECORD, f"snapshot: expected a pacer of {len(slots)} models, got {quality.shape}"
            )
        self._slots, self._quality, self._cost = slots, quality.copy(), cost.copy()
        self._drawn_usd, self._greedy_usd = drawn.copy(), greedy.copy()
        self._count, self._decided_usd, self._account_usd = int(numbers[0]), numbers[1], numbers[2]
        self._idle_usd, self._target_usd = numbers[3], numbers[4]
        self._pacing = Pacing(*numbers[5:8]) if numbers[6] > 0.0 else FREE
        self._window_ms = (int(numbers[8]), int(numbers[9]))
        self._spent_usd, self._window_count, self._last_rate = numbers[10], int(numbers[11]), numbers[12]
        self._count_before, self._is_due = int(numbers[13]), bool(numbers[14])
        self._recalled_count, self._doubted_count = int(numbers[15]), int(numbers[16])


_NUMBERS: Final = 17


def _worth(quality: Array64, latency_ms: Array64, objective: Objective) -> Array64:
    """Return what models are worth but for their cost."""
    return quality - objective.second_weight * _LATENCY_MS_PER_S * latency_ms


def _known(usd: float) -> float:
    return float(usd) if math.isfinite(usd) else 0.0


def _price(quality: Array64, cost: Array64, usd_weight: float, target_usd: float) -> tuple[Pacing, float]:
    """Return the shadow prices at which contexts cost a target, shape (B, K) each, and what is left of it at none."""
    positive = cost[cost > 0.0]
    if not positive.size or not math.isfinite(target_usd):
        return FREE, target_usd
    out = np.empty(4)
    shadow_price(
        np.ascontiguousarray(quality),
        np.ascontiguousarray(cost),
        usd_weight,
        target_usd,
        _QUALITY_RANGE / float(positive.min()),
        _SPREAD,
        out,
    )
    low, high, share_high, cost_usd = out.tolist()
    return (FREE, target_usd - cost_usd) if high == 0.0 else (Pacing(low, high, share_high), 0.0)
