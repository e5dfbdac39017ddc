"""Choice of a version's precision, and the contract check in that precision.

1. In `float32`, a version is served whether its contract holds or not; see `ServedModel`.
2. In `bfloat16`, it is served only if it keeps what it keeps in float32. Otherwise it fails.
3. `auto` means bfloat16 if the CPU has instructions for it, the model runs and nothing is lost;
   else float32.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from lacuna.errors import InferenceError, PrecisionError
from service.engine.lifecycle.calibration import Calibration, CalibrationStore
from service.runtime.contract.checking import check_contract
from service.runtime.contract.report import ContractReport
from service.runtime.precision import (
    Agreement,
    Precision,
    PrecisionSetting,
    compare_precisions,
    find_lost,
    has_bfloat16_instructions,
)
from service.runtime.protocol import Runtime
from service.runtime.samples import read_samples

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckedVersion:
    """Version that was loaded and checked.

    Attributes:
        runtime: Runtime in the precision that was chosen.
        precision: This precision.
        contract: Report of the contract check in it.
        agreement: Comparisons with float32; empty for float32 itself.
        key: Key of its calibration.
        known: Calibration that was stored; None if there was none.
    """

    runtime: Runtime
    precision: Precision
    contract: ContractReport
    agreement: tuple[Agreement, ...]
    key: str
    known: Calibration | None


def check_version(
    runtime: Runtime,
    folder: Path,
    setting: PrecisionSetting,
    store: CalibrationStore,
    *,
    has_instructions: bool | None = None,
) -> CheckedVersion:
    """Choose the precision of a version, and check its contract unless the result is stored.

    Args:
        runtime: Runtime of the version, in float32.
        folder: `<repository>/<model>/<version>`.
        setting: Precision that is wanted.
        store: Store of earlier calibrations.
        has_instructions: True if the CPU has instructions for bfloat16; None to look.

    Raises:
        PrecisionError: if `bfloat16` is wanted, and the version cannot be served in it.
        InferenceError: if the model fails.
    """
    if has_instructions is None and setting != "float32":
        has_instructions = has_bfloat16_instructions()
    place = {"folder": f"{folder.parent.name}/{folder.name}"}
    if setting == "bfloat16":
        if not has_instructions:
            log.warning("bfloat16 will not help: the CPU has no instructions for it", extra=place)
        return _check_bfloat16(runtime, folder, store)
    if setting == "auto" and has_instructions:
        try:
            return _check_bfloat16(runtime, folder, store)
        except (PrecisionError, InferenceError) as error:
            log.warning("model stays with float32", extra={**place, "reason": str(error)})
    elif setting == "auto":
        reason = "the CPU has no instructions for bfloat16"
        log.info("model stays with float32", extra={**place, "reason": reason})
    key = store.compute_key(folder)
    known = store.read(key)
    contract = known.contract if known else check_contract(runtime)
    return CheckedVersion(runtime, "float32", contract, (), key, known)


def _check_bfloat16(runtime: Runtime, folder: Path, store: CalibrationStore) -> CheckedVersion:
    fast = runtime.in_bfloat16()
    key = store.compute_key(folder, "bfloat16")
    known = store.read(key)
    contract = known.contract if known else check_contract(fast)
    lost = find_lost(contract, runtime)
    if lost:
        raise PrecisionError(
            "a model must keep in bfloat16 what it keeps in float32; it breaks: " + ", ".join(lost)
        )
    if known is not None:
        agreement = known.agreement
    else:
        agreement = compare_precisions(fast, runtime, read_samples(folder, runtime.manifest))
    if not any(found.shift for found in agreement):
        log.warning(
            "bfloat16 changes nothing: TensorFlow has no such arithmetic here, or the model no "
            "operation for it",
            extra={"folder": f"{folder.parent.name}/{folder.name}"},
        )
    return CheckedVersion(fast, "bfloat16", contract, agreement, key, known)
