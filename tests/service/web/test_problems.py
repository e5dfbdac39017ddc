from service.errors import RequestError
from service.web.problems import STATUSES, make_problem
from tests.service.test_errors import list_leaves


def test_every_error_has_a_status():
    assert set(STATUSES) == set(list_leaves())


def test_faults_of_the_request_are_4xx_and_all_others_5xx():
    for kind, status in STATUSES.items():
        assert (400 <= status < 500) is issubclass(kind, RequestError), kind


def test_a_problem_is_rfc_9457():
    response = make_problem(422, "invalid_mask", "mask must fit")

    assert response.media_type == "application/problem+json"
    assert bytes(response.body) == (
        b'{"type":"urn:lacuna:problem:invalid_mask","title":"Unprocessable Entity","status":422,'
        b'"code":"invalid_mask","detail":"mask must fit"}'
    )
