"""Environment of stock clients, whose protobuf is older than ours. `make test-slow` makes it."""

from __future__ import annotations

from pathlib import Path

ENVIRONMENT = Path(__file__).parents[2] / ".venv" / "stock-clients"


def find_python() -> Path:
    """Return its Python."""
    return _find(ENVIRONMENT) / "bin" / "python"


def link_tensorflow_serving(folder: Path) -> dict[str, str]:
    """Make the stubs of TensorFlow Serving known to processes of this environment.

    What they require is here; what else is in their environment would take its place.

    Args:
        folder: where the package is linked.

    Returns:
        Variables for these processes.
    """
    (package,) = _find(ENVIRONMENT).glob("lib/python*/site-packages/tensorflow_serving")
    (folder / package.name).symlink_to(package)
    return {"PYTHONPATH": str(folder)}


def _find(environment: Path) -> Path:
    if not environment.is_dir():
        raise FileNotFoundError("the environment must be there: make .venv/stock-clients.stamp")
    return environment
