"""`lacuna-model validate`."""

from __future__ import annotations

from pathlib import Path

import click

from model.cli.loading import RUN, read_dataset
from model.cli.printing import print_dataset


@click.command()
@click.argument("folder", metavar="DIR", type=RUN)
def validate(folder: Path) -> None:
    """Check a folder of training images, and report all its faults.

    \b
    DIR/dataset.toml       names the model and its classes
    DIR/images/NAME.ext    any format that the server reads; GeoTIFF, JPEG 2000 and VRT of any size
    DIR/labels/NAME.ext    class ids as they are stored, 255 = unknown; colours; or polygons
    DIR/masks/NAME.ext     optional; non-zero = valid

    Folders and ends of names may be others, and annotations of COCO may take the place of labels:
    dataset.toml tells. Prints the share of each class in the parts of the split.

    The exit status is 0 if there are no faults, 1 otherwise.
    """
    print_dataset(read_dataset(folder))
