"""Scores of networks to compare, over the seeds of their trainings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.comparison.curves import FRACTIONS, Curves
from model.data.nodata import PATTERNS_TO_COMPARE
from model.network import NetworkConfig
from model.scoring.flips import Flips

ALL_PATTERNS = "all"
"""Name of the mean over the patterns."""

SPREAD = "half the distance from the worst seed to the best"
"""Description of what is given beside a mean over seeds."""


@dataclass(frozen=True)
class ScoredRun:
    """Scores of one training.

    Attributes:
        config: of the training, from its record.
        curves: mean IoU by pattern and fraction.
        flips: labels that change with the canvas.
    """

    config: Mapping[str, Any]
    curves: Curves
    flips: Flips


@dataclass(frozen=True)
class RunGroup:
    """Trainings that differ only in their seed.

    Attributes:
        name: distinguishes it from the other groups.
        runs: in the order of their seeds.
        fractions: of missing pixels that they were scored at.
    """

    name: str
    runs: Sequence[ScoredRun]
    fractions: Sequence[float] = FRACTIONS

    def mean(self, pattern: str) -> NDArray[np.float64]:
        """Return the mean over the seeds of the mean IoU, float64, for each fraction."""
        return self._gather(pattern).mean(axis=0)

    def spread(self, pattern: str) -> NDArray[np.float64]:
        """Return half the distance from the worst seed to the best, for each fraction."""
        return np.ptp(self._gather(pattern), axis=0) / 2

    def _gather(self, pattern: str) -> NDArray[np.float64]:
        names = list(PATTERNS_TO_COMPARE) if pattern == ALL_PATTERNS else [pattern]
        curves = [[run.curves[name] for name in names] for run in self.runs]
        return np.asarray(curves, np.float64).mean(axis=1)


def check_comparable(records: Sequence[Mapping[str, Any]]) -> None:
    """Check that runs can be compared.

    Args:
        records: of the runs, from `load_run`.

    Raises:
        ValueError: if not all were trained on a preset, or all on the same folder of images; or if
            two have the same configuration and seed.
    """
    kinds = {_identify_data(record): _describe_data(record) for record in records}
    if len(kinds) > 1:
        first, second, *_ = kinds.values()
        raise ValueError(
            "runs to compare must all be of mosaics, or all of the same images and fold. "
            f"Received: one trained on {first} and one trained on {second}"
        )
    check_distinct([record["config"] for record in records])


def _identify_data(record: Mapping[str, Any]) -> str:
    dataset = record.get("dataset")
    return json.dumps(dataset and [dataset["digest"], dataset["classes"]])


def _describe_data(record: Mapping[str, Any]) -> str:
    if "dataset" not in record:
        return "mosaics"
    folder, fold = record["dataset"]["folder"], record["dataset"].get("fold")
    return f"{folder} (fold {fold})" if fold else folder


def check_distinct(configs: Sequence[Mapping[str, Any]]) -> None:
    """Check that no two runs have the same configuration and seed.

    Args:
        configs: of their trainings.

    Raises:
        ValueError: if two have.
    """
    known = set()
    for config in configs:
        kind = _identify(config), config["seed"]
        if kind in known:
            raise ValueError(
                "runs to compare must differ in more than their folder. Received: two of seed "
                f"{config['seed']} and of the same configuration"
            )
        known.add(kind)


def group_runs(runs: Sequence[ScoredRun], fractions: Sequence[float] = FRACTIONS) -> list[RunGroup]:
    """Group runs that differ only in their seed, in their order but masked networks first.

    Args:
        runs: to group.
        fractions: of missing pixels that all of them were scored at.
    """
    return [RunGroup(name, group, fractions) for name, group in group_by_config(runs)]


class ConfiguredRun(Protocol):
    """A run of any kind.

    Attributes:
        config: of the training, from its record.
    """

    @property
    def config(self) -> Mapping[str, Any]:
        """Configuration of the training."""


AnyRun = TypeVar("AnyRun", bound=ConfiguredRun)


def group_by_config(runs: Sequence[AnyRun]) -> list[tuple[str, list[AnyRun]]]:
    """Group runs that differ only in their seed.

    Args:
        runs: to group.

    Returns:
        A name that tells each group from the others, and its runs by seed; groups in the order of
        their runs, but masked networks first.
    """
    groups: dict[str, list[AnyRun]] = {}
    for run in sorted(runs, key=lambda run: run.config.get("twin") is not None):
        groups.setdefault(_identify(run.config), []).append(run)
    facts = [dict(_flatten(strip_config(group[0].config))) for group in groups.values()]
    names = {name for fact in facts for name in fact}
    differing = {name for name in names if len({fact.get(name) for fact in facts}) > 1}
    return [
        (_name(fact, differing), sorted(group, key=lambda run: run.config["seed"]))
        for fact, group in zip(facts, groups.values(), strict=True)
    ]


def strip_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what defines a group. Settings that an old record lacks have their defaults.

    Args:
        config: of a training, from its record.
    """
    kept = {name: value for name, value in config.items() if name not in ("seed", "description")}
    network = config["network"]
    if "widths" in network:  # others were converted
        network = NetworkConfig(**network).to_json()
    return {"twin": None, **kept, "network": network}


def _identify(config: Mapping[str, Any]) -> str:
    return json.dumps(strip_config(config), sort_keys=True)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value)


def _name(facts: Mapping[str, str], differing: set[str]) -> str:
    named = ("twin", "network.normalization", "network.fill_levels")
    twin, normalization, fill_levels = (json.loads(facts.get(name, "null")) for name in named)
    parts = [f"plain, {twin}" if twin else "masked"]
    if not twin and normalization not in (None, "area"):
        parts.append(normalization)
    if not twin and fill_levels:
        parts.append(f"{fill_levels} fill levels")
    further = sorted(differing - {*named, "normalization", "fill_levels"})
    parts += [f"{name.rpartition('.')[2]} {facts.get(name, 'null')}" for name in further]
    return ", ".join(parts)


def describe_comparison(groups: Sequence[RunGroup], data: str) -> dict[str, Any]:
    """Return a comparison as JSON values, rounded to four digits.

    Args:
        groups: from `group_runs`.
        data: description of the images.
    """
    return {
        "data": data,
        "missing": list(groups[0].fractions),
        "spread": SPREAD,
        "contestants": [_describe(group) for group in groups],
    }


def _describe(group: RunGroup) -> dict[str, Any]:
    return {
        "name": group.name,
        "config": strip_config(group.runs[0].config),
        "seeds": [run.config["seed"] for run in group.runs],
        "mean_iou": {
            pattern: {
                "mean": group.mean(pattern).round(4).tolist(),
                "spread": group.spread(pattern).round(4).tolist(),
            }
            for pattern in (ALL_PATTERNS, *PATTERNS_TO_COMPARE)
        },
        "flips": [run.flips._asdict() for run in group.runs],
    }
