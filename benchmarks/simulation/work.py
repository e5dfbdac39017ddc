"""Work of a request: the windows of its image and their cost, as the engine has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from benchmarks.simulation.traffic import Shape
from lacuna.windows.tiling import plan_windows
from lacuna.windows.window import Window
from service.core.admission import AdmissionPolicy
from service.core.cost import BatchCost
from service.core.placement import Canvas
from service.engine.segmenter import EnginePolicy
from service.engine.served import ServedModel
from service.platforms import DEMO_REPOSITORY
from service.runtime.contract.report import ContractReport
from service.runtime.fake import FakeRuntime
from service.runtime.manifest import read_manifest

COST = BatchCost(call_s=1e-3, pixel_s=7.5e-7)
"""Processor time of a call of the demo: medians on one core of a virtual machine (AMD EPYC)."""

REQUEST_S = 9e-4
"""Processor time of a request besides the model: HTTP, decoding and rendering of a small image."""

BYTES_PER_PIXEL = 4
"""Three channels and the mask, uncompressed."""


@dataclass(frozen=True)
class PodPolicy:
    """Size of a pod, and its limits.

    Attributes:
        workers: Number of concurrent calls, and of cores.
        cost: Cost of a call.
        request_s: Seconds of a core that a request takes besides the model.
        admission: Limits on the load.
    """

    workers: int = 2
    cost: BatchCost = COST
    request_s: float = REQUEST_S
    admission: AdmissionPolicy = field(default_factory=AdmissionPolicy)


@lru_cache(1)
def make_model(cost: BatchCost) -> ServedModel:
    """Make `groundcover`, as the engine knows it, with a cost. It computes halos in full."""
    manifest = read_manifest(DEMO_REPOSITORY / "groundcover" / "1")
    return ServedModel("groundcover", "1", FakeRuntime(manifest), ContractReport(()), cost)


@lru_cache(4096)
def plan(cost: BatchCost, shape: Shape, idle: int) -> list[Canvas]:
    """Plan the windows of an image as the engine does.

    Args:
        cost: Cost of a call.
        shape: Shape of the image.
        idle: Number of workers that could begin at once.

    Returns:
        Canvas of each window.
    """
    model, halo = make_model(cost), shape.halo
    keep = Window(halo, halo, shape.height - 2 * halo, shape.width - 2 * halo) if halo else None
    mask = np.ones((shape.height, shape.width), np.bool_)
    tiling = model.make_tiling(EnginePolicy().window_pixels)
    tiles = plan_windows(mask, tiling, model.price_tile, max(idle, 1), keep)
    return [model.place(tile).canvas for tile in tiles]


def measure_work(policy: PodPolicy, shape: Shape) -> float:
    """Return the seconds of one core that a request takes alone."""
    windows = plan(policy.cost, shape, 1)
    model = make_model(policy.cost)
    return policy.request_s + sum(map(model.price, windows))


def count_bytes(shape: Shape) -> int:
    """Return the bytes of a request with an image of this shape."""
    return BYTES_PER_PIXEL * shape.height * shape.width
