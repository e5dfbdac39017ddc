import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacuna.errors import MalformedRequestError
from lacuna.raster.band_parameters import parse_alpha, parse_bands, parse_selection, write_bands
from lacuna.raster.bands import EVERY_BAND, BandSelection


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ("", None),
        (4, (4,)),
        ("4,3,2", (4, 3, 2)),
        (" nir, Red ,2", ("nir", "Red", 2)),
        ('"850 nm, wide", 2', ("850 nm, wide", 2)),
        ([4, "red", "3"], (4, "red", 3)),
        (("red",), ("red",)),
    ],
)
def test_numbers_and_names_are_parsed(given, expected):
    assert parse_bands(given) == expected


@pytest.mark.parametrize(
    "given", ["1,,2", ",", " ", "0", [0], [-1], [], '"red', '"red" x', [""], "1\n2"]
)
def test_texts_of_another_form_are_refused(given):
    with pytest.raises(MalformedRequestError, match=r"bands (must|are counted from 1)"):
        parse_bands(given)


@pytest.mark.parametrize("given", [1.5, True, [1.5], [True], [None], [["red"]], {"red": 1}, b"1"])
def test_values_of_other_types_are_refused(given):
    with pytest.raises(MalformedRequestError, match="bands must be numbers or names"):
        parse_bands(given)


NAMES = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=9)
NAMES = NAMES.map(str.strip).filter(lambda name: name and not name.isdigit())


@given(st.lists(st.integers(1, 512) | NAMES, min_size=1))
def test_bands_that_are_written_are_parsed_again(bands):
    assert parse_bands(write_bands(bands)) == parse_bands(bands)


@pytest.mark.parametrize(
    ("given", "expected"), [(None, "auto"), ("", "auto"), ("no", "no"), ("yes", "yes")]
)
def test_alpha_is_parsed(given, expected):
    assert parse_alpha(given) == expected


@pytest.mark.parametrize("given", ["maybe", True, 1])
def test_another_alpha_is_refused(given):
    with pytest.raises(MalformedRequestError, match="alpha must be one of auto, yes, no; it is"):
        parse_alpha(given)


def test_both_make_a_selection():
    assert parse_selection("4,red", "no") == BandSelection((4, "red"), "no")
    assert parse_selection(None, None) == parse_selection("", "") == EVERY_BAND
