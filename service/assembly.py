"""Assembly of a server from its settings."""

from __future__ import annotations

import importlib.util
import ipaddress
import logging
import os
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from lacuna.distribution import describe_extra
from lacuna.errors import ConfigurationError, MissingExtraError
from lacuna.raster.formats import load_decoders
from lacuna.raster.limits import ImageLimits
from service.artifacts import download_artifacts
from service.config import Settings, wants_traces
from service.config_groups import Admission, RepositorySettings
from service.core.admission import AdmissionPolicy
from service.core.batching import BatchPolicy
from service.core.versions import VersionPolicy
from service.engine.admission_gate import AdmissionGate
from service.engine.dispatcher import Dispatcher
from service.engine.lifecycle.calibration import CalibrationStore
from service.engine.lifecycle.layout import explain_level, explain_repository
from service.engine.lifecycle.repository import ModelRepository, RepositoryPolicy
from service.engine.lifecycle.scan import scan_model
from service.engine.lifecycle.warmup import WarmupPolicy
from service.engine.memory import MemoryBudget, find_memory_limit
from service.engine.process_memory import MemoryPlan, ProcessMemory, plan_memory
from service.engine.segmenter import EnginePolicy, Segmenter
from service.engine.thread_allocation import ThreadAllocation, allocate_threads, count_cores
from service.engine.threads import SharedThreads
from service.engine.watchdog import Watchdog
from service.exchange import Exchange
from service.intake import Intake
from service.listening.access import AccessControl
from service.listening.body_limits import BodyLimits
from service.listening.key_files import KeyFiles
from service.listening.keys import KeyRing, read_keys
from service.listening.listener import Listener
from service.listening.services import Services
from service.pipeline import Pipeline
from service.platforms import find_artifacts, find_demo_model, read_vertex_routes
from service.runtime.precision import PrecisionSetting
from service.runtime.protocol import Runtime
from service.telemetry import Telemetry
from service.tracing import start_tracing
from service.web.app import make_app, make_metrics_app
from service.web.connection import ConnectionTimeouts
from service.web.proxies import ProxyPolicy
from service.web.server import Server
from service.web.services import AppServices, OperatorRoutes, VertexRoutes
from service.wire.oip.outputs import DEFAULT_OUTPUTS

log = logging.getLogger(__name__)

Load = Callable[[Path, ThreadAllocation], Runtime]


def assemble_services(settings: Settings, load: Load) -> AppServices:
    """Assemble the services of the application.

    Args:
        settings: Settings of the server.
        load: Function that loads a runtime from a model's folder, for a thread allocation.

    Raises:
        ConfigurationError: if traces are requested and impossible, a place for keys holds none,
            the model repository can never serve a model, or a path of Vertex AI is malformed.
    """
    check_repository(settings)
    load_decoders()  # now, because a library that cannot be loaded later stays missing
    tracing = start_tracing() if wants_traces() else None
    vertex_routes = VertexRoutes(**read_vertex_routes())
    engine, limits = settings.engine, settings.limits
    allocation = _allocate(settings)
    window_pixels = engine.window_pixels or choose_sizes(settings).window_pixels
    memory = ProcessMemory(_find_limit(settings), allocation.workers * window_pixels)
    batch = BatchPolicy(max_pixels=settings.batch.max_pixels, max_wait_s=settings.batch.max_wait_s)
    segmenter = Segmenter(
        EnginePolicy(workers=allocation.workers, window_pixels=window_pixels, batch=batch)
    )
    repository = ModelRepository(
        root=settings.model_repository,
        load=lambda folder: load(folder, allocation),
        names=settings.models,
        warmup=WarmupPolicy(
            workers=allocation.workers,
            batch=batch,
            pixels=engine.warmup_pixels,
            window_pixels=window_pixels,
        ),
        policy=make_repository_policy(
            settings.repository, engine.precision, _find_demo_model(settings)
        ),
        store=CalibrationStore(folder=settings.cache_folder, allocation=allocation),
        memory=memory,
    )
    gate = make_admission_gate(settings.admission, segmenter.dispatcher, memory)
    exchange = Exchange(
        pipeline=Pipeline(segmenter),
        repository=repository,
        intake=Intake(gate, limits.body_bytes, SharedThreads(settings.admission.max_share)),
        telemetry=Telemetry(segmenter.dispatcher, repository, gate, tracing),
        image_limits=ImageLimits(
            image_pixels=limits.image_pixels, image_channels=limits.image_channels
        ),
        model_pixels=settings.repository.image_pixels,
        return_free=memory.return_free,
    )
    access_control = AccessControl()
    key_files = KeyFiles(
        access_control,
        lambda: make_key_ring(settings),
        [file for file in (settings.api_keys_file, settings.admin_key_file) if file is not None],
    )
    access_control.replace_keys(make_key_ring(settings))
    return AppServices(
        exchange=exchange,
        watchdog=Watchdog(segmenter.dispatcher, engine.watchdog_s),
        body_limits=BodyLimits(
            body_bytes=limits.body_bytes, idle_s=limits.idle_s, body_s=limits.body_s
        ),
        access_control=access_control,
        key_files=key_files,
        operator_routes=OperatorRoutes(docs=settings.docs, metrics=settings.metrics_port is None),
        proxies=ProxyPolicy(trusted=settings.proxy.trusted, root_path=settings.root_path),
        vertex_routes=vertex_routes,
        default_outputs=DEFAULT_OUTPUTS[settings.oip.default_outputs],
        memory=memory,
    )


