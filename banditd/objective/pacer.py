"""Pacer: turns a budget into a shadow price, decision by decision."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from banditd.domain.arrays import Array32, Array64, Codes
from banditd.domain.budget import Budget, BudgetWindow, Pacing, window_of
from banditd.domain.decision import Choice, Decision, Objective
from banditd.domain.router import EXPLORATION_SHARE
from banditd.errors import DataLossError, Reason
from banditd.kernels.accounts import (
    ACCOUNT_USD,
    COUNT,
    COUNT_BEFORE,
    DECIDED_USD,
    DOUBTED_COUNT,
    IDLE_USD,
    IS_DUE,
    LAST_RATE,
    NUMBERS,
    PRICE_HIGH,
    PRICE_LOW,
    RECALLED_COUNT,
    SHARE_HIGH,
    SPENT_USD,
    TARGET_USD,
    WINDOW_COUNT,
    WINDOW_END_MS,
    WINDOW_START_MS,
    account_cost,
    account_decision,
    account_price,
    price_at,
)
from banditd.kernels.decision import SECONDS_PER_MS
from banditd.policies.base import Prediction
from banditd.policies.stretch import Pace

# Decisions whose expectations the shadow price is computed from: the newest ones.
CONTEXTS: Final = 128


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
    is the budget plus what was saved before, spread over the next requests (proportional control of the account, which
    is the integral of the error; horizons stand in `kernels.accounts`). A price that does not bind saves nothing up.

    Explorers choose otherwise than by the greatest utility. What that may add to the expected cost is a share of the
    target, and where no price is needed, what the greatest utilities leave of it: money that nobody would spend. What
    costs no more is paid for in quality, of which a share of what is at stake may be lost as soon as the model is
    known; where no price is needed the budget is no reason to learn less.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._slots: list[int] = []
        # What models are worth but for their cost, and what they cost, as the newest decisions expected it.
        self._contexts: Array64 = np.full((2, CONTEXTS, 0), np.nan)
        # What each of those was expected to cost, as it was drawn and by the greatest utilities; 0 without a price.
        self._answers: Array64 = np.zeros((2, CONTEXTS))
        self._numbers: Array64 = np.zeros(NUMBERS)
        self._numbers[TARGET_USD] = _first_target(budget)

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
        self._contexts = np.full((2, CONTEXTS, len(slots)), np.nan)
        self._contexts[:, :count] = _worth_and_cost(past, objective)
        self._numbers[RECALLED_COUNT] = count

    def observe(self, decision: Decision, time_ms: int) -> None:
        """Take in a decision: what it is expected to cost counts from now on."""
        self._enter_window(time_ms)
        choice, objective, slots = decision.choice, decision.objective, decision.slots.tolist()
        columns = (choice.expected, choice.exclusions, choice.pmf, choice.index)
        if slots != self._slots:
            columns = self._columns_of(slots, choice)
        rival_usd = rival_weighed_usd = math.nan
        if choice.rival is not None:
            cost = choice.expected[1].astype(np.float64)
            rival_usd = _known(cost[choice.rival.index])
            rival_weighed_usd = float(np.nansum(choice.rival.pmf * cost))
        account_decision(
            *columns,
            rival_usd,
            rival_weighed_usd,
            choice.pacing.low,
            choice.pacing.high,
            choice.pacing.share_high,
            objective.usd_weight,
            objective.second_weight,
            self.budget.usd,
            time_ms,
            self._contexts,
            self._answers,
            self._numbers,
        )

    def correct(self, expected_usd: float, actual_usd: float) -> None:
        """Take in what a decision that was observed before really cost."""
        account_cost(expected_usd, actual_usd, self._numbers)

    def reprice(self, slot: int, factor: float) -> None:
        """Multiply what a model was expected to cost: its price has changed by *factor*."""
        if slot in self._slots and math.isfinite(factor):
            self._contexts[1, :, self._slots.index(slot)] *= factor
            self._numbers[IS_DUE] = 1.0

    @property
    def is_fresh(self) -> bool:
        """Whether no decision was observed yet."""
        return bool(self._numbers[COUNT] == 0.0)

    @property
    def asks_for_past(self) -> bool:
        """Whether its price depends on what is believed now: before the first decision, of a mean per request."""
        return self.is_fresh and math.isfinite(self._numbers[TARGET_USD])

    @property
    def is_in_doubt(self) -> bool:
        """Whether some of the newest decisions were made before an alarm, and expected what is not so any more."""
        return bool(self._numbers[DOUBTED_COUNT] > 0.0)

    def doubt(self) -> None:
        """Take note of an alarm: until as many decisions as there are contexts were made, `reconsider` is wanted."""
        if not self.is_fresh:
            self._numbers[DOUBTED_COUNT] = CONTEXTS

    def reconsider(self, past: Prediction, objective: Objective, time_ms: int) -> None:
        """Compute the price from what is believed now, not from what decisions expected.

        Args:
            past: What is expected in n contexts of the past, as `recall` has it.
            objective: The router's own trade-off.
            time_ms: When.
        """
        self._enter_window(time_ms)
        worth, cost = _worth_and_cost(past, objective)
        account_price(worth, cost, self._answers, objective.usd_weight, self.budget.usd, time_ms, self._numbers)

    def change_budget(self, budget: Budget) -> None:
        """Keep another budget from now on; what was saved or overspent under the old one is forgotten."""
        numbers = self._numbers
        if budget.window is not self.budget.window:
            numbers[[WINDOW_START_MS, WINDOW_END_MS, SPENT_USD, WINDOW_COUNT, LAST_RATE]] = 0.0
        if budget.window is BudgetWindow.REQUEST:
            numbers[COUNT_BEFORE], numbers[SPENT_USD] = numbers[COUNT], 0.0
        self.budget = budget
        numbers[ACCOUNT_USD], numbers[TARGET_USD], numbers[IS_DUE] = 0.0, _first_target(budget), 1.0

    def is_playable(self, slots: list[int]) -> bool:
        """Return whether decisions among these models need nothing but `pace`, as long as it `is_steady`."""
        # A calendar window is entered between decisions, and columns are those of the models that are remembered.
        return self.budget.window is BudgetWindow.REQUEST and (self.is_fresh or slots == self._slots)

    @property
    def is_steady(self) -> bool:
        """Whether the price follows from what decisions expected, and from nothing else."""
        return not (self.is_fresh or self.is_in_doubt)

    def pace(self, exploration_share: float) -> Pace:
        """Return its state, which goes on as decisions are played, of a pacer that `is_playable` and `is_steady`.

        Args:
            exploration_share: As `view` has it.
        """
        return Pace(self._numbers, self._contexts, self._answers, self.budget.usd, exploration_share)

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
        numbers = self._numbers.tolist()
        low, high, share_high, idle = (numbers[i] for i in (PRICE_LOW, PRICE_HIGH, SHARE_HIGH, IDLE_USD))
        if self.is_fresh and past is not None:
            worth, cost = _worth_and_cost(past, objective)
            found = np.empty(4)
            price_at(worth, cost, objective.usd_weight, numbers[TARGET_USD], found)
            low, high, share_high, idle = found.tolist()
        left = self.budget.usd - numbers[SPENT_USD]
        if self.budget.window is BudgetWindow.REQUEST:
            left = self.budget.usd * (numbers[COUNT] - numbers[COUNT_BEFORE] + 1.0) - numbers[SPENT_USD]
        return PacerView(
            budget=self.budget,
            pacing=Pacing(low, high, share_high, exploration_share * numbers[TARGET_USD] + idle),
            left_usd=left,
            window_end_ms=int(numbers[WINDOW_END_MS]),
            spent_usd=numbers[SPENT_USD],
            request_count=int(numbers[WINDOW_COUNT]),
            target_usd=numbers[TARGET_USD],
            decided_usd=numbers[DECIDED_USD],
            is_in_doubt=numbers[DOUBTED_COUNT] > 0.0,
        )

    def _enter_window(self, time_ms: int) -> None:
        numbers = self._numbers
        if self.budget.window is BudgetWindow.REQUEST or time_ms < numbers[WINDOW_END_MS]:
            return
        start_ms, end_ms = numbers[WINDOW_START_MS], numbers[WINDOW_END_MS]
        if end_ms > 0.0:
            numbers[LAST_RATE] = numbers[WINDOW_COUNT] / (end_ms - start_ms)
        numbers[WINDOW_START_MS], numbers[WINDOW_END_MS] = window_of(self.budget.window, time_ms)
        numbers[SPENT_USD] = numbers[WINDOW_COUNT] = 0.0

    def _columns_of(self, slots: list[int], choice: Choice) -> tuple[Array32, Codes, Array64, int]:
        """Return expectations, exclusions, pmf and index of a choice among other models than the remembered ones.

        Models that are new get a column; who is no candidate is not eligible.
        """
        new = [slot for slot in slots if slot not in self._slots]
        self._slots = self._slots + new
        self._contexts = np.concatenate([self._contexts, np.full((2, CONTEXTS, len(new)), np.nan)], axis=2)
        columns, count = [self._slots.index(slot) for slot in slots], len(self._slots)
        expected, codes, pmf = np.full((3, count), np.nan, np.float32), np.full(count, 255, np.uint8), np.zeros(count)
        expected[:, columns], codes[columns], pmf[columns] = choice.expected, choice.exclusions, choice.pmf
        return expected, codes, pmf, columns[choice.index]

    def to_arrays(self) -> dict[str, Array64]:
        """Return the whole state as named arrays."""
        return {
            "slots": np.array(self._slots, np.float64),
            "quality": self._contexts[0],
            "cost": self._contexts[1],
            "drawn": self._answers[0],
            "greedy": self._answers[1],
            "numbers": self._numbers,
        }

    def load_arrays(self, arrays: Mapping[str, Array64]) -> None:
        """Put the state that `to_arrays` returned in the place of this one.

        Raises:
            DataLossError: The arrays do not fit.
        """
        try:
            slots = [int(slot) for slot in arrays["slots"]]
            contexts, answers = (arrays["quality"], arrays["cost"]), (arrays["drawn"], arrays["greedy"])
            numbers = arrays["numbers"]
        except KeyError as error:
            raise DataLossError(Reason.CORRUPT_RECORD, f"snapshot: expected the pacer's {error}, got none") from error
        fits = all(each.shape == (CONTEXTS, len(slots)) for each in contexts) and numbers.shape == (NUMBERS,)
        if not fits or any(each.shape != (CONTEXTS,) for each in answers):
            raise DataLossError(
                Reason.CORRUPT_RECORD, f"snapshot: expected a pacer of {len(slots)} models, got {contexts[0].shape}"
            )
        self._slots, self._contexts, self._answers = slots, np.stack(contexts), np.stack(answers)
        self._numbers = numbers.copy()


def _first_target(budget: Budget) -> float:
    """Return what a request is meant to cost before anything is known of how many come."""
    return budget.usd if budget.window is BudgetWindow.REQUEST else math.inf


def _worth_and_cost(past: Prediction, objective: Objective) -> tuple[Array64, Array64]:
    """Return what models are worth but for their cost, and what they cost, shape (n, K) each, as kernels take them."""
    worth = past.quality - objective.second_weight * SECONDS_PER_MS * past.latency_ms
    return np.ascontiguousarray(worth), np.ascontiguousarray(past.cost_usd)


def _known(usd: float) -> float:
    return float(usd) if math.isfinite(usd) else 0.0
