"""Networks in ONNX: what is changed of them when they are read."""

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from model.adopt.adopting import SourceOptions, read_source
from model.adopt.source import AdoptionError
from tests.support import foreign


@pytest.mark.parametrize("batch", [1, 4])
def test_a_network_that_was_exported_with_some_images_takes_any_number(tmp_path, batch):
    path = tmp_path / "given.onnx"
    foreign.write_torch_unet(path, size=(16, 16), batch=batch)
    source = read_source(path, SourceOptions())
    images = np.random.default_rng(0).random((3, 3, 16, 16), np.float32)

    together = source.run(images)
    assert together.shape == (3, 3, 16, 16)
    for index in range(3):
        alone = source.run(images[index : index + 1])
        np.testing.assert_allclose(alone[0], together[index], atol=1e-6)


def test_weights_may_lie_in_a_file_of_their_own(tmp_path):
    path = tmp_path / "given.onnx"
    foreign.write_torch_unet(path)
    image = np.random.default_rng(0).random((1, 3, 16, 16), np.float32)
    expected = read_source(path, SourceOptions()).run(image)
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=0)

    np.testing.assert_array_equal(read_source(path, SourceOptions()).run(image), expected)


def write_too_large(path, *, inside):
    """Write a network of more than 2 GiB, most of which takes no room on the disk."""
    if inside:
        path.touch()
        os.truncate(path, 3 << 30)
        return
    weight = TensorProto(
        name="weight", dims=(3 << 28,), data_type=TensorProto.FLOAT, data_location="EXTERNAL"
    )
    weight.external_data.add(key="location", value="weights")
    graph = helper.make_graph([], "large", [], [], [weight])
    path.write_bytes(helper.make_model(graph).SerializeToString())


@pytest.mark.parametrize("inside", [True, False])
def test_a_network_that_one_file_cannot_hold_is_refused_before_it_is_read(tmp_path, inside):
    write_too_large(tmp_path / "large.onnx", inside=inside)

    with pytest.raises(AdoptionError, match=r"less than 2 GiB .* large\.onnx has 3\.0 GiB"):
        read_source(tmp_path / "large.onnx", SourceOptions())
