"""Options of the gRPC channel, each with its why."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from banditd_client._version import __version__

ChannelOptions: TypeAlias = Sequence[tuple[str, Any]]

# The server takes a ping every 30 s and closes the connection of who pings twice too early. Five seconds more, because
# both ends measure the interval and packets do not arrive at even distances.
KEEPALIVE_MS = 35_000
KEEPALIVE_TIMEOUT_MS = 10_000
# A batch of 1024 embeddings of 4096 values is 16 MiB; gRPC's own limit is 4 MiB. The rest is for the other columns.
MESSAGE_BYTES_MAX = 17 * 1024 * 1024
# A server that restarts is back within seconds. gRPC waits 1 s before it connects again and up to 120 s later on; a
# route with a deadline of one second would never see the new server.
RECONNECT_INITIAL_MS = 50
RECONNECT_MAX_MS = 2_000


def channel_options(extra: ChannelOptions) -> list[tuple[str, Any]]:
    """Return the options of a channel; *extra* wins over ours."""
    ours: dict[str, Any] = {
        # One place decides on retries: retry.py.
        "grpc.enable_retries": 0,
        "grpc.keepalive_time_ms": KEEPALIVE_MS,
        "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
        "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
        "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
        "grpc.initial_reconnect_backoff_ms": RECONNECT_INITIAL_MS,
        "grpc.max_reconnect_backoff_ms": RECONNECT_MAX_MS,
        "grpc.primary_user_agent": f"banditd-client/{__version__}",
    }
    return list((ours | dict(extra)).items())
