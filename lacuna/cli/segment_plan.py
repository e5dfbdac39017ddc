"""Jobs of `lacuna segment`: from files, folders and globs to images, their masks and their outputs.

1. A folder stands for all images in it and below. The output folder has the same structure.
2. In a folder or glob, the mask of another image is not an image. In a folder, files in an output
   folder within it are not images either.
3. No output may be an input, and no two images may have the same output.
4. An image is done if its outputs exist and are no older than image and mask. Files are written
   whole or not at all, so no other record is needed.
"""

from __future__ import annotations

import glob
import os
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from lacuna.outputs import OUTPUT_SUFFIXES
from lacuna.raster.formats import IMAGE_SUFFIXES
from lacuna.raster.sidecar import find_sidecar

_FIELDS = {"stem", "name", "suffix", "parent"}
_SHOWN = 3


@dataclass(frozen=True)
class Job:
    """Image to segment.

    Attributes:
        image: image file.
        mask: mask file; None for the one that GDAL keeps beside the image, if any.
        output: output file.
        overlay: file of the overlay; None for no overlay.
    """

    image: Path
    mask: Path | None
    output: Path
    overlay: Path | None = None

    @property
    def is_done(self) -> bool:
        """True if all outputs exist and are no older than the inputs."""
        outputs = [path for path in (self.output, self.overlay) if path is not None]
        if not all(path.is_file() for path in outputs):
            return False
        mask = self.mask or find_sidecar(self.image)
        inputs = [self.image] if mask is None else [self.image, mask]
        oldest = min(path.stat().st_mtime_ns for path in outputs)
        return oldest >= max(path.stat().st_mtime_ns for path in inputs)


def plan_jobs(
    inputs: Sequence[str],
    mask: str | None,
    output: Path,
    form: str | None,
    *,
    overlay: bool,
    mask_optional: bool,
) -> list[Job]:
    """Plan a job for each image.

    Args:
        inputs: files, folders and globs.
        mask: mask file; or a pattern with `{stem}`, `{name}`, `{suffix}` or `{parent}` of the
            image, relative to its folder; None for no masks.
        output: output file of a single image, or output folder.
        form: format of the outputs in a folder; None for png.
        overlay: True to write overlays too.
        mask_optional: True to segment images whose mask file is missing.

    Raises:
        click.UsageError: if the command line is wrong; nothing has been written then.
    """
    single = len(inputs) == 1 and Path(inputs[0]).is_file()
    to_file = single and bool(output.suffix) and not output.is_dir()
    suffix = _choose_suffix(output if to_file else None, form)
    found = _leave_out_masks(_find_images(inputs, output), mask)
    if not found:
        raise click.UsageError(
            f"IMAGES must hold files with {', '.join(IMAGE_SUFFIXES)}; {', '.join(inputs)} has none"
        )
    jobs = []
    for image, below in found:
        target = output if to_file else (output / below).with_suffix(suffix)
        beside = target.with_name(f"{target.stem}-overlay.png") if overlay else None
        jobs.append(Job(image, find_mask(image, mask), target, beside))
    _check_masks(jobs, optional=mask_optional)
    jobs = [_drop_missing_mask(job) for job in jobs]
    _check_outputs(jobs)
    return jobs


def find_mask(image: Path, pattern: str | None) -> Path | None:
    """Return the path of an image's mask, whether the file exists or not.

    Raises:
        click.UsageError: if the pattern has other fields than those of `plan_jobs`.
    """
    if pattern is None:
        return None
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None}
        if not fields:
            return Path(pattern)
        if not fields <= _FIELDS:
            raise ValueError(
                f"it has {', '.join(sorted(fields - _FIELDS)) or 'a field of no name'}"
            )
    except ValueError as error:
        known = ", ".join(f"{{{name}}}" for name in sorted(_FIELDS))
        raise click.UsageError(f"--mask must be a file or a pattern of {known}; {error}") from None
    name = pattern.format(
        stem=image.stem, name=image.name, suffix=image.suffix, parent=image.parent.name
    )
    return image.parent / name


