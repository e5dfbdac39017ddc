"""Plans of `lacuna segment`: the images, their masks and their outputs.

1. A folder stands for all images in it and below. The output folder has the same structure.
2. Masks are not images; `segment_masks` tells them apart.
3. No output may be an input, and no two images may have the same output.
4. A name like that of a file stands for a file, and is no folder of outputs.
5. Outputs that exist are replaced only if the user says so, or if they are older than their inputs
   and the user resumes.
6. An image is done if its outputs exist and are no older than image and mask. Files are written
   whole or not at all, so no other record is needed.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from lacuna.cli.mask_patterns import NO_MASKS, find_mask
from lacuna.cli.segment_inputs import find_images, is_gdal_name
from lacuna.cli.segment_masks import check_masks, leave_out_masks
from lacuna.outputs import OUTPUT_SUFFIXES
from lacuna.raster.formats import IMAGE_SUFFIXES
from lacuna.raster.sidecar import find_sidecar

_FILE_SUFFIXES = frozenset({*OUTPUT_SUFFIXES, *IMAGE_SUFFIXES})


@dataclass(frozen=True)
class ImagePlan:
    """Files of an image that is to be segmented.

    Attributes:
        image: image file.
        mask: mask file; None for the one that GDAL keeps beside the image, if any.
        output: output file.
        overlay: file of the overlay; None for no overlay.
        source: name of a raster that GDAL opens and that is no file; None for a file.
        others: files of layers and polygons of a scene.
        takes_sidecar: False to leave out the mask that GDAL keeps beside the image.
    """

    image: Path
    mask: Path | None
    output: Path
    overlay: Path | None = None
    source: str | None = None
    others: tuple[Path, ...] = ()
    takes_sidecar: bool = True

    @property
    def outputs(self) -> list[Path]:
        """Files that are written."""
        beside = () if self.overlay is None else (self.overlay,)
        return [self.output, *beside, *self.others]

    @property
    def is_done(self) -> bool:
        """True if all outputs exist and are no older than the inputs."""
        if not all(path.is_file() for path in self.outputs):
            return False
        mask = self.mask or (find_sidecar(self.image) if self.takes_sidecar else None)
        inputs = [path for path in (self.image, mask) if path is not None and path.exists()]
        oldest = min(path.stat().st_mtime_ns for path in self.outputs)
        return oldest >= max((path.stat().st_mtime_ns for path in inputs), default=0)


def plan_images(
    inputs: Sequence[str],
    mask: str | None,
    output: Path,
    form: str | None,
    *,
    overlay: bool,
    mask_optional: bool,
) -> list[ImagePlan]:
    """Plan the files of each image.

    Args:
        inputs: files, folders and globs.
        mask: as for `find_mask`.
        output: output file of a single image, or output folder.
        form: format of the outputs in a folder; None for png.
        overlay: True to write overlays too.
        mask_optional: True to segment images whose mask file is missing, and to leave out masks
            whose image is.

    Raises:
        click.UsageError: if the command line is wrong; nothing has been written then.
    """
    single = len(inputs) == 1 and (Path(inputs[0]).is_file() or is_gdal_name(inputs[0]))
    to_file = single and bool(output.suffix) and not output.is_dir()
    suffix = _choose_suffix(output if to_file else None, form)
    found = find_images(inputs, output)
    if not to_file:
        _check_folder(output)
    found = leave_out_masks(found, mask, optional=mask_optional)
    if not found:
        raise click.UsageError(
            f"IMAGES must hold files with {', '.join(IMAGE_SUFFIXES)}; {', '.join(inputs)} has none"
        )
    check_masks((image.path for image in found), mask, optional=mask_optional)
    plans = []
    for image in found:
        target = output if to_file else (output / image.below).with_suffix(suffix)
        beside = target.with_name(f"{target.stem}-overlay.png") if overlay else None
        own = find_mask(image.path, mask)
        existing = own if own is not None and own.is_file() else None
        plans.append(
            ImagePlan(
                image.path,
                existing,
                target,
                beside,
                image.source,
                takes_sidecar=mask != NO_MASKS,
            )
        )
    _check_outputs(plans)
    return plans


def check_existing(plans: Sequence[ImagePlan], *, may_replace: bool) -> None:
    """Hold the outputs not to exist.

    Args:
        plans: images that are to be segmented.
        may_replace: True if files may be replaced.

    Raises:
        click.UsageError: if one exists and must not be replaced, or is a folder.
    """
    existing = [path for path in _list_outputs(plans) if path.exists()]
    for path in existing:
        if path.is_dir():
            raise click.UsageError(f"an output must be a file; {path} is a folder")
    if existing and not may_replace:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise click.UsageError(
            f"an output must not exist; {existing[0]}{more} exists (--overwrite replaces outputs, "
            "--resume only those that are older than their images)"
        )


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


def _check_folder(output: Path) -> None:
    for path in (output, *output.parents):
        if path.exists():
            if not path.is_dir():
                raise click.UsageError(f"--output must be a folder; {path} is a file")
            break
    if not output.is_dir() and _looks_like_file(output):
        raise click.UsageError(
            "--output must be a folder, unless IMAGES is a single file; "
            f"{output.name} is named like a file"
        )


def _looks_like_file(path: Path) -> bool:
    kind, _ = mimetypes.guess_type(path.name)
    return path.suffix.lower() in _FILE_SUFFIXES or (kind or "").startswith("image/")


def _list_outputs(plans: Sequence[ImagePlan]) -> Iterator[Path]:
    return (path for plan in plans for path in plan.outputs)


def _check_outputs(plans: Sequence[ImagePlan]) -> None:
    inputs = {
        path.resolve() for plan in plans for path in (plan.image, plan.mask) if path is not None
    }
    owners: dict[Path, Path] = {}
    for plan in plans:
        for path in plan.outputs:
            target = path.resolve()
            if target in inputs:
                raise click.UsageError(f"an output must not be an input; {path} is one")
            if target in owners:
                raise click.UsageError(
                    f"each image must have its own output; {owners[target]} and {plan.image} "
                    f"both have {path}"
                )
            owners[target] = plan.image
