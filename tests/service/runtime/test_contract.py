import numpy as np
import pytest
from scipy.ndimage import maximum_filter

from lacuna.errors import InferenceError
from model.network import NetworkConfig
from service.runtime.contract.checking import check_contract
from service.runtime.fake import FAKE_MANIFEST, FakeRuntime
from service.runtime.manifest import Manifest
from service.runtime.protocol import BatchOutput
from tests.support.networks import NetworkRuntime, manifest_of, plain_twin, textbook_stack

CONFIG = NetworkConfig(widths=(8, 12, 16))
PARTS = (
    "labels",
    "canvas",
    "batch-mates",
    "values under the mask",
    "signatures",
    "windows",
    "strips",
    "receptive radius",
    "total stride",
)


class MixesItsBatch(FakeRuntime):
    """Runtime that adds to each image the previous one in the batch."""

    def run(self, images, masks, *, probabilities, keep=None):
        clean = np.where(masks[..., None], images, np.float32(0))
        mixed = (clean + np.roll(clean, 1, axis=0)) / 2
        return super().run(mixed, masks, probabilities=probabilities, keep=keep)


class MultipliesByTheMask(FakeRuntime):
    """Runtime that clears invalid pixels by a product, which NaN and infinity survive."""

    def run(self, images, masks, *, probabilities, keep=None):
        with np.errstate(invalid="ignore"):
            lost = np.isnan(images * masks[..., None]).any(axis=-1)
        spoiled = maximum_filter(lost, (1, 5, 5)) & masks
        labels, scores = super().run(images, masks, probabilities=probabilities, keep=keep)
        if scores is not None:
            scores = np.where(spoiled[..., None], np.float32(np.nan), scores)
        return BatchOutput(np.where(spoiled, np.uint8(0), labels), scores)


