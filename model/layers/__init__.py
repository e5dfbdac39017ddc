"""Keras layers for images with invalid pixels.

Every layer takes and returns masks as explicit bool tensors (N, H, W, 1): Keras' implicit masks are
dropped by some of its layers and combined by others.
"""

from model.layers.concatenate import AppendMask, MaskedConcatenate
from model.layers.conv import PartialConv2D
from model.layers.coverage import CoverageScale, FillInvalid
from model.layers.depthwise import DepthwisePartialConv2D, SeparablePartialConv2D
from model.layers.exported import CutUpSampling2D, EmbedMask, ScaleAndShift
from model.layers.image_norm import MaskedGroupNormalization, MaskedInstanceNormalization
from model.layers.kernel_masked import KernelMaskedConv2D
from model.layers.norm import MaskedBatchNormalization
from model.layers.normalized import NormalizedConv2D
from model.layers.pool import (
    MaskedAveragePooling2D,
    MaskedGlobalAveragePooling2D,
    MaskedGlobalMaxPooling2D,
    MaskedMaxPooling2D,
)
from model.layers.reflection import FillByReflection
from model.layers.resize import CropToSize, MaskedUpSampling2D, MaskMaxPooling2D, PadToMultiple
from model.layers.submanifold import SubmanifoldConv2D
from model.layers.transpose import PartialConv2DTranspose
from model.layers.validity import ValidityFromNoData

__all__ = [
    "AppendMask",
    "CoverageScale",
    "CropToSize",
    "CutUpSampling2D",
    "DepthwisePartialConv2D",
    "EmbedMask",
    "FillByReflection",
    "FillInvalid",
    "KernelMaskedConv2D",
    "MaskMaxPooling2D",
    "MaskedAveragePooling2D",
    "MaskedBatchNormalization",
    "MaskedConcatenate",
    "MaskedGlobalAveragePooling2D",
    "MaskedGlobalMaxPooling2D",
    "MaskedGroupNormalization",
    "MaskedInstanceNormalization",
    "MaskedMaxPooling2D",
    "MaskedUpSampling2D",
    "NormalizedConv2D",
    "PadToMultiple",
    "PartialConv2D",
    "PartialConv2DTranspose",
    "ScaleAndShift",
    "SeparablePartialConv2D",
    "SubmanifoldConv2D",
    "ValidityFromNoData",
]
