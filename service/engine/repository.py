"""The models that are served, and what has become of each.

    <root>/<model>/<version>/saved_model.pb, as TensorFlow Serving lays it out

The highest version of each model is loaded. A model is LOADING until its graph is loaded and its
contract checked, then READY; or it is FAILED, with the reason, and the others are served all the
same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from service.errors import (
    LacunaError,
    MalformedRequestError,
    NotReadyError,
    UnknownModelError,
    UnknownVersionError,
)
from service.runtime.probe import ContractReport, check_contract
from service.runtime.protocol import Runtime

log = logging.getLogger(__name__)


class ModelState(StrEnum):
    """Where a model stands."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model that answers.

    Attributes:
        name: of its folder in the repository.
        version: of its sub-folder, digits.
        runtime: that runs it.
        contract: what the contract check found.
    """

    name: str
    version: str
    runtime: Runtime
    contract: ContractReport


@dataclass(frozen=True)
class ModelStatus:
    """What is known of a model, served or not.

    Attributes:
        name: of its folder in the repository.
        version: digits; empty where none was found.
        state: where it stands.
        reason: why it failed; empty otherwise.
    """

    name: str
    version: str
    state: ModelState
    reason: str = ""


def find_versions(folder: Path) -> list[str]:
    """List the versions in a model's folder, lowest first."""
    if not folder.is_dir():
        return []
    names = [entry.name for entry in folder.iterdir() if entry.is_dir()]
    return sorted((name for name in names if name.isascii() and name.isdigit()), key=int)


def find_models(root: Path) -> list[str]:
    """List the models of a repository: the folders that hold a version."""
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in root.iterdir() if find_versions(entry))


class Repository:
    """Loads the models of a folder and hands them out.

    Args:
        root: the folder.
        load: makes a runtime of `<root>/<model>/<version>`.
        names: the models to serve; all that are there if none is named.
    """

    def __init__(
        self, root: Path, load: Callable[[Path], Runtime], names: Sequence[str] = ()
    ) -> None:
        self._root = root
        self._load = load
        self._models: dict[str, ServedModel] = {}
        self._statuses: dict[str, ModelStatus] = {}
        for name in names or find_models(root):
            self._statuses[name] = self._find_latest(name)

    @property
    def statuses(self) -> list[ModelStatus]:
        """What is known of each model."""
        return list(self._statuses.values())

    @property
    def models(self) -> list[ServedModel]:
        """The models that answer."""
        return list(self._models.values())

    @property
    def is_ready(self) -> bool:
        """Whether there are models and every one of them answers."""
        return bool(self._statuses) and all(
            status.state is ModelState.READY for status in self._statuses.values()
        )

    async def load_all(self) -> None:
        """Load every model that is waiting to be, one after the other and off the event loop."""
        if not self._statuses:
            log.error("no models found", extra={"repository": str(self._root)})
        for status in self.statuses:
            if status.state is ModelState.LOADING:
                await asyncio.to_thread(self._load_model, status)

    def find(self, name: str | None, version: str | None = None) -> ServedModel:
        """Give the model that a request names.

        Args:
            name: may be left out where only one model is served.
            version: may be left out.

        Raises:
            MalformedRequestError: if no name is given and there are several models.
            UnknownModelError: if there is no such model.
            UnknownVersionError: if the model has no such version.
            NotReadyError: if the model is loading, or failed to.
        """
        status = self._find_status(name)
        if version is not None and version != status.version:
            raise UnknownVersionError(
                f"version must be one that is served; {status.name} has {status.version}, "
                f"not {version}"
            )
        if status.state is not ModelState.READY:
            raise NotReadyError(
                f"the model must be ready; {status.name} is {status.state}"
                + (f": {status.reason}" if status.reason else "")
            )
        return self._models[status.name]

    def _find_status(self, name: str | None) -> ModelStatus:
        known = ", ".join(self._statuses) or "none"
        if name is None:
            if len(self._statuses) > 1:
                raise MalformedRequestError(f"model must be named where there are several: {known}")
            if not self._statuses:
                raise NotReadyError("a model must be served; there is none")
            return next(iter(self._statuses.values()))
        if name not in self._statuses:
            raise UnknownModelError(f"model must be one that is served: {known}; not {name}")
        return self._statuses[name]

    def _find_latest(self, name: str) -> ModelStatus:
        versions = find_versions(self._root / name)
        if versions:
            return ModelStatus(name, versions[-1], ModelState.LOADING)
        return ModelStatus(name, "", ModelState.FAILED, "no version of it is in the repository")

    def _load_model(self, status: ModelStatus) -> None:
        name, version = status.name, status.version
        what = {"model": name, "version": version}
        try:
            runtime = self._load(self._root / name / version)
            contract = check_contract(runtime)
        except LacunaError as error:
            log.error("model failed to load", extra=what | {"reason": error.message})
            self._statuses[name] = ModelStatus(name, version, ModelState.FAILED, error.message)
            return
        except Exception:
            log.exception("model failed to load", extra=what)
            self._statuses[name] = ModelStatus(
                name, version, ModelState.FAILED, "unexpected error; see the log"
            )
            return
        if contract.holds:
            log.info("model ready", extra=what)
        else:
            log.warning(
                "model ready, but breaks the contract: served unpadded, one image at a time",
                extra=what | {"failed": list(contract.failed)},
            )
        self._models[name] = ServedModel(name, version, runtime, contract)
        self._statuses[name] = ModelStatus(name, version, ModelState.READY)
