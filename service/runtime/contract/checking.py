"""The parts of the contract check, one after another.

Random images run through the model on several canvases, beside other images, with other values
under the mask, and cropped at other places. Of a model that can keep a window, windows are computed
alone as well, and of one that computes strips, images on strips. The check also measures the
receptive radius and the grid on which the model is translation-invariant. A model that fails is
still served: in batches of one size, if batch-mates change nothing, and if it is
translation-invariant or takes tiles of one size, large images in overlapping tiles. What their
seams change is measured, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from service.runtime.contract.invariance import (
    check_batch_mates,
    check_canvas,
    check_fill,
    check_outputs,
    check_signatures,
    check_strips,
    check_windows,
)
from service.runtime.contract.probe import ModelProbe
from service.runtime.contract.reach import check_receptive_radius, check_total_stride
from service.runtime.contract.report import BATCH_MATES, Check, ContractReport
from service.runtime.manifest import UNLIMITED_RADIUS
from service.runtime.protocol import Runtime
from service.runtime.seams import Seams, choose_probe_sizes, measure_seams

_SIZE = "size"
_NOT_FOR_TILES = {"canvas", BATCH_MATES, "windows", _SIZE}
"""Parts that may fail if large images are cut into overlapping tiles."""


def check_contract(runtime: Runtime, seed: int = 0) -> ContractReport:
    """Run all parts of the contract check.

    Args:
        runtime: Runtime of the model.
        seed: Seed of the random images.

    Raises:
        InferenceError: if the model fails while running.
    """
    manifest = runtime.manifest
    if manifest.tiles is not None:
        parts = (check_outputs, check_batch_mates, check_fill, check_signatures, _tell_size)
    else:
        parts = (
            check_outputs,
            check_canvas,
            check_batch_mates,
            check_fill,
            check_signatures,
            *((check_windows,) if runtime.can_keep else ()),
            *((check_strips,) if runtime.can_skip else ()),
            *_list_measurements(manifest.receptive_radius),
        )
    report = ContractReport(tuple(part(ModelProbe(runtime, seed)) for part in parts))
    # Tiles need a grid and a reach that the check has confirmed, or the one size that there is.
    if report.holds or not set(report.failed) <= _NOT_FOR_TILES:
        return report
    return replace(report, seams=_measure_seams(ModelProbe(runtime, seed)))


_Part = Callable[[ModelProbe], Check]


def _list_measurements(stated_radius: int) -> tuple[_Part, ...]:
    if stated_radius == UNLIMITED_RADIUS:
        return (_tell_unlimited,)
    return (check_receptive_radius, check_total_stride)


def _tell_size(probe: ModelProbe) -> Check:
    tiles = probe.manifest.tiles
    told = "" if tiles is None else f"takes images of {tiles.height} × {tiles.width} pixels alone"
    return Check(_SIZE, passed=False, detail=told)


def _tell_unlimited(_: ModelProbe) -> Check:
    return Check(
        "receptive radius", passed=False, detail="the manifest says that it is the whole image"
    )


def _measure_seams(probe: ModelProbe) -> Seams:
    size, side = choose_probe_sizes(probe.manifest)
    image, mask = probe.draw_images(1, *size)[0], probe.draw_masks(1, *size)[0]
    return measure_seams(probe.runtime, image, mask, side)
