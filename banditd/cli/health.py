"""banditd health: ask a server whether it serves."""

import sys

import click


@click.command()
@click.option("--address", default="127.0.0.1:50051", show_default=True, help="Address and port of the server.")
@click.option("--timeout-ms", default=2000, show_default=True, type=click.IntRange(1, 60_000), help="Time to wait.")
def health(address: str, timeout_ms: int) -> None:
    """Exit with 0 if the server serves, with 1 if not."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        try:
            response = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=timeout_ms / 1000.0
            )
        except grpc.RpcError as error:
            click.echo(f"{address}: {error.code().name}", err=True)
            sys.exit(1)
    click.echo(f"{address}: {health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)}")
    sys.exit(0 if response.status == health_pb2.HealthCheckResponse.SERVING else 1)
