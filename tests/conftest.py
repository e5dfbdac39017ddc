"""What all tests share. TensorFlow is imported by the fixtures that need it and by nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pyogrio  # noqa: F401 (before TensorFlow, whichever test imports that first)
import pytest

import model  # noqa: F401 (before TensorFlow, which reads once what it sets)

# The same examples in every run, and no clock: the machine may be busy.
hypothesis.settings.register_profile(
    "lacuna", deadline=None, derandomize=True, max_examples=12, print_blob=True
)
hypothesis.settings.load_profile("lacuna")


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of calibrations of this run, so that its processes check a model once."""
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LACUNA_CACHE_FOLDER", str(folder))
        yield folder


@pytest.fixture(scope="session")
def exported_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an exported network of the default shape, all its weights at random."""
    from tests.support.networks import export_random_network  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("repository") / "random" / "1"
    export_random_network(folder)
    return folder


@pytest.fixture(scope="session")
def exported(exported_folder: Path) -> Any:
    """That network, loaded as a server loads it."""
    from service.runtime.saved_model import SavedModelRuntime  # noqa: PLC0415

    return SavedModelRuntime(exported_folder)


@pytest.fixture(scope="session")
def small_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Repository of an exported network of few weights, which keeps the promise."""
    from tests.support.networks import export_small_network  # noqa: PLC0415

    root = tmp_path_factory.mktemp("small")
    export_small_network(root / "small" / "1")
    return root
