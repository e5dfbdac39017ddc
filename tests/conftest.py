"""What all tests share. TensorFlow is imported by the fixtures that need it and by nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis
import pytest

# The same examples in every run, and no clock: the machine may be busy.
hypothesis.settings.register_profile(
    "lacuna", deadline=None, derandomize=True, max_examples=50, print_blob=True
)
hypothesis.settings.load_profile("lacuna")


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
