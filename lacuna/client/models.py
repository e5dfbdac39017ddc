"""Models of a server, as its catalogue describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lacuna.client.catalog import read_classes
from lacuna.segmentation import ClassInfo


@dataclass(frozen=True)
class ModelInfo:
    """A version of a model on a server.

    Attributes:
        name: name of the model.
        version: of the model.
        state: `ready` if it answers; otherwise `loading` and so on.
        reason: of a failure; empty if there is none.
        labels: labels of the version, such as `stable`.
        description: for people; empty while the model is not ready, as all that follows.
        classes: classes, class 0 first.
        channels: number of channels of an image; None if it is not known.
        dtype: type of an image's values; None if it is not known.
        bands: names of the channels.
        most_pixels: largest height × width of an image; None if it is not known.
        most_bytes: largest body of a request; None if it is not known.
        details: the whole description, as `GET /v1/models` returns it.
    """

    name: str
    version: str
    state: str
    reason: str = ""
    labels: tuple[str, ...] = ()
    description: str = ""
    classes: tuple[ClassInfo, ...] = ()
    channels: int | None = None
    dtype: str | None = None
    bands: tuple[str, ...] = ()
    most_pixels: int | None = None
    most_bytes: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_ready(self) -> bool:
        """Whether it answers requests."""
        return bool(self.classes)


def read_model(described: Mapping[str, Any]) -> ModelInfo:
    """Read the description of a model, an entry of `GET /v1/models`."""
    limits, image = described.get("limits", {}), described.get("image", {})
    return ModelInfo(
        name=str(described["name"]),
        version=str(described["version"]),
        state=str(described.get("state", "")),
        reason=str(described.get("reason") or ""),
        labels=tuple(described.get("labels", ())),
        description=str(described.get("description", "")),
        classes=read_classes(described.get("classes", ())),
        channels=image.get("channels"),
        dtype=image.get("dtype"),
        bands=tuple(image.get("bands") or ()),
        most_pixels=limits.get("image_pixels"),
        most_bytes=limits.get("body_bytes"),
        details=described,
    )
