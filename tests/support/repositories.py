"""Repositories on the disk whose models label every pixel with a number from their files."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lacuna.errors import InvalidGraphError
from service.engine.lifecycle.repository import ModelRepository, RepositoryPolicy
from service.runtime.fake import FAKE_MANIFEST, FakeRuntime
from service.runtime.protocol import BatchOutput, Runtime

BROKEN = "broken"
_CLASSES = tuple(
    FAKE_MANIFEST.classes[0].model_copy(update={"id": number, "name": f"number {number}"})
    for number in range(40)
)
_seconds = itertools.count(1_700_000_000)


def write_version(root: Path, place: str, content: object = 0) -> Path:
    """Write or replace the files of `<model>/<version>`, with a newer time on each call."""
    folder = root / place
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "saved_model.pb"
    path.write_text(str(content))
    # Two writes may be closer together than the file system's clock ticks.
    os.utime(path, times=(0, next(_seconds)))
    return folder


class Numbered(FakeRuntime):
    """Runtime that labels every valid pixel with one number."""

    def __init__(self, number: int) -> None:
        super().__init__(FAKE_MANIFEST.model_copy(update={"classes": _CLASSES}))
        self.number = number

    def run(self, images: Any, masks: Any, *, probabilities: bool, keep: Any = None) -> BatchOutput:
        labels = np.where(masks, np.uint8(self.number), np.uint8(255))
        if not probabilities:
            return BatchOutput(labels, None)
        return BatchOutput(labels, (labels[..., None] == np.arange(40)).astype(np.float32))


class Unwarmed(Numbered):
    """Runtime that passes the contract check, and pauses its warm-up until it is released."""

    def __init__(self, number: int = 0) -> None:
        super().__init__(number)
        self.begun, self.go = threading.Event(), threading.Event()

    def run(self, images: Any, masks: Any, *, probabilities: bool, keep: Any = None) -> BatchOutput:
        if not probabilities and images.shape[1:3] == (8, 8):
            self.begun.set()
            assert self.go.wait(30)
        return super().run(images, masks, probabilities=probabilities, keep=keep)


def load_written(folder: Path) -> Runtime:
    """Load a version that `write_version` has written."""
    content = (folder / "saved_model.pb").read_text()
    if content == BROKEN:
        raise InvalidGraphError("saved_model.pb must be one that loads")
    return Numbered(int(content))


class Counting:
    """Loader that records the versions that it loads."""

    def __init__(self) -> None:
        self.places: list[str] = []

    def __call__(self, folder: Path) -> Runtime:
        self.places.append(f"{folder.parent.name}/{folder.name}")
        return load_written(folder)


class Held:
    """Loader that pauses at a given version until it is released."""

    def __init__(self, *places: str) -> None:
        self.places = places
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, folder: Path) -> Runtime:
        if f"{folder.parent.name}/{folder.name}" in self.places:
            self.begun.set()
            assert self.go.wait(30)
        return load_written(folder)


def make_repository(
    root: Path,
    load: Callable[[Path], Runtime] = load_written,
    names: Sequence[str] = (),
    **policy: Any,
) -> ModelRepository:
    return ModelRepository(root, load, names, policy=RepositoryPolicy(**policy))


async def poll_twice(repository: ModelRepository) -> None:
    """Poll twice: the second poll accepts files that changed before the first."""
    await repository.refresh()
    await repository.refresh()


def list_states(repository: ModelRepository) -> dict[str, str]:
    return {f"{status.name}/{status.version}": status.state.value for status in repository.statuses}


def run_repository(root: Path, **options: Any) -> ModelRepository:
    """Make a repository and load it."""
    repository = make_repository(root, **options)
    asyncio.run(repository.load_all())
    return repository
