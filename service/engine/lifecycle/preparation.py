"""Preparation of a version: load, check and warm up. Runs on a thread beside the event loop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from lacuna.errors import InvalidGraphError, ModelError
from lacuna.out_of_memory import is_out_of_memory
from service.engine.lifecycle.calibration import Calibration, CalibrationStore
from service.engine.lifecycle.checking import check_version
from service.engine.lifecycle.scan import locate_version, take_snapshot
from service.engine.lifecycle.warmup import (
    Progress,
    WarmupPolicy,
    fit_cost,
    plan_others,
    plan_timed,
    warm_up,
)
from service.engine.process_memory import ProcessMemory
from service.engine.served import PREPARATION, UNCALIBRATED, ServedModel
from service.runtime.precision import PrecisionSetting
from service.runtime.protocol import Runtime

log = logging.getLogger(__name__)

Load = Callable[[Path], Runtime]


class AbandonedError(Exception):
    """The server shuts down, and the preparation is abandoned."""


@dataclass(frozen=True)
class Preparation:
    """Steps that make a version ready to serve.

    Attributes:
        root: Folder of the repository.
        load: Function that loads a runtime from `<root>/<model>/<version>`.
        warmup: Extent of the warm-up; None for none. Calls then have `groundcover`'s cost.
        store: Store of earlier calibrations.
        is_only: True if one model is served; see `find_version_folders`.
        memory: Memory of the process, some of which is reserved for calls.
        choose_precision: Function that returns the precision that is wanted for a model.
    """

    root: Path
    load: Load
    warmup: WarmupPolicy | None = None
    store: CalibrationStore = field(default_factory=CalibrationStore)
    is_only: bool = False
    memory: ProcessMemory = field(default_factory=ProcessMemory)
    choose_precision: Callable[[str], PrecisionSetting] = lambda _: "float32"

    def prepare(self, name: str, version: str, on_progress: Progress) -> ServedModel:
        """Load a version, check its contract and warm it up.

        Args:
            name: Name of the model.
            version: Version, digits.
            on_progress: Callback after each call of the warm-up. It may raise to end the warm-up.

        Raises:
            ModelError: if the version cannot be served.
            Exception: one that means that memory ran out; see `is_out_of_memory`.
            AbandonedError: if `on_progress` raises it.
        """
        try:
            times_s = dict.fromkeys(PREPARATION, 0.0)
            folder = locate_version(self.root, name, version, is_only=self.is_only)
            with _measure(times_s, "load"):
                runtime = self._load(folder)
            with _measure(times_s, "check"):
                checked = check_version(runtime, folder, self.choose_precision(name), self.store)
            runtime, known = checked.runtime, checked.known
            model = ServedModel(
                name,
                version,
                runtime,
                checked.contract,
                precision=checked.precision,
                agreement=checked.agreement,
                preparation_s=times_s,
            )
            if self.warmup is None or not checked.contract.holds:
                if known is None:
                    checks = Calibration(checked.contract, agreement=checked.agreement)
                    self.store.write(checked.key, checks)
                return model
            with _measure(times_s, "warm_up"):
                calibration = self._warm_up(model, self.warmup, known, on_progress)
            if calibration is not known:
                self.store.write(checked.key, calibration)
            self.memory.reserve(calibration.pixel_bytes)
            self.memory.give_back(is_idle=False)
            self._warn_of_missing_memory(name, version)
            return replace(model, cost=calibration.cost)
        except Exception as error:
            if isinstance(error, (ModelError, AbandonedError)) or is_out_of_memory(error):
                raise
            raise _explain(error, name, version) from None

    def _warm_up(
        self,
        model: ServedModel,
        policy: WarmupPolicy,
        known: Calibration | None,
        on_progress: Progress,
    ) -> Calibration:
        """Warm a model up, and measure what its calls cost if that was not done before."""
        others = plan_others(model.ladder, policy)
        if known is not None and known.cost != UNCALIBRATED:
            warm_up(model.runtime, [], others, policy.workers, on_progress)
            return known
        halo = model.halo if model.runtime.can_keep else 0
        timed = plan_timed(model.ladder, policy, halo, model.runtime.can_skip)
        others = [call for call in others if call not in timed]
        taken_bytes = 0

        def report(done: int, total: int) -> None:
            nonlocal taken_bytes
            if done == len(timed):
                taken_bytes = self.memory.excess_bytes
            on_progress(done, total)

        self.memory.give_back(is_idle=False)
        with self.memory.keep():
            measured = warm_up(model.runtime, timed, others, policy.workers, report)
        pixels = policy.workers * max(call.pixels for call in timed)
        return Calibration(
            model.contract, fit_cost(measured), max(taken_bytes, 0) / pixels, model.agreement
        )

    def _warn_of_missing_memory(self, name: str, version: str) -> None:
        if missing_bytes := self.memory.missing_bytes:
            log.warning(
                "models and their calls leave too little memory for requests; the system may end "
                "the process. Raise the memory limit, or lower LACUNA_ENGINE__WORKERS",
                extra={"model": name, "version": version, "missing_bytes": missing_bytes},
            )

    def _load(self, folder: Path) -> Runtime:
        """Load a version, and reject it if a file changed meanwhile: a mixture might load."""
        before = take_snapshot(folder)
        runtime = self.load(folder)
        if take_snapshot(folder) != before:
            raise InvalidGraphError("files must not change while they are loaded; they did")
        return runtime


@contextmanager
def _measure(times_s: dict[str, float], step: str) -> Iterator[None]:
    """Record the seconds that a step takes."""
    began_s = time.perf_counter()
    yield
    times_s[step] = time.perf_counter() - began_s


def _explain(error: Exception, name: str, version: str) -> InvalidGraphError:
    """Log an error that was not expected, and return the one for clients."""
    if isinstance(error, OSError):
        # The log has the path; clients see the reason.
        log.error("file cannot be read", extra={"model": name, "version": version}, exc_info=error)
        place = Path(error.filename or version).name
        return InvalidGraphError(
            f"the files of a version must be readable; {place}: {error.strerror}"
        )
    log.error("unexpected error", extra={"model": name, "version": version}, exc_info=error)
    return InvalidGraphError("unexpected error; see the log")
