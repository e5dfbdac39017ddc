from lacuna.errors import OverloadedError, RequestError
from service.web.problems import STATUSES, make_problem
from tests.lacuna.test_errors import list_leaves


def test_every_error_has_a_status():
    assert set(STATUSES) == set(list_leaves())


def test_what_the_client_must_change_is_4xx_and_all_else_5xx():
    for kind, status in STATUSES.items():
        # 429 asks the client to come later, which is its part as well.
        asks_client = issubclass(kind, (RequestError, OverloadedError))
        assert (400 <= status < 500) is asks_client, kind


def test_a_problem_is_rfc_9457():
    response = make_problem(422, "invalid_mask", "mask must fit")

    assert response.media_type == "application/problem+json"
    assert bytes(response.body) == (
        b'{"type":"urn:lacuna:problem:invalid_mask","title":"Unprocessable Entity","status":422,'
        b'"code":"invalid_mask","detail":"mask must fit"}'
    )
