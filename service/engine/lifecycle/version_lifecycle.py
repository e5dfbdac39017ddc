"""State machine of a model version.

    LOADING ─► WARMING ─► READY ─► UNLOADING ─► UNLOADED ─► LOADING …
        └─────────┴──► FAILED ─► LOADING …

1. A new version is LOADING. It waits for its files or for its turn, or is being loaded and checked.
2. A version serves only after it is loaded, checked and warmed up.
3. A version whose files were replaced stays READY while the new files are loaded. If they fail, it
   serves the former files, and its reason says so.
4. A version for which there was no memory is LOADING until it is loaded again.
5. Each transition writes one line to the log.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from service.engine.lifecycle.references import ModelReferences
from service.engine.served import ServedModel

log = logging.getLogger(__name__)


class ModelState(StrEnum):
    """State of a model version."""

    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    FAILED = "failed"
    UNLOADING = "unloading"
    UNLOADED = "unloaded"


@dataclass(frozen=True)
class ModelStatus:
    """Status of a model version, whether it serves or not.

    Attributes:
        name: Name of the model's folder in the repository.
        version: Version, digits; empty if the model has no version.
        state: State of the version.
        reason: Reason why it failed, waits, or does not serve its current files; empty otherwise.
        warmed: Fraction of the warm-up that is done, 0 to 1.
    """

    name: str
    version: str
    state: ModelState
    reason: str = ""
    warmed: float = 0.0


class VersionLifecycle:
    """Lifecycle of one model version. Used on the event loop only.

    Args:
        name: Name of the model.
        version: Version, digits.

    Attributes:
        attempted_fingerprint: Fingerprint of the files at the last attempt to load them, successful
            or not; None if they should be loaded in any case.
        references: References to the model; None if the version does not serve.
    """

    def __init__(self, name: str, version: str) -> None:
        self.attempted_fingerprint: str | None = None
        self.references: ModelReferences | None = None
        self._status = ModelStatus(name, version, ModelState.LOADING)

    @property
    def status(self) -> ModelStatus:
        """Current status."""
        return self._status

    @property
    def version(self) -> str:
        """Version, digits."""
        return self._status.version

    @property
    def state(self) -> ModelState:
        """Current state."""
        return self._status.state

    def wait(self, reason: str) -> None:
        """Record the reason why the version cannot be loaded yet."""
        if (
            self.state in (ModelState.LOADING, ModelState.UNLOADED)
            and self._status.reason != reason
        ):
            self._move(ModelState.LOADING, reason)

    def begin_loading(self, fingerprint: str) -> None:
        """Record that the files with this fingerprint are about to be loaded."""
        self.attempted_fingerprint = fingerprint
        if self.references is None:
            self._move(ModelState.LOADING)
        else:
            self._move(ModelState.READY, "its files have changed and are being loaded")

    def note_progress(self, warmed: float) -> None:
        """Record the fraction of the warm-up that is done, 0 to 1."""
        if self.state is ModelState.LOADING:
            self._move(ModelState.WARMING)
        if self.state is not ModelState.WARMING:
            return
        quarter = int(warmed * 4)
        if int(self._status.warmed * 4) < quarter < 4:
            log.info("model warming", extra=self._name() | {"warmed": quarter / 4})
        self._set(ModelState.WARMING, warmed=warmed)

    def fail(self, reason: str) -> None:
        """Record the reason why the files cannot be served."""
        if self.references is None:
            self._move(ModelState.FAILED, reason, logging.ERROR)
        else:
            reason = f"its new files cannot be served, and the former ones serve: {reason}"
            self._move(ModelState.READY, reason, logging.ERROR)

    def postpone(self, reason: str) -> None:
        """Record the reason why the files could not be loaded now. They are loaded again later."""
        self.attempted_fingerprint = None
        if self.references is None:
            self._move(ModelState.LOADING, reason, logging.WARNING)
        else:
            reason = f"its new files could not be loaded, and the former ones serve: {reason}"
            self._move(ModelState.READY, reason, logging.WARNING)

    def install(self, model: ServedModel) -> ModelReferences | None:
        """Serve a model from now on.

        Returns:
            References to the model that served before; None if there was none.
        """
        former, self.references = self.references, ModelReferences(model)
        if not model.contract.holds:
            log.warning(
                "model breaks the contract",
                extra=self._name()
                | {"failed": list(model.contract.failed), "served": model.serving},
            )
        call_us, megapixel_ms = model.cost.call_s * 1e6, model.cost.pixel_s * 1e9
        self._move(ModelState.READY, call_us=round(call_us, 1), megapixel_ms=round(megapixel_ms, 1))
        return former

    def retire(self) -> ModelReferences | None:
        """Stop serving.

        Returns:
            References to the model that served, to be drained; None if there was none.
        """
        former, self.references, self.attempted_fingerprint = self.references, None, None
        if former is not None:
            self._move(ModelState.UNLOADING)
        elif self.state in (ModelState.LOADING, ModelState.WARMING):
            self._move(ModelState.UNLOADED)
        return former

    def finish_unloading(self) -> None:
        """Record that the model's memory is free."""
        if self.state is ModelState.UNLOADING:
            self._move(ModelState.UNLOADED)

    def _move(
        self, state: ModelState, reason: str = "", level: int = logging.INFO, **facts: float
    ) -> None:
        self._set(state, reason, warmed=1.0 if state is ModelState.READY else 0.0)
        fields = self._name() | facts | ({"reason": reason} if reason else {})
        log.log(level, "model %s", state, extra=fields)

    def _set(self, state: ModelState, reason: str = "", *, warmed: float) -> None:
        known = self._status
        self._status = ModelStatus(known.name, known.version, state, reason, warmed)

    def _name(self) -> dict[str, Any]:
        return {"model": self._status.name, "version": self._status.version}
