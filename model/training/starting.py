"""Networks whose training goes on: of a run, or of a version that `lacuna-model` wrote."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.data.dataset import Dataset

NETWORK_FILE = "network.keras"
TRAINING_FILE = "training.json"
EXTRA_FOLDER = "assets.extra"
MANIFEST_FILE = "manifest.json"


class StartError(ValueError):
    """A training cannot start from a network; the message states the rule, then what came."""


@dataclass(frozen=True)
class Start:
    """Network that a training starts from.

    Attributes:
        path: its Keras file.
        network: the configuration of the network, as JSON values.
        dtype: of its images.
        digest: SHA-256 of the file, hexadecimal.
    """

    path: Path
    network: Mapping[str, Any]
    dtype: str
    digest: str

    def check_dataset(self, dataset: Dataset) -> None:
        """Check that a folder's images and classes fit the network.

        Raises:
            StartError: if they do not.
        """
        description = dataset.description
        for name, wanted, found in (
            ("channels", self.network["channels"], description.channels),
            ("classes", self.network["classes"], len(description.classes)),
        ):
            if wanted != found:
                raise StartError(
                    f"a folder must have as many {name} as the network of --from, {wanted}; "
                    f"{dataset.folder} has {found}"
                )
        if description.dtype != self.dtype:
            raise StartError(
                f"images must be {self.dtype}, as those of the network of --from; those in "
                f"{dataset.folder} are {description.dtype}"
            )


def read_start(folder: Path) -> Start:
    """Read what a training may start from, but not yet the network.

    Args:
        folder: of a run, or `<repository>/<model>/<version>`.

    Raises:
        StartError: if it is neither, or holds no weights to train.
    """
    if (folder / TRAINING_FILE).is_file():
        record = _read_json(folder / TRAINING_FILE)
        config, dtype = record.get("config"), record.get("dataset", {}).get("dtype", "uint8")
        path = folder / NETWORK_FILE
    elif (folder / EXTRA_FOLDER / MANIFEST_FILE).is_file():
        manifest = _read_json(folder / EXTRA_FOLDER / MANIFEST_FILE)
        config, dtype = manifest.get("training"), manifest.get("image", {}).get("dtype")
        path = folder / EXTRA_FOLDER / NETWORK_FILE
    else:
        raise StartError(
            "--from must be the folder of a run or of a model's version, with "
            f"{TRAINING_FILE} or {EXTRA_FOLDER}/{MANIFEST_FILE}; {folder} has neither"
        )
    if not path.is_file():
        raise StartError(
            f"a network to train must have its weights in {path.relative_to(folder)}, as runs, "
            "their exports and networks adopted with --masked have; "
            f"{folder} has no such file"
        )
    if not zipfile.is_zipfile(path):
        raise StartError(f"{path} must be a Keras file; it is not")
    if not isinstance(config, Mapping) or config.get("twin") or "network" not in config:
        raise StartError(f"a network to train must be masked; that in {folder} is not")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Start(path, config["network"], str(dtype), digest)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StartError(f"{path} must be readable as JSON; {error}") from error
    if not isinstance(values, dict):
        raise StartError(f"{path} must hold one JSON object; it does not")
    return values
