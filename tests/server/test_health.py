"""grpc.health.v1: for the server as a whole and for each service."""

import grpc
from grpc_health.v1 import health_pb2

from tests.server.harness import SERVICES, refused


async def test_every_service_is_serving(server):
    """The empty name stands for the whole server."""
    for name in ("", *(f"banditd.v1.{service}" for service in SERVICES)):
        answer = await server.health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_an_unknown_service_is_not_found(server):
    """As the protocol has it."""
    refusal = await refused(server.health.Check(health_pb2.HealthCheckRequest(service="banditd.v1.Guess")))
    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_a_watcher_is_told_the_state_at_once(server):
    """And is not disconnected."""
    watch = server.health.Watch(health_pb2.HealthCheckRequest(service="banditd.v1.RoutingService"))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()
