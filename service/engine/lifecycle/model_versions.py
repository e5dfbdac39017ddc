"""The versions of one model that the server knows, and which of them answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lacuna.errors import LacunaError, NotReadyError, OverloadedError, UnknownVersionError
from service.core.versions import (
    LATEST,
    STABLE,
    Found,
    Held,
    Plan,
    VersionPolicy,
    find_labelled,
    plan_versions,
)
from service.engine.lifecycle.references import ModelReferences
from service.engine.lifecycle.version_lifecycle import ModelState, ModelStatus, VersionLifecycle
from service.engine.served import ServedModel

_GONE = (ModelState.UNLOADING, ModelState.UNLOADED)
_RETRY_S = 1.0
NO_VERSION = "no version of it is in the repository"


@dataclass(frozen=True)
class ModelPolicy:
    """How one model is served.

    Attributes:
        versions: which of them.
        labels: names of versions, beside `latest` and `stable`.
        max_pending: how many requests it may be answering at once; None for as many as come.
    """

    versions: VersionPolicy = field(default_factory=VersionPolicy)
    labels: Mapping[str, str] = field(default_factory=dict)
    max_pending: int | None = None


class ModelLease:
    """Lease of a model: it is not unloaded while the context lasts.

    Args:
        versions: that counts its requests.
        references: of the version that was chosen.
    """

    def __init__(self, versions: ModelVersions, references: ModelReferences) -> None:
        self._versions = versions
        self._references = references

    def __enter__(self) -> ServedModel:
        self._versions.begin_request()
        return self._references.acquire()

    def __exit__(self, *_: object) -> None:
        self._references.release()
        self._versions.end_request()


class ModelVersions:
    """The versions of one model. On the event loop only.

    A version is known as long as it is on the disk, or answers.

    Args:
        name: of the model.
        policy: how it is served.

    Attributes:
        expected: whether the server is not ready without it.
        wanted: whether it is served at all; not if it was unloaded by call.
        fault: what is wrong with its folder, where nothing is known of a version.
    """

    def __init__(self, name: str, policy: ModelPolicy, *, expected: bool) -> None:
        self.name = name
        self.expected = expected
        self.wanted = True
        self.fault = NO_VERSION
        self._policy = policy
        self._labels = policy.labels
        self._pending = 0
        self._lifecycles: dict[str, VersionLifecycle] = {}

    @property
    def statuses(self) -> list[ModelStatus]:
        """What is known of each version, lowest first; of the model itself if it has none."""
        if self._lifecycles:
            return [
                self._lifecycles[version].status for version in sorted(self._lifecycles, key=int)
            ]
        if self.wanted:
            return [ModelStatus(self.name, "", ModelState.FAILED, self.fault)]
        return [ModelStatus(self.name, "", ModelState.UNLOADED)]

    @property
    def answering(self) -> dict[str, ModelReferences]:
        """The versions that answer, lowest first."""
        found = {
            version: lifecycle.references
            for version, lifecycle in self._lifecycles.items()
            if lifecycle.references is not None
        }
        return {version: found[version] for version in sorted(found, key=int)}

    @property
    def lifecycles(self) -> list[VersionLifecycle]:
        """All versions."""
        return list(self._lifecycles.values())

    def get_or_add(self, version: str) -> VersionLifecycle:
        """Give where a version stands; it is known from now on."""
        if version not in self._lifecycles:
            self._lifecycles[version] = VersionLifecycle(self.name, version)
        return self._lifecycles[version]

    def plan(self, found: Iterable[Found]) -> Plan:
        """Decide what is to be done, given the versions on the disk, and note what is to come."""
        held = [
            Held(version, lifecycle.references is not None, lifecycle.tried)
            for version, lifecycle in self._lifecycles.items()
        ]
        plan = plan_versions(self._policy.versions, self._labels.values(), found, held)
        coming = {item.version for item in (*plan.load, *plan.waiting)}
        for version, lifecycle in list(self._lifecycles.items()):
            if version in plan.forget or (
                lifecycle.state is ModelState.LOADING and version not in coming
            ):
                del self._lifecycles[version]
        for item in plan.load:
            self.get_or_add(item.version)
        for item in plan.waiting:
            self.get_or_add(item.version).wait(item.waiting)
        return plan

    def retry_failed(self) -> None:
        """Let files be tried again that could not be served."""
        for lifecycle in self._lifecycles.values():
            if lifecycle.status.reason:
                lifecycle.tried = None

    def list_labels(self, version: str) -> list[str]:
        """List the labels that stand for a version now."""
        answering = list(self.answering)
        labels = dict.fromkeys([*self._labels, LATEST, STABLE])
        return [name for name in labels if find_labelled(name, self._labels, answering) == version]

    def choose(self, version: str | None = None, label: str | None = None) -> ModelReferences:
        """Give what answers a request.

        Args:
            version: asked for; the highest that answers if neither it nor a label is given.
            label: asked for.

        Raises:
            UnknownVersionError: if there is no such version or label.
            NotReadyError: if it does not answer yet, or failed to load.
        """
        answering = self.answering
        if label is not None:
            version = self._read_label(label)
        if version is None and answering:
            return list(answering.values())[-1]
        if version in answering:
            return answering[version]
        raise self._explain(version)

    def lease(self, version: str | None = None, label: str | None = None) -> ModelLease:
        """Lend what answers a request.

        Raises:
            OverloadedError: on entering the context, if the model is answering as many requests as
                it may.
        """
        return ModelLease(self, self.choose(version, label))

    def begin_request(self) -> None:
        """Count one more request that the model is answering.

        Raises:
            OverloadedError: if those are as many as they may be.
        """
        limit = self._policy.max_pending
        if limit is not None and self._pending >= limit:
            raise OverloadedError(
                f"requests that {self.name} is answering must be at most {limit}; "
                f"{self._pending} are",
                "model",
                _RETRY_S,
            )
        self._pending += 1

    def end_request(self) -> None:
        """Count one request less."""
        self._pending -= 1

    def _read_label(self, label: str) -> str | None:
        if label not in (*self._labels, LATEST, STABLE):
            known = ", ".join([LATEST, STABLE, *self._labels])
            raise UnknownVersionError(f"label must be one of {known}; it is {label:.100}")
        return find_labelled(label, self._labels, list(self.answering))

    def _explain(self, version: str | None) -> LacunaError:
        """Say why there is no answer."""
        statuses = {status.version: status for status in self.statuses}
        answering = list(self.answering)
        status = self.statuses[-1] if version is None else statuses.get(version)
        if status is None or (answering and status.state in _GONE):
            return UnknownVersionError(
                f"version must be one that is served; {self.name} has "
                f"{', '.join(answering or statuses) or 'none'}, not {version:.100}"
            )
        which = self.name if version is None else f"{self.name} {version}"
        return NotReadyError(
            f"the model must be ready; {which} is {status.state}"
            + (f": {status.reason}" if status.reason else "")
        )
