"""Full names of the services."""

from typing import Final

from banditd_proto.v1 import catalog_service_pb2, router_admin_service_pb2, routing_service_pb2

SERVICES: Final = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (routing_service_pb2, "RoutingService"),
        (catalog_service_pb2, "CatalogService"),
        (router_admin_service_pb2, "RouterAdminService"),
    )
)
