"""Place of a raster's pixels on Earth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from lacuna.windows.window import Window


@dataclass(frozen=True)
class Grid:
    """Size of a raster, and where it lies.

    Attributes:
        height: number of rows.
        width: number of columns.
        crs: coordinate reference system of `transform`; None if it is unknown.
        transform: from columns and rows, (0, 0) at the outer corner of the first pixel, to
            coordinates; None if it is unknown. It may be rotated, or have south up.
        gcps: ground control points, which stand in place of a transform.
        gcps_crs: coordinate reference system of `gcps`.
    """

    height: int
    width: int
    crs: CRS | None = None
    transform: Affine | None = None
    gcps: tuple[GroundControlPoint, ...] = ()
    gcps_crs: CRS | None = None

    @classmethod
    def of(cls, dataset: Any) -> Grid:
        """Return the grid of a rasterio dataset.

        Args:
            dataset: open for reading. Rational polynomial coefficients are left alone.
        """
        points, points_crs = dataset.gcps
        # rasterio returns the identity where there is no transform.
        transform = None if dataset.transform == Affine.identity() else dataset.transform
        return cls(dataset.height, dataset.width, dataset.crs, transform, tuple(points), points_crs)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    def crop(self, window: Window) -> Grid:
        """Return the grid of a window."""
        return replace(
            self,
            height=window.height,
            width=window.width,
            transform=None if self.transform is None else _shift(self.transform, window),
            gcps=tuple(_move(point, window) for point in self.gcps),
        )

    def to_profile(self) -> dict[str, Any]:
        """Return the keyword arguments with which rasterio writes a raster on this grid."""
        profile: dict[str, Any] = {"height": self.height, "width": self.width, "crs": self.crs}
        if self.transform is not None:
            profile["transform"] = self.transform
        elif self.gcps:
            profile |= {"gcps": list(self.gcps), "crs": self.gcps_crs or CRS()}
        return profile


def _shift(transform: Affine, window: Window) -> Affine:
    a, b, c, d, e, f = transform[:6]
    return Affine(
        *(a, b, c + a * window.left + b * window.top),
        *(d, e, f + d * window.left + e * window.top),
    )


def _move(point: GroundControlPoint, window: Window) -> GroundControlPoint:
    return GroundControlPoint(
        row=point.row - window.top,
        col=point.col - window.left,
        x=point.x,
        y=point.y,
        z=point.z,
        id=point.id,
        info=point.info,
    )
