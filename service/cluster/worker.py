"""Worker on a node of a cluster: the engine of one CPU, with one version of a model."""

from __future__ import annotations

import hashlib
import platform
import tempfile
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lacuna.distribution import VERSION
from lacuna.sample import Sample, Segmentation
from lacuna.windows.window import Window
from service.local.engine import LocalEngine, open_engine
from service.local.images import ImageFiles, segment_with
from service.local.windows import LocalRunner

if TYPE_CHECKING:
    from lacuna.appearance.comparison import FamiliarRange
    from lacuna.cli.segment_plan import ImagePlan
    from lacuna.client import Result
    from lacuna.scenes.runner import SceneModel
    from service.cluster.model_files import ModelFiles
    from service.wire.native.parameters import Parameters

_PROBE_SIZE = (160, 208)
_LIBRARIES = ("imagecodecs", "numpy", "pillow", "tifffile")


class WorkerModel(NamedTuple):
    """Model of a worker.

    Attributes:
        model: model as scenes see it.
        familiar: range of values that it is familiar with; None if it is not known.
        digest: SHA-256 of what it computes for a certain image.
    """

    model: SceneModel
    familiar: FamiliarRange | None
    digest: str


class ClusterWorker:
    """Worker whose methods are called from another machine. All of them run on one event loop."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._engine: LocalEngine
        self._runner: LocalRunner

    async def list_versions(self) -> dict[str, str]:
        """Return the versions of all that a result could depend on, by name."""
        return list_versions()

    async def open(self, files: ModelFiles) -> WorkerModel:
        """Load and check the model.

        Args:
            files: files of the model.

        Raises:
            LacunaError: if it cannot be loaded.
            OSError: if its files cannot be written.
        """
        with tempfile.TemporaryDirectory(prefix="lacuna-") as folder:
            files.write(Path(folder))
            # Once it is loaded, a model does not need its files.
            opening = open_engine(Path(folder), files.name, cores=1)
            self._engine = await self._stack.enter_async_context(opening)
        lease = self._engine.repository.lease(files.name, files.version)
        served = self._stack.enter_context(lease)
        self._runner = LocalRunner(self._engine, served)
        return WorkerModel(self._runner.model, self._runner.familiar, await self._compute_digest())

    async def segment_window(
        self, sample: Sample, keep: Window, probabilities: bool
    ) -> Segmentation:
        """Segment a window; see `SceneRunner`."""
        return await self._runner.segment(sample, keep, probabilities=probabilities)

    async def segment_image(
        self, plan: ImagePlan, files: ImageFiles, parsed: Parameters, probabilities: bool
    ) -> Result:
        """Segment an image.

        Args:
            plan: its paths, which are not read.
            files: their contents.
            parsed: parameters.
            probabilities: True to compute probabilities too.

        Returns:
            Result without the image.

        Raises:
            LacunaError: if the image cannot be decoded or segmented.
        """
        result = await segment_with(
            self._engine, plan, parsed, probabilities=probabilities, files=files
        )
        return replace(result, image=None)

    async def _compute_digest(self) -> str:
        model = self._runner.model
        random = np.random.default_rng(0)
        image = random.integers(0, 256, (*_PROBE_SIZE, model.channels)).astype(model.dtype)
        sample = Sample(image, random.random(_PROBE_SIZE) < 0.9)
        keep = Window(0, 0, *_PROBE_SIZE)
        found = await self._runner.segment(sample, keep, probabilities=True)
        digest = hashlib.sha256(found.labels.tobytes())
        if found.probabilities is not None:
            digest.update(found.probabilities.tobytes())
        return digest.hexdigest()


def list_versions() -> dict[str, str]:
    """Return the versions of all that a result could depend on, by name, on this machine."""
    found = {name: find_version(name) for name in _LIBRARIES}
    return {
        "lacuna": VERSION,
        "Python": ".".join(platform.python_version_tuple()[:2]),
        # One of the two, by the machine.
        "tensorflow": find_version("tensorflow-cpu") or find_version("tensorflow"),
        **{name: text for name, text in found.items() if text},
    }


def find_version(distribution: str) -> str:
    """Return the version of a distribution; empty if it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
