import pytest

from lacuna.errors import ChannelMismatchError
from lacuna.raster.bands import choose_bands

RGBA = ("red", "green", "blue", "alpha")
RGBN = ("red", "green", "blue", "nir")
UNNAMED = ("",) * 4
LANDSAT = ("Coastal", "Blue", "Green", "Red", "NIR", "SWIR 1", "SWIR 2")
UNDEFINED = ("undefined",) * 7


def test_all_bands_but_alpha_are_read():
    choice = choose_bands(UNNAMED, RGBA)

    assert choice.indices == (0, 1, 2)
    assert choice.alpha == 3


def test_a_file_of_alpha_alone_is_an_image():
    choice = choose_bands((), ("alpha",))

    assert choice.indices == (0,)
    assert choice.alpha is None


def test_without_alpha_a_tagged_band_is_a_channel():
    choice = choose_bands(UNNAMED, RGBA, None, "no")

    assert choice.indices == (0, 1, 2, 3)
    assert choice.alpha is None


def test_the_last_band_is_alpha_if_it_is_said_to_be_and_none_is_tagged():
    choice = choose_bands(UNNAMED, RGBN, None, "yes")

    assert choice.indices == (0, 1, 2)
    assert choice.alpha == 3


def test_a_tagged_band_is_alpha_before_the_last_one():
    choice = choose_bands((), ("gray", "alpha", "undefined"), None, "yes")

    assert choice.indices == (0, 2)
    assert choice.alpha == 1


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ((4, 3, 2), (3, 2, 1)),
        (("nir", "RED"), (4, 3)),
        (("swir 1", 1), (5, 0)),
        ((2, 2, 2), (1, 1, 1)),
    ],
)
def test_bands_are_wanted_by_number_or_description_in_any_order(wanted, expected):
    assert choose_bands(LANDSAT, UNDEFINED, wanted).indices == expected


@pytest.mark.parametrize(("name", "index"), [("Grey", 0), ("gray", 0), ("NIR", 1)])
def test_bands_are_wanted_by_colour_interpretation(name, index):
    assert choose_bands((), ("gray", "nir"), (name,)).indices == (index,)


def test_a_description_counts_before_a_colour_interpretation():
    names = ("nir", "red", "green")

    assert choose_bands(names, ("red", "green", "blue"), ("red",)).indices == (1,)


def test_alpha_that_is_not_wanted_as_a_channel_still_tells_validity():
    choice = choose_bands(UNNAMED, RGBA, (1, 2))

    assert choice.indices == (0, 1)
    assert choice.alpha == 3


def test_alpha_that_is_wanted_is_a_channel():
    choice = choose_bands(UNNAMED, RGBA, ("alpha", 1))

    assert choice.indices == (3, 0)
    assert choice.alpha is None


def test_channels_are_named_by_description_or_else_by_colour():
    choice = choose_bands(("", "", "", "b8"), ("red", "undefined", "blue", "nir"), (1, 2, 4))

    assert choice.names == ("red", "", "b8")


@pytest.mark.parametrize(
    ("names", "colours", "expected"),
    [
        (LANDSAT, UNDEFINED, (3, 2, 1)),
        (UNNAMED, ("blue", "green", "red", "nir"), (2, 1, 0)),
        (UNNAMED, RGBA, (0, 1, 2)),
    ],
)
def test_bands_that_a_model_expects_are_found_by_name(names, colours, expected):
    found = choose_bands(names, colours, expected=("red", "green", "blue"))

    assert found.indices == expected


def test_a_band_that_a_model_expects_is_a_channel_though_it_is_tagged_as_alpha():
    choice = choose_bands(RGBN, RGBA, expected=RGBN)

    assert choice.indices == (0, 1, 2, 3)
    assert choice.alpha is None


@pytest.mark.parametrize(
    "names", [("red", "green", "red", ""), ("red", "green", "", ""), ("nir", "red", "green", "")]
)
def test_descriptions_and_colours_are_not_mixed_to_find_what_a_model_expects(names):
    found = choose_bands(names, ("red", "green", "blue", "nir"), expected=("red", "green", "blue"))

    assert found.indices == (0, 1, 2, 3)


def test_bands_that_are_wanted_count_before_those_that_a_model_expects():
    assert choose_bands(LANDSAT, UNDEFINED, (7,), expected=("red",)).indices == (6,)


@pytest.mark.parametrize("wanted", [5, "swir"])
def test_a_band_that_does_not_exist_is_answered_with_those_that_do(wanted):
    with pytest.raises(ChannelMismatchError) as caught:
        choose_bands(UNNAMED, ("red", "green", "blue", "undefined"), (1, wanted))

    assert str(caught.value) == (
        f"bands must be of the 4 that the image has: 1 (red), 2 (green), 3 (blue), 4; {wanted!r} "
        "is not"
    )


def test_bands_without_names_are_answered_with_their_number():
    with pytest.raises(ChannelMismatchError, match="of the 7 that the image has: 1 to 7"):
        choose_bands((), UNDEFINED, ("nir",))


def test_a_name_of_two_bands_is_refused_with_their_numbers():
    with pytest.raises(ChannelMismatchError, match="'undefined' is the name of 2, 4"):
        choose_bands((), ("red", "undefined", "blue", "undefined"), ("undefined",))


def test_alpha_needs_a_band_beside_it():
    with pytest.raises(ChannelMismatchError, match="the image has 1 band"):
        choose_bands((), ("gray",), None, "yes")


def test_a_band_must_not_be_said_to_be_alpha_and_be_wanted_as_a_channel():
    with pytest.raises(ChannelMismatchError, match="alpha=yes takes the last band, 4, as alpha"):
        choose_bands(RGBN, RGBN, ("nir", "red"), "yes")
