"""The parts of a server, made as the settings say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from service.config import Repository as RepositorySettings
from service.config import Settings
from service.core.admission import AdmissionPolicy
from service.core.batching import BatchPolicy
from service.core.versions import VersionPolicy
from service.engine.calibration import CalibrationStore
from service.engine.gate import Gate
from service.engine.layout import Layout, choose_layout, count_cores
from service.engine.repository import Repository, RepositoryPolicy
from service.engine.segmenter import EnginePolicy, Segmenter
from service.engine.warmup import WarmupPolicy
from service.engine.watchdog import Watchdog
from service.formats.limits import ImageLimits
from service.pipeline import Pipeline
from service.runtime.protocol import Runtime
from service.telemetry import Telemetry
from service.web.body import BodyLimits
from service.web.parts import Parts

Load = Callable[[Path, Layout], Runtime]


def assemble_parts(settings: Settings, load: Load) -> Parts:
    """Make all that the application is made of.

    Args:
        settings: of the server.
        load: makes a runtime of a model's folder, for a layout of workers and threads.
    """
    engine, limits = settings.engine, settings.limits
    layout = choose_layout(engine.workers, engine.threads, count_cores())
    batch = BatchPolicy(settings.batch.max_pixels, settings.batch.max_wait_s)
    segmenter = Segmenter(EnginePolicy(layout.workers, engine.window_pixels, batch))
    repository = Repository(
        settings.model_repository,
        lambda folder: load(folder, layout),
        settings.models,
        WarmupPolicy(layout.workers, batch, engine.warmup_pixels, engine.window_pixels),
        make_repository_policy(settings.repository),
        CalibrationStore(settings.cache_folder, layout),
    )
    pipeline = Pipeline(
        repository, segmenter, ImageLimits(limits.image_pixels, limits.image_channels)
    )
    return Parts(
        pipeline,
        Gate(segmenter.dispatcher, AdmissionPolicy(**dict(settings.admission))),
        Watchdog(segmenter.dispatcher, engine.watchdog_s),
        Telemetry(segmenter.dispatcher, repository),
        BodyLimits(limits.body_bytes),
    )


def make_repository_policy(settings: RepositorySettings) -> RepositoryPolicy:
    """Read what is served of the repository, and when it is looked at."""
    return RepositoryPolicy(
        settings.poll_s,
        VersionPolicy.parse(settings.versions),
        {name: VersionPolicy.parse(text) for name, text in settings.model_versions.items()},
        {
            name: {label: str(version) for label, version in labels.items()}
            for name, labels in settings.labels.items()
        },
        settings.max_pending,
        settings.drain_s,
    )
