"""A model: what can be chosen."""

from dataclasses import dataclass
from typing import Final

MODEL_ID_PATTERN: Final = r"[A-Za-z0-9_.:/@+-]{1,128}"


@dataclass(frozen=True, slots=True)
class Price:
    """What a provider charges, each >= 0.

    Attributes:
        input_mtok_usd: USD per million input tokens.
        output_mtok_usd: USD per million output tokens.
        cached_input_mtok_usd: USD per million input tokens read from the prompt cache; None means as other input.
        request_usd: USD per call, whatever its tokens.
    """

    input_mtok_usd: float
    output_mtok_usd: float
    cached_input_mtok_usd: float | None = None
    request_usd: float = 0.0

    @property
    def blended_mtok_usd(self) -> float:
        """USD per million tokens at three input tokens per output token, the field's usual blend.

        The cost belief learns log(cost / blended price), so that a price change acts on the next decision.
        """
        return 0.75 * self.input_mtok_usd + 0.25 * self.output_mtok_usd

    @property
    def cold_mtok_usd(self) -> float | None:
        """USD per million input tokens that a cold prompt cache costs more than a warm one; None where unknown."""
        if self.cached_input_mtok_usd is None:
            return None
        return max(self.input_mtok_usd - self.cached_input_mtok_usd, 0.0)

    def token_cost_usd(self, input_tokens: int, output_tokens: int, cached_input_tokens: int = 0) -> float:
        """Return the cost of a call's tokens in USD; the cached ones are some of the input's."""
        cost = self.input_mtok_usd * input_tokens + self.output_mtok_usd * output_tokens
        if self.cached_input_mtok_usd is not None and cached_input_tokens:
            cost += (self.cached_input_mtok_usd - self.input_mtok_usd) * cached_input_tokens
        return cost * 1e-6

    def cost_usd(self, input_tokens: int, output_tokens: int, cached_input_tokens: int = 0) -> float:
        """Return the cost of a call in USD: its tokens and the fee."""
        return self.token_cost_usd(input_tokens, output_tokens, cached_input_tokens) + self.request_usd


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
