"""Missing pixels of a raster, as GDAL finds them.

1. A mask, in the file or beside it, stands in place of all else (GDAL's RFC 15). With a mask beside
   the file, a band of alpha counts too.
2. Otherwise a pixel is missing where a band of alpha is 0, and where the channels that are read all
   hold their no-data values. The metadata item NODATA_VALUES has one for alpha, too, which counts
   where no band is left out.

The in-memory reader of TIFF follows the same rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, NamedTuple

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioIOError

from lacuna.geo.colours import is_lossy
from lacuna.geo.layout import Layout
from lacuna.raster.nodata import equals_nodata, parse_nodata
from lacuna.raster.sidecar import SIDECAR_SUFFIX

_LONG = ("int64", "uint64")


class Samples(NamedTuple):
    """Numbers of a window as GDAL reads them.

    Attributes:
        values: (H, W, S) of the file's dtype: channels, and then alpha.
        mask: uint8 (H, W), GDAL's mask; None where no mask is read.
    """

    values: NDArray[Any]
    mask: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Validity:
    """Rules by which pixels of a raster are missing.

    Attributes:
        alphas: indices of the samples that are alpha.
        least_alpha: least alpha of a valid pixel, more than 1 after compression with loss.
        nodata: value of missing pixels in each channel; None if not each has one.
        pixel_nodata: the same for all samples, alpha among them; it comes before `nodata`.
        mask: origin of the mask that GDAL reads: a page of the file, a file beside it, or no-data
            values that rasterio cannot tell exactly.
        masked: numbers of the bands whose masks are read; a pixel is valid where any of them is.
        least_mask: least mask of a valid pixel, more than 1 after compression with loss.
    """

    alphas: tuple[int, ...] = ()
    least_alpha: int = 1
    nodata: tuple[float, ...] | None = None
    pixel_nodata: tuple[float, ...] | None = None
    mask: Literal["none", "page", "sidecar", "nodata"] = "none"
    masked: tuple[int, ...] = ()
    least_mask: int = 1

    def find(
        self, samples: Samples, channels: NDArray[Any]
    ) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
        """Find what a file says about the pixels of a window.

        Args:
            samples: numbers of the window.
            channels: (H, W, C), those of the channels.

        Returns:
            `valid` and `has_data` of a `lacuna.raster.raster.Raster`.
        """
        valid = self._find_opaque(samples.values)
        if samples.mask is not None:
            masked = samples.mask >= self.least_mask
            if self.mask == "nodata":
                return valid, masked
            return masked if valid is None or self.mask == "page" else masked & valid, None
        if self.pixel_nodata is not None:
            return valid, ~equals_nodata(samples.values, self.pixel_nodata)
        return valid, None if self.nodata is None else ~equals_nodata(channels, self.nodata)

    def _find_opaque(self, values: NDArray[Any]) -> NDArray[np.bool_] | None:
        if not self.alphas:
            return None
        # Floating-point alpha has a highest value of 1.
        least = self.least_alpha if values.dtype.kind in "iu" else np.finfo(values.dtype).tiny
        planes = [values[:, :, alpha] >= least for alpha in self.alphas]
        return np.asarray(np.logical_and.reduce(planes), np.bool_)


def read_validity(dataset: Any, layout: Layout) -> Validity:
    """Read the rules by which pixels of a rasterio dataset are missing.

    Args:
        dataset: open for reading.
        layout: the bands that are read.
    """
    nodata: tuple[float | None, ...] = tuple(band.nodata for band in layout.channels)
    pixel_nodata = None
    values = _read_nodata_values(dataset)
    if values is not None and len(layout.numbers) == dataset.count:
        pixel_nodata = tuple(values[number - 1] for number in layout.numbers)
    elif values is not None:
        nodata = tuple(values[band.number - 1] for band in layout.channels)
    mask, masked = _choose_mask(dataset, [band.number for band in layout.channels])
    return Validity(
        alphas=layout.locate(layout.alphas),
        least_alpha=2 ** (layout.colours.bits - 1) if layout.colours.is_lossy else 1,
        nodata=tuple(value for value in nodata if value is not None)
        if None not in nodata
        else None,
        pixel_nodata=pixel_nodata,
        mask=mask,
        masked=masked,
        least_mask=128 if mask in ("page", "sidecar") and _has_lossy_mask(dataset) else 1,
    )


def _read_nodata_values(dataset: Any) -> tuple[float, ...] | None:
    """Return the values of the metadata item; None if they are not as many as the bands."""
    try:
        values = [parse_nodata(word) for word in dataset.tags().get("NODATA_VALUES", "").split()]
    except ValueError:
        return None
    numbers = tuple(value for value in values if not isinstance(value, str))
    return numbers if 0 < len(numbers) == len(values) == dataset.count else None


def _choose_mask(
    dataset: Any, numbers: Sequence[int]
) -> tuple[Literal["none", "page", "sidecar", "nodata"], tuple[int, ...]]:
    flags = [set(dataset.mask_flag_enums[number - 1]) for number in numbers]
    kind: Literal["page", "sidecar"] = "sidecar" if _find_sidecars(dataset) else "page"
    if flags[0] == {MaskFlags.per_dataset}:
        return kind, (numbers[0],)
    if not any(flags):
        return kind, tuple(numbers)
    # rasterio has no-data values as float64, which does not hold all integers of 64 bits.
    if flags[0] == {MaskFlags.nodata} and dataset.dtypes[numbers[0] - 1] in _LONG:
        return "nodata", tuple(numbers)
    return "none", ()


def _find_sidecars(dataset: Any) -> list[str]:
    name = dataset.name + SIDECAR_SUFFIX
    return [name] if name in dataset.files else []


def _has_lossy_mask(dataset: Any) -> bool:
    """Return whether the mask was compressed as JPEG, by other software than GDAL."""
    if dataset.driver != "GTiff":
        return False
    sidecars = _find_sidecars(dataset)
    pages = sidecars or (f"GTIFF_DIR:{page}:{dataset.name}" for page in count(2))
    for page in pages:
        try:
            with rasterio.open(page) as other:
                if other.shape == dataset.shape and is_lossy(other):
                    return True
        except RasterioIOError:
            break
    return False
