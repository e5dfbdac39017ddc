from lacuna.errors import OverloadedError, RequestError
from service.listening.statuses import STATUSES
from tests.lacuna.test_errors import list_leaves


def test_every_error_has_a_status():
    assert set(STATUSES) == set(list_leaves())


def test_what_the_client_must_change_is_4xx_and_all_else_5xx():
    for kind, (status, _) in STATUSES.items():
        # 429 asks the client to come later, which is its part as well.
        asks_client = issubclass(kind, (RequestError, OverloadedError))
        assert (400 <= status < 500) is asks_client, kind
