from service.web.problems import make_problem


def test_a_problem_is_rfc_9457():
    response = make_problem(422, "invalid_mask", "mask must fit")

    assert response.media_type == "application/problem+json"
    assert bytes(response.body) == (
        b'{"type":"urn:lacuna:problem:invalid_mask","title":"Unprocessable Entity","status":422,'
        b'"code":"invalid_mask","detail":"mask must fit"}'
    )
