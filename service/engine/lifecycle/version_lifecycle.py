"""Where a version of a model stands.

    LOADING ─► WARMING ─► READY ─► UNLOADING ─► UNLOADED ─► LOADING …
        └─────────┴──► FAILED ─► LOADING …

1. A version is LOADING from when it is known of: it waits for its files, or for its turn, or is
   being loaded and checked.
2. Only a version that is loaded, checked and warmed answers.
3. A version whose files were replaced stays READY while the new ones are prepared. If they fail it
   goes on answering with what was loaded before, and its reason says so.
4. Each change is one line of the log.
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
    """Where a version of a model stands."""

    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    FAILED = "failed"
    UNLOADING = "unloading"
    UNLOADED = "unloaded"


@dataclass(frozen=True)
class ModelStatus:
    """What is known of a version of a model, served or not.

    Attributes:
        name: of its folder in the repository.
        version: digits; empty where a model has none.
        state: where it stands.
        reason: why it failed, or waits, or does not answer as its files would; empty otherwise.
        warmed: how much of its ladder it has run through, 0 to 1.
    """

    name: str
    version: str
    state: ModelState
    reason: str = ""
    warmed: float = 0.0


class VersionLifecycle:
    """Follows a version. On the event loop only.

    Args:
        name: of the model.
        version: of it.

    Attributes:
        tried: fingerprint of the files that were loaded last, or failed to; None if there is no
            reason not to try.
        references: the model if it answers.
    """

    def __init__(self, name: str, version: str) -> None:
        self.tried: str | None = None
        self.references: ModelReferences | None = None
        self._status = ModelStatus(name, version, ModelState.LOADING)

    @property
    def status(self) -> ModelStatus:
        """What is told of it."""
        return self._status

    @property
    def version(self) -> str:
        """Its number."""
        return self._status.version

    @property
    def state(self) -> ModelState:
        """Where it stands."""
        return self._status.state

    def wait(self, reason: str) -> None:
        """Note why it cannot be loaded yet."""
        if (
            self.state in (ModelState.LOADING, ModelState.UNLOADED)
            and self._status.reason != reason
        ):
            self._move(ModelState.LOADING, reason)

    def begin(self, fingerprint: str) -> None:
        """Note that these files are about to be loaded."""
        self.tried = fingerprint
        if self.references is None:
            self._move(ModelState.LOADING)
        else:
            self._move(ModelState.READY, "its files have changed and are being loaded")

    def note_progress(self, warmed: float) -> None:
        """Note how far it is warmed, 0 to 1."""
        if self.state is ModelState.LOADING:
            self._move(ModelState.WARMING)
        if self.state is not ModelState.WARMING:
            return
        quarter = int(warmed * 4)
        if int(self._status.warmed * 4) < quarter < 4:
            log.info("model warming", extra=self._name() | {"warmed": quarter / 4})
        self._set(ModelState.WARMING, warmed=warmed)

    def fail(self, reason: str) -> None:
        """Note why the files could not be served."""
        if self.references is None:
            self._move(ModelState.FAILED, reason, logging.ERROR)
        else:
            reason = f"its files have changed and are not served, but what they were: {reason}"
            self._move(ModelState.READY, reason, logging.ERROR)

    def install(self, model: ServedModel) -> ModelReferences | None:
        """Let a model answer from now on.

        Returns:
            What answered before.
        """
        former, self.references = self.references, ModelReferences(model)
        if not model.contract.holds:
            log.warning(
                "model breaks the contract: served unpadded, in batches of one size",
                extra=self._name() | {"failed": list(model.contract.failed)},
            )
        call_us, megapixel_ms = model.cost.call_s * 1e6, model.cost.pixel_s * 1e9
        self._move(ModelState.READY, call_us=round(call_us, 1), megapixel_ms=round(megapixel_ms, 1))
        return former

    def retire(self) -> ModelReferences | None:
        """Answer no more.

        Returns:
            What answered, to be drained.
        """
        former, self.references, self.tried = self.references, None, None
        if former is not None:
            self._move(ModelState.UNLOADING)
        elif self.state in (ModelState.LOADING, ModelState.WARMING):
            self._move(ModelState.UNLOADED)
        return former

    def finish_unloading(self) -> None:
        """Note that its memory is free."""
        if self.state is ModelState.UNLOADING:
            self._move(ModelState.UNLOADED)

    def _move(
        self, state: ModelState, reason: str = "", level: int = logging.INFO, **facts: float
    ) -> None:
        self._set(state, reason, warmed=1.0 if state is ModelState.READY else 0.0)
        told = self._name() | facts | ({"reason": reason} if reason else {})
        log.log(level, "model %s", state, extra=told)

    def _set(self, state: ModelState, reason: str = "", *, warmed: float) -> None:
        known = self._status
        self._status = ModelStatus(known.name, known.version, state, reason, warmed)

    def _name(self) -> dict[str, Any]:
        return {"model": self._status.name, "version": self._status.version}
