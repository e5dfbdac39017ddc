"""Keras layers that know which pixels are valid.

Every layer takes and returns masks as explicit bool tensors (N, H, W, 1): Keras' implicit masks are
dropped by some of its layers and combined by others.
"""

from model.layers.concatenate import AppendMask, MaskedConcatenate
from model.layers.conv import PartialConv2D
from model.layers.coverage import CoverageScale, FillInvalid
from model.layers.norm import MaskedBatchNormalization
from model.layers.resize import CropToSize, MaskedUpSampling2D, MaskMaxPooling2D, PadToMultiple

__all__ = [
    "AppendMask",
    "CoverageScale",
    "CropToSize",
    "FillInvalid",
    "MaskMaxPooling2D",
    "MaskedBatchNormalization",
    "MaskedConcatenate",
    "MaskedUpSampling2D",
    "PadToMultiple",
    "PartialConv2D",
]
