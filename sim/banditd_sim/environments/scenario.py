"""Scenarios: what happens to the world while a router runs. Events are combined in one list.

`at` and `until` are rounds counted from the first measured one: a whole number, or a share of the measured rounds in
(0, 1) written as a fraction (`0.333`). `until` is exclusive; without it, what began lasts to the end.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

Moment: TypeAlias = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0)]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]


class PriceChange(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="price_change"):
    """A model's price changes, and at `until` changes back.

    Either `factor`, on the first price, or new prices per million tokens. Of two changes of a model that overlap, the
    later in the list holds. A call's cost follows its tokens where they are known, else it
    scales like the blended price.
    """

    model: str
    """Name of the model."""
    at: Moment
    """First round with the new price."""
    until: Moment | None = None
    """First round with the old price again."""
    factor: Annotated[float, Meta(gt=0)] | None = None
    """New price over old price."""
    input_mtok_usd: Annotated[float, Meta(ge=0)] | None = None
    """USD per million input tokens."""
    output_mtok_usd: Annotated[float, Meta(ge=0)] | None = None
    """USD per million output tokens."""
    announced: bool = True
    """Whether the catalogue is told. A price that nobody announces shows only in what calls cost."""


class Degradation(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="degradation"):
    """A model's answers get worse, and nobody says so. Every quality is multiplied."""

    model: str
    """Name of the model."""
    at: Moment
    """First round with worse answers."""
    until: Moment | None = None
    """First round with answers as before."""
    factor: Annotated[float, Meta(ge=0)] | None = None
    """Quality then over quality now."""
    mean: Share | None = None
    """Instead of a factor: the mean quality that the model gets on the measured prompts."""


class Outage(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="outage"):
    """Calls to a model fail. A failed call has quality 0 and costs nothing; the router is told of the failure."""

    model: str
    """Name of the model."""
    at: Moment
    """First round of the outage."""
    until: Moment | None = None
    """First round after it."""
    rate: Share = 1.0
    """Share of the calls that fail."""
    failure: Annotated[str, Meta(pattern="^(timeout|rate_limit|refusal|malformed_output|unavailable)$")] = "unavailable"
    """What the router is told."""


class ModelAdded(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="model_added"):
    """A model enters the catalogue. Before, it cannot be chosen, and the history does not know it."""

    model: str
    """Name of the model."""
    at: Moment
    """First round in which it can be chosen."""


class ModelRemoved(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="model_removed"):
    """A model leaves the catalogue for good."""

    model: str
    """Name of the model."""
    at: Moment
    """First round in which it cannot be chosen."""


class Delay(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="delay"):
    """Outcomes come late. What has not come at the end never does."""

    rounds: Annotated[float, Meta(ge=0)] = 0.0
    """Rounds between a decision and its outcome; 0 is before the next decision."""
    spread: Annotated[str, Meta(pattern="^(fixed|exponential)$")] = "fixed"
    """`fixed`, or `exponential`: random with that mean."""
    per_model: dict[str, Annotated[float, Meta(ge=0)]] = {}
    """Rounds of single models, in the place of `rounds`."""


class Sparse(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="sparse"):
    """Only some qualities are ever reported; costs always are, since they are billed.

    The chance is linear in the true quality, from `rate` at 0 to `rate_at_best` at 1: unless the two are equal, what is
    missing is not missing at random. With `until_expiry`, a router is told of what never comes, as a server is that
    closes the attribution window.
    """

    rate: Share
    """Chance that a quality of 0 is reported."""
    rate_at_best: Share | None = None
    """Chance that a quality of 1 is reported; absent means `rate`."""
    models: list[str] = []
    """Models that this befalls; empty means all."""
    categories: list[str] = []
    """Categories of prompts that this befalls; empty means all."""
    until_expiry: Annotated[int, Meta(ge=0)] = 0
    """Rounds after which the router knows that a quality will not come; 0 means never."""


class NoisyJudge(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="noisy_judge"):
    """Reported qualities are off: Gaussian noise, clipped to [0, 1]; or with some chance turned over (1 - q)."""

    deviation: Annotated[float, Meta(ge=0)] = 0.0
    """Standard deviation of the noise."""
    flip: Share = 0.0
    """Chance of a turned-over quality."""


class Poison(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="poison"):
    """Some reports are lies."""

    share: Share
    """Share of the reports that come from liars."""
    lie: Annotated[str, Meta(pattern="^(invert|zero|promote)$")] = "invert"
    """`invert` says 1 - q; `zero` says 0; `promote` says 1 of the `model` and 0 of all others."""
    model: str = ""
    """The model that is promoted."""
    at: Moment = 0
    """First round with liars."""
    until: Moment | None = None
    """First round without."""


class PromptMix(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="prompt_mix"):
    """The order in which prompts come. Without this event they are shuffled, anew for each seed."""

    order: Annotated[str, Meta(pattern="^(shuffled|as_given|drift|blocks)$")]
    """`shuffled`; `as_given` in the data set; `drift` from the first categories to the last, gradually; `blocks`: one
    category after the other."""
    strength: Share = 1.0
    """Of a drift: 0 is none, 1 is one category after the other with soft borders."""
    categories: list[str] = []
    """Order of the categories; those not named follow by name."""


class Restart(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="restart"):
    """The router is stopped and started from its stored state; nothing else may change by it."""

    at: Moment
    """Round before which it happens."""


class BudgetChange(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="budget_change"):
    """The budget changes. A run without a budget is not touched."""

    at: Moment
    """First round with the new budget."""
    factor: Annotated[float, Meta(gt=0)]
    """New budget over the first one."""
    until: Moment | None = None
    """First round with the old one again."""


Event: TypeAlias = (
    PriceChange
    | Degradation
    | Outage
    | ModelAdded
    | ModelRemoved
    | Delay
    | Sparse
    | NoisyJudge
    | Poison
    | PromptMix
    | Restart
    | BudgetChange
)


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """Events under one name."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z")] = "plain"
    """Name in tables."""
    events: list[Event] = []
    """What happens, in any order."""


PLAIN = Scenario()
