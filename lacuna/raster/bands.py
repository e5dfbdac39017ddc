"""Choice of the bands of a file that are the channels of an image, and of those that are alpha.

A band is named by its number from 1, as in GDAL, by its description, or by its colour
interpretation: red, green, blue, gray, nir and so on. Case does not count.

1. Bands that are wanted are read in the order in which they are named, whatever they are tagged as.
2. If none are wanted, but a model expects names, and the file has each of them once, these are
   read. Descriptions are compared; colour interpretations are if no band has a description.
3. Otherwise all bands are read but those that are alpha.
4. A band is alpha if it is tagged as such and is not read as a channel. `no` takes no band for
   alpha; `yes` takes the last one where none is tagged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lacuna.errors import ChannelMismatchError
from lacuna.excerpts import list_names, quote

Band: TypeAlias = int | str
"""Number of a band, from 1, or its name."""

Alpha: TypeAlias = Literal["auto", "yes", "no"]
"""Band that is alpha: the one tagged as such, that or else the last one, or none."""

_ALPHA, _UNDEFINED = "alpha", "undefined"
_SPELLINGS = {"grey": "gray", "": _UNDEFINED}


@dataclass(frozen=True)
class BandSelection:
    """Bands that a request wants.

    Attributes:
        bands: numbers or names of the channels, in order; None for all bands but alpha.
        alpha: which band is alpha.
        expected: names of the channels of the model; empty if it names none.
    """

    bands: tuple[Band, ...] | None = None
    alpha: Alpha = "auto"
    expected: tuple[str, ...] = ()

    @property
    def is_default(self) -> bool:
        """True if all bands are read as they are tagged, for any model."""
        return self.bands is None and self.alpha == "auto"


EVERY_BAND = BandSelection()
"""All bands, as they are tagged."""


@dataclass(frozen=True)
class BandChoice:
    """Bands of a file that are read.

    Attributes:
        indices: of the channels, from 0, in order.
        alphas: indices of the bands that are alpha: a pixel is valid where none of them is 0.
        names: of the channels: the description of each, or else its colour interpretation; empty
            where it has neither.
    """

    indices: tuple[int, ...]
    alphas: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def alpha(self) -> int | None:
        """Index of the last band that is alpha; None if there is none."""
        return self.alphas[-1] if self.alphas else None


def choose_bands(
    names: Sequence[str],
    interpretations: Sequence[str],
    wanted: Sequence[Band] | None = None,
    alpha: Alpha = "auto",
    *,
    expected: Sequence[str] = (),
) -> BandChoice:
    """Choose the bands of a file that are read.

    Args:
        names: description of each band, empty where it has none; no entry at all if none has.
        interpretations: colour interpretation of each band in GDAL's words, in any case.
        wanted: numbers or names of the channels, in order; None for all bands but alpha.
        alpha: which band is alpha.
        expected: names of the channels of the model; empty if it names none.

    Raises:
        ChannelMismatchError: if a wanted band does not exist or is not the only one of its name, or
            if alpha would leave no channel, or is wanted as one.
    """
    colours = [_SPELLINGS.get(text.lower(), text.lower()) for text in interpretations]
    bands = _Bands(tuple(names) or ("",) * len(colours), tuple(colours))
    alphas = bands.find_alphas(alpha)
    if wanted is not None:
        indices: Sequence[int] | None = [bands.find(band) for band in wanted]
    else:
        indices = bands.find_all(expected)
    if indices is None:
        indices = [index for index in range(len(colours)) if index not in alphas]
    elif alpha == "yes" and bands.is_guess(alphas) and alphas[-1] in indices:
        raise ChannelMismatchError(
            f"alpha=yes takes the last band, {len(colours)}, as alpha; bands must not name it"
        )
    return BandChoice(
        tuple(indices),
        tuple(index for index in alphas if index not in indices),
        tuple(bands.name(index) for index in indices),
    )


@dataclass(frozen=True)
class _Bands:
    """Bands of a file: description and colour interpretation of each."""

    descriptions: tuple[str, ...]
    colours: tuple[str, ...]

    def name(self, index: int) -> str:
        colour = self.colours[index]
        return self.descriptions[index] or ("" if colour == _UNDEFINED else colour)

    def find_alphas(self, alpha: Alpha) -> tuple[int, ...]:
        if alpha == "no":
            return ()
        count = len(self.colours)
        tagged = tuple(index for index in range(count) if self.colours[index] == _ALPHA)
        if 0 < len(tagged) < count:
            return tagged
        if alpha == "auto":
            return ()
        if count == 1:
            raise ChannelMismatchError(
                "alpha=yes needs a band beside the one that is alpha; the image has 1 band"
            )
        return (count - 1,)

    def is_guess(self, alphas: Sequence[int]) -> bool:
        return any(self.colours[index] != _ALPHA for index in alphas)

    def find(self, band: Band) -> int:
        """Return the index of a wanted band."""
        if isinstance(band, int):
            if 1 <= band <= len(self.colours):
                return band - 1
            raise self._lacks(band)
        found = _locate(band, self.descriptions) or _locate(
            _SPELLINGS.get(band.lower(), band), self.colours
        )
        if not found:
            raise self._lacks(band)
        if len(found) > 1:
            numbers = list_names(str(index + 1) for index in found)
            raise ChannelMismatchError(
                f"bands must name one band each; {quote(band)} is the name of {numbers}"
            )
        return found[0]

    def find_all(self, expected: Sequence[str]) -> list[int] | None:
        """Return the indices of the bands that a model expects; None if there are not all."""
        if not expected:
            return None
        known = self.descriptions if any(self.descriptions) else self.colours
        found = [_locate(name, known) for name in expected]
        return None if any(len(places) != 1 for places in found) else [place for (place,) in found]

    def _lacks(self, band: Band) -> ChannelMismatchError:
        count = len(self.colours)
        labels = [
            f"{index + 1} ({self.name(index)})" if self.name(index) else str(index + 1)
            for index in range(count)
        ]
        has_names = any(self.name(index) for index in range(count))
        there = list_names(labels) if has_names else f"1 to {count}, without names"
        return ChannelMismatchError(
            f"bands must be of the {count} that the image has: {there}; {quote(band)} is not"
        )


def _locate(name: str, known: Sequence[str]) -> list[int]:
    wanted = name.casefold()
    return [index for index, text in enumerate(known) if text and text.casefold() == wanted]
