"""Files of Keras: what is read from them, and files that were made to do harm."""

import json
import zipfile
import zlib
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from model.adopt.adopting import SourceOptions, read_source
from model.adopt.keras_files import describe_network
from model.adopt.source import AdoptionError


def convolve(activation=None):
    return layers.Conv2D(2, 3, padding="same", activation=activation)


def save(network, path):
    network.save(path)
    return path


def make_network(*operations):
    image = x = keras.Input((None, None, 3))
    for operation in operations:
        x = operation(x)
    return keras.Model(image, x)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_sequential_network_is_read(tmp_path, suffix):
    network = keras.Sequential([keras.Input((None, None, 3)), convolve("relu"), convolve()])
    image = np.random.default_rng(0).random((2, 9, 7, 3), np.float32)
    source = read_source(save(network, tmp_path / f"given{suffix}"), SourceOptions())

    np.testing.assert_allclose(source.run(image), network(image), atol=1e-6)
    assert source.activation == "linear"


@pytest.mark.filterwarnings("ignore")
def test_a_sequential_network_without_an_input_is_refused(tmp_path):
    path = save(keras.Sequential([convolve()]), tmp_path / "given.keras")
    with pytest.raises(AdoptionError, match="functional, or sequential and built; sequential"):
        read_source(path, SourceOptions())


@pytest.mark.parametrize(
    ("operations", "activation"),
    [
        (lambda: [convolve("softmax"), layers.Activation("linear", dtype="float32")], "softmax"),
        (lambda: [convolve(), layers.Softmax(), layers.Identity(), layers.Dropout(0)], "softmax"),
        (lambda: [convolve("sigmoid"), layers.Cropping2D(0), layers.Activation(None)], "sigmoid"),
        (lambda: [layers.Conv2D(3, 1), make_network(convolve("sigmoid"))], "sigmoid"),
        (lambda: [layers.Conv2D(3, 1), make_network(convolve())], "linear"),
        (lambda: [convolve("softmax"), layers.UpSampling2D()], None),
    ],
)
def test_the_activation_is_found_before_layers_that_change_no_value(operations, activation):
    assert describe_network(make_network(*operations())).activation == activation


def test_scaling_is_found_inside_a_network_that_begins_another():
    scaling = keras.Sequential([keras.Input((None, None, 3)), layers.Rescaling(1 / 255)])

    assert describe_network(make_network(scaling, convolve())).scales_itself
    assert not describe_network(make_network(layers.Conv2D(3, 1), scaling)).scales_itself


def rewrite(path, config, **options):
    """Write a file whose archive has another configuration."""
    save(make_network(convolve()), path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in {**parts, "config.json": config}.items():
            archive.writestr(name, data)
    return path


def make_deep(folder):
    return rewrite(folder / "given.keras", b"[" * 100_000)


def make_bomb(folder):
    packed = {"compression": zipfile.ZIP_DEFLATED, "compresslevel": zlib.Z_BEST_SPEED}
    return rewrite(folder / "given.keras", b" " * (65 << 20), **packed)


def make_locked(folder):
    """Write an archive that says that it is encrypted."""
    path = rewrite(folder / "given.keras", b"{}")
    data = bytearray(path.read_bytes())
    at = -1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        data[at + 8] |= 1
    path.write_bytes(data)
    return path


def make_numbers(folder):
    with h5py.File(folder / "given.h5", "w") as file:
        file.attrs["model_config"] = np.zeros(4)
    return folder / "given.h5"


def make_other_model(folder):
    """Write a file that loads a model from elsewhere, with whatever operations it has."""
    layer = {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/x"}}
    return rewrite(folder / "given.keras", json.dumps({"config": {"layers": [layer]}}))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_deep, "given.keras must be a network that Keras saved whole; maximum recursion"),
        (make_bomb, "given.keras must unpack to at most 67108864 bytes, and its config.json to"),
        (make_locked, "given.keras must be a network that Keras saved whole; .* is encrypted"),
        (make_numbers, "given.h5 must be a network that Keras saved whole; "),
        (make_other_model, "no code unless it is trusted; given.keras has a TFSMLayer layer"),
    ],
)
def test_a_damaged_or_hostile_file_is_refused(tmp_path, make, message):
    with pytest.raises(AdoptionError, match=message):
        read_source(make(tmp_path), SourceOptions())


@pytest.mark.filterwarnings("ignore")
def test_code_is_found_in_a_file_of_two_formats_by_its_name(tmp_path):
    """Keras takes an .h5 file for HDF5, though it may be an archive as well."""
    mark = tmp_path / "executed"
    code = layers.Lambda(
        lambda x, path=str(mark): x + Path(path).write_text(""), output_shape=(None, None, 3)
    )
    path = save(make_network(code, convolve()), tmp_path / "given.h5")
    mark.unlink(missing_ok=True)
    harmless = save(make_network(convolve()), tmp_path / "harmless.keras")
    with zipfile.ZipFile(harmless) as archive, zipfile.ZipFile(path, "a") as both:
        for name in archive.namelist():
            both.writestr(name, archive.read(name))

    assert zipfile.is_zipfile(path)
    with pytest.raises(AdoptionError, match=r"unless it is trusted; given\.h5 has a Lambda"):
        read_source(path, SourceOptions())
    assert not mark.exists()
