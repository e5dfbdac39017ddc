"""`inference.GRPCInferenceService`: the Open Inference Protocol, with Triton's extensions."""

from __future__ import annotations

from service.listening.services import Services
from service.rpc.call import Call
from service.rpc.exchanging import answer_by_exchange
from service.rpc.methods import Method, Service
from service.rpc.oip_control import make_control_methods
from service.rpc.oip_facts import make_fact_methods
from service.rpc.oip_stream import answer_stream
from service.wire.oip_grpc.dialect import OipGrpcDialect


def make_service(services: Services) -> Service:
    """Make the service.

    Args:
        services: objects that every listener works with.
    """
    dialect = OipGrpcDialect(services.default_outputs)

    async def infer(call: Call) -> bytes:
        return await answer_by_exchange(services, call, dialect)

    async def infer_stream(call: Call) -> None:
        await answer_stream(services, call, dialect)

    return Service(
        "inference.GRPCInferenceService",
        {
            "ModelInfer": Method(infer),
            "ModelStreamInfer": Method(infer_stream, is_stream=True),
            **make_fact_methods(services),
            **make_control_methods(services),
        },
    )