def choose_sizes(settings: Settings) -> MemoryPlan:
    """Choose the sizes that follow from the memory of the server."""
    return plan_memory(_find_limit(settings), _allocate(settings).workers)


def _find_limit(settings: Settings) -> int:
    found_bytes = find_memory_limit()
    return min(settings.memory_limit_bytes or found_bytes, found_bytes)


def _allocate(settings: Settings) -> ThreadAllocation:
    return allocate_threads(settings.engine.workers, settings.engine.threads, count_cores())


def fetch_models(settings: Settings) -> Settings:
    """Download the models, if a platform keeps them elsewhere.

    Returns:
        The settings, with the folder that the models are in.

    Raises:
        ConfigurationError: if they cannot be downloaded.
    """
    artifacts = find_artifacts(is_set="model_repository" in settings.model_fields_set)
    if artifacts is None:
        return settings
    folder = settings.cache_folder / "artifacts"
    log.info("downloading models", extra={"uri": artifacts.uri, "folder": str(folder)})
    download_artifacts(artifacts, folder)
    return settings.model_copy(update={"model_repository": folder})


def _find_demo_model(settings: Settings) -> str | None:
    """Return the default model of the demo; None if it is not served."""
    name = find_demo_model(settings.model_repository)
    return None if settings.models and name not in settings.models else name


def make_admission_gate(
    settings: Admission, dispatcher: Dispatcher, memory: ProcessMemory
) -> AdmissionGate:
    """Create the admission gate in front of a dispatcher."""
    limits = settings.model_dump(exclude={"memory_bytes"})
    budget = MemoryBudget(settings.memory_bytes, settings.max_share, memory.measure_free_bytes)
    return AdmissionGate(dispatcher, AdmissionPolicy(**limits), budget)


def make_server(
    settings: Settings, services: AppServices, end: Callable[[int], object] | None = None
) -> Server:
    """Create the server of an application.

    Args:
        settings: Settings of the server.
        services: Services of the application.
        end: Function that ends the process with an exit code, whatever still runs.
    """
    limits = settings.limits
    port = settings.metrics_port
    return Server(
        app=make_app(services),
        gate=services.gate,
        host=settings.host,
        port=settings.port,
        timeouts=ConnectionTimeouts(
            head_s=limits.head_s,
            idle_s=limits.idle_s,
            answer_s=limits.body_s,
            keep_alive_s=limits.keep_alive_s,
        ),
        drain_s=settings.drain_s,
        metrics_app=None if port is None else make_metrics_app(services),
        metrics_port=port or 0,
        end=end,
        reload=None if services.key_files is None else services.key_files.read_again,
        is_loading=lambda: services.repository.is_loading,
        is_ready=lambda: services.is_ready,
        other=make_rpc_listener(settings, services),
    )


_RPC_MODULES = ("grpc", "grpc_reflection")
"""Modules of the extra `grpc`. TensorFlow brings the first one alone."""


