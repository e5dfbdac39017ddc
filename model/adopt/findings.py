"""Findings about a network, in words."""

from __future__ import annotations

from model.adopt.adopting import Adoption
from model.adopt.plan import UNLIMITED_RADIUS

_MEANINGS = {
    ("logits", False): "logits",
    ("softmax", False): "probabilities that sum to 1",
    ("logits", True): "the logit of the second of two classes",
    ("sigmoid", True): "the probability of the second of two classes",
}


def describe_findings(adoption: Adoption) -> list[tuple[str, str]]:
    """Return what was found, as pairs of a heading and a text."""
    source, manifest = adoption.source, adoption.manifest
    lines = [
        (source.kind, f"{source.input} → {source.output}"),
        ("image", _describe_image(adoption)),
        ("values", f"{adoption.plan.scaling}{'; the network scales them' * source.scales_itself}"),
        ("scores", _describe_scores(adoption)),
        ("missing pixels", _describe_fill(adoption)),
        ("grid", f"total stride {manifest['total_stride']}; {_describe_reach(adoption)}"),
    ]
    lines += [("allowed", note) for note in _list_allowed(adoption)]
    if "tiles" in manifest:
        lines.append(
            (
                "tiles",
                _describe_tiles(manifest["tiles"]["overlap"], manifest["receptive_radius"]),
            )
        )
    return lines


def _list_allowed(adoption: Adoption) -> tuple[str, ...]:
    return adoption.conversion.notes if adoption.conversion is not None else ()


def _describe_image(adoption: Adoption) -> str:
    layout = adoption.plan.layout
    axes = "channels first" if layout.image_first else "channels last"
    if layout.size is not None:
        return f"{layout.channels} channels, {axes}, {layout.size[0]} × {layout.size[1]} pixels"
    padded = f", padded to multiples of {adoption.plan.multiple}"
    return f"{layout.channels} channels, {axes}, any size{padded * (adoption.plan.multiple > 1)}"


def _describe_scores(adoption: Adoption) -> str:
    plan, measured = adoption.plan, adoption.measured
    meaning = _MEANINGS[plan.meaning, plan.layout.outputs == 1]
    found = f"{measured.lowest:.3g} to {measured.highest:.3g} on random images"
    if plan.factor == 1:
        return f"{meaning}; {found}"
    return f"{meaning}, at 1/{plan.factor} of the resolution, {plan.options.upsampling}; {found}"


def _describe_fill(adoption: Adoption) -> str:
    options = adoption.plan.options
    if options.masked:
        return "ignored: every layer is masked"
    return {
        "zero": "set to 0",
        "mean": "set to the mean of the image's valid pixels",
        "nearest": "set to the mean of the nearest valid pixels",
        "constant": f"set to {options.constant:g}",
    }[options.fill]


def _describe_reach(adoption: Adoption) -> str:
    radius = adoption.manifest["receptive_radius"]
    if radius == UNLIMITED_RADIUS:
        return "a pixel's scores depend on the whole image"
    return f"a pixel's scores depend on {radius} pixels around it"


def _describe_tiles(overlap: int, radius: int) -> str:
    is_wide = overlap >= 2 * radius
    return (
        "the input has a fixed size, so larger images are cut into tiles that overlap by "
        f"{overlap} pixels, of which each keeps its half; this is "
        + (
            "two radii, so no label depends on the cut"
            if is_wide
            else "less than two radii, so labels near seams depend on the cut"
        )
    )
