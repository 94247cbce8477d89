"""What can be configured. Under each field stands its meaning, unit and range.

The strings under the fields are read by `banditd.config.reference`, which makes the annotated default file of them.
"""

from typing import Annotated

from msgspec import Meta, Struct

# What the API takes as a name; \Z and not $, which lets a line end pass.
ModelName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:/@+-]{1,128}\Z")]
RouterName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z")]
Tag = Annotated[str, Meta(min_length=1, max_length=64)]


class ServerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The gRPC server."""

    listen: str = "127.0.0.1:50051"
    """Address and port. Port 0 picks a free one, which the log line `server.started` tells."""
    in_flight_max: Annotated[int, Meta(ge=1, le=100_000)] = 4096
    """Calls that are worked on at once; beyond, callers get UNAVAILABLE."""
    deadline_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 10_000
    """Time that a call gets that comes without a deadline, in milliseconds; beyond, DEADLINE_EXCEEDED."""
    message_bytes_max: Annotated[int, Meta(ge=65_536, le=268_435_456)] = 33_554_432
    """Largest message that is taken, in bytes. A batch of 1,024 embeddings of 4,096 values needs 16 MiB."""
    drain_grace_ms: Annotated[int, Meta(ge=0, le=600_000)] = 10_000
    """Time that running calls get after SIGTERM, in milliseconds."""


class StoreConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The data directory."""

    data: str = "data"
    """Path of the data directory. It is made if it is missing."""
    map_gib: Annotated[int, Meta(ge=1, le=4096)] = 64
    """Size that the data can grow to, in GiB. Address space, not memory."""
    decision_ack: Annotated[str, Meta(pattern="^(commit|early)$")] = "commit"
    """When Route answers: `commit`, once the decision is on disk; `early`, before, and the metric
    `banditd_unsaved_age_seconds` shows for how long. Outcomes are always answered once they are on disk."""


class LearnerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The writer's thread."""

    queue_commands_max: Annotated[int, Meta(ge=16, le=1_000_000)] = 8192
    """Requests that may wait for the disk; beyond, callers get UNAVAILABLE."""
    group_commands_max: Annotated[int, Meta(ge=1, le=100_000)] = 1024
    """Requests per commit."""
    snapshot_entries: Annotated[int, Meta(ge=100, le=10_000_000)] = 20_000
    """Log entries after which the learnt state is stored, so that a start need not read the whole log."""
    snapshot_interval_ms: Annotated[int, Meta(ge=1000, le=86_400_000)] = 300_000
    """Time after which the learnt state is stored if anything changed, in milliseconds."""
    snapshots_kept: Annotated[int, Meta(ge=1, le=100)] = 4
    """Stored states that are kept."""


class HealthConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """When a model is left out for failed calls, over all routers, and for how long."""

    window_ms: Annotated[int, Meta(ge=1000, le=86_400_000)] = 300_000
    """Age up to which results count, in milliseconds; of them, the newest 32 of each model."""
    failures_min: Annotated[int, Meta(ge=1, le=32)] = 4
    """Failures below which a model is healthy, however few calls there were."""
    degraded_share: Annotated[float, Meta(gt=0, le=1)] = 0.3
    """Share of failed calls (time-outs, unavailable, malformed output) from which a model is degraded."""
    down_share: Annotated[float, Meta(gt=0, le=1)] = 0.6
    """Share of calls that timed out or found the model unavailable from which it is down."""
    rate_limits_min: Annotated[int, Meta(ge=1, le=32)] = 1
    """Rate limits from which a model backs off."""
    back_off_ms: Annotated[int, Meta(ge=100, le=86_400_000)] = 10_000
    """First back-off of a degraded or down model, in milliseconds. Each one in a row is twice as long."""
    rate_limit_back_off_ms: Annotated[int, Meta(ge=100, le=86_400_000)] = 5_000
    """First back-off after a rate limit, in milliseconds. Each one in a row is twice as long."""
    back_off_max_ms: Annotated[int, Meta(ge=100, le=86_400_000)] = 300_000
    """Longest back-off, in milliseconds. A model that was healthy for as long starts from the first again."""


class LogConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Log lines on standard error."""

    level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$")] = "info"
    """Least level that is written: debug, info, warning or error."""
    format: Annotated[str, Meta(pattern="^(auto|json|console)$")] = "auto"
    """`json`, `console`, or `auto`: console on a terminal, JSON elsewhere."""


class MetricsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Prometheus metrics over HTTP."""

    listen: str = ""
    """Address and port of /metrics. Empty means none."""


class ModelConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A model that is created at the first start. What was changed through the API stays as it is."""

    id: ModelName
    """Name of the model."""
    input_mtok_usd: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    """USD per million input tokens. Absent means unknown."""
    output_mtok_usd: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    """USD per million output tokens. Absent means unknown."""
    cached_input_mtok_usd: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    """USD per million input tokens read from the prompt cache. Absent means what other input tokens cost."""
    request_usd: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    """USD per call, whatever its tokens."""
    context_window_tokens: Annotated[int, Meta(ge=0, le=100_000_000)] = 0
    """Largest prompt in tokens. 0 means no limit known."""
    tags: Annotated[list[Tag], Meta(max_length=32)] = []
    """Capabilities, region, data policy."""
    quality_guess: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Guess of its mean quality. Absent means the router's."""
    latency_ms_guess: Annotated[float, Meta(gt=0, le=86_400_000)] | None = None
    """Guess of its mean latency in milliseconds."""
    sibling_model: str = ""
    """A model that it is like, listed before it: what was learnt of that is its first guess. Empty means none."""


class RouterConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A router that is created at the first start. What was changed through the API stays as it is."""

    id: RouterName = "default"
    """Name of the router."""
    embedding_dimension: Annotated[int, Meta(ge=0, le=4096)] = 0
    """Values in an embedding, 2..4096. 0 means: fixed by the first prompt."""
    embedding_model: str = ""
    """Name of the embedding model that requests must name. Empty means any."""
    models: list[ModelName] = []
    """Models that it offers. Empty means all."""
    policy: str = "linucb"
    """Preset of the policy."""
    parameters: dict[str, float] = {}
    """Parameters of the policy that differ from the preset's."""
    texts: dict[str, str] = {}
    """Those of them that are texts: of Vowpal Wabbit, `command_line` and `interactions`."""
    usd_weight: Annotated[float, Meta(ge=0, le=1_000_000_000)] = 0.0
    """What one dollar is worth in quality."""
    second_weight: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    """What one second is worth in quality."""
    switch_usd: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    """USD that another model than a session's last one costs more, where it has no cached price."""
    fallback_model: str = ""
    """Served if the policy breaks; one of `models`, where there are any. Empty means the first eligible one."""
    attribution_window_ms: Annotated[int, Meta(ge=1000, le=7_776_000_000)] = 86_400_000
    """How long after a decision its outcomes are learnt, in milliseconds."""
    default_quality: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Quality that is learnt when the window closes without one. Absent means none."""
    quality_guess: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """Guess of a model's mean quality before anything is known."""
    budget_usd: Annotated[float, Meta(ge=1e-12, le=1e12)] | None = None
    """What it may spend in USD per `budget_window`. Absent means no budget."""
    budget_window: Annotated[str, Meta(pattern="^(request|hour|day|month)$")] = "request"
    """What the budget is counted over: the mean per request, or a calendar window of UTC."""
    budget_hard: bool = False
    """Whether a model that is expected to cost more than what is left of the budget is excluded."""
    exploration_share: Annotated[float, Meta(ge=1e-6, le=1)] = 0.02
    """What exploration may add to the expected spend where money matters, as a share of it."""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything."""

    server: ServerConfig = ServerConfig()
    """The gRPC server."""
    store: StoreConfig = StoreConfig()
    """The data directory."""
    learner: LearnerConfig = LearnerConfig()
    """The writer's thread."""
    health: HealthConfig = HealthConfig()
    """When a model is left out for failed calls."""
    log: LogConfig = LogConfig()
    """Log lines."""
    metrics: MetricsConfig = MetricsConfig()
    """Metrics."""
    models: list[ModelConfig] = []
    """Models that are created at the first start."""
    routers: list[RouterConfig] = []
    """Routers that are created at the first start. `default` exists always."""