class ReadsWholeCells(FakeRuntime):
    """Runtime whose pixels read the cells of 16 × 16 pixels within 2 pixels: 17 pixels far."""

    def run(self, images, masks, *, probabilities, keep=None):
        clean = np.where(masks[..., None], images, np.float32(0)).mean(axis=-1)
        (count, *sides), side = masks.shape, 16
        rows, columns = (-(-length // side) for length in sides)
        ends = [(0, -length % side) for length in sides]
        cells = np.pad(clean, [(0, 0), *ends]).reshape(count, rows, side, columns, side)
        sums = cells.sum(axis=(2, 4)).repeat(side, axis=1).repeat(side, axis=2)
        near = maximum_filter(sums[:, : sides[0], : sides[1]] * masks, (1, 5, 5), mode="constant")
        first = near / np.float32(256 * side**2)
        scores = np.stack([first, 1 - first, np.zeros_like(first)], axis=-1)
        labels = np.where(masks, scores.argmax(axis=-1).astype(np.uint8), np.uint8(255))
        return BatchOutput(labels, np.where(masks[..., None], scores, np.float32(0)))


class LabelsInvalidPixels(FakeRuntime):
    def run(self, images, masks, *, probabilities, keep=None):
        labels, scores = super().run(images, masks, probabilities=probabilities, keep=keep)
        return BatchOutput(np.where(masks, labels, np.uint8(0)), scores)


class LabelsUnknownClasses(FakeRuntime):
    def run(self, images, masks, *, probabilities, keep=None):
        labels, scores = super().run(images, masks, probabilities=probabilities, keep=keep)
        return BatchOutput(np.where(labels == 2, np.uint8(3), labels), scores)


class HasAnotherAnswerForLabelsAlone(FakeRuntime):
    def run(self, images, masks, *, probabilities, keep=None):
        labels, scores = super().run(images, masks, probabilities=probabilities, keep=keep)
        changed = labels if probabilities else np.where(labels == 1, np.uint8(0), labels)
        return BatchOutput(changed, scores)


class WeighsByPlace(FakeRuntime):
    """Runtime whose output depends on the crop's position, with a grid of 24 pixels."""

    def run(self, images, masks, *, probabilities, keep=None):
        rows, columns = (np.arange(side) // 8 % 3 * 40 for side in masks.shape[1:])
        shaded = images + (rows[:, None] + columns)[None, ..., None].astype(np.float32)
        return super().run(shaded, masks, probabilities=probabilities, keep=keep)


class CentresEachImage(FakeRuntime):
    """Runtime that subtracts each image's mean over valid pixels, as in instance normalisation."""

    def run(self, images, masks, *, probabilities, keep=None):
        clean = np.where(masks[..., None], images, np.float32(0)).astype(np.float64)
        pixels = np.maximum(masks.sum(axis=(1, 2)), 1)[:, None, None, None]
        mean = clean.sum(axis=(1, 2), keepdims=True) / pixels
        return super().run(images - mean + 128, masks, probabilities=probabilities, keep=keep)


class KeepsProbabilitiesToItself(FakeRuntime):
    def run(self, images, masks, *, probabilities, keep=None):
        return super().run(images, masks, probabilities=False, keep=keep)


def state(**changes):
    return FAKE_MANIFEST.model_copy(update=changes)


def network_runtime(network, **changes):
    return NetworkRuntime(network, Manifest.model_validate({**manifest_of(CONFIG), **changes}))


class Restated:
    """Runtime under another manifest."""

    def __init__(self, runtime, **changes):
        self.manifest = runtime.manifest.model_copy(update=changes)
        self.run, self.can_keep, self.can_skip = runtime.run, runtime.can_keep, runtime.can_skip


class KeepsTheWindowBeside(FakeRuntime):
    """Runtime whose windows lie a column too far to the left."""

    def run(self, images, masks, *, probabilities, keep=None):
        if keep is not None:
            keep = keep._replace(left=max(keep.left - 1, 0))
        return super().run(images, masks, probabilities=probabilities, keep=keep)


class SeesOnlyTheWindow(FakeRuntime):
    """Runtime that cuts a window out first, and its halo with the rest."""

    def run(self, images, masks, *, probabilities, keep=None):
        if keep is not None:
            images, masks = images[:, *keep.slices], masks[:, *keep.slices]
        return super().run(images, masks, probabilities=probabilities)


class LabelsAloneIgnoreTheWindow(FakeRuntime):
    """Runtime whose labels alone are of another window of the same size."""

    def run(self, images, masks, *, probabilities, keep=None):
        if keep is not None and not probabilities:
            images, masks = images[:, ::-1], masks[:, ::-1]
        return super().run(images, masks, probabilities=probabilities, keep=keep)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("can_keep", [False, True])
def test_the_fake_keeps_the_contract(can_keep, seed):
    report = check_contract(FakeRuntime(can_keep=can_keep), seed)
    assert report.holds
    assert report.failed == ()
    assert ("windows" in [check.name for check in report.checks]) == can_keep


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    "broken", [KeepsTheWindowBeside, SeesOnlyTheWindow, LabelsAloneIgnoreTheWindow]
)
def test_windows_that_differ_from_the_whole_break_the_contract(broken, seed):
    assert check_contract(broken(can_keep=True), seed).failed == ("windows",)


class ForgetsRows(FakeRuntime):
    """Runtime that knows nothing of the rows above a strip's first valid pixel."""

    def run(self, images, masks, *, probabilities, keep=None, on_strips=False):
        if on_strips:
            masks = masks & (np.cumsum(masks, axis=1) > 1)
        return super().run(images, masks, probabilities=probabilities, keep=keep)


class LabelsAloneForgetRows(ForgetsRows):
    """The same, for labels alone."""

    def run(self, images, masks, *, probabilities, keep=None, on_strips=False):
        return super().run(
            images,
            masks,
            probabilities=probabilities,
            keep=keep,
            on_strips=on_strips and not probabilities,
        )


@pytest.mark.parametrize("broken", [ForgetsRows, LabelsAloneForgetRows])
def test_strips_that_differ_from_the_whole_break_the_contract(broken):
    assert check_contract(broken(can_skip=True)).failed == ("strips",)
    assert "strips" not in [check.name for check in check_contract(broken()).checks]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_exported_network_keeps_the_contract(exported, seed):
    assert check_contract(exported, seed).failed == ()


def test_every_part_of_the_contract_is_reported_with_what_was_measured(exported):
    report = check_contract(exported)
    assert tuple(check.name for check in report.checks) == PARTS
    details = {check.name: check.detail for check in report.checks}
    assert details["total stride"] == "measured 8 pixels; the manifest says 8"
    assert details["canvas"].startswith("0 of ")


def test_the_receptive_radius_that_is_measured_is_about_the_one_stated(exported):
    (detail,) = [c.detail for c in check_contract(exported).checks if c.name == "receptive radius"]
    measured = int(detail.split()[1])
    assert exported.manifest.receptive_radius - 8 <= measured


@pytest.mark.parametrize("seed", [0, 1])
def test_a_plain_network_fails_on_the_canvas(seed):
    assert "canvas" in check_contract(network_runtime(plain_twin(CONFIG)), seed).failed


@pytest.mark.parametrize("seed", [0, 1])
def test_the_textbooks_growing_mask_fails_on_the_canvas_alone(seed):
    runtime = network_runtime(textbook_stack(CONFIG), total_stride=1, receptive_radius=4)
    assert check_contract(runtime, seed).failed == ("canvas",)


def test_the_same_network_with_a_mask_that_keeps_passes():
    network = textbook_stack(CONFIG, mask_update="keep")
    runtime = network_runtime(network, total_stride=1, receptive_radius=4)
    assert check_contract(runtime).failed == ()


@pytest.mark.parametrize(
    ("runtime", "part"),
    [
        (MixesItsBatch(), "batch-mates"),
        (MultipliesByTheMask(), "values under the mask"),
        (HasAnotherAnswerForLabelsAlone(), "signatures"),
        (LabelsUnknownClasses(), "labels"),
        (LabelsInvalidPixels(), "labels"),
        (FakeRuntime(state(receptive_radius=1)), "receptive radius"),
        (ReadsWholeCells(state(total_stride=16, receptive_radius=16)), "receptive radius"),
        (WeighsByPlace(state(total_stride=4)), "total stride"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_each_flaw_fails_its_own_part_and_no_other(runtime, part):
    assert check_contract(runtime).failed == (part,)


def test_a_network_whose_manifest_understates_the_radius_fails_on_just_that(exported):
    report = check_contract(Restated(exported, receptive_radius=40))
    assert report.failed == ("receptive radius",)


@pytest.mark.parametrize("stated", [1, 2, 4, 12])
def test_a_network_whose_manifest_misstates_the_total_stride_fails_on_just_that(exported, stated):
    report = check_contract(Restated(exported, total_stride=stated))
    assert report.failed == ("total stride",)


@pytest.mark.parametrize("changes", [{"receptive_radius": 70}, {"total_stride": 16}])
def test_a_manifest_that_states_more_than_is_needed_is_honest_enough(exported, changes):
    assert check_contract(Restated(exported, **changes)).holds


def test_statistics_over_the_image_have_no_radius_and_no_grid():
    failed = check_contract(CentresEachImage()).failed
    assert {"receptive radius", "total stride"} <= set(failed)
    assert not {"canvas", "batch-mates", "values under the mask"} & set(failed)


def test_a_check_is_the_same_for_the_same_seed():
    runtime = network_runtime(plain_twin(CONFIG))
    assert check_contract(runtime, 3) == check_contract(runtime, 3)
    assert check_contract(runtime, 3) != check_contract(runtime, 4)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 4])
def test_images_suit_the_channels_and_units_of_the_model(dtype, channels):
    seen = []

    class Watched(FakeRuntime):
        def run(self, images, masks, *, probabilities, keep=None):
            seen.append(images[np.isfinite(images) & (images < 1e29)])
            assert images.shape[-1] == channels
            assert images.dtype == np.float32
            return super().run(images, masks, probabilities=probabilities, keep=keep)

    image = FAKE_MANIFEST.image.model_copy(update={"channels": channels, "dtype": dtype})
    assert check_contract(Watched(state(image=image))).holds
    values = np.concatenate(seen)
    white = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    assert 0 <= values.min() < 0.1 * white
    assert 0.9 * white < values.max() <= white


def test_a_runtime_without_probabilities_cannot_be_checked():
    with pytest.raises(InferenceError, match="must return probabilities"):
        check_contract(KeepsProbabilitiesToItself())
