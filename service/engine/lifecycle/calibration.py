"""Calibration of a model on this machine, stored for the next start.

The contract check, and the cost and the memory of calls, depend on the model's files, the machine,
the versions of the libraries, the thread allocation and the precision. They are stored in a file
that is named by the checksum of all these. If the file cannot be read, the model is calibrated
again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from service.core.cost import BatchCost
from service.core.model_formats import FORMATS
from service.engine.served import UNCALIBRATED
from service.engine.thread_allocation import SINGLE_THREAD, ThreadAllocation
from service.runtime.contract.report import Check, ContractReport
from service.runtime.precision import Agreement, Precision
from service.runtime.seams import Seams

log = logging.getLogger(__name__)

_CPU_FILE = Path("/proc/cpuinfo")
_DISTRIBUTIONS = (
    "lacuna-segmentation-server",
    *(name for known in FORMATS for name in known.distributions),
)


@dataclass(frozen=True)
class Calibration:
    """Measured properties of a model.

    Attributes:
        contract: Report of the contract check.
        cost: Cost of its calls; `UNCALIBRATED` if none was timed.
        pixel_bytes: Memory that a running call takes per pixel, in bytes.
        agreement: Comparisons of its precision with float32; empty for float32 itself.

    Raises:
        ValueError: if `pixel_bytes` is negative or not finite.
    """

    contract: ContractReport
    cost: BatchCost = UNCALIBRATED
    pixel_bytes: float = 0.0
    agreement: tuple[Agreement, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.pixel_bytes < math.inf:
            raise ValueError(f"pixel_bytes must be at least 0 and finite; it is {self.pixel_bytes}")


def _describe_machine() -> Iterator[str]:
    yield platform.machine()
    try:
        names = [line for line in _CPU_FILE.read_text().splitlines() if "model name" in line]
    except OSError:
        names = []
    yield names[0] if names else platform.processor()
    for name in _DISTRIBUTIONS:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue


class CalibrationStore:
    """Store of calibrations, as files in a folder.

    Args:
        folder: Folder, created with the first file; None to store nothing.
        allocation: Workers and threads, on which the cost of a call depends.
    """

    def __init__(
        self, folder: Path | None = None, allocation: ThreadAllocation = SINGLE_THREAD
    ) -> None:
        self._folder = folder
        self._allocation = allocation

    def compute_key(self, model: Path, precision: Precision = "float32") -> str:
        """Compute the checksum of all that a calibration depends on.

        Args:
            model: `<repository>/<model>/<version>`.
            precision: Precision of its arithmetic.
        """
        digest = hashlib.sha256()
        allocation = (self._allocation.workers, self._allocation.threads)
        for fact in (*_describe_machine(), *allocation, precision):
            digest.update(f"{fact}\n".encode())
        for path in sorted(path for path in model.rglob("*") if path.is_file()):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.relative_to(model)} {content}\n".encode())
        return digest.hexdigest()

    def read(self, key: str) -> Calibration | None:
        """Return the calibration of a key; None if there is none, or it cannot be read."""
        if self._folder is None:
            return None
        try:
            content = json.loads((self._folder / f"{key}.json").read_text())
            checks = tuple(Check(**check) for check in content["contract"])
            if not checks or any(not isinstance(check.passed, bool) for check in checks):
                # Without this, no check or one of another type would count as passed.
                raise ValueError("the contract must have checks that passed or failed")
            cost = BatchCost(**content["cost"])
            contract = ContractReport(checks, _read_seams(content.get("seams")))
            agreement = tuple(Agreement(**entry) for entry in content.get("agreement", ()))
            return Calibration(contract, cost, content["pixel_bytes"], agreement)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            log.warning(
                "calibration cannot be read; it is measured again", extra={"reason": str(error)}
            )
            return None

    def write(self, key: str, calibration: Calibration) -> None:
        """Store a calibration, if the folder can be written."""
        if self._folder is None:
            return
        seams = calibration.contract.seams
        content = {
            "contract": [check._asdict() for check in calibration.contract.checks],
            "seams": seams and seams._asdict(),
            "cost": asdict(calibration.cost),
            "pixel_bytes": calibration.pixel_bytes,
            "agreement": [entry._asdict() for entry in calibration.agreement],
        }
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = self._folder / f"{key}.{os.getpid()}.tmp"
            unfinished.write_text(json.dumps(content, indent=2) + "\n")
            unfinished.replace(self._folder / f"{key}.json")
        except OSError as error:
            # For example in a container with a read-only file system.
            log.info("calibration is not kept", extra={"reason": str(error)})


def _read_seams(content: Mapping[str, Any] | None) -> Seams | None:
    """Return what seams change.

    Raises:
        TypeError: if a value is missing, or is not a number.
    """
    if content is None:
        return None
    seams = Seams(**content)
    if not all(isinstance(value, (int, float)) for value in seams):
        raise TypeError(f"the values of seams must be numbers; they are {seams}")
    return seams
