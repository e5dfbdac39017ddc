"""Annotations of COCO: polygons and run lengths in one JSON file for many images.

Coordinates count pixels from the upper left corner of the upright image, and a pixel belongs to a
polygon that holds its centre. Of several annotations the last one counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon

from lacuna.errors import InvalidImageError, InvalidMaskError
from lacuna.raster.rle import decode
from model.data.description import DatasetDescription
from model.labels import IGNORE_LABEL

_SHOWN = 5


@dataclass(frozen=True, eq=False)
class CocoImage:
    """Annotations of one image.

    Attributes:
        file: name of the image.
        size: height and width in pixels, as the file of annotations states them; None if not.
        shapes: number of each annotation, name of its category, and its segmentation.
    """

    file: str
    size: tuple[int, int] | None
    shapes: tuple[tuple[int, str, Any], ...]

    @property
    def stem(self) -> str:
        """Name of the image without its folders and its suffix."""
        return PurePosixPath(self.file).stem


def read_coco(path: Path) -> tuple[list[CocoImage], list[str]]:
    """Read a file of annotations.

    Returns:
        The images, and all that is wrong with the file as a whole.
    """
    try:
        content = json.loads(path.read_bytes())
        categories = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        images = {entry["id"]: entry for entry in content["images"]}
        shapes: dict[Any, list[tuple[int, str, Any]]] = {key: [] for key in images}
        faults = []
        for entry in content["annotations"]:
            number, image, category = entry["id"], entry["image_id"], entry["category_id"]
            if image not in images:
                faults.append(
                    f"annotation {number}: image_id must be that of an image; it is {image}"
                )
            elif category not in categories:
                faults.append(
                    f"annotation {number}: category_id must be that of a category; it is {category}"
                )
            else:
                shapes[image].append((number, categories[category], entry.get("segmentation")))
        found = [
            CocoImage(str(entry["file_name"]), _read_size(entry), tuple(shapes[key]))
            for key, entry in images.items()
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        rule = "must be JSON of COCO with images, annotations and categories"
        return [], [f"{rule}; {type(error).__name__}: {error}"]
    return found, faults[:_SHOWN] + [f"{len(faults) - _SHOWN} more faults"] * (len(faults) > _SHOWN)


def find_strangers(images: Sequence[CocoImage], description: DatasetDescription) -> list[str]:
    """Return the names of categories that are no classes and not ignored either."""
    if description.unknown == "ignore":
        return []
    known = {entry.name for entry in description.classes} | set(description.ignored_names)
    return sorted({name for image in images for _, name, _ in image.shapes} - known)


def draw_labels(
    image: CocoImage, size: tuple[int, int], description: DatasetDescription
) -> NDArray[np.uint8]:
    """Draw the annotations of an image.

    Args:
        image: to draw.
        size: height and width of the upright image in pixels.
        description: of the data set; its `background` is the label of what is not annotated.

    Returns:
        uint8 (H, W), class ids, or `IGNORE_LABEL`.

    Raises:
        InvalidImageError: lists the annotations that cannot be drawn.
    """
    if image.size not in (None, size):
        height, width = image.size or size
        raise InvalidImageError(
            f"annotations must be of an image of this size; {image.file} is {size[0]}×{size[1]}, "
            f"they are of {height}×{width}"
        )
    ids = {entry.name: n for n, entry in enumerate(description.classes)}
    labels = np.full(size, ids.get(description.background, IGNORE_LABEL), np.uint8)
    faults = []
    for number, name, segmentation in image.shapes:
        try:
            labels[_draw(segmentation, size)] = ids.get(name, IGNORE_LABEL)
        except (InvalidImageError, InvalidMaskError) as error:
            faults.append(f"annotation {number}: {error.message}")
    if faults:
        more = [f"{len(faults) - _SHOWN} more"] * (len(faults) > _SHOWN)
        raise InvalidImageError("; ".join(faults[:_SHOWN] + more))
    return labels


def _read_size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    height, width = entry.get("height"), entry.get("width")
    return (int(height), int(width)) if height and width else None


def _draw(segmentation: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return where an annotation is, bool (H, W)."""
    if isinstance(segmentation, Mapping):
        mask = decode(segmentation, size[0] * size[1])
        if mask.shape != size:
            raise InvalidImageError(
                f"run-length mask must be of the image's size; it is of {mask.shape[0]}×"
                f"{mask.shape[1]}"
            )
        return mask
    if not isinstance(segmentation, list) or not segmentation:
        raise InvalidImageError("segmentation must be polygons or run lengths; there is none")
    mask = np.zeros(size, np.bool_)
    for numbers in segmentation:
        x, y = _read_polygon(numbers)
        height, width = size
        if x.max() <= 0 or y.max() <= 0 or x.min() >= width or y.min() >= height:
            raise InvalidImageError(
                f"polygon must overlap its image of {height}×{width} pixels; it covers x "
                f"{x.min():g} to {x.max():g}, y {y.min():g} to {y.max():g}"
            )
        mask[polygon(y - 0.5, x - 0.5, size)] = True
    return mask


def _read_polygon(numbers: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    try:
        points = np.array(numbers, np.float64)
    except (ValueError, TypeError):
        points = np.empty(0)
    if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
        raise InvalidImageError("polygon must be x and y of three points or more; it is not")
    return points[0::2], points[1::2]
