"""Networks in ONNX: what is changed of them when they are read."""

import numpy as np
import pytest

from model.adopt.adopting import SourceOptions, read_source
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
