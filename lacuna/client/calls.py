"""Messages to and from the server, without a socket."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, TypeVar

from lacuna.client.sources import Image
from lacuna.errors import MalformedRequestError
from lacuna.excerpts import list_names
from lacuna.planes import PLANES, PROBABILITIES
from lacuna.raster.band_parameters import parse_selection
from lacuna.raster.bands import Alpha, Band, BandSelection
from lacuna.raster.nodata import NoData
from lacuna.raster.sidecar import choose_mask

Value = TypeVar("Value")
Bands: TypeAlias = str | int | Sequence[Band]
Stretch = Literal["none", "percentile"]

_LACKING = frozenset({400, 404, 405, 501})
"""Statuses of servers that lack a route; TensorFlow Serving's is 400."""


@dataclass(frozen=True)
class HttpCall:
    """One HTTP request.

    Attributes:
        method: of HTTP.
        path: below the server's URL.
        headers: in addition to those of all requests.
        content: the body; None for none.
        may_lack: whether the server may lack the route. The reply that says so is returned then;
            all others of 400 and more raise an error.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    may_lack: bool = False

    def accepts(self, status: int) -> bool:
        """Return whether a reply of this status is returned, not raised as an error."""
        return status < 400 or (self.may_lack and status in _LACKING)


@dataclass(frozen=True)
class HttpReply:
    """One HTTP response.

    Attributes:
        status: of HTTP.
        headers: names in lower case.
        content: the body, decompressed.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, eq=False)
class Question:
    """A request for a segmentation.

    Attributes:
        image: to segment.
        mask: non-zero = valid; None for the mask that GDAL keeps beside an image file, if any.
        probabilities: whether the result holds probabilities, too.
        brief: whether answers hold only labels. The model's classes are then requested once, not
            with every answer. This is fastest, and right while the classes do not change.
        model: name; None for the default one, or the only one.
        version: of the model; None for the one that is served.
        nodata: value of missing pixels in the image's own units, in place of those that the file
            names; "none" for no such value.
        timeout_s: time limit for the server; None for no limit.
        stretch: `percentile` to stretch the values to the range that the model was trained on.
        bands: bands of the image that are its channels, as numbers from 1 or names, in order: a
            sequence, or a text with commas; None for all bands but alpha.
        takes_sidecar: whether the mask that GDAL keeps beside an image file is taken, if there is
            no other.
        alpha: `no` if no band is alpha, `yes` if one is even if none is tagged as such, which is
            then the last.
        also: further planes that the result holds: `confidence`, `support`.
    """

    image: Image
    mask: Image | None = None
    probabilities: bool = False
    brief: bool = False
    model: str | None = None
    version: str | int | None = None
    nodata: NoData | None = None
    timeout_s: float | None = None
    stretch: Stretch | None = None
    bands: Bands | None = None
    alpha: Alpha | None = None
    takes_sidecar: bool = True
    also: Collection[str] = ()

    @property
    def planes(self) -> tuple[str, ...]:
        """Planes beside the labels that the result holds.

        Raises:
            MalformedRequestError: if one is unknown.
        """
        unknown = [name for name in self.also if name not in PLANES]
        if unknown:
            raise MalformedRequestError(
                f"also must name planes of {', '.join(PLANES)}; it names {list_names(unknown)}"
            )
        wanted = {*self.also, *([PROBABILITIES] if self.probabilities else [])}
        return tuple(name for name in PLANES if name in wanted)

    @property
    def selection(self) -> BandSelection:
        """Bands of the image that are wanted.

        Raises:
            MalformedRequestError: if `bands` or `alpha` cannot be read.
        """
        return parse_selection(self.bands, self.alpha)

    def with_sidecar(self) -> Question:
        """Return the question with the mask beside its image file, if there is one and no other."""
        if not self.takes_sidecar:
            return self
        mask: Image | None
        mask, nodata = choose_mask(self.image, self.mask, self.nodata)
        return self if mask is self.mask else replace(self, mask=mask, nodata=nodata)


Steps = Generator[HttpCall, HttpReply, Value]
"""Generator that yields each call, receives its reply, and returns the outcome."""
