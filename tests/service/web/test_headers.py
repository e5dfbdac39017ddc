import base64
import hashlib
import re

import pytest

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


def test_the_documents_page_may_run_its_own_scripts_and_no_others(client):
    for _ in range(2):  # the page is made once, and sent as often as it is asked for
        response = client.get("/docs")
        scripts = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)

        assert len(scripts) == 1
        digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
        policy = response.headers["content-security-policy"]
        assert policy.count(f"'sha256-{digest}'") == policy.count("sha256") == 1
        for source in re.findall(r'(?:src|href)="(https?://[^/"]+)', response.text):
            assert source in policy


def test_documents_and_metrics_can_be_closed(tmp_path):
    with serve(
        load_repository(tmp_path), operator_routes=OperatorRoutes(docs=False, metrics=False)
    ) as client:
        for path in ("/docs", "/openapi.json", "/metrics", "/redoc"):
            assert client.get(path).status_code == 404
        assert client.get("/livez").status_code == 200
