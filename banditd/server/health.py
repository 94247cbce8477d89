"""grpc.health.v1: SERVING while decisions can be made and outcomes stored."""

from grpc_health.v1 import health, health_pb2

from banditd.server.names import SERVICES


class Health:
    """The health service."""

    def __init__(self) -> None:
        self.servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]

    async def set_serving(self, *, serving: bool) -> None:
        """Say whether the server serves, for it as a whole and for each service."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *SERVICES):
            await self.servicer.set(name, status)