def make_rpc_listener(settings: Settings, services: Services) -> Listener | None:
    """Create the listener for gRPC; None if it is switched off, or not asked for and not installed.

    Raises:
        MissingExtraError: if it is asked for and not installed.
    """
    port = settings.grpc_port
    if port == "off":
        return None
    if not all(map(importlib.util.find_spec, _RPC_MODULES)):
        missing = f"gRPC needs the extra `grpc`, {describe_extra('grpc')}"
        if port is not None:
            raise MissingExtraError(f"{missing}. LACUNA_GRPC_PORT=off does without it")
        log.info("no gRPC", extra={"reason": missing})
        return None
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its lines are not in our format
    # Only servers that speak gRPC import it.
    from service.rpc.server import DEFAULT_PORT, RpcServer  # noqa: PLC0415

    is_wanted = port is not None
    return RpcServer(
        services,
        settings.host,
        DEFAULT_PORT if port is None else port,
        is_wanted=is_wanted,
        reflects=settings.docs,
        trusted=settings.proxy.trusted,
    )


def make_key_ring(settings: Settings) -> KeyRing:
    """Read the keys from the settings and their files.

    Raises:
        ConfigurationError: if a place for keys holds none, or one that is not valid. The message
            never contains a key.
    """
    keys = _read_secret("LACUNA_API_KEYS", settings.api_keys, settings.api_keys_file)
    admin = _read_secret("LACUNA_ADMIN_KEY", settings.admin_key, settings.admin_key_file)
    if len(admin) > 1:
        raise ConfigurationError(f"the admin key must be one; there are {len(admin)}")
    return KeyRing(keys, admin[0] if admin else None)


def check_repository(settings: Settings) -> None:
    """Check that the model repository is a folder, and can serve a model now or later.

    A folder without models is not an error if it is polled, because a volume may be filled later.
    The folder of a model or a version is one, because no file that is added makes it a repository,
    unless the settings name the model.

    Raises:
        ConfigurationError: if it is no folder, or holds no model and none can ever be loaded.
    """
    root = settings.model_repository
    try:
        os.scandir(root).close()
    except OSError as error:
        raise ConfigurationError(
            f"the model repository must be a folder that can be read; {root}: {error.strerror}. "
            "Name it with LACUNA_MODEL_REPOSITORY or --model-repository"
        ) from None
    may_change = settings.repository.poll_s > 0 or settings.admin_key or settings.admin_key_file
    only = settings.models[0] if len(settings.models) == 1 else ""
    if only and scan_model(root, only, is_only=True).snapshots:
        return
    level = explain_level(root, only)
    fault = level if may_change else explain_repository(root)
    if level and not settings.models:
        fault += ". To serve one model alone, name it with LACUNA_MODELS or --models"
    if fault and not may_change:
        fault += ". It is not polled (LACUNA_REPOSITORY__POLL_S), and no admin key may load a model"
    if fault:
        raise ConfigurationError(fault)


def warn_of_open_access(settings: Settings, services: AppServices) -> None:
    """Log a warning if the server listens beyond this machine and asks for no key."""
    if services.access_control.needs_keys or _is_loopback(settings.host):
        return
    log.warning(
        "EVERYBODY WHO REACHES THIS ADDRESS MAY USE THIS SERVER: it listens beyond this machine "
        "and asks for no key; set LACUNA_API_KEYS_FILE or LACUNA_API_KEYS",
        extra={"host": settings.host},
    )


def _read_secret(name: str, secret: SecretStr | None, file: Path | None) -> list[str]:
    texts = {} if secret is None else {name: secret.get_secret_value()}
    if file is not None:
        try:
            texts[f"{name}_FILE"] = file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
            raise ConfigurationError(
                f"{name}_FILE must name a file that can be read; {file}: {reason}"
            ) from None
    found = {source: read_keys(text) for source, text in texts.items()}
    for source, keys in found.items():
        if not keys:
            # A setting that names a place for keys means that keys are wanted.
            raise ConfigurationError(f"{source} must hold a key where it is set; it holds none")
    return [key for keys in found.values() for key in keys]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def make_repository_policy(
    settings: RepositorySettings,
    precision: PrecisionSetting = RepositoryPolicy.precision,
    demo_model: str | None = None,
) -> RepositoryPolicy:
    """Convert the settings of the repository.

    Args:
        settings: Settings of the repository.
        precision: Precision of all models.
        demo_model: Default model if the settings name none.
    """
    return RepositoryPolicy(
        poll_s=settings.poll_s,
        versions=VersionPolicy.parse(settings.versions),
        model_versions={
            name: VersionPolicy.parse(text) for name, text in settings.model_versions.items()
        },
        labels={
            name: {label: str(version) for label, version in labels.items()}
            for name, labels in settings.labels.items()
        },
        max_pending=settings.max_pending,
        drain_s=settings.drain_s,
        precision=precision,
        model_precisions=settings.precision,
        default_model=settings.default_model or demo_model,
    )
