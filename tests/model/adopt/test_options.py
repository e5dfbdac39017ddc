"""Facts that a person states about a network: numbers that are none, and options without a use."""

import numpy as np
import pytest

from model.adopt.adopting import SourceOptions, adopt, read_source
from model.adopt.options import AdoptionOptions, check_options, check_use, describe_classes
from model.adopt.source import AdoptionError, Source, TensorFacts

NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"value_range": (0, INFINITE)}, "--range must be finite in float32; it is 0 inf"),
        ({"value_range": (0, 1e39)}, "--range must be finite in float32; it is 0 1e"),
        ({"value_range": (1, 1)}, "--range must be two numbers; it is 1 1"),
        ({"mean": (0, NAN)}, "--mean must be finite in float32; it is 0 nan"),
        ({"deviation": (INFINITE,)}, "--deviation must be finite"),
        ({"constant": NAN}, "--fill-value must be finite"),
        ({"threshold": NAN}, "--threshold must be finite"),
        ({"description": "a" * 2001}, "--description must have at most 2000 characters; it has 2"),
    ],
)
def test_numbers_must_be_finite_and_texts_short(told, message):
    with pytest.raises(AdoptionError, match=message):
        check_options(AdoptionOptions("m", ("a", "b"), **told))


@pytest.mark.parametrize(
    ("told", "outputs", "factor", "message"),
    [
        ({"threshold": 0.3}, 2, 1, "--threshold is for one output; there are 2"),
        ({"upsampling": "nearest"}, 2, 1, "at a fraction of the resolution; these have all"),
        ({"upsampling": "nearest", "masked": True}, 2, 1, "a masked network upsamples them"),
    ],
)
def test_an_option_that_changes_nothing_is_refused(told, outputs, factor, message):
    with pytest.raises(AdoptionError, match=message):
        check_use(AdoptionOptions("m", ("a", "b"), **told), outputs, factor)
    check_use(AdoptionOptions("m", ("a", "b"), threshold=0.3, upsampling="nearest"), 1, 2)


@pytest.mark.parametrize(
    "name", ["", " ", "a ", "a\nb", "\ud800", "a" * 101, "a=red", "a=", "a=b=c"]
)
def test_a_class_has_a_name_that_can_be_shown(name):
    with pytest.raises(AdoptionError, match="--class must be NAME or NAME=#rrggbb; it is"):
        describe_classes((name, "b"), 2)


def make_source(dtype, shape=(None, None, None, 3), scores=(None, None, None, 2)):
    """Make a network that takes two channels of the image for scores."""
    return Source(
        "SavedModel",
        TensorFacts("image", shape, dtype),
        TensorFacts("scores", scores, "float32"),
        lambda image: image[..., :2].astype(np.float32),
        None,
    )


@pytest.mark.parametrize(
    ("dtype", "told", "message"),
    [
        ("int8", {}, "takes for 0 and 255, such as -128 127; its input is int8"),
        ("uint8", {"dtype": "uint16"}, "for 0 and 65535, such as 0 255; its input is uint8"),
        ("int8", {"value_range": (0, 255)}, "what the input holds, int8 from -128 to 127; it is 0"),
        ("uint8", {"value_range": (-1, 1)}, "uint8 from 0 to 255; it is -1 1"),
    ],
)
def test_values_must_fit_the_integers_that_a_network_takes(dtype, told, message):
    with pytest.raises(AdoptionError, match=message):
        adopt(make_source(dtype), SourceOptions(), AdoptionOptions("m", ("a", "b"), **told))


@pytest.mark.parametrize(("dtype", "told"), [("uint8", {}), ("int8", {"value_range": (-128, 127)})])
def test_values_that_fit_are_given_as_they_are_told(dtype, told):
    options = AdoptionOptions("m", ("a", "b"), **told)

    assert adopt(make_source(dtype), SourceOptions(), options).measured.highest > 100


def test_a_signature_is_of_a_saved_model(tmp_path):
    (tmp_path / "given.keras").touch()
    with pytest.raises(AdoptionError, match=r"is for a SavedModel; given\.keras is none"):
        read_source(tmp_path / "given.keras", SourceOptions(signature="default"))
