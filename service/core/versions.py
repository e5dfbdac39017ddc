"""Version plans: which versions of a model to load and retire, given the disk and the server.

1. The versions to serve are chosen from those on the disk. The policy says how many, or which.
   Versions that a label names are served as well.
2. A version whose files failed to load is skipped. Under a policy for the latest versions, the next
   lower version takes its place. It is loaded again only once its files have changed.
3. A version whose files are still being written waits. It is not loaded, and it is not reported as
   failed.
4. A version whose files have changed is loaded again while its former files still serve.
5. No version is retired while a version remains to be loaded, or while none of the versions to
   serve is serving. So a deleted version serves until another one has replaced it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from service.core.model_formats import USUAL_FILES

LATEST = "latest"
STABLE = "stable"
ALL = "all"

FILES_CHANGING = "its files are still changing"
GRAPH_MISSING = f"there is no {USUAL_FILES} in it yet"

# Without leading zeros, so that no two names mean one version; 18 digits fit any 64-bit counter.
_VERSION = re.compile(r"0|[1-9][0-9]{0,17}")
_MODEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def is_version(name: str) -> bool:
    """Return True if a name is a version: ASCII digits without leading zeros."""
    return _VERSION.fullmatch(name) is not None


def is_model_name(name: str) -> bool:
    """Return True if a name is a valid model name. A valid name is never a path."""
    return _MODEL.fullmatch(name) is not None


@dataclass(frozen=True)
class VersionPolicy:
    """Choice of the versions to serve among those on the disk.

    Attributes:
        latest: Number of highest versions to serve; None for all.
        names: Versions to serve; if not empty, only these are served.

    Raises:
        ValueError: if `latest` is less than 1, or a name is not a version.
    """

    latest: int | None = 1
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.latest is not None and self.latest < 1:
            raise ValueError(f"latest must be at least 1; it is {self.latest}")
        wrong = [name for name in self.names if not is_version(name)]
        if wrong:
            raise ValueError(f"versions must be digits without leading zeros; {wrong} are not")

    def __str__(self) -> str:
        if self.names:
            return ",".join(self.names)
        if self.latest is None:
            return ALL
        return LATEST if self.latest == 1 else f"{LATEST}:{self.latest}"

    @classmethod
    def parse(cls, text: str) -> VersionPolicy:
        """Parse a policy from text: `latest`, `latest:2`, `all` or `1,3`.

        Raises:
            ValueError: if the text has another form.
        """
        text = text.strip()
        if text == ALL:
            return cls(None)
        word, colon, number = text.partition(":")
        if word == LATEST and (is_version(number) or not colon):
            return cls(int(number) if colon else 1)
        names = [name.strip() for name in text.split(",")]
        if not all(is_version(name) for name in names):
            raise ValueError(
                f"versions must be latest, latest:2, all, or numbers with commas; they are {text!r}"
            )
        return cls(None, tuple(sorted(set(names), key=int)))

    def selects(self, version: str, higher: int) -> bool:
        """Return True if a version on the disk is to be served.

        Args:
            version: Version, digits.
            higher: Number of higher versions that are already selected.
        """
        if self.names:
            return version in self.names
        return self.latest is None or higher < self.latest


class Snapshot(NamedTuple):
    """State of a version's files in one scan of the disk.

    Attributes:
        fingerprint: Checksum of the files' names, sizes and modification times.
        complete: True if there is a graph file to load.
    """

    fingerprint: str
    complete: bool = True


class DiscoveredVersion(NamedTuple):
    """Version on the disk.

    Attributes:
        version: Version, digits.
        fingerprint: Checksum of the files' names, sizes and modification times.
        waiting: Reason why it cannot be loaded yet; empty if it can.
    """

    version: str
    fingerprint: str
    waiting: str = ""


class KnownVersion(NamedTuple):
    """Version that the server knows.

    Attributes:
        version: Version, digits.
        is_serving: True if it is loaded and serves requests.
        attempted_fingerprint: Fingerprint of the files at the last attempt to load them, successful
            or not; None if they should be loaded in any case.
    """

    version: str
    is_serving: bool
    attempted_fingerprint: str | None


class VersionPlan(NamedTuple):
    """Changes that bring the server in line with the disk.

    Attributes:
        load: Versions to load, in this order.
        waiting: Versions to load later, when their files are complete.
        retire: Serving versions to unload.
        forget: Versions that are neither on the disk nor serving.
    """

    load: tuple[DiscoveredVersion, ...] = ()
    waiting: tuple[DiscoveredVersion, ...] = ()
    retire: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()


def find_unchanged(
    before: Mapping[str, Snapshot], now: Mapping[str, Snapshot]
) -> list[DiscoveredVersion]:
    """Find the versions whose files did not change between two scans.

    Args:
        before: Snapshots of the previous scan, by version.
        now: Snapshots of this scan, by version.

    Returns:
        The versions of both scans. Those that changed have a reason to wait. A version that has
        disappeared counts as changed in the first scan that misses it.
    """
    found = []
    for version, snapshot in {**before, **now}.items():
        if now.get(version) != before.get(version):
            waiting = FILES_CHANGING
        else:
            waiting = "" if snapshot.complete else GRAPH_MISSING
        found.append(DiscoveredVersion(version, snapshot.fingerprint, waiting))
    return found


def accept_all(now: Mapping[str, Snapshot]) -> list[DiscoveredVersion]:
    """Return all versions as ready to load: at the start, and where a client asks to load them."""
    return [DiscoveredVersion(version, snapshot.fingerprint) for version, snapshot in now.items()]


def plan_versions(
    policy: VersionPolicy,
    labelled: Collection[str],
    found: Iterable[DiscoveredVersion],
    known: Iterable[KnownVersion],
) -> VersionPlan:
    """Decide which versions of a model to load and which to retire.

    Args:
        policy: Choice of the versions to serve.
        labelled: Versions that labels name.
        found: Versions on the disk.
        known: Versions that the server knows.
    """
    on_disk = {item.version: item for item in found}
    known_by_version = {item.version: item for item in known}
    to_serve: set[str] = set()
    load: list[DiscoveredVersion] = []
    waiting: list[DiscoveredVersion] = []
    higher = 0
    for version in sorted(on_disk, key=int, reverse=True):
        is_selected = policy.selects(version, higher)
        if not is_selected and version not in labelled:
            continue
        item, former = on_disk[version], known_by_version.get(version)
        if former is None or former.attempted_fingerprint != item.fingerprint:
            (waiting if item.waiting else load).append(item)
        if (former is not None and former.is_serving) or (load and load[-1] is item):
            to_serve.add(version)
            higher += is_selected
    serving = {version for version, item in known_by_version.items() if item.is_serving}
    retire = serving - to_serve if not load and to_serve else set()
    return VersionPlan(
        tuple(load),
        tuple(waiting),
        tuple(sorted(retire, key=int)),
        tuple(
            version
            for version in known_by_version
            if version not in on_disk and version not in serving
        ),
    )


def resolve_label(label: str, labels: Mapping[str, str], serving: Sequence[str]) -> str | None:
    """Return the version that a label names.

    `latest` is the highest version that serves. So is `stable`, unless the settings assign it.

    Args:
        label: Label of a request.
        labels: Versions by label, from the settings.
        serving: Versions that serve.

    Returns:
        The version; None if the label is unknown, or no version serves.
    """
    if label in labels:
        return labels[label]
    return max(serving, key=int, default=None) if label in (LATEST, STABLE) else None
