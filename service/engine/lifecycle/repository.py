"""The models that are served, and what has become of each.

    <root>/<model>/<version>/saved_model.pb, as TensorFlow Serving lays it out

1. One version is loaded at a time, on a thread beside the event loop.
2. At the start, and where `load` is called, the files are taken as they are. A poll takes only
   files that were the same at two looks in a row.
3. A model that was unloaded by call stays so until it is loaded by call.
4. The server is ready while every model that it was started with answers, and every one that has
   answered since. What fails beside that is told, and takes nothing away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lacuna.errors import LacunaError, MalformedRequestError, NotReadyError, UnknownModelError
from service.core.versions import Found, Snapshot, VersionPolicy, settle, trust
from service.engine.lifecycle.calibration import CalibrationStore
from service.engine.lifecycle.model_versions import (
    NO_VERSION,
    ModelLease,
    ModelPolicy,
    ModelVersions,
)
from service.engine.lifecycle.preparation import Preparation
from service.engine.lifecycle.reconciler import VersionReconciler
from service.engine.lifecycle.scan import Look, find_models, scan_model
from service.engine.lifecycle.version_lifecycle import ModelState, ModelStatus
from service.engine.lifecycle.warmup import WarmupPolicy
from service.engine.served import ServedModel
from service.runtime.protocol import Runtime

__all__ = ["ModelRepository", "ModelState", "ModelStatus", "RepositoryPolicy"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RepositoryPolicy:
    """What is served of a repository, and when it is looked at.

    Attributes:
        poll_s: seconds between two looks; 0 for never. A look costs a `stat` for each file, and a
            new version is taken at the second one that finds it.
        versions: which of a model's versions are served.
        model_versions: the same for single models.
        labels: for each model, names of versions.
        max_pending: for each model, how many requests it may be answering at once.
        drain_s: seconds that work with a retired version is waited for; it is never cut off.
    """

    poll_s: float = 10.0
    versions: VersionPolicy = field(default_factory=VersionPolicy)
    model_versions: Mapping[str, VersionPolicy] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    max_pending: Mapping[str, int] = field(default_factory=dict)
    drain_s: float = 30.0

    def choose_for(self, name: str) -> ModelPolicy:
        """Give what is to be done with a model."""
        return ModelPolicy(
            self.model_versions.get(name, self.versions),
            self.labels.get(name, {}),
            self.max_pending.get(name),
        )


class ModelRepository:
    """Keeps the models of a folder, and hands them out. On the event loop only.

    Args:
        root: the folder. It is looked at once here, so that its models are known at once.
        load: makes a runtime of `<root>/<model>/<version>`.
        names: the models to serve; all that are there if none is named.
        warmup: how far each is warmed; not at all if None, and its calls count as the demo's then.
        policy: what is served, and when the folder is looked at.
        store: of what was found out about models before; nothing is kept if None.
    """

    def __init__(
        self,
        root: Path,
        load: Callable[[Path], Runtime],
        names: Sequence[str] = (),
        warmup: WarmupPolicy | None = None,
        policy: RepositoryPolicy | None = None,
        store: CalibrationStore | None = None,
    ) -> None:
        self.policy = policy or RepositoryPolicy()
        self._root = root
        self._names = tuple(names)
        preparation = Preparation(root, load, warmup, store or CalibrationStore())
        self._reconciler = VersionReconciler(preparation, self.policy.drain_s)
        self._versions: dict[str, ModelVersions] = {}
        self._seen: dict[str, Mapping[str, Snapshot]] = {}
        self._changing = asyncio.Lock()
        self._calls: set[asyncio.Task[LacunaError | None]] = set()
        self._has_begun = False
        for name, look in self._look().items():
            found = self._note(name, look, trusting=True, expected=True)
            self._versions[name].plan(found)

    @property
    def statuses(self) -> list[ModelStatus]:
        """What is known of each version of each model."""
        return [status for versions in self._versions.values() for status in versions.statuses]

    @property
    def models(self) -> list[ServedModel]:
        """The models that answer, every version of each."""
        all_versions = self._versions.values()
        return [
            references.model
            for versions in all_versions
            for references in versions.answering.values()
        ]

    @property
    def is_ready(self) -> bool:
        """Whether the start is over, there are models, and each that is expected answers."""
        expected = [versions for versions in self._versions.values() if versions.expected]
        return (
            self._has_begun and bool(expected) and all(versions.answering for versions in expected)
        )

    def find(
        self, name: str | None, version: str | None = None, label: str | None = None
    ) -> ServedModel:
        """Give the model that a request names.

        Args:
            name: may be left out where only one model is served.
            version: the highest that answers, if neither it nor a label is given.
            label: `latest`, `stable`, or one of the policy's.

        Raises:
            MalformedRequestError: if no name is given and there are several models, or both a
                version and a label are.
            UnknownModelError: if there is no such model.
            UnknownVersionError: if the model has no such version or label.
            NotReadyError: if the model is loading, or failed to.
        """
        return self._find_versions(name, version, label).choose(version, label).model

    def lease(
        self, name: str | None, version: str | None = None, label: str | None = None
    ) -> ModelLease:
        """Lend the model that a request names: as long as the context lasts it is not unloaded.

        Args and errors are those of `find`, and:

        Raises:
            OverloadedError: if the model is answering as many requests as it may.
        """
        return self._find_versions(name, version, label).lease(version, label)

    def list_versions(self, name: str) -> list[str]:
        """List the versions of a model that answer, lowest first.

        Raises:
            UnknownModelError: if there is no such model.
        """
        return list(self._find_versions(name).answering)

    def list_labels(self, name: str, version: str) -> list[str]:
        """List the labels that stand for a version of a model now.

        Raises:
            UnknownModelError: if there is no such model.
        """
        return self._find_versions(name).list_labels(version)

    async def load_all(self) -> None:
        """Load all that is to be served. To be called at the start."""
        await self._refresh(trusting=True)
        if not self._versions:
            log.error("no models found", extra={"repository": str(self._root)})
        self._has_begun = True

    async def refresh(self) -> None:
        """Look at the folder, and follow what has settled since the last look."""
        await self._refresh(trusting=False)

    async def load(self, name: str) -> None:
        """Load what is on the disk of a model now, whatever failed or was unloaded before.

        Raises:
            UnknownModelError: if there is no such model, or it is none of those to be served.
            NotReadyError: if its folder holds nothing to load.
            ModelError: if a version cannot be served. Others may answer all the same.
        """
        # A caller who leaves must not leave a model half loaded.
        task = asyncio.create_task(self._load(name))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        error = await asyncio.shield(task)
        if error is not None:
            raise error

    async def unload(self, name: str) -> None:
        """Serve a model no more, and wait until its work is done and its memory free.

        Raises:
            UnknownModelError: if there is no such model.
        """
        versions = self._find_versions(name)
        versions.wanted = versions.expected = False
        for lifecycle in versions.lifecycles:
            self._reconciler.retire(name, lifecycle)
        await self._reconciler.finish_draining(name)

    async def drain(self) -> None:
        """Wait until all versions that were retired are gone."""
        await self._reconciler.finish_draining()

    async def close(self) -> None:
        """Begin nothing more: what is being loaded is abandoned."""
        await self._reconciler.close()

    def _find_versions(
        self, name: str | None, version: str | None = None, label: str | None = None
    ) -> ModelVersions:
        if version is not None and label is not None:
            raise MalformedRequestError(
                f"a version or a label must be given; {version:.100} and {label:.100} are"
            )
        known = ", ".join(self._versions) or "none"
        if name is not None:
            if name not in self._versions:
                raise UnknownModelError(
                    f"model must be one that is served: {known}; not {name:.100}"
                )
            return self._versions[name]
        # A model that has just come must not make a name necessary before it answers.
        all_versions = list(self._versions.values())
        all_versions = [versions for versions in all_versions if versions.expected] or all_versions
        if len(all_versions) > 1:
            raise MalformedRequestError(f"model must be named where there are several: {known}")
        if not all_versions:
            raise NotReadyError("a model must be served; there is none")
        return all_versions[0]

    async def _refresh(self, *, trusting: bool) -> None:
        async with self._changing:
            looks = await asyncio.to_thread(self._look)
            found = {name: self._note(name, look, trusting) for name, look in looks.items()}
            for name, look in looks.items():
                if not look.fault:
                    await self._reconciler.follow(self._versions[name], found[name])
                    self._tidy(name, look)

    async def _load(self, name: str) -> LacunaError | None:
        if self._names and name not in self._names:
            return UnknownModelError(
                f"model must be one that is served: {', '.join(self._names)}; not {name:.100}"
            )
        async with self._changing:
            look = await asyncio.to_thread(scan_model, self._root, name)
            if name not in self._versions and not look.snapshots:
                return UnknownModelError(f"model must be one in the repository; {name:.100} is not")
            found = self._note(name, look, trusting=True)
            versions = self._versions[name]
            if not look.snapshots:
                return NotReadyError(
                    f"the model must be in the repository; {name}: {versions.fault}"
                )
            versions.wanted = True
            versions.retry_failed()
            errors = await self._reconciler.follow(versions, found)
        if not versions.wanted:
            return NotReadyError(f"the model must not be unloaded while it loads; {name} was")
        return errors[0] if errors else None

    def _look(self) -> dict[str, Look]:
        """Look at the folders of all models that are to be served. Takes time."""
        try:
            names = self._names or sorted({*find_models(self._root), *self._versions})
        except OSError as error:
            told = {"repository": str(self._root), "reason": error.strerror}
            log.warning("the repository cannot be looked at", extra=told)
            return {}
        return {name: scan_model(self._root, name) for name in names}

    def _note(
        self, name: str, look: Look, trusting: bool, *, expected: bool = False
    ) -> list[Found]:
        """Take note of what a look at a model's folder has shown, and tell what to make of it."""
        versions = self._versions.get(name)
        if versions is None:
            versions = ModelVersions(name, self.policy.choose_for(name), expected=expected)
            self._versions[name] = versions
        versions.fault = look.fault or NO_VERSION
        if look.fault:
            return []
        before, self._seen[name] = self._seen.get(name, {}), look.snapshots
        return trust(look.snapshots) if trusting else settle(before, look.snapshots)

    def _tidy(self, name: str, look: Look) -> None:
        """Forget a model of which nothing is left, on the disk or here."""
        versions = self._versions[name]
        is_served = versions.lifecycles if versions.wanted else versions.answering
        if not (look.snapshots or is_served or name in self._names):
            del self._versions[name], self._seen[name]
