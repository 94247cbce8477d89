"""The ledger's memory of one decision."""

from dataclasses import dataclass, replace
from typing import Final

from banditd.domain.decision import Resolution
from banditd.domain.outcome import Metric, Outcome


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Tokens that outcomes of one decision reported, the first value of each; None means not yet.

    Attributes:
        input: Of the prompt, as billed, >= 0.
        output: Of the answer, >= 0.
        cached_input: Those of the input that came from the prompt cache, >= 0.
    """

    input: int | None = None
    output: int | None = None
    cached_input: int | None = None

    def joined(self, outcome: Outcome) -> "TokenCounts":
        """Return the counts with those that *outcome* adds."""
        return TokenCounts(
            outcome.input_tokens if self.input is None else self.input,
            outcome.output_tokens if self.output is None else self.output,
            outcome.cached_input_tokens if self.cached_input is None else self.cached_input,
        )


NO_TOKENS: Final = TokenCounts()


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What is remembered of a decision's outcomes.

    Attributes:
        resolution: How the decision ended so far.
        learnt: Metrics that were learnt.
        id_digests: 8 bytes per outcome: of its id.
        content_digests: 8 bytes per outcome: of its content.
        positions: Log position of each outcome.
        tokens: Reported in time and not yet turned into a cost, because not all of them are there.
    """

    resolution: Resolution = Resolution.WAITING
    learnt: Metric = Metric.NONE
    id_digests: tuple[bytes, ...] = ()
    content_digests: tuple[bytes, ...] = ()
    positions: tuple[int, ...] = ()
    tokens: TokenCounts = NO_TOKENS

    def resolved(self, resolution: Resolution) -> "LedgerEntry":
        """Return the entry with *resolution*."""
        return replace(self, resolution=resolution)


NEW_ENTRY: Final = LedgerEntry()
