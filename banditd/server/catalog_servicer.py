"""CatalogService: the models, changed at run time."""

from typing import Final

from banditd.domain.model import ModelSpec, Price
from banditd.errors import InvalidArgumentError, NotFoundError, Reason
from banditd.server import checks, convert, settings
from banditd.server.bridge import Bridge
from banditd.server.paging import page_of
from banditd.server.update_mask import masked_fields
from banditd_proto.v1 import catalog_service_pb2 as pb
from banditd_proto.v1 import model_pb2

_PRICE_USD_MAX: Final = 1_000_000.0
_PAGE_MAX: Final = 256
# Fields of the message, and the domain's names for them.
_FIELDS: Final = {
    "price": "price",
    "context_window_token_count": "context_window_tokens",
    "tags": "tags",
    "state": "enabled",
    "quality_guess": "quality_guess",
    "latency_ms_guess": "latency_ms_guess",
    "sibling_model_id": "sibling_model_id",
}


class CatalogServicer:
    """Serves banditd.v1.CatalogService. The event loop's thread only.

    Args:
        bridge: To the writer.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    async def create_model(self, request: pb.CreateModelRequest) -> pb.CreateModelResponse:
        """Add a model."""
        model = _checked(request.model)
        await self._bridge.change(settings.create_model(model, self._bridge.clock.now_ms()))
        return pb.CreateModelResponse(model=convert.model_message(self._find(model.model_id)))

    async def get_model(self, request: pb.GetModelRequest) -> pb.GetModelResponse:
        """Return a model."""
        return pb.GetModelResponse(model=convert.model_message(self._find(request.model_id)))

    async def list_models(self, request: pb.ListModelsRequest) -> pb.ListModelsResponse:
        """List the models."""
        page, token = page_of(self._bridge.snapshot.catalog.models, request.page_size, request.page_token, _PAGE_MAX)
        return pb.ListModelsResponse(models=[convert.model_message(m) for m in page], next_page_token=token)

    async def update_model(self, request: pb.UpdateModelRequest) -> pb.UpdateModelResponse:
        """Change a model."""
        fields = masked_fields(request.update_mask.paths, _FIELDS)
        if "enabled" in fields and request.model.state == model_pb2.MODEL_STATE_UNSPECIFIED:
            raise InvalidArgumentError(Reason.OUT_OF_RANGE, "model.state", "ENABLED or DISABLED", "UNSPECIFIED")
        model = _checked(request.model)
        await self._bridge.change(settings.update_model(model, fields, self._bridge.clock.now_ms()))
        return pb.UpdateModelResponse(model=convert.model_message(self._find(model.model_id)))

    async def delete_model(self, request: pb.DeleteModelRequest) -> pb.DeleteModelResponse:
        """Remove a model."""
        self._find(request.model_id)
        await self._bridge.change(settings.delete_model(request.model_id))
        return pb.DeleteModelResponse()

    def _find(self, model_id: str) -> ModelSpec:
        model = self._bridge.snapshot.catalog.get(model_id)
        if model is None:
            checks.check_name(model_id, "model_id", checks.MODEL_ID, Reason.BAD_NAME)
            raise NotFoundError(Reason.MODEL_NOT_FOUND, f"model_id: there is no model {model_id!r}")
        return model


def _checked(message: model_pb2.Model) -> ModelSpec:
    """Return the model of a message; slot and times are given later."""
    checks.check_name(message.model_id, "model.model_id", checks.MODEL_ID, Reason.BAD_NAME)
    price = _price(message.price) if message.HasField("price") else None
    window = "model.context_window_token_count"
    checks.check_range(message.context_window_token_count, window, 0, checks.TOKENS_MAX)
    if message.state not in model_pb2.ModelState.values():
        raise InvalidArgumentError(Reason.OUT_OF_RANGE, "model.state", "a value of ModelState", f"{message.state}")
    quality = latency = None
    if message.HasField("quality_guess"):
        quality = checks.check_range(message.quality_guess, "model.quality_guess", 0.0, 1.0)
    if message.HasField("latency_ms_guess"):
        latency = checks.check_range(message.latency_ms_guess, "model.latency_ms_guess", 1e-3, checks.LATENCY_MS_MAX)
    if message.sibling_model_id:
        checks.check_name(message.sibling_model_id, "model.sibling_model_id", checks.MODEL_ID, Reason.BAD_NAME)
    return ModelSpec(
        slot=0,
        model_id=message.model_id,
        price=price,
        context_window_tokens=message.context_window_token_count,
        tags=checks.check_tags(message.tags, "model.tags"),
        enabled=message.state != model_pb2.MODEL_STATE_DISABLED,
        quality_guess=quality,
        latency_ms_guess=latency,
        sibling_model_id=message.sibling_model_id,
    )


def _price(message: model_pb2.Price) -> Price:
    def usd(name: str) -> float:
        return checks.check_range(getattr(message, name), f"model.price.{name}", 0.0, _PRICE_USD_MAX)

    return Price(
        usd("input_mtok_usd"),
        usd("output_mtok_usd"),
        usd("cached_input_mtok_usd") if message.HasField("cached_input_mtok_usd") else None,
        usd("request_usd"),
    )