def _choose_suffix(output: Path | None, form: str | None) -> str:
    if output is None:
        return f".{form or 'png'}"
    suffix = output.suffix.lower()
    if suffix not in OUTPUT_SUFFIXES:
        raise click.UsageError(
            f"--output must end in one of {', '.join(OUTPUT_SUFFIXES)}; it is {output.name}"
        )
    if form not in (None, suffix[1:]):
        raise click.UsageError(
            f"--format must match the suffix of --output; they are {form} and {output.name}"
        )
    return suffix


def _find_images(inputs: Sequence[str], output: Path) -> list[tuple[Path, Path, bool]]:
    """Return each image, its path relative to the input, and whether it is an input itself."""
    found: dict[Path, tuple[Path, Path, bool]] = {}
    for text in inputs:
        for image, below, named in _expand(text, output):
            found.setdefault(image.absolute(), (image, below, named))
    return list(found.values())


def _expand(text: str, output: Path) -> Iterator[tuple[Path, Path, bool]]:
    path = Path(text)
    if path.is_file():
        yield path, Path(path.name), True
    elif path.is_dir():
        folder, apart = path.absolute(), output.absolute()
        within = folder in apart.parents
        for image in sorted(filter(_is_image, path.rglob("*"))):
            if not (within and apart in image.absolute().parents):
                yield image, image.relative_to(path), False
    elif glob.has_magic(text):
        for name in sorted(glob.glob(text, recursive=True)):  # noqa: PTH207 (any root, as typed)
            if _is_image(Path(name)):
                yield Path(name), Path(Path(name).name), False
    else:
        raise click.UsageError(f"IMAGES must exist; {text} does not exist")


def _is_image(path: Path) -> bool:
    return (
        path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _leave_out_masks(
    found: Sequence[tuple[Path, Path, bool]], pattern: str | None
) -> list[tuple[Path, Path]]:
    masks: set[str] = set()
    if pattern is not None:
        # A glob may find the mask of an image that it does not find.
        for folder in {image.parent for image, _, named in found if not named}:
            near = filter(_is_image, folder.iterdir())
            masks |= {_place(mask) for image in near if (mask := find_mask(image, pattern))}
    return [(image, below) for image, below, named in found if named or _place(image) not in masks]


def _place(path: Path) -> str:
    """Return the same path for all spellings of it, except through links."""
    return os.path.abspath(path)  # noqa: PTH100 (pathlib keeps .. or follows links, slowly)


def _check_masks(jobs: Sequence[Job], *, optional: bool) -> None:
    without = [job for job in jobs if job.mask is not None and not job.mask.is_file()]
    if without and not optional:
        shown = ", ".join(f"{job.mask} of {job.image}" for job in without[:_SHOWN])
        raise click.UsageError(
            f"every image must have its mask; missing are {shown}{_count_rest(len(without))} "
            "(--mask-optional segments images without one)"
        )


def _drop_missing_mask(job: Job) -> Job:
    if job.mask is None or job.mask.is_file():
        return job
    return Job(job.image, None, job.output, job.overlay)


def _check_outputs(jobs: Sequence[Job]) -> None:
    inputs = {path.resolve() for job in jobs for path in (job.image, job.mask) if path is not None}
    owners: dict[Path, Path] = {}
    for job in jobs:
        for path in (job.output, job.overlay):
            if path is None:
                continue
            target = path.resolve()
            if target in inputs:
                raise click.UsageError(f"an output must not be an input; {path} is one")
            if target in owners:
                raise click.UsageError(
                    f"each image must have its own output; {owners[target]} and {job.image} "
                    f"both have {path}"
                )
            owners[target] = job.image


def _count_rest(count: int) -> str:
    return f" and {count - _SHOWN} more" if count > _SHOWN else ""
