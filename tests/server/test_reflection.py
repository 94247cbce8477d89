"""Reflection: a generic client needs no proto files."""

import asyncio

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.server.harness import SERVICES, embedding


def call_by_name(address, service, method, request):
    """Call a method with what the server tells about itself, and nothing else; returns the answer as a dict."""
    with grpc.insecure_channel(address) as channel:
        pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        described = pool.FindServiceByName(service).FindMethodByName(method)
        message = message_factory.GetMessageClass(described.input_type)()
        json_format.ParseDict(request, message)
        answer = channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(described.output_type).FromString,
        )(message, timeout=10.0)
        return json_format.MessageToDict(answer, preserving_proto_field_name=True)


async def test_the_services_are_listed(server):
    """Ours, and those of health and reflection."""

    def ask():
        with grpc.insecure_channel(server.address) as channel:
            return set(ProtoReflectionDescriptorDatabase(channel).get_services())

    listed = await asyncio.to_thread(ask)
    assert {f"banditd.v1.{name}" for name in SERVICES} <= listed
    assert {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} <= listed


async def test_a_generic_client_routes_and_records(server):
    """As grpcurl would: numbers in, names out."""
    answer = await asyncio.to_thread(
        call_by_name,
        server.address,
        "banditd.v1.RoutingService",
        "Route",
        {"context": {"embedding": embedding().tolist()}, "limits": {"cost_usd_max": 1.0}},
    )
    assert answer["model_id"] in {"small", "medium", "large"}
    assert answer["source"] == "DECISION_SOURCE_POLICY"
    recorded = await asyncio.to_thread(
        call_by_name,
        server.address,
        "banditd.v1.RoutingService",
        "RecordOutcome",
        {"outcome": {"decision_id": answer["decision_id"], "quality": 0.5}},
    )
    assert recorded == {"status": "OUTCOME_STATUS_APPLIED"}
    shown = await asyncio.to_thread(
        call_by_name,
        server.address,
        "banditd.v1.RouterAdminService",
        "GetPolicyStatus",
        {},
    )
    assert shown["status"]["outcomes"]["applied_count"] == "1"
