"""A model: what can be chosen."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens, each >= 0."""

    input_mtok_usd: float
    output_mtok_usd: float

    @property
    def blended_mtok_usd(self) -> float:
        """USD per million tokens at three input tokens per output token, the field's usual blend.

        The cost belief learns log(cost / blended price), so that a price change acts on the next decision.
        """
        return 0.75 * self.input_mtok_usd + 0.25 * self.output_mtok_usd

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        """Return the cost of a call in USD."""
        return (self.input_mtok_usd * input_tokens + self.output_mtok_usd * output_tokens) * 1e-6


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model.

    Attributes:
        slot: Its number, given at creation, never used again.
        model_id: Its name.
        price: What it charges; None means unknown.
        context_window_tokens: Largest prompt; 0 means no limit known.
        tags: Capabilities, region, data policy.
        enabled: Whether it can be chosen.
        quality_guess: Mean quality before anything is known; None means the router's.
        latency_ms_guess: Mean latency before anything is known; None means the default.
        create_time_ms: When it was created.
        update_time_ms: When it was last changed.
        sibling_model_id: A model that it is like: what was learnt of that is its first guess. Empty for none.
    """

    slot: int
    model_id: str
    price: Price | None = None
    context_window_tokens: int = 0
    tags: tuple[str, ...] = ()
    enabled: bool = True
    quality_guess: float | None = None
    latency_ms_guess: float | None = None
    create_time_ms: int = 0
    update_time_ms: int = 0
    sibling_model_id: str = ""
