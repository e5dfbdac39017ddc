"""Names of the files of a scene's result."""

from __future__ import annotations

from pathlib import Path


def name_layer(output: Path, layer: str) -> Path:
    """Return the file of a further layer: `labels-support.tif` beside `labels.tif`."""
    return output.with_stem(f"{output.stem}-{layer}")
