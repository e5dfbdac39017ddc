"""Summary of segmented images for programs, in JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lacuna.cli.segment_run import ImageFailure, ImageSuccess

_COLUMNS = (
    *("image", "output", "height", "width", "valid_pixels"),
    *("class", "pixels", "fraction", "area_m2", "error"),
)

Name = Callable[[Path], str]


def export(
    form: str, succeeded: Sequence[ImageSuccess], failed: Sequence[ImageFailure], name: Name
) -> str:
    """Write what was segmented, and what was not.

    Args:
        form: `json` for one object, or `csv` for a row for each class of each image.
        succeeded: images that were segmented.
        failed: images that were not.
        name: function that returns the name of a file.
    """
    if form == "json":
        content = {
            "images": [_describe(image, name) for image in succeeded],
            "failed": [_explain(failure, name) for failure in failed],
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for image in succeeded:
        writer.writerows(_list_rows(image, name))
    for failure in failed:
        found = _explain(failure, name)
        writer.writerow({"image": found["image"], "error": found["message"]})
    return buffer.getvalue()


def _describe(image: ImageSuccess, name: Name) -> dict[str, Any]:
    height, width = image.size
    return {
        "image": name(image.plan.image),
        "output": name(image.plan.output),
        "height": height,
        "width": width,
        "valid_pixels": image.valid_pixels,
        "classes": [
            {"name": title, **{key: v for key, v in area._asdict().items() if v is not None}}
            for title, area in image.areas.items()
        ],
        "warnings": [warning._asdict() for warning in image.warnings],
        "seconds": round(image.seconds, 3),
    }


def _explain(failure: ImageFailure, name: Name) -> dict[str, str]:
    error = failure.error
    message = error.strerror or str(error) if isinstance(error, OSError) else error.message
    code = "unreadable" if isinstance(error, OSError) else getattr(error, "code", "")
    return {"image": name(failure.plan.image), "code": code, "message": message}


def _list_rows(image: ImageSuccess, name: Name) -> Iterator[dict[str, Any]]:
    whole = _describe(image, name)
    for entry in whole["classes"]:
        row = {key: whole[key] for key in _COLUMNS[:5]}
        title = {"class": entry["name"]}
        yield row | title | {key: value for key, value in entry.items() if key != "name"}
