"""Which versions of a model are served, decided from what is on the disk and what is loaded.

1. Only versions on the disk are chosen from; the policy says how many, or which. A version that a
   label names is served beside them.
2. A version whose files are those that failed before is passed over: of "the latest" the next lower
   one takes its place. It is tried again once its files have changed.
3. A version whose files are still coming waits: it is neither tried nor taken for broken.
4. A version whose files have changed is loaded again beside itself.
5. Nothing is retired as long as anything remains to be loaded, nor before something that is to be
   served answers. So a version that is deleted goes on serving until another has taken its place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

LATEST = "latest"
STABLE = "stable"
ALL = "all"

COMING = "its files are still changing"
INCOMPLETE = "there is no saved_model.pb in it yet"

# Without leading zeros, so that no two names mean one version; 18 digits fit any 64-bit counter.
_VERSION = re.compile(r"0|[1-9][0-9]{0,17}")
_MODEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def is_version(name: str) -> bool:
    """Tell whether a name is that of a version: ASCII digits, and no leading zero."""
    return _VERSION.fullmatch(name) is not None


def is_model_name(name: str) -> bool:
    """Tell whether a name is one that a model may have: a plain name of a folder, never a path."""
    return _MODEL.fullmatch(name) is not None


@dataclass(frozen=True)
class VersionPolicy:
    """Which of the versions on the disk are served.

    Attributes:
        latest: how many of the highest; None for all.
        names: if there are any, these and no others.

    Raises:
        ValueError: if it would never serve anything, or names what is no version.
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
        """Read a policy as people write it: `latest`, `latest:2`, `all` or `1,3`.

        Raises:
            ValueError: if it is none of these.
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

    def wants(self, version: str, higher: int) -> bool:
        """Tell whether a version is to be served.

        Args:
            version: that is on the disk.
            higher: how many higher ones are to be served already.
        """
        if self.names:
            return version in self.names
        return self.latest is None or higher < self.latest


class Snapshot(NamedTuple):
    """The files of a version, as a look at the disk shows them.

    Attributes:
        fingerprint: of their names, sizes and times.
        complete: whether there is something to load.
    """

    fingerprint: str
    complete: bool = True


class Found(NamedTuple):
    """A version on the disk.

    Attributes:
        version: its name.
        fingerprint: of its files.
        waiting: why it cannot be loaded yet; empty if it can.
    """

    version: str
    fingerprint: str
    waiting: str = ""


class Held(NamedTuple):
    """A version that the server knows.

    Attributes:
        version: its name.
        answers: whether it is loaded and serves.
        tried: fingerprint of the files that were loaded last, or that failed to; None if there is
            no reason not to try.
    """

    version: str
    answers: bool
    tried: str | None


class Plan(NamedTuple):
    """What is to be done.

    Attributes:
        load: in this order.
        waiting: would be loaded too, but must wait.
        retire: answer, and are to go.
        forget: are gone from the disk, and do not answer.
    """

    load: tuple[Found, ...] = ()
    waiting: tuple[Found, ...] = ()
    retire: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()


def settle(before: Mapping[str, Snapshot], now: Mapping[str, Snapshot]) -> list[Found]:
    """Tell which versions have held still from one look at the disk to the next.

    Args:
        before: versions at the last look.
        now: versions at this one.

    Returns:
        The versions of both. One that is there no more counts as changing for once.
    """
    found = []
    for version, snapshot in {**before, **now}.items():
        if now.get(version) != before.get(version):
            waiting = COMING
        else:
            waiting = "" if snapshot.complete else INCOMPLETE
        found.append(Found(version, snapshot.fingerprint, waiting))
    return found


def trust(now: Mapping[str, Snapshot]) -> list[Found]:
    """Take all versions for complete, as at the start, and where somebody says that they are."""
    return [Found(version, snapshot.fingerprint) for version, snapshot in now.items()]


def plan_versions(
    policy: VersionPolicy, labelled: Collection[str], found: Iterable[Found], held: Iterable[Held]
) -> Plan:
    """Decide what is to be loaded and what is to go.

    Args:
        policy: which versions are served.
        labelled: versions that labels name.
        found: versions on the disk.
        held: versions that the server knows.
    """
    on_disk = {item.version: item for item in found}
    known = {item.version: item for item in held}
    wanted: set[str] = set()
    load: list[Found] = []
    waiting: list[Found] = []
    higher = 0
    for version in sorted(on_disk, key=int, reverse=True):
        within = policy.wants(version, higher)
        if not within and version not in labelled:
            continue
        item, has = on_disk[version], known.get(version)
        if has is None or has.tried != item.fingerprint:
            (waiting if item.waiting else load).append(item)
        if (has is not None and has.answers) or (load and load[-1] is item):
            wanted.add(version)
            higher += within
    answering = {version for version, item in known.items() if item.answers}
    retire = answering - wanted if not load and wanted else set()
    return Plan(
        tuple(load),
        tuple(waiting),
        tuple(sorted(retire, key=int)),
        tuple(version for version in known if version not in on_disk and version not in answering),
    )


def find_labelled(label: str, labels: Mapping[str, str], answering: Sequence[str]) -> str | None:
    """Give the version that a label stands for.

    `latest` is the highest that answers; `stable` too, unless it was given to another.

    Args:
        label: asked for.
        labels: as set, each with its version.
        answering: versions.

    Returns:
        None if there is no such label, or nothing answers.
    """
    if label in labels:
        return labels[label]
    return max(answering, key=int, default=None) if label in (LATEST, STABLE) else None
