"""No bytes whatever crash the server, get an undocumented answer, or change anything while being refused.

Three kinds of input on every method: random bytes, good messages with their bytes mutated, and messages filled by their
descriptors from values that have broken things before.
"""

import math
import random
import resource

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from banditd.domain.records import ChangeAlarm, Expiry, FeatureFit, HealthChange
from banditd.errors import Reason
from banditd.learner.commands import TakeSnapshot
from banditd.learner.recovery import replay
from banditd.learner.state import LearnerState
from banditd_proto.v1 import catalog_service_pb2, outcome_pb2, router_admin_service_pb2, router_pb2
from banditd_proto.v1 import routing_service_pb2 as pb
from tests.server.harness import (
    METHODS,
    REQUEST_TYPES,
    RESPONSE_TYPES,
    batch_request,
    config_for,
    context,
    embedding,
    route_request,
    running,
    take_apart,
)

_OF_THE_CLOCK = ChangeAlarm | Expiry | FeatureFit | HealthChange
DOCUMENTED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
DOUBLES = (0.0, -0.0, 1.0, 0.5, -1.0, 5e-324, 1e-300, 1e300, 1.7976931348623157e308, math.inf, -math.inf, math.nan, 1e6)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-42, 65504.0, 65520.0, 3.4e38, math.inf, math.nan)
INT32 = (0, 1, -1, 2, 3, 8, 256, 1024, 4096, 2**31 - 1, -(2**31))
INT64 = (*INT32, 1000, 100_000_000, 100_000_001, 2**63 - 1, -(2**63), 253_402_300_800)
STRINGS = ("", "small", "large", "default", "gone", "a b", "\x00", "\n", "é" * 70, "x" * 300, "null", "0", "../../etc",
           "%s%n", "price", "state", "policy", "objective", "linucb", "softmax", "floor", "\U0001f600",
           "1", "-1")  # fmt: skip
DEPTH_MAX = 4


