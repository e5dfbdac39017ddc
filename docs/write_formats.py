"""Writes docs/formats.md from the tables of image formats and output types.

python docs/write_formats.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lacuna.distribution import describe_extra
from lacuna.outputs import OUTPUT_TYPES
from lacuna.raster.formats import FORMATS

PAGE = Path(__file__).parent / "formats.md"


def write_page() -> str:
    """Return the page as the tables are now."""
    return "".join(f"{line}\n" for line in _list_lines())


def _list_lines() -> Iterator[str]:
    yield "# Formats"
    yield ""
    yield "`make docs` writes this page from the tables in `lacuna/raster/formats.py` and"
    yield "`lacuna/outputs.py`."
    yield ""
    yield "## Images and masks"
    yield "The server, `lacuna segment`, the client and the trainer read the same formats. The"
    yield "bytes of a file decide which one it is, not its name and not the declared media type."
    yield ""
    yield "| format | suffixes | media types | label maps | extra |"
    yield "|---|---|---|---|---|"
    for form in FORMATS:
        suffixes, media_types = _quote(form.suffixes), _quote(form.media_types)
        labels = "yes" if form.stored else "no"
        extra = f"`{form.extra}`" if form.extra else "none"
        yield f"| {form.name} | {suffixes} | {media_types} | {labels} | {extra} |"
    yield ""
    command = describe_extra("formats").partition(";")[0]
    yield "The last column names the extra that brings the decoder's library. The extras `serve`"
    yield f"and `train` include it. To install it alone: `{command}`."
    yield ""
    yield "## Segmentations"
    yield "`POST /v1/segment` answers with the type that `Accept` prefers. `lacuna segment` and"
    yield "`Result.save` choose by the suffix."
    yield ""
    yield "| suffix | media type | contents |"
    yield "|---|---|---|"
    for kind in OUTPUT_TYPES:
        yield f"| `{kind.suffix}` | `{kind.media_type}` | {kind.holds} |"


def _quote(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(write_page())
