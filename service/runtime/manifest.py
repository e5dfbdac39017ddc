"""Manifest of a model, in `assets.extra/manifest.json` beside its graph."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic_core
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from lacuna.appearance.comparison import FamiliarRange
from lacuna.appearance.statistics import ChannelStatistics
from lacuna.errors import InvalidManifestError, MissingManifestError
from lacuna.raster.limits import MOST_CHANNELS
from lacuna.raster.preview import DisplayRange
from lacuna.segmentation import ClassInfo
from service.runtime.channel_statistics import ChannelStatisticsSpec

MANIFEST_FILE = Path("assets.extra") / "manifest.json"

UNLIMITED_RADIUS = 8192
"""Receptive radius that stands for the whole image."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageSpec(_Strict):
    """Images that a model takes.

    Attributes:
        channels: Number of channels.
        dtype: Value range that the model was trained on. Images of another integer type are scaled
            to it; with `float32`, values are used as they are.
        statistics: Statistics of the training images, one entry for each channel; None if they are
            not known. Then no image is compared with them, and none can be stretched.
        bands: Names of the channels, in order; None if they have none. Bands of a file that have
            these names are taken for the channels, in any order.
    """

    channels: Annotated[int, Field(ge=1, le=MOST_CHANNELS)]
    dtype: Literal["uint8", "uint16", "float32"]
    statistics: tuple[ChannelStatisticsSpec, ...] | None = None
    bands: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] | None = None

    @model_validator(mode="after")
    def _check_count(self) -> Self:
        if self.bands is not None and len(self.bands) != self.channels:
            raise ValueError(
                f"bands must name each of the {self.channels} channels; they are {len(self.bands)}"
            )
        if self.statistics is not None and len(self.statistics) != self.channels:
            raise ValueError(
                f"statistics must have an entry for each of the {self.channels} channels; they "
                f"have {len(self.statistics)}"
            )
        return self

    @field_validator("bands")
    @classmethod
    def _check_names(cls, bands: tuple[str, ...] | None) -> tuple[str, ...] | None:
        names = [name.casefold() for name in bands or ()]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"bands must have different names; {', '.join(repeated)} is repeated")
        return bands

    @cached_property
    def channel_statistics(self) -> tuple[ChannelStatistics, ...] | None:
        """Statistics of each channel of the training images; None if they are not known."""
        if self.statistics is None:
            return None
        return tuple(entry.unwrap() for entry in self.statistics)

    @cached_property
    def familiar_range(self) -> FamiliarRange | None:
        """Range of the training images; None if it is not known."""
        learnt = self.channel_statistics
        return None if learnt is None else FamiliarRange(learnt)

    @property
    def display_range(self) -> DisplayRange | None:
        """Range to draw images in; None if it is not known."""
        learnt = self.channel_statistics
        if self.dtype == "uint8":
            return DisplayRange("uint8", (0,), (255,))
        if learnt is not None:
            lows = tuple(channel.low for channel in learnt)
            return DisplayRange(self.dtype, lows, tuple(channel.high for channel in learnt))
        return DisplayRange("uint16", (0,), (65535,)) if self.dtype == "uint16" else None


class ClassSpec(_Strict):
    """Class of a pixel.

    Attributes:
        id: Label of the class.
        name: Name for people.
        color: Display colour, as `#rrggbb`.
    """

    id: Annotated[int, Field(ge=0, le=254)]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0 to 255."""
        red, green, blue = bytes.fromhex(self.color[1:])
        return red, green, blue


class TileSpec(_Strict):
    """Tiles of the one size that a model takes. Smaller images are padded to it in its graph.

    Attributes:
        height: Height in pixels.
        width: Width in pixels.
        overlap: Pixels that neighbouring tiles share.
    """

    height: Annotated[int, Field(ge=1, le=8192)]
    width: Annotated[int, Field(ge=1, le=8192)]
    overlap: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _check_overlap(self) -> Self:
        if self.overlap >= min(self.height, self.width):
            raise ValueError(
                f"overlap must be less than the sides, {self.height} × {self.width}; it is "
                f"{self.overlap}"
            )
        return self


class Manifest(_Strict):
    """Properties of a model that a server needs.

    Attributes:
        schema_version: Version of this format, `schema` in the file.
        name: Name of the model.
        description: Description for people.
        image: Images that the model takes.
        classes: Classes with the ids 0, 1, 2, … in order.
        total_stride: Side in pixels of one cell of the coarsest level. Tiles and crops start on
            multiples of it.
        receptive_radius: Distance in pixels beyond which no input pixel influences an output pixel;
            `UNLIMITED_RADIUS` if there is none.
        tiles: Tiles that the model takes, if it takes images of one size alone.
        training: Description of the training, free form.
        scores: Scores of the model, free form.
        checksums: SHA-256 of each file of the model, by path, as `lacuna.checksums` computes
            them. Without any, the files are not compared.
    """

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    description: Annotated[str, Field(max_length=2000)] = ""
    image: ImageSpec
    classes: tuple[ClassSpec, ...]
    total_stride: Annotated[int, Field(ge=1, le=1024)]
    receptive_radius: Annotated[int, Field(ge=0, le=UNLIMITED_RADIUS)]
    tiles: TileSpec | None = None
    training: dict[str, Any] = {}
    scores: dict[str, Any] = {}
    checksums: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = {}

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of all `checksums` together; empty without any."""
        if not self.checksums:
            return ""
        lines = "".join(f"{digest} {path}\n" for path, digest in sorted(self.checksums.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    @cached_property
    def class_infos(self) -> tuple[ClassInfo, ...]:
        """Classes as results name them."""
        return tuple(ClassInfo(entry.id, entry.name, entry.color) for entry in self.classes)

    @field_validator("classes")
    @classmethod
    def _check_class_ids(cls, classes: tuple[ClassSpec, ...]) -> tuple[ClassSpec, ...]:
        ids = [entry.id for entry in classes]
        if not ids or ids != list(range(len(ids))):
            raise ValueError(f"class ids must be 0, 1, 2, … in order; they are {ids}")
        return classes


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a model version.

    Args:
        folder: Folder of the version, `<repository>/<model>/<version>`.

    Raises:
        MissingManifestError: if there is no manifest.
        InvalidManifestError: if the file is not JSON or breaks the schema. The message names every
            fault.
    """
    path = folder / MANIFEST_FILE
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise MissingManifestError(
            f"the folder of a version must hold {MANIFEST_FILE.as_posix()}; {folder.name} does not"
        ) from None
    except OSError as error:
        raise InvalidManifestError(f"manifest.json must be readable; {error.strerror}") from error
    try:
        # NaN is not JSON, and the model's metadata is served as JSON.
        pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidManifestError(f"manifest.json must be JSON; {error}") from None
    try:
        return Manifest.model_validate_json(text, strict=True)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'file'}: {fault['msg']}"
            for fault in error.errors(include_url=False)
        )
        raise InvalidManifestError(f"manifest.json must follow schema 1; {faults}") from error


def update_manifest(folder: Path, **fields: Any) -> None:
    """Replace fields of a manifest, in one step.

    Args:
        folder: Folder of the SavedModel, `<repository>/<model>/<version>`.
        **fields: New values, as JSON has them.

    Raises:
        MissingManifestError: if there is no manifest.
        InvalidManifestError: if the manifest is not valid before.
        OSError: if it cannot be written.
    """
    read_manifest(folder)
    path = folder / MANIFEST_FILE
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(json.dumps(json.loads(path.read_bytes()) | fields, indent=2) + "\n")
    unfinished.replace(path)
