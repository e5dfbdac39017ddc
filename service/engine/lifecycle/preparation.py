"""Preparation of a version: load, check and warm up. Runs on a thread beside the event loop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lacuna.errors import InvalidGraphError, ModelError
from lacuna.out_of_memory import is_out_of_memory
from service.core.cost import BatchCost
from service.engine.lifecycle.calibration import Calibration, CalibrationStore
from service.engine.lifecycle.scan import locate_version, take_snapshot
from service.engine.lifecycle.warmup import (
    TIMED_RUNS,
    Progress,
    WarmupPolicy,
    plan_others,
    plan_timed,
    warm_up,
)
from service.engine.served import ServedModel
from service.runtime.probe import check_contract
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
        warmup: Extent of the warm-up; None for none. Calls then have the demo model's cost.
        store: Store of earlier calibrations.
    """

    root: Path
    load: Load
    warmup: WarmupPolicy | None = None
    store: CalibrationStore = field(default_factory=CalibrationStore)

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
            folder = locate_version(self.root, name, version)
            runtime = self._load(folder)
            key = self.store.compute_key(folder)
            known = self.store.read(key)
            contract = known.contract if known else check_contract(runtime)
            model = ServedModel(name, version, runtime, contract)
            if self.warmup is None or not contract.holds:
                return model
            measured = warm_up(
                runtime,
                plan_timed(model.ladder, self.warmup),
                plan_others(model.ladder, self.warmup),
                self.warmup.workers,
                on_progress,
                TIMED_RUNS if known is None else 1,
            )
            if known is None:
                known = Calibration(contract, BatchCost.fit(measured))
                self.store.write(key, known)
            return replace(model, cost=known.cost)
        except Exception as error:
            if isinstance(error, (ModelError, AbandonedError)) or is_out_of_memory(error):
                raise
            raise _explain(error, name, version) from None

    def _load(self, folder: Path) -> Runtime:
        """Load a version, and reject it if a file changed meanwhile: a mixture might load."""
        before = take_snapshot(folder)
        runtime = self.load(folder)
        if take_snapshot(folder) != before:
            raise InvalidGraphError("files must not change while they are loaded; they did")
        return runtime


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
