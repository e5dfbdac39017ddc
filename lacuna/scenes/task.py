"""A scene to segment, and where the result goes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lacuna.geo.grid import Grid
from lacuna.raster.nodata import NoData
from lacuna.scenes.journal import fingerprint
from lacuna.scenes.layers import LABELS, ExtraLayer
from lacuna.scenes.names import name_layer
from lacuna.scenes.runner import SceneModel


@dataclass(frozen=True)
class SceneTask:
    """A scene to segment, and where the result goes.

    Attributes:
        source: raster, anything that GDAL opens.
        output: GeoTIFF of the labels.
        mask: raster of the same size whose non-zero pixels are valid; None for none.
        nodata: value of missing pixels, in place of those that the file names; None for these.
        bands: numbers from 1, or names, of the bands that the model is given; None for all.
        alpha: whether the raster's last band is alpha: `auto`, `yes` or `no`.
        scale: True to apply the scale and the offset of each band.
        also: further layers.
        polygons: file of polygons, `.gpkg`, `.geojson`, `.fgb` or `.parquet`; None for none.
        min_area: area below which a polygon is left out, in square metres; pixels without a CRS.
        overwrite: True to replace outputs that exist.
        resume: True to continue an unfinished run.
    """

    source: str | os.PathLike[str]
    output: Path
    mask: str | os.PathLike[str] | None = None
    nodata: NoData | None = None
    bands: Sequence[int | str] | None = None
    alpha: Literal["auto", "yes", "no"] = "auto"
    scale: bool = False
    also: tuple[ExtraLayer, ...] = ()
    polygons: Path | None = None
    min_area: float = 0.0
    overwrite: bool = False
    resume: bool = False

    @property
    def layer_files(self) -> dict[str, Path]:
        """Files of the layers, by their names."""
        beside: dict[str, Path] = {name: name_layer(self.output, name) for name in self.also}
        return {**beside, LABELS: self.output}

    @property
    def outputs(self) -> list[Path]:
        """All files that are written, the labels last."""
        first = [] if self.polygons is None else [self.polygons]
        return [*first, *self.layer_files.values()]

    @property
    def layer_names(self) -> list[str]:
        """Names of the layers that are computed."""
        # Polygons have a mean confidence.
        needed = (
            ["confidence"] if self.polygons is not None and "confidence" not in self.also else []
        )
        return [LABELS, *self.also, *needed]

    def describe(
        self, grid: Grid, files: Sequence[str | os.PathLike[str]], model: SceneModel, side: int
    ) -> dict[str, Any]:
        """Return all that the outputs depend on, as JSON values.

        Args:
            grid: of the scene.
            files: that the scene and its mask are read from.
            model: that segments it.
            side: side of what a window keeps, in pixels.
        """
        return {
            "scene": os.fspath(self.source),
            "size": [grid.height, grid.width],
            "files": fingerprint(files),
            "mask": self.mask and os.fspath(self.mask),
            "nodata": None if self.nodata is None else str(self.nodata),
            "bands": self.bands and list(self.bands),
            "alpha": self.alpha,
            "scale": self.scale,
            "layers": sorted(self.layer_names),
            "model": [model.name, model.version, model.checksum],
            "window": side,
        }
