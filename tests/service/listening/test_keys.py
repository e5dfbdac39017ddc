import pytest

from lacuna.errors import ConfigurationError
from service.listening.keys import KeyRing, read_keys

ONE, TWO, ADMIN = "a-client-key-0001", "a-client-key-0002", "the-key-of-an-admin"


def test_keys_are_known_again_and_told_apart():
    ring = KeyRing([ONE, TWO], ADMIN)

    one, two, admin = (ring.find(key.encode()) for key in (ONE, TWO, ADMIN))

    assert len({one.name, two.name, admin.name}) == 3
    assert [one.is_admin, two.is_admin, admin.is_admin] == [False, False, True]


@pytest.mark.parametrize("key", [b"", ONE[:-1].encode(), ONE.encode() + b"x", "ключ".encode()])
def test_other_keys_are_nobodys(key):
    assert KeyRing([ONE], ADMIN).find(key) is None


def test_the_keys_themselves_are_not_kept():
    ring = KeyRing([ONE], ADMIN)

    kept = repr(vars(ring)) + ring.find(ONE.encode()).name

    assert ONE not in kept
    assert ADMIN not in kept


@pytest.mark.parametrize("key", ["short", "fifteen letters", "ключ-ключ-ключ-ключ", "x" * 513])
def test_a_key_that_is_easily_guessed_or_cannot_be_sent_is_refused_and_not_told(key):
    with pytest.raises(ConfigurationError, match="16 to 512 visible ASCII") as caught:
        KeyRing([key])
    assert key not in caught.value.message


def test_a_client_may_not_have_the_admins_key():
    with pytest.raises(ConfigurationError, match="must differ from the keys of clients"):
        KeyRing([ONE], ONE)


def test_keys_are_read_with_comments_and_empty_lines_left_out():
    assert read_keys(f"# of the team\n{ONE}\n\n  {TWO}\n#{ADMIN}\n") == [ONE, TWO]
    assert read_keys(f"{ONE}, {TWO},") == [ONE, TWO]
