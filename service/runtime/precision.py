"""Precision of a model's arithmetic, and the labels that a lower one changes.

In bfloat16, weights and activations have 8 bits of mantissa. Sums, softmax, inputs and outputs stay
in float32. CPUs with instructions for it need about 60 % of the time; see decision 30.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from lacuna.errors import InferenceError
from lacuna.sample import Sample
from service.runtime.contract.checking import check_contract
from service.runtime.contract.probe import Images, Masks, draw_batch
from service.runtime.contract.report import ContractReport
from service.runtime.manifest import read_manifest, update_manifest
from service.runtime.protocol import Runtime

Precision = Literal["float32", "bfloat16"]
PrecisionSetting = Literal["float32", "bfloat16", "auto"]

_CPU_FILE = Path("/proc/cpuinfo")
_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Names in Linux's list of the CPU's features: two of x86-64, and one of ARM."""

_RANDOM = (3, 192, 192)
"""Number, height and width of the random images."""


class Agreement(NamedTuple):
    """Comparison of a model's outputs with those of float32.

    Attributes:
        images: Images that were compared: `random`, those of the contract check; `samples`, the
            model's own.
        pixels: Number of valid pixels.
        differing: Number of pixels with another label.
        shift: Largest difference of a probability.
    """

    images: str
    pixels: int
    differing: int
    shift: float

    @property
    def summary(self) -> str:
        """Sentence for people."""
        where = "random images" if self.images == "random" else "the model's samples"
        return (
            f"{self.differing:,} of {self.pixels:,} labels differ from float32 on {where}, "
            f"probabilities by at most {self.shift:.2g}"
        )


def has_bfloat16_instructions(cpu_file: Path = _CPU_FILE) -> bool:
    """Return True if the CPU computes in bfloat16 faster than in float32.

    Args:
        cpu_file: File in which Linux lists the features of the CPU; elsewhere there is none.
    """
    try:
        return not _INSTRUCTIONS.isdisjoint(cpu_file.read_text().split())
    except OSError:
        return False


def find_lost(contract: ContractReport, reference: Runtime) -> list[str]:
    """List the parts of the contract that a model keeps in float32 alone.

    Args:
        contract: Report of the check in another precision.
        reference: Model in float32. It is checked only if the other precision fails.

    Raises:
        InferenceError: if the model fails.
    """
    if contract.holds:
        return []
    exact = check_contract(reference).failed
    return [name for name in contract.failed if name not in exact]


def compare_precisions(
    runtime: Runtime, reference: Runtime, samples: Sequence[Sample] = ()
) -> tuple[Agreement, ...]:
    """Count the labels that a precision changes, on random images and on samples.

    Args:
        runtime: Model in the precision.
        reference: Model in float32.
        samples: The model's own samples, fitted to it.

    Returns:
        One entry for random images, and one for the samples if there are any.

    Raises:
        InferenceError: if the model fails.
    """
    batches = {"random": [draw_batch(reference, *_RANDOM)]}
    if samples:
        batches["samples"] = [
            (sample.image[None].astype(np.float32), sample.mask[None]) for sample in samples
        ]
    return tuple(_compare(name, runtime, reference, own) for name, own in batches.items())


def _compare(
    name: str, runtime: Runtime, reference: Runtime, batches: Sequence[tuple[Images, Masks]]
) -> Agreement:
    pixels = differing = 0
    shift = 0.0
    for images, masks in batches:
        labels, scores = runtime.run(images, masks, probabilities=True)
        expected, exact = reference.run(images, masks, probabilities=True)
        if scores is None or exact is None:
            raise InferenceError("the model must return probabilities; it returned none")
        pixels += int(np.count_nonzero(masks))
        differing += int(np.count_nonzero(labels != expected))
        shift = max(shift, float(np.abs(scores - exact).max()))
    return Agreement(name, pixels, differing, shift)


def write_agreement(folder: Path, precision: Precision, agreement: Sequence[Agreement]) -> None:
    """Write comparisons into the scores of a model's manifest, under the name of the precision.

    Args:
        folder: `<repository>/<model>/<version>`.
        precision: Precision that was compared with float32.
        agreement: Comparisons with float32.

    Raises:
        MissingManifestError: if there is no manifest.
        InvalidManifestError: if the manifest is not valid.
        OSError: if it cannot be written.
    """
    found = [entry._asdict() for entry in agreement]
    update_manifest(folder, scores=read_manifest(folder).scores | {precision: found})
