"""`tensorflow.serving.PredictionService` and `ModelService`."""

from __future__ import annotations

from service.engine.lifecycle.choosing import choose_statuses
from service.listening.services import Services
from service.rpc.call import Call
from service.rpc.exchanging import answer_by_exchange
from service.rpc.methods import Method, Service
from service.wire.tfserving_grpc.dialect import TfServingGrpcDialect
from service.wire.tfserving_grpc.metadata import (
    parse_metadata_request,
    parse_status_request,
    render_metadata,
    render_status,
)


def make_prediction_service(services: Services) -> Service:
    """Make the service that segments images.

    Args:
        services: objects that every listener works with.
    """
    dialect = TfServingGrpcDialect()

    async def predict(call: Call) -> bytes:
        return await answer_by_exchange(services, call, dialect)

    async def show_metadata(call: Call) -> bytes:
        target = parse_metadata_request(await call.read_short("GetModelMetadataRequest"))
        model = services.repository.find(*target)
        return render_metadata(model.name, model.version, model.runtime.manifest)

    return Service(
        "tensorflow.serving.PredictionService",
        {"Predict": Method(predict), "GetModelMetadata": Method(show_metadata)},
    )


def make_model_service(services: Services) -> Service:
    """Make the service that tells the states of models.

    Args:
        services: objects that every listener works with.
    """

    async def show_status(call: Call) -> bytes:
        target = parse_status_request(await call.read_short("GetModelStatusRequest"))
        name = str(target.name)
        statuses = choose_statuses(services.repository, name, *target[1:])
        return render_status(name, [(s.version, str(s.state), s.reason) for s in statuses])

    return Service("tensorflow.serving.ModelService", {"GetModelStatus": Method(show_status)})
