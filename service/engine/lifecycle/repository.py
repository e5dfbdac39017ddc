"""Repository of the models that are served.

    <root>/<model>/<version>/GRAPH, the layout of TensorFlow Serving
    <root>/<version>/GRAPH and <root>/GRAPH, for one model that is named

GRAPH is saved_model.pb or model.onnx.

1. One version is loaded at a time, on a thread beside the event loop.
2. At the start, and on a call of `load`, files are taken as they are. A poll takes only files that
   two scans in a row have found unchanged.
3. A model that a client has unloaded stays unloaded until a client loads it.
4. The server is ready while every model serves that was there at the start or has served since.
   Other failures are reported, and do not make it unready.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lacuna.errors import LacunaError, MalformedRequestError, NotReadyError, UnknownModelError
from service.core.versions import (
    DiscoveredVersion,
    Snapshot,
    VersionPolicy,
    accept_all,
    find_unchanged,
)
from service.engine.lifecycle.calibration import CalibrationStore
from service.engine.lifecycle.layout import explain_model, explain_repository
from service.engine.lifecycle.model_versions import (
    NO_VERSION_FOUND,
    ModelLease,
    ModelPolicy,
    ModelVersions,
)
from service.engine.lifecycle.near_misses import list_ignored
from service.engine.lifecycle.preparation import Preparation
from service.engine.lifecycle.reconciler import VersionReconciler
from service.engine.lifecycle.scan import ModelScan, find_models, scan_model
from service.engine.lifecycle.version_lifecycle import ModelState, ModelStatus
from service.engine.lifecycle.warmup import WarmupPolicy
from service.engine.process_memory import ProcessMemory
from service.engine.served import ServedModel
from service.runtime.precision import PrecisionSetting
from service.runtime.protocol import Runtime

__all__ = ["ModelRepository", "ModelState", "ModelStatus", "RepositoryPolicy"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RepositoryPolicy:
    """Settings of a repository.

    Attributes:
        poll_s: Seconds between two scans; 0 for no polling. A scan costs one `stat` per file. A new
            version is loaded after the second scan that finds it.
        versions: Choice of the versions to serve.
        model_versions: Choice of the versions of single models, by name.
        labels: Versions by label, by name of the model.
        max_pending: Largest number of pending requests, by name of the model.
        drain_s: Seconds to wait for the requests that use a retired version. They are never
            cancelled.
        precision: Precision of the models.
        model_precisions: Precision of single models, by name.
        default_model: Name of the model of requests that name none; None for the only one.
    """

    poll_s: float = 10.0
    versions: VersionPolicy = field(default_factory=VersionPolicy)
    model_versions: Mapping[str, VersionPolicy] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    max_pending: Mapping[str, int] = field(default_factory=dict)
    drain_s: float = 30.0
    precision: PrecisionSetting = "float32"
    model_precisions: Mapping[str, PrecisionSetting] = field(default_factory=dict)
    default_model: str | None = None

    def choose_precision(self, name: str) -> PrecisionSetting:
        """Return the precision that is wanted for a model."""
        return self.model_precisions.get(name, self.precision)

    def choose_for(self, name: str) -> ModelPolicy:
        """Return the settings of a model."""
        return ModelPolicy(
            self.model_versions.get(name, self.versions),
            self.labels.get(name, {}),
            self.max_pending.get(name),
        )


class ModelRepository:
    """Repository of models in a folder, which leases them to requests. On the event loop only.

    Args:
        root: Folder of the repository. It is scanned here, so its models are known from the start.
        load: Function that loads a runtime from `<root>/<model>/<version>`.
        names: Names of the models to serve; all in the folder if empty. If there is one name, the
            folder may be that of the model, or of its version 1.
        warmup: Extent of the warm-up; None for none. Calls then have `groundcover`'s cost.
        policy: Settings of the repository.
        store: Store of earlier calibrations; None to store nothing.
        memory: Memory of the process, some of which is reserved for calls; None for all that the
            process may take.
    """

    def __init__(
        self,
        root: Path,
        load: Callable[[Path], Runtime],
        names: Sequence[str] = (),
        warmup: WarmupPolicy | None = None,
        policy: RepositoryPolicy | None = None,
        store: CalibrationStore | None = None,
        memory: ProcessMemory | None = None,
    ) -> None:
        self.policy = policy or RepositoryPolicy()
        self._root = root
        self._names = tuple(names)
        self._is_only = len(self._names) == 1
        preparation = Preparation(
            root,
            load,
            warmup,
            store or CalibrationStore(),
            self._is_only,
            memory or ProcessMemory(),
            self.policy.choose_precision,
        )
        self._reconciler = VersionReconciler(preparation, self.policy.drain_s)
        self._versions: dict[str, ModelVersions] = {}
        self._last_snapshots: dict[str, Mapping[str, Snapshot]] = {}
        self._lock = asyncio.Lock()
        self._load_tasks: set[asyncio.Task[LacunaError | None]] = set()
        self._is_started = False
        for name, scan in self._scan().items():
            found = self._record_scan(name, scan, take_as_is=True, is_required=True)
            self._versions[name].plan(found)

    @property
    def statuses(self) -> list[ModelStatus]:
        """Status of each version of each model."""
        return [status for versions in self._versions.values() for status in versions.statuses]

    @property
    def models(self) -> list[ServedModel]:
        """Models that serve, with each of their versions."""
        all_versions = self._versions.values()
        return [
            references.model
            for versions in all_versions
            for references in versions.serving.values()
        ]

    @property
    def default_model(self) -> str | None:
        """Name of the model of requests that name none; None if there is none."""
        if self.policy.default_model is not None:
            is_known = self.policy.default_model in self._versions
            return self.policy.default_model if is_known else None
        # A new model must not make a name necessary before it serves.
        names = [name for name, versions in self._versions.items() if versions.is_required]
        names = names or list(self._versions)
        return names[0] if len(names) == 1 else None

    @property
    def is_ready(self) -> bool:
        """True if the initial load is done, and all required models serve; False without any."""
        required = [versions for versions in self._versions.values() if versions.is_required]
        return (
            self._is_started and bool(required) and all(versions.serving for versions in required)
        )

    @property
    def is_loading(self) -> bool:
        """True while a thread loads, checks or warms a version. The thread cannot be stopped."""
        return self._reconciler.is_loading

    def find(
        self, name: str | None, version: str | None = None, label: str | None = None
    ) -> ServedModel:
        """Return the model that a request names.

        Args:
            name: Name of the model; None for the default one, or the only one.
            version: Requested version; without version and label, the highest that serves.
            label: `latest`, `stable` or a label of the settings.

        Raises:
            MalformedRequestError: if the name is missing, and there are several models and no
                default, or if both version and label are given.
            UnknownModelError: if there is no such model, or the default is not served.
            UnknownVersionError: if the model has no such version or label.
            NotReadyError: if the model is not ready, or failed to load.
        """
        return self._find_versions(name, version, label).choose(version, label).model

    def lease(
        self, name: str | None, version: str | None = None, label: str | None = None
    ) -> ModelLease:
        """Lease the model that a request names; arguments and errors are those of `find`.

        Returns:
            Context in which the model is not unloaded.

        Raises:
            OverloadedError: on entering the context, if the model has too many pending requests.
        """
        return self._find_versions(name, version, label).lease(version, label)

    def list_versions(self, name: str) -> list[str]:
        """List the versions of a model that serve, lowest first.

        Raises:
            UnknownModelError: if there is no such model.
        """
        return list(self._find_versions(name).serving)

    def list_labels(self, name: str, version: str) -> list[str]:
        """List the labels that name a version of a model now.

        Raises:
            UnknownModelError: if there is no such model.
        """
        return self._find_versions(name).list_labels(version)

    async def load_all(self) -> None:
        """Load all models to serve. Call it once, at the start."""
        await self._refresh(take_as_is=True)
        await asyncio.to_thread(self._log_layout)
        self._is_started = True

    async def refresh(self) -> None:
        """Scan the folder, and load and retire versions as it has changed."""
        await self._refresh(take_as_is=False)

    async def load(self, name: str) -> None:
        """Load a model as it is on the disk now, even if it failed or was unloaded before.

        Raises:
            UnknownModelError: if there is no such model, or the settings exclude it.
            NotReadyError: if its folder holds no version.
            ModelError: if a version cannot be served. Other versions may serve all the same.
        """
        # A caller that disconnects must not interrupt the load.
        task = asyncio.create_task(self._load(name))
        self._load_tasks.add(task)
        task.add_done_callback(self._load_tasks.discard)
        error = await asyncio.shield(task)
        if error is not None:
            raise error

    async def unload(self, name: str) -> None:
        """Stop serving a model, and wait until its requests are done and its memory is free.

        Raises:
            UnknownModelError: if there is no such model.
        """
        versions = self._find_versions(name)
        versions.is_enabled = versions.is_required = False
        for lifecycle in versions.lifecycles:
            self._reconciler.retire(name, lifecycle)
        await self._reconciler.finish_draining(name)

    async def drain(self) -> None:
        """Wait until all retired versions are unloaded."""
        await self._reconciler.finish_draining()

    async def close(self) -> None:
        """Stop loading: a load that runs is abandoned."""
        await self._reconciler.close()

    def _find_versions(
        self, name: str | None, version: str | None = None, label: str | None = None
    ) -> ModelVersions:
        if version is not None and label is not None:
            raise MalformedRequestError(
                "a request must name a version or a label, not both; "
                f"it names {version:.100} and {label:.100}"
            )
        known = ", ".join(self._versions) or "none"
        if name is not None:
            if name not in self._versions:
                raise UnknownModelError(
                    f"the model must be one that is served: {known}; not {name:.100}"
                )
            return self._versions[name]
        default = self.default_model
        if default is not None:
            return self._versions[default]
        if not self._versions:
            raise NotReadyError("a model must be served; there is none")
        if self.policy.default_model is not None:
            raise UnknownModelError(
                "a request must name a model if LACUNA_REPOSITORY__DEFAULT_MODEL is not served; it "
                f"names none of {known}, and the default is {self.policy.default_model}"
            )
        raise MalformedRequestError(
            f"a request must name a model if several are served; it names none of {known}"
        )

    async def _refresh(self, *, take_as_is: bool) -> None:
        async with self._lock:
            scans = await asyncio.to_thread(self._scan)
            found = {
                name: self._record_scan(name, scan, take_as_is) for name, scan in scans.items()
            }
            for name, scan in scans.items():
                if not scan.error:
                    await self._reconciler.reconcile(self._versions[name], found[name])
                    self._forget_if_gone(name, scan)

    async def _load(self, name: str) -> LacunaError | None:
        if self._names and name not in self._names:
            return UnknownModelError(
                f"the model must be one that is served: {', '.join(self._names)}; not {name:.100}"
            )
        async with self._lock:
            scan = await asyncio.to_thread(self._scan_model, name)
            if name not in self._versions and not scan.snapshots:
                reason = scan.hint or f"{name:.100} is not"
                return UnknownModelError(f"the model must be in the repository; {reason}")
            found = self._record_scan(name, scan, take_as_is=True)
            versions = self._versions[name]
            if not scan.snapshots:
                return NotReadyError(
                    f"the model must be in the repository; {name}: {versions.error}"
                )
            versions.is_enabled = True
            versions.retry_failed()
            errors = await self._reconciler.reconcile(versions, found)
        if not versions.is_enabled:
            return NotReadyError(f"the model must not be unloaded while it loads; {name} was")
        return errors[0] if errors else None

    def _scan(self) -> dict[str, ModelScan]:
        """Scan the folders of all models to serve. Blocks on the disk."""
        try:
            names = self._names or sorted({*find_models(self._root), *self._versions})
        except OSError as error:
            fields = {"repository": str(self._root), "reason": error.strerror}
            log.warning("the repository cannot be read", extra=fields)
            return {}
        return {name: self._scan_model(name) for name in names}

    def _scan_model(self, name: str) -> ModelScan:
        """Scan the folder of a model, and say what it holds instead of a version."""
        scan = scan_model(self._root, name, is_only=self._is_only)
        is_explained = scan.snapshots or scan.error
        return scan if is_explained else scan._replace(hint=explain_model(self._root, name))

    def _log_layout(self) -> None:
        """Log what looks like a model and is none: a typing error in a name is easily made."""
        fields = {"repository": str(self._root)}
        try:
            if not self._versions:
                reason = explain_repository(self._root)
                log.error("no models found", extra=fields | {"reason": reason})
            default = self.policy.default_model
            if default is not None and default not in self._versions:
                log.warning("the default model is not there", extra=fields | {"model": default})
            for reason in [] if self._names else list_ignored(self._root):
                log.warning("ignored in the repository", extra=fields | {"reason": reason})
        except OSError:
            pass  # the scan has logged it

    def _record_scan(
        self, name: str, scan: ModelScan, take_as_is: bool, *, is_required: bool = False
    ) -> list[DiscoveredVersion]:
        """Store the scan of a model's folder, and return the versions that it found."""
        versions = self._versions.get(name)
        if versions is None:
            versions = ModelVersions(name, self.policy.choose_for(name), is_required=is_required)
            self._versions[name] = versions
        versions.error = scan.error or "; ".join(filter(None, (NO_VERSION_FOUND, scan.hint)))
        if scan.error:
            return []
        before, self._last_snapshots[name] = self._last_snapshots.get(name, {}), scan.snapshots
        return accept_all(scan.snapshots) if take_as_is else find_unchanged(before, scan.snapshots)

    def _forget_if_gone(self, name: str, scan: ModelScan) -> None:
        """Forget a model that is neither on the disk nor loaded."""
        versions = self._versions[name]
        is_served = versions.lifecycles if versions.is_enabled else versions.serving
        if not (scan.snapshots or is_served or name in self._names):
            del self._versions[name], self._last_snapshots[name]
