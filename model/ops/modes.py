"""Modes of partial convolutions."""

from __future__ import annotations

from typing import Literal, get_args

Normalization = Literal["none", "mean", "area", "variance"]
MaskUpdate = Literal["keep", "any", "all"]
Padding = Literal["same", "valid"]

NORMALIZATIONS: tuple[Normalization, ...] = get_args(Normalization)
MASK_UPDATES: tuple[MaskUpdate, ...] = get_args(MaskUpdate)
PADDINGS: tuple[Padding, ...] = get_args(Padding)
