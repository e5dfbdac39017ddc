"""Results as notebooks show them: a picture with a legend."""

from __future__ import annotations

import base64
import html
import io

import numpy as np
import PIL.Image

from lacuna.client.overlay import draw_overlay
from lacuna.segmentation import NamedSegmentation

_LONGEST_SIDE = 1024
"""Longest side of a picture in pixels. Larger ones would make notebooks slow."""

_SWATCH = "display:inline-block;width:.8em;height:.8em;margin-right:.3em;border:1px solid #888;"
_HATCH = "repeating-linear-gradient(45deg,#606060 0 2px,#a0a0a0 2px 4px)"


def draw_labels(segmentation: NamedSegmentation) -> PIL.Image.Image:
    """Draw labels without an image; invalid pixels are hatched."""
    colors = {entry.id: entry.rgb for entry in segmentation.classes}
    return draw_overlay(np.zeros_like(segmentation.labels), segmentation.labels, colors, 1.0)


def write_png(picture: PIL.Image.Image) -> bytes:
    """Write a picture as PNG, at most 1024 pixels wide and high."""
    shown = picture.copy()
    shown.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), PIL.Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    shown.save(buffer, "PNG")
    return buffer.getvalue()


def write_figure(segmentation: NamedSegmentation, png: bytes) -> str:
    """Write HTML of a picture and its legend: each class with its colour and its share.

    Args:
        segmentation: segmentation that the picture shows.
        png: picture.
    """
    entries = [
        _write_entry("rgb({},{},{})".format(*entry.rgb), entry.name, area.fraction)
        for entry, area in zip(segmentation.classes, segmentation.areas.values(), strict=True)
        if area.pixels
    ]
    if segmentation.valid_fraction < 1:
        missing = f"{1 - segmentation.valid_fraction:.1%} of the image"
        entries.append(_write_entry(_HATCH, f"invalid, {missing}"))
    data = base64.b64encode(png).decode()
    title = html.escape(repr(segmentation).strip("<>"))
    return (
        f'<figure style="margin:0"><img alt="{title}" src="data:image/png;base64,{data}">'
        f"<figcaption>{' '.join(entries)}<br>{title}</figcaption></figure>"
    )


def _write_entry(background: str, name: str, fraction: float | None = None) -> str:
    share = "" if fraction is None else f" {fraction:.1%}"
    swatch = f'<span style="{_SWATCH}background:{background}"></span>'
    return f'<span style="margin-right:1em">{swatch}{html.escape(name)}{share}</span>'
