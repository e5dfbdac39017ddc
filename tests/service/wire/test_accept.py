import pytest

from lacuna.errors import NotAcceptableError
from service.wire.accept import choose_media_type

OFFERED = ("application/json", "image/png", "application/x-npy")


@pytest.mark.parametrize("accept", [None, "", "*/*", "application/*", "*/*;q=0.1"])
def test_the_default_answers_whoever_has_no_wish(accept):
    assert choose_media_type(accept, OFFERED) == "application/json"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("image/png", "image/png"),
        ("IMAGE/PNG", "image/png"),
        ("image/*", "image/png"),
        ("text/html, image/png;q=0.5", "image/png"),
        ("application/json;q=0.4, application/x-npy;q=0.8", "application/x-npy"),
        ("application/json;q=0, */*", "image/png"),
        ("image/png ; q=1.0", "image/png"),
        ("application/*;q=0.2, image/png;q=0.3", "image/png"),
    ],
)
def test_the_wish_of_highest_quality_is_met(accept, chosen):
    assert choose_media_type(accept, OFFERED) == chosen


@pytest.mark.parametrize(
    "accept", ["text/html", "image/jpeg", "image/png;q=0", "nonsense", "image/png;q=x"]
)
def test_a_wish_that_cannot_be_met_is_refused_with_what_can(accept):
    with pytest.raises(NotAcceptableError, match="application/json, image/png, application/x-npy"):
        choose_media_type(accept, OFFERED)
