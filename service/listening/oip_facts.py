"""Facts about server and models by the Open Inference Protocol, for both of its listeners."""

from __future__ import annotations

from typing import Any

from lacuna.errors import NotReadyError
from service.listening.services import Services
from service.wire.oip import control, metadata, statistics


def is_model_ready(services: Services, name: str, version: str | None) -> bool:
    """Return True if a version of a model would take a request.

    Raises:
        UnknownModelError: if there is no such model.
        UnknownVersionError: if the model has no such version.
    """
    try:
        services.gate.check_open()
        services.repository.find(name, version)
    except NotReadyError:
        return False
    return True


def describe_model(services: Services, name: str, version: str | None) -> dict[str, Any]:
    """Return the metadata of a model; see `service.wire.oip.metadata`.

    Raises:
        UnknownModelError: if there is no such model.
        UnknownVersionError: if the model has no such version.
        NotReadyError: if it is not in service.
    """
    runtime = services.repository.find(name, version).runtime
    versions = services.repository.list_versions(name)
    pixels = _count_pixels(services, name)
    return metadata.describe_model(name, versions, runtime.model_format, runtime.manifest, pixels)


def describe_config(services: Services, name: str, version: str | None) -> dict[str, Any]:
    """Return the configuration of a model; raises as `describe_model` does."""
    runtime = services.repository.find(name, version).runtime
    pixels = _count_pixels(services, name)
    return metadata.describe_config(name, runtime.model_format, runtime.manifest, pixels)


def describe_statistics(
    services: Services, name: str | None = None, version: str | None = None
) -> dict[str, Any]:
    """Return the statistics of a version, of a model's versions in service, or of all models.

    Args:
        services: objects that every listener works with.
        name: name of the model; None for all.
        version: version of the model; None for all in service.

    Raises:
        UnknownModelError: if there is no such model.
        UnknownVersionError: if the model has no such version.
        NotReadyError: if the version is not in service.
    """
    find = services.exchange.statistics.find
    read = services.exchange.pipeline.segmenter.dispatcher.counters.read
    return {
        "model_stats": [
            statistics.describe_statistics(model, found, find(model, found), read(model, found))
            for model, found in _list_versions(services, name, version)
        ]
    }


def describe_index(services: Services, *, ready_only: bool) -> list[dict[str, Any]]:
    """Return all versions of all models, with their states; see `service.wire.oip.control`."""
    versions = [
        (status.name, status.version, str(status.state), status.reason)
        for status in services.repository.statuses
    ]
    return control.describe_index(versions, ready_only=ready_only)


def _list_versions(
    services: Services, name: str | None, version: str | None
) -> list[tuple[str, str]]:
    repository = services.repository
    if name is None:
        return [(model.name, model.version) for model in repository.models]
    if version is None:
        return [(name, found) for found in repository.list_versions(name)]
    return [(name, repository.find(name, version).version)]


def _count_pixels(services: Services, name: str) -> int:
    return services.exchange.find_limits(name).most_pixels
