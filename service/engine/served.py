"""Model that serves, with what the engine knows about running it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lacuna.sample import Sample
from lacuna.windows.strips import plan_strips
from lacuna.windows.tiling import Tiling
from lacuna.windows.window import Tile
from service.core.buckets import Ladder
from service.core.cost import BatchCost
from service.core.cost_correction import CostCorrection
from service.core.cutting import Cut
from service.core.makespan import predict_makespan
from service.core.placement import Canvas, Part, Placement, measure_kept, place_kept, place_whole
from service.runtime.contract.report import ContractReport
from service.runtime.precision import Agreement, Precision
from service.runtime.protocol import Runtime
from service.runtime.seams import choose_cut, find_halo
from service.runtime.serving import describe_serving, has_exact_windows

PREPARATION = ("load", "check", "warm_up")
"""Steps before a model serves, in order. A model that was checked before is not checked again."""

SPLIT_PIXELS = 300_000
"""Largest H · W of the windows of an image that needs several, if only what is kept costs in full:
544², which keeps 432². Windows of 624² would take 1 % less time in total, and a third more memory;
small images would wait a third longer."""

UNCALIBRATED = BatchCost(call_s=3e-4, pixel_s=5e-7, halo_s=2e-7, strips_s=(2e-3, 6e-7))
"""Cost of `groundcover` on one core of a machine of 2024, used until a model is calibrated."""


@dataclass(frozen=True, eq=False)
class ServedModel:
    """Loaded model that serves requests.

    Attributes:
        name: Name of the model's folder in the repository.
        version: Version, digits.
        runtime: Runtime that runs the model.
        contract: Report of the contract check. Only if the contract holds are images padded, tiled
            exactly and batched with windows of other sizes.
        cost: Cost of a call, as it was calibrated.
        correction: Correction of this cost by the calls that have run.
        precision: Precision of the runtime's arithmetic.
        agreement: Comparisons with float32; empty for float32 itself.
        preparation_s: Seconds that each of `PREPARATION` took before the model served.
    """

    name: str
    version: str
    runtime: Runtime
    contract: ContractReport
    cost: BatchCost = UNCALIBRATED
    correction: CostCorrection = field(default_factory=CostCorrection)
    precision: Precision = "float32"
    agreement: tuple[Agreement, ...] = ()
    preparation_s: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def ladder(self) -> Ladder:
        """Ladder of the sides that its windows are padded to."""
        return Ladder(self.runtime.manifest.total_stride)

    @cached_property
    def halo(self) -> int:
        """Halo in pixels that an input window needs around its output window: whole cells."""
        return find_halo(self.runtime.manifest)

    @cached_property
    def serving(self) -> str:
        """Sentence for people on how images are given to it."""
        return describe_serving(self.contract, self.runtime.manifest)

    @property
    def has_exact_windows(self) -> bool:
        """True if windows on its grid, halos included, give what the whole image gives."""
        return has_exact_windows(self.contract, self.runtime.manifest)

    def place(self, tile: Tile) -> Placement:
        """Place a tile on the canvas that costs least."""
        seen = tile.input
        if not self.contract.holds:
            fixed = self.runtime.manifest.tiles
            # Its graph pads a smaller image to the one size in the same way.
            size = (seen.height, seen.width) if fixed is None else (fixed.height, fixed.width)
            return place_whole(tile, size)
        whole = place_whole(tile, self.ladder.choose_bucket((seen.height, seen.width)))
        if not self.runtime.can_keep or tile.output == seen:
            return whole
        kept = place_kept(tile, self.ladder, self.halo)
        return kept if self.price(kept.canvas) < self.price(whole.canvas) else whole

    def place_on_strips(
        self, sample: Sample, tiling: Tiling, below_s: float, workers: int = 1
    ) -> list[Part]:
        """Place a sample on canvases that are computed on strips.

        Args:
            sample: Sample.
            tiling: Rules for its tiles.
            below_s: Price in seconds that the workers must stay below.
            workers: Number of workers that could begin at once.

        Returns:
            The parts; empty if the model computes no strips, or they cost as much.
        """
        if not self.runtime.can_skip or self.cost.predict_strips(0) >= below_s:
            return []
        # Most samples are nearly full, which is quickly found.
        if self.cost.predict_strips(sample.valid_pixels // workers) >= below_s:
            return []
        planned = plan_strips(sample.mask, tiling, workers)
        costs_s = [self.cost.predict_strips(pixels) for _, pixels in planned]
        if predict_makespan(costs_s, workers) >= below_s:
            return []
        return [self._place_strips(*each) for each in planned]

    def _place_strips(self, tile: Tile, pixels: int) -> Part:
        seen, output = tile
        placed = place_whole(tile, self.ladder.choose_bucket((seen.height, seen.width)))
        return Part(output, placed._replace(canvas=placed.canvas._replace(strips=pixels)))

    def price(self, canvas: Canvas, count: int = 1) -> float:
        """Return the calibrated seconds of one worker for a call of so many canvases.

        They compare windows with each other. `predict_s` says how long a call will take.
        """
        height, width = canvas.size
        if canvas.strips is not None:
            return self.cost.predict_strips(count * canvas.strips)
        if canvas.keep is None:
            return self.cost.predict(count * height * width)
        kept = canvas.kept_pixels
        return self.cost.predict(count * kept, count * (height * width - kept))

    def price_tile(self, tile: Tile) -> float:
        """Return the calibrated seconds of one worker for a tile alone; the contract must hold."""
        # The cheaper canvas, as in `place`, without making placements: a plan asks for many prices.
        seen, output = tile
        height, width = self.ladder.choose_bucket((seen.height, seen.width))
        whole_s = self.cost.predict(height * width)
        if not self.runtime.can_keep or output == seen:
            return whole_s
        return min(whole_s, self.cost.predict(*measure_kept(tile, self.ladder, self.halo)))

    def predict_s(self, canvas: Canvas) -> float:
        """Predict the seconds of one worker for a canvas alone."""
        return self.price(canvas) * self.correction.factor

    def predict_call_s(self, pixels: int) -> float:
        """Predict the seconds of one worker for a call of so many pixels n · H · W."""
        return self.cost.predict(pixels) * self.correction.factor

    def note_call(self, canvas: Canvas, count: int, seconds: float) -> None:
        """Correct later predictions by a finished call; from any thread.

        Args:
            canvas: Canvas of its windows.
            count: Number of windows.
            seconds: Seconds that it occupied a worker.
        """
        self.correction.note(self.price(canvas, count), seconds)

    def choose_cut(self, max_pixels: int) -> Cut | None:
        """Return the rules for the overlapping tiles of a model that breaks the contract.

        Args:
            max_pixels: Largest H · W of a window.

        Returns:
            The rules; None if images must not be cut.
        """
        if self.contract.seams is None:
            return None
        return choose_cut(self.runtime.manifest, math.isqrt(max_pixels))

    def make_tiling(self, max_pixels: int) -> Tiling:
        """Return the rules for the tiles of this model.

        Args:
            max_pixels: Largest H · W of a window.
        """
        stride = self.runtime.manifest.total_stride
        if self.runtime.can_keep:
            return Tiling(stride, self.halo, max_pixels, SPLIT_PIXELS)
        return Tiling(stride, self.halo, max_pixels)
