"""Conventions of the hosting platforms SageMaker and Vertex AI.

Their variables and folders take the place of defaults.
"""

from __future__ import annotations

import re
from pathlib import Path

from lacuna.errors import ConfigurationError
from service.artifacts import SCHEME, Artifacts
from service.variables import read_first

DEMO_REPOSITORY = (Path(__file__).parent / "demo" / "models").resolve()
DEMO_MODEL = "aerial"
"""Model of the demo repository that answers requests that name none."""
DEFAULT_PORT = 8000
SAGEMAKER_PORT = 8080
SAGEMAKER_FOLDER = Path("/opt/ml/model")
"""Folder into which SageMaker unpacks a model. It exists nowhere else."""
_ROUTE = re.compile(r"/[\w./~:@!$&'()*+,;=-]*", re.ASCII)


def find_port(sagemaker: Path = SAGEMAKER_FOLDER) -> int:
    """Return the port that a hosting platform expects, else 8000.

    Args:
        sagemaker: folder that exists on SageMaker.

    Raises:
        ConfigurationError: if a variable of the platform is not a port.
    """
    name, text = read_first("AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT")
    if not text:
        return SAGEMAKER_PORT if sagemaker.is_dir() else DEFAULT_PORT
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise ConfigurationError(f"{name} must be a port; it is {text[:100]}")
    return int(text)


def find_repository(sagemaker: Path = SAGEMAKER_FOLDER) -> Path:
    """Return the folder of models that a hosting platform has filled, else the demo's.

    Args:
        sagemaker: folder that SageMaker fills.
    """
    uri = read_storage_uri()
    if uri and not uri.startswith(SCHEME):
        return Path(uri)
    return sagemaker if sagemaker.is_dir() and any(sagemaker.iterdir()) else DEMO_REPOSITORY


def find_demo_model(root: Path) -> str | None:
    """Return the default model of the demo; None if a repository is another one, or lacks it.

    In the image, other models may be mounted over those of the demo.

    Args:
        root: folder of the repository.
    """
    is_there = root.resolve() == DEMO_REPOSITORY and (root / DEMO_MODEL).is_dir()
    return DEMO_MODEL if is_there else None


def read_storage_uri() -> str:
    """Return where Vertex AI keeps the models: a folder, or `gs://…`; empty for none."""
    return read_first("AIP_STORAGE_URI")[1]


def find_artifacts(*, is_set: bool) -> Artifacts | None:
    """Return the folder in Google Cloud Storage that holds the models; None if it is not there.

    Args:
        is_set: True if the settings name a repository, which takes precedence.
    """
    uri = read_storage_uri()
    if is_set or not uri.startswith(SCHEME):
        return None
    # Google's own variables, for other storages and metadata servers.
    _, storage = read_first("STORAGE_EMULATOR_HOST")
    _, metadata = read_first("GCE_METADATA_HOST")
    plain = Artifacts(uri)
    return Artifacts(
        uri,
        storage.rstrip("/") or plain.api_url,
        f"http://{metadata}" if metadata else plain.metadata_url,
    )


def read_vertex_routes() -> dict[str, str]:
    """Return the paths at which Vertex AI calls the server: `health` and `predict`, if any.

    Raises:
        ConfigurationError: if one is not a path.
    """
    paths = {"health": read_first("AIP_HEALTH_ROUTE"), "predict": read_first("AIP_PREDICT_ROUTE")}
    for name, text in paths.values():
        if text and not _ROUTE.fullmatch(text):
            raise ConfigurationError(
                f"{name} must be a path of letters, digits and any of /._~:@!$&'()*+,;=- after a "
                f"slash; it is {text[:100]}"
            )
    return {kind: text for kind, (_, text) in paths.items() if text}
