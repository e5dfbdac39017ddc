import pytest

from lacuna.errors import MalformedRequestError
from service.interfaces.messages import encode
from service.wire.oip_grpc.stream import read_id

EMPTY_ID = b"\x1a\x00"
NAMED = encode("inference.ModelInferRequest", {"model_name": "fake", "id": "seven"})


def test_the_last_of_several_ids_counts():
    assert read_id(EMPTY_ID * 3 + NAMED) == "seven"
    assert read_id(NAMED + EMPTY_ID) == ""


def test_a_message_without_an_id_has_an_empty_one():
    assert read_id(encode("inference.ModelInferRequest", {"model_name": "fake"})) == ""


def test_an_id_is_found_among_the_most_fields_that_a_message_may_have():
    assert read_id(EMPTY_ID * 4094 + NAMED) == "seven"


@pytest.mark.parametrize("fields", [4097, 1 << 23])
def test_the_id_of_a_message_with_too_many_fields_is_not_known(fields):
    message = EMPTY_ID * fields
    with pytest.raises(MalformedRequestError, match="4096 fields; it has more, so its id is"):
        read_id(message)


def test_fields_beyond_the_limit_are_not_looked_at():
    with pytest.raises(MalformedRequestError, match="4096 fields"):
        read_id(EMPTY_ID * 4097 + b"\xff")


def test_a_long_id_is_refused_because_it_waits_with_its_answer():
    longest = encode("inference.ModelInferRequest", {"id": "a" * 1024})
    assert read_id(longest) == "a" * 1024
    with pytest.raises(MalformedRequestError, match="at most 1024 bytes; it has 1025"):
        read_id(encode("inference.ModelInferRequest", {"id": "a" * 1025}))
