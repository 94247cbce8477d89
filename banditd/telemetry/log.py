"""Log lines: JSON for machines, coloured for a terminal; never prompts, embeddings or secrets."""

import logging
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

# What a line may carry. Anything else is dropped, so that a payload cannot slip in through a new call.
ALLOWED_KEYS = frozenset(
    [
        "event",
        "level",
        "timestamp",
        "logger",
        "exception",
        "exc_info",
        "code",
        "method",
        "reason",
        "message",
        "listen",
        "metrics_listen",
        "data",
        "router",
        "model",
        "policy",
        "position",
        "version",
        "count",
        "decisions",
        "outcomes",
        "seconds",
        "ms",
        "signal",
        "path",
        "grace_ms",
        "epoch",
        "kernels",
        "pid",
        "bytes",
        "cache",
        "kept",
        "address",
        "metric",
        "direction",
        "statistic",
        "health",
        "former",
        "cause",
        "difference",
    ]
)


def _drop_unknown(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {key: value for key, value in event.items() if key in ALLOWED_KEYS}


class _StandardError:
    """Standard error as it is when a line is written: one that was redirected and closed since is not kept."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logging(level: str, line_format: str) -> None:
    """Set up structlog on standard error.

    Args:
        level: debug, info, warning or error.
        line_format: json, console, or auto: console where standard output is a terminal.
    """
    console = line_format == "console" or (line_format == "auto" and sys.stdout.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _drop_unknown,
            *(
                [structlog.dev.ConsoleRenderer()]
                if console
                else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(_StandardError()),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
