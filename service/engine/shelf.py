"""The versions of one model that the server knows, and which of them answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
from service.engine.served import ServedModel
from service.engine.standing import ModelState, ModelStatus, Standing
from service.engine.tenancy import Tenancy
from service.errors import LacunaError, NotReadyError, OverloadedError, UnknownVersionError

_GONE = (ModelState.UNLOADING, ModelState.UNLOADED)
_RETRY_S = 1.0
NO_VERSION = "no version of it is in the repository"


@dataclass(frozen=True)
class ShelfPolicy:
    """How one model is served.

    Attributes:
        versions: which of them.
        labels: names of versions, beside `latest` and `stable`.
        max_pending: how many requests it may be answering at once; None for as many as come.
    """

    versions: VersionPolicy = field(default_factory=VersionPolicy)
    labels: Mapping[str, str] = field(default_factory=dict)
    max_pending: int | None = None


class Loan:
    """A model that is lent for as long as the context lasts, and is not unloaded meanwhile.

    Args:
        shelf: that counts its requests.
        tenancy: of the version that was chosen.
    """

    def __init__(self, shelf: Shelf, tenancy: Tenancy) -> None:
        self._shelf = shelf
        self._tenancy = tenancy

    def __enter__(self) -> ServedModel:
        self._shelf.count_in()
        return self._tenancy.lend()

    def __exit__(self, *_: object) -> None:
        self._tenancy.take_back()
        self._shelf.count_out()


class Shelf:
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

    def __init__(self, name: str, policy: ShelfPolicy, *, expected: bool) -> None:
        self.name = name
        self.expected = expected
        self.wanted = True
        self.fault = NO_VERSION
        self._policy = policy
        self._labels = policy.labels
        self._lent = 0
        self._standings: dict[str, Standing] = {}

    @property
    def statuses(self) -> list[ModelStatus]:
        """What is known of each version, lowest first; of the model itself if it has none."""
        if self._standings:
            return [self._standings[version].status for version in sorted(self._standings, key=int)]
        if self.wanted:
            return [ModelStatus(self.name, "", ModelState.FAILED, self.fault)]
        return [ModelStatus(self.name, "", ModelState.UNLOADED)]

    @property
    def answering(self) -> dict[str, Tenancy]:
        """The versions that answer, lowest first."""
        found = {
            version: standing.tenancy
            for version, standing in self._standings.items()
            if standing.tenancy is not None
        }
        return {version: found[version] for version in sorted(found, key=int)}

    @property
    def standings(self) -> list[Standing]:
        """All versions."""
        return list(self._standings.values())

    def place(self, version: str) -> Standing:
        """Give where a version stands; it is known from now on."""
        if version not in self._standings:
            self._standings[version] = Standing(self.name, version)
        return self._standings[version]

    def plan(self, found: Iterable[Found]) -> Plan:
        """Decide what is to be done, given the versions on the disk, and note what is to come."""
        held = [
            Held(version, standing.tenancy is not None, standing.tried)
            for version, standing in self._standings.items()
        ]
        plan = plan_versions(self._policy.versions, self._labels.values(), found, held)
        coming = {item.version for item in (*plan.load, *plan.waiting)}
        for version, standing in list(self._standings.items()):
            if version in plan.forget or (
                standing.state is ModelState.LOADING and version not in coming
            ):
                del self._standings[version]
        for item in plan.load:
            self.place(item.version)
        for item in plan.waiting:
            self.place(item.version).wait(item.waiting)
        return plan

    def forgive(self) -> None:
        """Let files be tried again that could not be served."""
        for standing in self._standings.values():
            if standing.status.reason:
                standing.tried = None

    def list_labels(self, version: str) -> list[str]:
        """List the labels that stand for a version now."""
        answering = list(self.answering)
        labels = dict.fromkeys([*self._labels, LATEST, STABLE])
        return [name for name in labels if find_labelled(name, self._labels, answering) == version]

    def choose(self, version: str | None = None, label: str | None = None) -> Tenancy:
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

    def lend(self, version: str | None = None, label: str | None = None) -> Loan:
        """Lend what answers a request.

        Raises:
            OverloadedError: on entering the context, if the model is answering as many requests as
                it may.
        """
        return Loan(self, self.choose(version, label))

    def count_in(self) -> None:
        """Count one more request that the model is answering.

        Raises:
            OverloadedError: if those are as many as they may be.
        """
        limit = self._policy.max_pending
        if limit is not None and self._lent >= limit:
            raise OverloadedError(
                f"requests that {self.name} is answering must be at most {limit}; {self._lent} are",
                "model",
                _RETRY_S,
            )
        self._lent += 1

    def count_out(self) -> None:
        """Count one request less."""
        self._lent -= 1

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
