"""Sentence on how a model is served, for `lacuna check`, the metadata, the log and the page."""

from __future__ import annotations

from service.runtime.contract.report import ContractReport
from service.runtime.manifest import Manifest
from service.runtime.seams import Seams

EXACT = "May be padded, batched and tiled: no answer changes."

_ROUNDING = 1e-5


def has_exact_windows(contract: ContractReport, manifest: Manifest) -> bool:
    """Return True if windows on the model's grid, halos included, give what the whole image gives.

    Args:
        contract: Report of its contract check.
        manifest: Its manifest.
    """
    seams = contract.seams
    if seams is None or manifest.tiles is not None:
        return contract.holds
    return seams.differing == 0 and seams.shift <= _ROUNDING


def describe_serving(contract: ContractReport, manifest: Manifest) -> str:
    """Describe how images are given to a model, and what that changes.

    Args:
        contract: Report of its contract check.
        manifest: Its manifest.

    Returns:
        One sentence.
    """
    if contract.holds:
        return EXACT
    batches = f"Served {'in batches of one size' if contract.may_batch else 'one image at a time'}"
    if contract.seams is None:
        return f"{batches}, unpadded and untiled."
    told = _describe_seams(contract.seams)
    if manifest.tiles is None:
        return (
            f"{batches}, unpadded; images too large for one call in tiles that overlap by "
            f"{contract.seams.overlap} pixels, where {told} from those of the whole image."
        )
    return (
        f"{batches}, in tiles of {manifest.tiles.height} × {manifest.tiles.width} pixels that "
        f"overlap by {contract.seams.overlap}; {told} between two ways to cut an image."
    )


def _describe_seams(seams: Seams) -> str:
    return (
        f"{seams.differing} of {seams.pixels} labels of random images differ, and probabilities by "
        f"up to {seams.shift:.1g},"
    )
