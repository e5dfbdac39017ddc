"""Applications and repositories around fake models."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from lacuna.raster.limits import ImageLimits
from service.core.admission import AdmissionPolicy
from service.engine.admission_gate import AdmissionGate
from service.engine.lifecycle.calibration import CalibrationStore
from service.engine.lifecycle.repository import ModelRepository
from service.engine.memory import MemoryBudget
from service.engine.segmenter import Segmenter
from service.engine.threads import SharedThreads
from service.engine.watchdog import WATCHDOG_S, Watchdog
from service.exchange import Exchange
from service.intake import Intake
from service.listening.body_limits import BodyLimits
from service.local.loading import load_saved_model
from service.pipeline import Pipeline
from service.platforms import DEMO_REPOSITORY
from service.runtime.fake import FakeRuntime
from service.runtime.protocol import Runtime
from service.telemetry import Telemetry
from service.tracing import Tracing
from service.variables import find_cache_folder
from service.web.app import make_app
from service.web.services import AppServices


def make_repository_folder(root: Path, *versions: str) -> Path:
    """Make empty version folders, `model/version` each."""
    for version in versions or ("fake/1",):
        (root / version).mkdir(parents=True)
    return root


def load_fake(_: Path) -> Runtime:
    return FakeRuntime()


def load_repository(
    root: Path,
    load: Callable[[Path], Runtime] = load_fake,
    names: tuple[str, ...] = (),
    store: CalibrationStore | None = None,
) -> ModelRepository:
    repository = ModelRepository(root, load, names, store=store)
    asyncio.run(repository.load_all())
    return repository


def load_demo(name: str = "groundcover") -> ModelRepository:
    """Load one model of the demo, which one test of a run checks for all."""
    store = CalibrationStore(find_cache_folder())
    return load_repository(DEMO_REPOSITORY, load_saved_model, (name,), store)


def make_services(
    repository: ModelRepository,
    body_limits: BodyLimits | None = None,
    image_limits: ImageLimits | None = None,
    admission: AdmissionPolicy | None = None,
    memory: MemoryBudget | None = None,
    watchdog_s: float = WATCHDOG_S,
    model_pixels: Mapping[str, int] | None = None,
    tracing: Tracing | None = None,
    **options: Any,
) -> AppServices:
    """Make the services of an application."""
    limits = image_limits or ImageLimits()
    body_limits = body_limits or BodyLimits()
    segmenter = Segmenter()
    dispatcher = segmenter.dispatcher
    gate = AdmissionGate(dispatcher, admission, memory)
    exchange = Exchange(
        pipeline=Pipeline(segmenter),
        repository=repository,
        intake=Intake(gate, body_limits.body_bytes, SharedThreads()),
        telemetry=Telemetry(dispatcher, repository, gate, tracing),
        image_limits=limits,
        model_pixels=model_pixels or {},
    )
    watchdog = Watchdog(dispatcher, watchdog_s)
    return AppServices(exchange, watchdog, body_limits, **options)


@contextmanager
def serve(
    repository: ModelRepository,
    body_limits: BodyLimits | None = None,
    image_limits: ImageLimits | None = None,
    **options: Any,
) -> Iterator[TestClient]:
    """Run the application and give a client of it."""
    app = make_app(make_services(repository, body_limits, image_limits, **options))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def encode_image(array: np.ndarray[Any, Any], kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()
