"""Large files, which are refused by their headers before they are read and sent."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from lacuna.client.calls import Question, Steps
from lacuna.client.catalog import Catalog
from lacuna.errors import BodyTooLargeError
from lacuna.raster.files import is_large, map_file
from lacuna.raster.images import ImageFile
from lacuna.raster.limits import UNLIMITED


def check_large_file(question: Question, catalog: Catalog) -> Steps[None]:
    """Hold a large image file to the limits that the server publishes.

    Args:
        question: a question about any image.
        catalog: of the server's models.

    Raises:
        BodyTooLargeError: if the file is larger than a body may be.
        ImageTooLargeError: if the image is larger than one for the model may be.
        InvalidImageError: if its header is damaged.
        OSError: if the file cannot be opened.
    """
    image = question.image
    if not isinstance(image, str | os.PathLike) or not is_large(image):
        return
    version = None if question.version is None else str(question.version)
    limits = (yield from catalog.find_model(question.model, version)).get("limits", {})
    size, most = Path(image).stat().st_size, limits.get("body_bytes")
    if most is not None and size > most:
        raise BodyTooLargeError(f"the body must have at most {most} bytes; the file has {size}")
    if "image_pixels" not in limits:
        return
    try:
        ImageFile(map_file(image)).read_header(
            replace(UNLIMITED, image_pixels=limits["image_pixels"])
        )
    except ModuleNotFoundError:
        return  # the server reads it, without the extra `formats`
