"""Windows on servers give what this machine gives, and a model that is replaced is noticed."""

import asyncio
import threading
from contextlib import ExitStack

import numpy as np
import pytest

from lacuna.client import RetryPolicy
from lacuna.errors import LacunaError, NotReadyError, SceneError, UnknownModelError
from lacuna.raster.limits import ImageLimits
from lacuna.scenes.scene import run_scene
from lacuna.scenes.servers import open_runner
from lacuna.scenes.task import SceneTask
from service.runtime.fake import FAKE_MANIFEST, FakeRuntime
from service.runtime.manifest import Manifest
from tests.support.apps import load_repository, make_repository_folder
from tests.support.live import serve_live
from tests.support.scenes import read_raster, write_raster

PATIENCE = RetryPolicy(1.0)
OTHER = Manifest.model_validate(
    {**FAKE_MANIFEST.model_dump(by_alias=True), "checksums": {"saved_model.pb": "0" * 64}}
)


def serve(stack, tmp_path, *versions, load=None, **options):
    root = make_repository_folder(tmp_path, *versions)
    repository = load_repository(root, load) if load else load_repository(root)
    return repository, f"http://{stack.enter_context(serve_live(repository, **options))}"


def segment(task, urls, model=None, version=None, on_progress=lambda _: None):
    async def run():
        async with open_runner(urls, model, version, retry=PATIENCE) as runner:
            return await run_scene(task, runner, on_progress)

    return asyncio.run(run())


@pytest.fixture
def scene(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (1, 150, 170)).astype(np.uint8)
    image[:, 40:90, 20:100] = 0
    return write_raster(tmp_path / "scene.tif", image, nodata=0), image[0]


def answer_whole(image):
    mask = image != 0
    output = FakeRuntime().run(
        np.where(mask, image, 0)[None, :, :, None].astype(np.float32),
        mask[None],
        probabilities=True,
    )
    return output.labels[0], output.probabilities[0]


@pytest.mark.parametrize("most_pixels", [40**2, 100**2, 4096**2])
def test_servers_that_take_only_small_images_give_the_labels_of_the_whole(
    tmp_path, scene, most_pixels
):
    source, image = scene
    task = SceneTask(source, tmp_path / "labels.tif", also=("confidence",))
    with ExitStack() as stack:
        limits = ImageLimits(image_pixels=most_pixels)
        _, first = serve(stack, tmp_path / "a", image_limits=limits)
        _, second = serve(stack, tmp_path / "b", image_limits=limits)

        segment(task, [first, second])

    labels, probabilities = answer_whole(image)
    assert np.array_equal(read_raster(tmp_path / "labels.tif")[0], labels)
    confidence = np.where(image != 0, probabilities.max(axis=2), np.float32(np.nan))
    assert np.array_equal(
        read_raster(tmp_path / "labels-confidence.tif")[0], confidence, equal_nan=True
    )


def test_servers_with_different_models_are_refused(tmp_path, scene):
    source, _ = scene
    with ExitStack() as stack:
        _, first = serve(stack, tmp_path / "a")
        _, second = serve(stack, tmp_path / "b", load=lambda _: FakeRuntime(OTHER))

        with pytest.raises(SceneError, match="same model; its checksum is"):
            segment(SceneTask(source, tmp_path / "labels.tif"), [first, second])


def test_a_version_that_is_unloaded_meanwhile_ends_the_run(tmp_path, scene):
    source, _ = scene
    task = SceneTask(source, tmp_path / "labels.tif")
    with ExitStack() as stack:
        limits = ImageLimits(image_pixels=40**2)
        repository, url = serve(stack, tmp_path / "a", "fake/1", "fake/2", image_limits=limits)

        threads = []

        def unload(progress):
            if progress.pixels and not threads:
                # It waits for the windows that are running.
                threads.append(
                    threading.Thread(target=asyncio.run, args=[repository.unload("fake")])
                )
                threads[0].start()

        with pytest.raises(NotReadyError, match="fake 2 is unload"):
            segment(task, [url], "fake", "2", on_progress=unload)
        threads[0].join()

    assert not task.output.exists()


def test_a_model_that_is_replaced_under_its_version_is_noticed(tmp_path, scene):
    source, _ = scene
    task = SceneTask(source, tmp_path / "labels.tif")
    with ExitStack() as stack:
        repository, url = serve(stack, tmp_path / "a")

        def replace(progress):
            (model,) = repository.models
            model.runtime.__dict__["_manifest"] = OTHER

        with pytest.raises(SceneError, match="checksum"):
            segment(task, [url], on_progress=replace)

    assert not task.output.exists()
    assert not (tmp_path / "labels.tif.partial").exists()


def test_a_model_must_be_named_where_there_are_several(tmp_path, scene):
    source, _ = scene
    with ExitStack() as stack:
        _, url = serve(stack, tmp_path / "a", "one/1", "two/1")

        with pytest.raises(UnknownModelError, match="there are one, two"):
            segment(SceneTask(source, tmp_path / "labels.tif"), [url])
        segment(SceneTask(source, tmp_path / "labels.tif"), [url], "two")


def test_a_server_that_does_not_answer_is_told(tmp_path, scene):
    source, _ = scene

    with pytest.raises(LacunaError, match=r"127\.0\.0\.1:9"):
        segment(SceneTask(source, tmp_path / "labels.tif"), ["http://127.0.0.1:9"])
