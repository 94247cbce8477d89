"""The closed vocabularies of the service, as enums whose values are strings."""

from enum import Enum, StrEnum
from typing import Final, Literal


class DecisionSource(StrEnum):
    """Who made a decision."""

    POLICY = "POLICY"
    """The router's policy drew the model."""
    FALLBACK = "FALLBACK"
    """The policy broke and the server served its configured fallback model."""
    UNHEALTHY = "UNHEALTHY"
    """The policy drew among models that are degraded, down or backing off, for no healthy one was eligible."""
    CALLER = "CALLER"
    """The caller decided himself and reported it."""
    CLIENT_FALLBACK = "CLIENT_FALLBACK"
    """The router could not be reached; this client served its own `fallback_model`. Nothing was logged."""
    UNKNOWN = "UNKNOWN"
    """A newer server sent a value that this client does not know."""


class ExclusionReason(StrEnum):
    """Why a candidate could not be chosen."""

    DISABLED = "DISABLED"
    TAG_MISSING = "TAG_MISSING"
    CONTEXT_WINDOW = "CONTEXT_WINDOW"
    """The prompt does not fit the model's context window."""
    PRICE_UNKNOWN = "PRICE_UNKNOWN"
    """The model has no price although money matters here."""
    COST_LIMIT = "COST_LIMIT"
    LATENCY_LIMIT = "LATENCY_LIMIT"
    QUALITY_FLOOR = "QUALITY_FLOOR"
    DEGRADED = "DEGRADED"
    """Too many of the model's recent calls failed."""
    DOWN = "DOWN"
    """Most of the model's recent calls failed."""
    BACKING_OFF = "BACKING_OFF"
    """The model's provider limits the rate of calls."""
    BUDGET = "BUDGET"
    UNKNOWN = "UNKNOWN"
    """A newer server sent a value that this client does not know."""


class Failure(StrEnum):
    """How a call of a model failed. This is not a low quality: it is counted, never averaged into quality."""

    TIMEOUT = "TIMEOUT"
    """No answer within the caller's deadline."""
    RATE_LIMIT = "RATE_LIMIT"
    """The provider refused for rate or quota."""
    REFUSAL = "REFUSAL"
    """The model declined to answer."""
    MALFORMED_OUTPUT = "MALFORMED_OUTPUT"
    """The answer could not be used, for example not the JSON that was asked for."""
    UNAVAILABLE = "UNAVAILABLE"
    """The provider could not be reached or answered with an error."""
    UNKNOWN = "UNKNOWN"
    """A newer server sent a value that this client does not know. Cannot be sent."""


class OutcomeStatus(StrEnum):
    """What became of an outcome. All but NOT_SENT and UNKNOWN mean: on the server's disk."""

    APPLIED = "APPLIED"
    """At least one of its metrics was learnt."""
    DUPLICATE = "DUPLICATE"
    """The same outcome was recorded before; nothing changed."""
    LATE = "LATE"
    """Stored; the attribution window had closed, so that it is not learnt."""
    OVERRIDDEN = "OVERRIDDEN"
    """Stored; another model than the chosen one served, so that it is not learnt."""
    NOT_LEARNED = "NOT_LEARNED"
    """Stored; nothing in it could be learnt."""
    ORPHANED = "ORPHANED"
    """Counted; the decision was lost before it reached the disk (early acknowledgement)."""
    NOT_SENT = "NOT_SENT"
    """This client sent nothing: the decision id is empty, that of a client-side fallback."""
    UNKNOWN = "UNKNOWN"
    """A newer server sent a value that this client does not know."""


class Winner(StrEnum):
    """Which of two models did better."""

    A = "A"
    B = "B"
    TIE = "TIE"
    """Neither: they are about as good."""
    BOTH_BAD = "BOTH_BAD"
    """Neither: each did worse than what would have been good enough."""


class Resolution(StrEnum):
    """How a decision ended. Each is resolved once."""

    WAITING = "WAITING"
    """Within its attribution window, quality not yet seen."""
    OBSERVED = "OBSERVED"
    """Quality arrived within the window."""
    EXPIRED = "EXPIRED"
    """The window closed without a quality."""
    CENSORED = "CENSORED"
    """Quality will never be learnt: the call failed, another model served it, or it was a fallback."""
    UNKNOWN = "UNKNOWN"
    """A newer server sent a value that this client does not know."""


class BudgetWindow(StrEnum):
    """What a budget is counted over. Calendar windows are those of UTC."""

    REQUEST = "REQUEST"
    """The mean per request."""
    HOUR = "HOUR"
    DAY = "DAY"
    MONTH = "MONTH"
    UNKNOWN = "UNKNOWN"
    """A newer server sent a value that this client does not know. Cannot be sent."""


class Verdict(StrEnum):
    """What the promotion rule says of a shadow."""

    PROMOTE = "PROMOTE"
    """It would take over now."""
    NOT_BETTER = "NOT_BETTER"
    """The lower bound of the difference is not above the margin."""
    FEW_SAMPLES = "FEW_SAMPLES"
    COST_GUARD = "COST_GUARD"
    """It costs more than the guard allows."""
    LATENCY_GUARD = "LATENCY_GUARD"
    UNKNOWN = "UNKNOWN"
    """A newer server sent a value that this client does not know."""


class ModelState(StrEnum):
    """Whether a model can be chosen."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    UNKNOWN = "UNKNOWN"
    """A newer server sent a value that this client does not know. Cannot be sent."""


class ModelHealth(StrEnum):
    """How a model's recent calls went, over all routers."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    """Too many calls failed; not chosen until its back-off ends, unless nobody healthy is eligible."""
    DOWN = "DOWN"
    """Most calls failed; likewise."""
    PROBING = "PROBING"
    """Its back-off ended: gets a bounded share of traffic until a call succeeds or fails."""
    BACKING_OFF = "BACKING_OFF"
    """Its provider limits the rate of calls; not chosen until its back-off ends, unless nobody healthy is eligible."""
    UNKNOWN = "UNKNOWN"
    """An older server says nothing of it, or a newer one sent a value that this client does not know."""


class Unchanged(Enum):
    """The type of UNCHANGED."""

    UNCHANGED = "UNCHANGED"


UNCHANGED: Final[Literal[Unchanged.UNCHANGED]] = Unchanged.UNCHANGED
"""Default of every keyword of `update_model` and `update_router`: leave the field. None clears it."""
