"""Versions of one model that the server knows, and the choice of the one that serves a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lacuna.errors import LacunaError, NotReadyError, OverloadedError, UnknownVersionError
from service.core.versions import (
    LATEST,
    STABLE,
    DiscoveredVersion,
    KnownVersion,
    VersionPlan,
    VersionPolicy,
    plan_versions,
    resolve_label,
)
from service.engine.lifecycle.references import ModelReferences
from service.engine.lifecycle.version_lifecycle import ModelState, ModelStatus, VersionLifecycle
from service.engine.served import ServedModel

_GONE = (ModelState.UNLOADING, ModelState.UNLOADED)
_RETRY_S = 1.0
NO_VERSION_FOUND = "the repository has no version of this model"


@dataclass(frozen=True)
class ModelPolicy:
    """Settings of one model.

    Attributes:
        versions: Choice of the versions to serve.
        labels: Versions by label, in addition to `latest` and `stable`.
        max_pending: Largest number of pending requests; None for no limit.
    """

    versions: VersionPolicy = field(default_factory=VersionPolicy)
    labels: Mapping[str, str] = field(default_factory=dict)
    max_pending: int | None = None


class ModelLease:
    """Context in which a model is not unloaded. Entering it returns the model.

    Args:
        versions: Versions of the model, which count its pending requests.
        references: References to the chosen version.
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
    """Versions of one model. Used on the event loop only.

    A version is known while it is on the disk or serves.

    Args:
        name: Name of the model.
        policy: Settings of the model.
        is_required: Initial value of the attribute.

    Attributes:
        name: Name of the model.
        is_required: True if the server is ready only when this model serves.
        is_enabled: True unless a client has unloaded the model.
        error: Reason why no version is known; used while none is.
    """

    def __init__(self, name: str, policy: ModelPolicy, *, is_required: bool) -> None:
        self.name = name
        self.is_required = is_required
        self.is_enabled = True
        self.error = NO_VERSION_FOUND
        self._policy = policy
        self._labels = policy.labels
        self._pending = 0
        self._lifecycles: dict[str, VersionLifecycle] = {}

    @property
    def statuses(self) -> list[ModelStatus]:
        """Status of each version, lowest first; of the model itself if no version is known."""
        if self._lifecycles:
            return [
                self._lifecycles[version].status for version in sorted(self._lifecycles, key=int)
            ]
        if self.is_enabled:
            return [ModelStatus(self.name, "", ModelState.FAILED, self.error)]
        return [ModelStatus(self.name, "", ModelState.UNLOADED)]

    @property
    def serving(self) -> dict[str, ModelReferences]:
        """References to the versions that serve, lowest version first."""
        found = {
            version: lifecycle.references
            for version, lifecycle in self._lifecycles.items()
            if lifecycle.references is not None
        }
        return {version: found[version] for version in sorted(found, key=int)}

    @property
    def lifecycles(self) -> list[VersionLifecycle]:
        """Lifecycles of all known versions."""
        return list(self._lifecycles.values())

    def get_or_add(self, version: str) -> VersionLifecycle:
        """Return the lifecycle of a version, and start one if the version is new."""
        if version not in self._lifecycles:
            self._lifecycles[version] = VersionLifecycle(self.name, version)
        return self._lifecycles[version]

    def plan(self, found: Iterable[DiscoveredVersion]) -> VersionPlan:
        """Plan the changes for the versions on the disk, and update the known versions."""
        known = [
            KnownVersion(version, lifecycle.references is not None, lifecycle.attempted_fingerprint)
            for version, lifecycle in self._lifecycles.items()
        ]
        plan = plan_versions(self._policy.versions, self._labels.values(), found, known)
        planned = {item.version for item in (*plan.load, *plan.waiting)}
        for version, lifecycle in list(self._lifecycles.items()):
            if version in plan.forget or (
                lifecycle.state is ModelState.LOADING and version not in planned
            ):
                del self._lifecycles[version]
        for item in plan.load:
            self.get_or_add(item.version)
        for item in plan.waiting:
            self.get_or_add(item.version).wait(item.waiting)
        return plan

    def retry_failed(self) -> None:
        """Let versions that failed be loaded again."""
        for lifecycle in self._lifecycles.values():
            if lifecycle.status.reason:
                lifecycle.attempted_fingerprint = None

    def list_labels(self, version: str) -> list[str]:
        """List the labels that name a version now."""
        serving = list(self.serving)
        labels = dict.fromkeys([*self._labels, LATEST, STABLE])
        return [name for name in labels if resolve_label(name, self._labels, serving) == version]

    def choose(self, version: str | None = None, label: str | None = None) -> ModelReferences:
        """Choose the version that serves a request.

        Args:
            version: Requested version; without version and label, the highest that serves.
            label: Requested label.

        Raises:
            UnknownVersionError: if there is no such version or label.
            NotReadyError: if the version is not ready, or failed to load.
        """
        serving = self.serving
        if label is not None:
            version = self._resolve_label(label)
        if version is None and serving:
            return list(serving.values())[-1]
        if version in serving:
            return serving[version]
        raise self._make_unavailable_error(version)

    def lease(self, version: str | None = None, label: str | None = None) -> ModelLease:
        """Lease the version that serves a request; arguments and errors are those of `choose`.

        Raises:
            OverloadedError: on entering the context, if the model has too many pending requests.
        """
        return ModelLease(self, self.choose(version, label))

    def begin_request(self) -> None:
        """Count a pending request.

        Raises:
            OverloadedError: if the model has too many pending requests.
        """
        limit = self._policy.max_pending
        if limit is not None and self._pending >= limit:
            raise OverloadedError(
                f"the pending requests of {self.name} must be at most {limit}; "
                f"there are {self._pending}",
                "model",
                _RETRY_S,
            )
        self._pending += 1

    def end_request(self) -> None:
        """Stop counting a pending request."""
        self._pending -= 1

    def _resolve_label(self, label: str) -> str | None:
        if label not in (*self._labels, LATEST, STABLE):
            known = ", ".join([LATEST, STABLE, *self._labels])
            raise UnknownVersionError(f"label must be one of {known}; it is {label:.100}")
        return resolve_label(label, self._labels, list(self.serving))

    def _make_unavailable_error(self, version: str | None) -> LacunaError:
        """Return the error for a version that does not serve."""
        statuses = {status.version: status for status in self.statuses}
        serving = list(self.serving)
        status = self.statuses[-1] if version is None else statuses.get(version)
        if status is None or (serving and status.state in _GONE):
            return UnknownVersionError(
                f"version must be one that is served; {self.name} has "
                f"{', '.join(serving or statuses) or 'none'}, not {version:.100}"
            )
        which = self.name if version is None else f"{self.name} {version}"
        return NotReadyError(
            f"the model must be ready; {which} is {status.state}"
            + (f": {status.reason}" if status.reason else "")
        )
