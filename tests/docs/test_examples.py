"""The examples of all layers and operations run, and print what they say."""

import doctest
import inspect
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from model import layers, ops
from tests.support.notebooks import run_notebook

TEXT = (Path(__file__).parents[2] / "docs" / "masking.md").read_text()
CONVERSION = re.search(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)[1]
THINGS = {
    name: thing
    for package in (layers, ops)
    for name, thing in vars(package).items()
    if name in package.__all__ and (inspect.isclass(thing) or inspect.isfunction(thing))
}


@pytest.mark.parametrize("name", THINGS)
def test_an_example_prints_what_it_says(name):
    given = {"np": np, "tf": tf, **{key: getattr(layers, key) for key in layers.__all__}}
    given |= {key: getattr(ops, key) for key in ops.__all__}
    tests = doctest.DocTestFinder(recurse=False).find(THINGS[name], name, globs=given)
    runner, said = doctest.DocTestRunner(), []

    for test in tests:
        runner.run(test, out=said.append)

    assert runner.summarize(verbose=False).attempted >= 1, f"{name} has no example"
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


def test_the_sample_of_masking_converts_a_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layer = keras.layers.Conv2D(4, 3, padding="same", activation="softmax")
    keras.Sequential([keras.Input((None, None, 3)), layer]).save("unet.keras")
    given = {"image": np.zeros((1, 32, 32, 3), np.float32), "mask": np.ones((1, 32, 32, 1), bool)}

    exec(compile(CONVERSION, "masking.md", "exec"), given)  # noqa: S102

    assert given["scores"].shape == (1, 32, 32, 4)


def test_the_notebook_about_layers_runs():
    printed = run_notebook("layers")

    assert "masked: 0\n" in printed
    assert "masked: 0 values change" in printed
    assert not re.search(r"plain:  0 ", printed)
