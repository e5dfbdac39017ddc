"""Making a model of a version's folder: load, check, warm. On a thread beside the event loop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lacuna.errors import InvalidGraphError, ModelError
from service.core.cost import BatchCost
from service.engine.lifecycle.calibration import Calibration, CalibrationStore
from service.engine.lifecycle.scan import locate_version, take_snapshot
from service.engine.lifecycle.warmup import (
    TIMED_RUNS,
    Progress,
    WarmupPolicy,
    plan_rectangles,
    plan_squares,
    warm_up,
)
from service.engine.served import ServedModel
from service.runtime.probe import check_contract
from service.runtime.protocol import Runtime

log = logging.getLogger(__name__)

Load = Callable[[Path], Runtime]


class AbandonedError(Exception):
    """The server goes away; what was begun is not finished."""


@dataclass(frozen=True)
class Preparation:
    """How models are made ready to serve.

    Attributes:
        root: of the repository.
        load: makes a runtime of `<root>/<model>/<version>`.
        warmup: how far each is warmed; not at all if None, and its calls count as the demo's then.
        store: of what was found out about models before.
    """

    root: Path
    load: Load
    warmup: WarmupPolicy | None = None
    store: CalibrationStore = field(default_factory=CalibrationStore)

    def prepare(self, name: str, version: str, on_progress: Progress) -> ServedModel:
        """Load a version, check it and warm it.

        Args:
            name: of the model.
            version: of it.
            on_progress: told after each call of the warm-up; ends it by raising.

        Raises:
            ModelError: if it cannot be served.
            AbandonedError: if `on_progress` did.
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
                plan_squares(model.ladder, self.warmup),
                plan_rectangles(model.ladder, self.warmup),
                self.warmup.workers,
                on_progress,
                TIMED_RUNS if known is None else 1,
            )
            if known is None:
                known = Calibration(contract, BatchCost.fit(measured))
                self.store.write(key, known)
            return replace(model, cost=known.cost)
        except (ModelError, AbandonedError):
            raise
        except Exception:
            log.exception("unexpected error", extra={"model": name, "version": version})
            raise InvalidGraphError("unexpected error; see the log") from None

    def _load(self, folder: Path) -> Runtime:
        """Load a version of which no file changes meanwhile: half old, half new may well load."""
        before = take_snapshot(folder)
        runtime = self.load(folder)
        if take_snapshot(folder) != before:
            raise InvalidGraphError("files must not change while they are loaded; they did")
        return runtime
