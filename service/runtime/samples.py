"""A model's own samples: images in `assets.extra/samples` of its folder.

An image `NAME.png` may have a mask `NAME-mask.png`; every format that is read will do. Those of
the demo's models are the ones that the page shows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from lacuna.errors import LacunaError
from lacuna.raster.adapt import to_sample
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.masks import decode_mask
from lacuna.sample import Sample
from service.runtime.manifest import Manifest

log = logging.getLogger(__name__)

_FOLDER = Path("assets.extra") / "samples"
_DEMO = Path(__file__).resolve().parents[1] / "demo"
_MASK = "-mask"
_MOST = 16
_SIDE = 512
"""Rows and columns of a sample that are used, so that the model runs on it in one piece. A model
that takes tiles of one size gets one of these."""


def read_samples(folder: Path, manifest: Manifest) -> list[Sample]:
    """Read a model's samples, at most 16, of each at most 512 × 512 pixels.

    Args:
        folder: `<repository>/<model>/<version>`.
        manifest: Manifest of the model, which they are fitted to.

    Returns:
        The samples in order of their names. One that cannot be read is left out, and a line of the
        log says so.
    """
    return list(_read_all(_find_folder(folder), manifest))


def _find_folder(folder: Path) -> Path:
    own = folder / _FOLDER
    version = folder.resolve()
    is_demo = (_DEMO / "models") in version.parents
    return _DEMO / "samples" / version.parent.name if is_demo and not own.is_dir() else own


def _read_all(folder: Path, manifest: Manifest) -> Iterator[Sample]:
    files = {path.stem: path for path in sorted(folder.glob("[!.]*")) if path.is_file()}
    names = [name for name in files if not name.endswith(_MASK)]
    for name in names[:_MOST]:
        try:
            yield _read(files[name], files.get(name + _MASK), manifest)
        except (LacunaError, OSError) as error:
            log.warning("sample is left out", extra={"sample": name, "reason": str(error)})


def _read(image: Path, mask: Path | None, manifest: Manifest) -> Sample:
    limits = ImageLimits()
    valid = None if mask is None else decode_mask(mask.read_bytes(), limits)
    spec = manifest.image
    raster = decode_image(image.read_bytes(), limits)
    sample = to_sample(raster, valid, spec.channels, spec.dtype)
    tiles = manifest.tiles
    height, width = (_SIDE, _SIDE) if tiles is None else (tiles.height, tiles.width)
    part = (slice(height), slice(width))
    return Sample(sample.image[part], sample.mask[part])
