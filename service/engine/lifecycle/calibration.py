"""Calibration of a model on this machine, stored for the next start.

The contract check and the cost of calls depend on the model's files, the machine, the versions of
the libraries and the thread allocation. They are stored in a file that is named by the checksum of
all these. If the file cannot be read, the model is calibrated again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from service.core.cost import BatchCost
from service.engine.thread_allocation import SINGLE_THREAD, ThreadAllocation
from service.runtime.probe import Check, ContractReport

log = logging.getLogger(__name__)

_CPU_FILE = Path("/proc/cpuinfo")
_DISTRIBUTIONS = ("lacuna", "tensorflow", "tensorflow-cpu")


@dataclass(frozen=True)
class Calibration:
    """Measured properties of a model.

    Attributes:
        contract: Report of the contract check.
        cost: Cost of its calls.
    """

    contract: ContractReport
    cost: BatchCost


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

    def compute_key(self, model: Path) -> str:
        """Compute the checksum of a model's files, the machine, the versions and the allocation.

        Args:
            model: `<repository>/<model>/<version>`.
        """
        digest = hashlib.sha256()
        for fact in (*_describe_machine(), self._allocation.workers, self._allocation.threads):
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
            return Calibration(ContractReport(checks), BatchCost(**content["cost"]))
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
        content = {
            "contract": [check._asdict() for check in calibration.contract.checks],
            "cost": asdict(calibration.cost),
        }
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = self._folder / f"{key}.{os.getpid()}.tmp"
            unfinished.write_text(json.dumps(content, indent=2) + "\n")
            unfinished.replace(self._folder / f"{key}.json")
        except OSError as error:
            # For example in a container with a read-only file system.
            log.info("calibration is not kept", extra={"reason": str(error)})
