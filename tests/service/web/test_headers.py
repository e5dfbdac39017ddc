import re

import pytest

from service.web.headers import PAGE_POLICY_HEADER
from service.web.services import OperatorRoutes
from tests.support.apps import load_repository, serve


@pytest.fixture
def client(tmp_path):
    with serve(load_repository(tmp_path)) as client:
        yield client


@pytest.mark.parametrize("path", ["/livez", "/nothing", "/v2/nothing", "/docs", "/metrics", "/"])
def test_every_answer_has_what_browsers_are_to_keep_to(client, path):
    headers = client.get(path).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/docs", "/"])
def test_a_page_has_one_policy_that_trusts_nothing_by_default(client, path):
    (policy,) = client.get(path).headers.get_list("content-security-policy")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))

    for name in ("default-src", "base-uri", "frame-ancestors"):
        assert rules[name] == "'none'"
    assert "unsafe" not in rules["script-src"]


def test_the_documents_page_has_the_policy_of_every_page_and_no_inline_code(client):
    response = client.get("/docs")
    links = re.findall(r'(?:src|href)="([^"]+)"', response.text)

    assert response.headers["content-security-policy"] == PAGE_POLICY_HEADER[1].decode()
    assert len(links) > 4
    for link in links:
        assert client.get(f"/{link}").status_code == 200, link
    assert not re.search(r"<style|style=|<script>|\son\w+=", response.text)


def test_documents_and_metrics_can_be_closed(tmp_path):
    with serve(
        load_repository(tmp_path), operator_routes=OperatorRoutes(docs=False, metrics=False)
    ) as client:
        for path in ("/docs", "/docs/start.js", "/openapi.json", "/metrics", "/redoc"):
            assert client.get(path).status_code == 404
        assert client.get("/livez").status_code == 200