class Maker:
    """Makes requests from a seed.

    Args:
        seed: Of everything it makes.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.decision_ids = ["00" * 16]
        self.policy_versions = [0]

    def request(self, method: str) -> bytes:
        """Return the bytes of a request."""
        kind = self.random.random()
        if kind < 0.1:
            return self.random.randbytes(self.random.choice((0, 1, 2, 3, 7, 20, 100, 1000)))
        message = self.good(method) if kind < 0.8 else REQUEST_TYPES[method]()
        if kind >= 0.35:
            for _ in range(self.random.choice((1, 1, 2, 4))):
                self.spoil(message, DEPTH_MAX)
        raw = message.SerializeToString()
        return self.mutated(raw) if kind < 0.35 or self.random.random() < 0.1 else raw

    def good(self, method: str) -> Message:
        """Return a request that would be taken."""
        decision_id = self.random.choice(self.decision_ids)
        seen = outcome_pb2.Outcome(decision_id=decision_id, quality=0.5, latency_ms=5.0, output_token_count=9)
        messages = {
            "Route": lambda: route_request(
                self.random.randrange(9), request_id=self.random.choice(("", "", "", "r-1"))
            ),
            "RouteBatch": lambda: batch_request(self.random.choice((1, 2, 5))),
            "RecordOutcome": lambda: pb.RecordOutcomeRequest(outcome=seen),
            "RecordOutcomes": lambda: pb.RecordOutcomesRequest(outcomes=[seen] * self.random.choice((1, 3))),
            "GetDecision": lambda: pb.GetDecisionRequest(decision_id=decision_id),
            "CreateModel": lambda: catalog_service_pb2.CreateModelRequest(
                model={"model_id": self.random.choice(("small", "fuzz")), "price": {"input_mtok_usd": 1.0}}
            ),
            "UpdateModel": lambda: catalog_service_pb2.UpdateModelRequest(
                model={"model_id": "small", "tags": ["t"]}, update_mask={"paths": ["tags", "price"]}
            ),
            "DeleteModel": lambda: catalog_service_pb2.DeleteModelRequest(model_id="fuzz"),
            "CreateRouter": lambda: router_admin_service_pb2.CreateRouterRequest(
                router={"router_id": "fuzz", "policy": {"preset": "softmax", "parameters": {"temperature": 1.0}}}
            ),
            "UpdateRouter": lambda: router_admin_service_pb2.UpdateRouterRequest(
                router={"router_id": "default", "objective": {"usd_weight": 1.0}}, update_mask={"paths": ["objective"]}
            ),
            "ReportDecision": lambda: pb.ReportDecisionRequest(
                context=context(), model_id="small", propensities=[{"model_id": "small", "propensity": 1.0}]
            ),
            "PromotePolicy": lambda: router_admin_service_pb2.PromotePolicyRequest(
                name=self.random.choice(("first", "greedy"))
            ),
            "DeleteRouter": lambda: router_admin_service_pb2.DeleteRouterRequest(router_id="fuzz"),
            "RestoreSnapshot": lambda: router_admin_service_pb2.RestoreSnapshotRequest(
                policy_version=self.random.choice(self.policy_versions)
            ),
        }
        return messages.get(method, REQUEST_TYPES[method])()

    def spoil(self, message: Message, depth: int) -> None:
        """Give one field, at any depth, a value of the lists above."""
        entry = self.random.choice(message.DESCRIPTOR.fields)
        if self.random.random() < 0.1:
            message.ClearField(entry.name)
            return
        if entry.message_type is not None and entry.message_type.GetOptions().map_entry:
            getattr(message, entry.name)[self.random.choice(STRINGS)] = self.value(
                entry.message_type.fields_by_name["value"]
            )
        elif entry.message_type is not None:
            inner = getattr(message, entry.name)
            if entry.is_repeated:
                inner = inner.add()
            inner.SetInParent()
            if depth:
                self.spoil(inner, depth - 1)
        elif entry.is_repeated:
            count = self.random.choice((1, 1, 2, 8, 65, 200))
            getattr(message, entry.name).extend(self.value(entry) for _ in range(count))
        else:
            setattr(message, entry.name, self.value(entry))

    def value(self, entry: FieldDescriptor) -> object:
        """Return a value for a field that is no message."""
        if entry.type == FieldDescriptor.TYPE_DOUBLE:
            return self.random.choice(DOUBLES)
        if entry.type == FieldDescriptor.TYPE_FLOAT:
            return self.random.choice(FLOATS)
        if entry.type in {FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_ENUM}:
            return self.random.choice(INT32)
        if entry.type == FieldDescriptor.TYPE_INT64:
            return self.random.choice(INT64)
        if entry.type == FieldDescriptor.TYPE_BYTES:
            size = self.random.choice((0, 1, 4, 31, 32, 33, 64, 96))
            return self.random.choice((self.random.randbytes(size), embedding(3).tobytes(), bytes(size)))
        if entry.type == FieldDescriptor.TYPE_BOOL:
            return self.random.random() < 0.5
        assert entry.type == FieldDescriptor.TYPE_STRING
        return self.random.choice(self.decision_ids if entry.name == "decision_id" else STRINGS)

    def mutated(self, raw: bytes) -> bytes:
        """Return bytes like *raw*, damaged."""
        out = bytearray(raw)
        for _ in range(self.random.choice((1, 1, 2, 5))):
            at = self.random.randrange(len(out) + 1)
            how = self.random.randrange(5)
            if how == 0 and at < len(out):
                out[at] ^= 1 << self.random.randrange(8)
            elif how == 1:
                del out[at:]
            elif how == 2:
                out[at:at] = self.random.randbytes(self.random.choice((1, 2, 9)))
            elif how == 3:
                del out[at : at + self.random.choice((1, 2, 9))]
            else:
                out += out[at : at + 50]
        return bytes(out)


async def probe(server) -> None:
    """A good request of a router that the inputs do not name."""
    answer = await server.route(router_id="probe.router")
    assert answer.model_id == "probe/model"
    assert await server.record(answer.decision_id, quality=0.5) == outcome_pb2.OUTCOME_STATUS_APPLIED


async def fuzz(server, seed: int, count: int) -> dict[str, int]:
    """Send *count* inputs; returns how often each answer came."""
    maker = Maker(seed)
    answers: dict[str, int] = {}
    methods = sorted(METHODS)
    for i in range(count):
        method = methods[i % len(methods)]
        raw = maker.request(method)
        before = server.bridge.log.last_position
        try:
            response = RESPONSE_TYPES[method].FromString(await server.raw(method, raw))
        except grpc.aio.AioRpcError as error:
            refusal = take_apart(error)
            assert refusal.code in DOCUMENTED, (method, raw.hex(), refusal)
            assert refusal.reason in Reason.__members__, (method, raw.hex(), refusal)
            assert refusal.domain == "banditd"
            assert len(refusal.message) < 800, (method, raw.hex(), refusal)
            # What is learnt is a function of the log: where nothing was appended, nothing has changed. What the writer
            # adds by itself, once a second, is due to inputs before.
            added = [entry.record for entry in server.bridge.log.scan(before)]
            assert all(isinstance(record, _OF_THE_CLOCK) for record in added), (method, raw.hex(), added)
            answers[refusal.reason] = answers.get(refusal.reason, 0) + 1
        else:
            answers[f"OK {method}"] = answers.get(f"OK {method}", 0) + 1
            if method == "Route":
                maker.decision_ids = [*maker.decision_ids[-20:], response.decision_id]
                assert 0.0 < response.propensity <= 1.0
            elif method == "ListSnapshots":
                maker.policy_versions = [0, *(s.policy_version for s in response.snapshots)]
        if i % 500 == 0:
            await probe(server)
            await server.bridge.submit(TakeSnapshot())
            status = await server.status("probe.router")
            assert status.outcomes.waiting_count == 0
    return answers


async def prepare(server) -> None:
    """Create what the inputs name, and what they do not."""
    for model_id in ("small", "large", "probe/model"):
        await server.add_model(model_id)
    await server.add_router("probe.router", model_ids=["probe/model"])
    await server.change_router(
        "default", shadows=[router_pb2.NamedPolicy(name="greedy", policy=router_pb2.Policy(preset="epsilon_greedy"))]
    )
    await server.route()


async def check_whole(server) -> None:
    """What is believed is finite and is what a fold of the whole log gives."""
    folded = replay(LearnerState(), server.bridge.log)
    for router_id, state in folded.routers.items():
        status = await server.status(router_id)
        assert status.state_digest == state.digest()
        for model in status.models:
            for value in (model.quality, model.quality_deviation, model.latency_ms, model.cost_usd):
                assert math.isfinite(value)


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_input_gets_an_undocumented_answer_or_does_harm(tmp_path, seed):
    """A few thousand of them, the same at each run."""
    async with running(config_for(tmp_path / "data")) as server:
        await prepare(server)
        answers = await fuzz(server, seed, 2000)
        await check_whole(server)
        # The inputs reach past the parser: most methods also say yes, and refuse for many reasons.
        assert sum(name.startswith("OK ") for name in answers) >= len(METHODS) - 3, answers
        assert len(answers) >= 40, answers


@pytest.mark.long
async def test_a_million_inputs_do_no_harm(tmp_path):
    """Nor does the process grow."""
    async with running(config_for(tmp_path / "data")) as server:
        await prepare(server)
        await fuzz(server, 100, 20_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for seed in range(101, 150):
            await fuzz(server, seed, 20_000)
        await check_whole(server)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024
