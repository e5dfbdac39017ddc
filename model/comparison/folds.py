"""Scores of cross-validations to compare: of each fold, over the seeds of their trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from model.comparison.groups import SPREAD, check_distinct, group_by_config, strip_config


class OverSeeds(NamedTuple):
    """A score over the seeds of a group.

    Attributes:
        mean: of the seeds; None if none has the score, as of a class that does not occur.
        spread: half the distance from the worst seed to the best; None likewise.
    """

    mean: float | None
    spread: float | None


@dataclass(frozen=True)
class FoldedRun:
    """Scores of a cross-validation.

    Attributes:
        config: of the training of the first fold, from its record.
        digests: of the images and their parts, by fold.
        folds: scores of each fold, from `describe_scores`.
        mean: means over the folds, from `summarise_folds`.
    """

    config: Mapping[str, Any]
    digests: Mapping[str, str]
    folds: Mapping[str, Mapping[str, Any]]
    mean: Mapping[str, Any]


@dataclass(frozen=True)
class FoldGroup:
    """Cross-validations that differ only in their seed.

    Attributes:
        name: distinguishes it from the other groups.
        runs: in the order of their seeds.
    """

    name: str
    runs: Sequence[FoldedRun]

    @property
    def fractions(self) -> tuple[str, ...]:
        """Keys of the fractions of missing pixels, such as `missing_30`."""
        return tuple(self.runs[0].mean["mean_iou"])

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(self.runs[0].mean["class_iou"][self.fractions[0]])

    @property
    def folds(self) -> tuple[str, ...]:
        """Names of the folds."""
        return tuple(self.runs[0].folds)

    def mean_iou(self, fold: str | None, fraction: str) -> OverSeeds:
        """Return the mean IoU.

        Args:
            fold: its name; None for the mean of all.
            fraction: one of `fractions`.
        """
        return _summarise([scores["mean_iou"][fraction] for scores in self._list(fold)])

    def class_iou(self, fold: str | None, fraction: str, name: str) -> OverSeeds:
        """Return the IoU of a class; see `mean_iou`."""
        return _summarise([scores["class_iou"][fraction][name] for scores in self._list(fold)])

    def _list(self, fold: str | None) -> list[Mapping[str, Any]]:
        return [run.mean if fold is None else run.folds[fold] for run in self.runs]


def _summarise(values: Sequence[float | None]) -> OverSeeds:
    known = [value for value in values if value is not None]
    if not known:
        return OverSeeds(None, None)
    return OverSeeds(sum(known) / len(known), (max(known) - min(known)) / 2)


def group_folded_runs(runs: Sequence[FoldedRun]) -> list[FoldGroup]:
    """Group cross-validations that differ only in their seed, masked networks first.

    Args:
        runs: at least one.

    Raises:
        ValueError: if not all have the same folds of the same images, or two have the same
            configuration and seed.
    """
    first = runs[0]
    for run in runs[1:]:
        if run.digests != first.digests:
            raise ValueError(
                "cross-validations to compare must have the same folds of the same images. "
                f"Received: folds {', '.join(first.digests)} of {first.config['name']}, and "
                f"{', '.join(run.digests)} of {run.config['name']}"
            )
    check_distinct([run.config for run in runs])
    return [FoldGroup(name, group) for name, group in group_by_config(runs)]


def describe_folds(groups: Sequence[FoldGroup]) -> dict[str, Any]:
    """Return the scores of cross-validations as JSON values, rounded to four digits.

    Args:
        groups: from `group_folded_runs`.
    """
    return {"spread": SPREAD, "contestants": [_describe(group) for group in groups]}


def _describe(group: FoldGroup) -> dict[str, Any]:
    return {
        "name": group.name,
        "config": strip_config(group.runs[0].config),
        "seeds": [run.config["seed"] for run in group.runs],
        "folds": {fold: _describe_fold(group, fold) for fold in group.folds},
        "mean": _describe_fold(group, None),
    }


def _describe_fold(group: FoldGroup, fold: str | None) -> dict[str, Any]:
    return {
        "mean_iou": {key: _round(group.mean_iou(fold, key)) for key in group.fractions},
        "class_iou": {
            key: {name: _round(group.class_iou(fold, key, name)) for name in group.classes}
            for key in group.fractions
        },
    }


def _round(found: OverSeeds) -> dict[str, float | None]:
    return {
        name: None if value is None else round(value, 4) for name, value in found._asdict().items()
    }
