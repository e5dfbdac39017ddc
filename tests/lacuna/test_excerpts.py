import tracemalloc

import pytest

from lacuna.excerpts import list_names, quote

LONG = "\x01" * 1_000_000


@pytest.mark.parametrize("value", [1, 2.5, None, True, "text", b"\x00", [1, 2], {"a": [1]}, "'\""])
def test_a_short_value_is_shown_whole(value):
    assert quote(value) == repr(value)


@pytest.mark.parametrize(
    "value",
    [LONG, LONG.encode(), [LONG] * 1000, [[[0] * 1000] * 1000] * 1000, {LONG: LONG}],
    ids=["text", "bytes", "texts", "lists", "object"],
)
def test_a_long_value_is_cut_before_it_is_shown(value):
    tracemalloc.start()
    try:
        shown = quote(value)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(shown) <= 100
    assert peak_bytes < 100_000  # other threads allocate, too


def test_of_an_object_of_many_members_only_the_first_are_looked_at():
    value = {str(number): number for number in range(100_000)}

    assert quote(value).startswith("{'0': 0, '1': 1")
    assert len(quote(value)) <= 100


def test_names_are_listed_and_cut_short():
    assert list_names([]) == "none"
    assert list_names({"a": 1, "b": 2}) == "a, b"
    assert len(list_names([LONG] * 1000)) == 200
