"""The interface as a page, `/docs`, in a browser without the internet."""

import json

import pytest
from playwright.sync_api import expect

from tests.page.driving import IMAGE, Visit, run_server
from tests.support.reverse_proxy import Forwarding, forward

SEGMENT = "#operations-Segmentation-segment"


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    """A server that trusts the proxy in front of it."""
    folder = tmp_path_factory.mktemp("proxied")
    with run_server(folder, "--trusted", "127.0.0.1") as server:
        yield server


def check(context, url, server):
    """Look at the page, and segment an image from it."""
    visit = Visit(context.new_page(), url)
    page = visit.page
    page.goto(f"{url}/docs")
    expect(page.locator(".information-container")).to_contain_text("lacuna")
    operation = page.locator(SEGMENT)
    operation.locator(".opblock-summary-control").click()
    operation.locator(".try-out__btn").click()
    operation.locator("tr[data-param-name=model] input").fill("three")
    file = {"name": "image.png", "mimeType": "image/png", "buffer": IMAGE}
    operation.locator("input[type=file]").first.set_input_files([file])
    operation.locator(".execute").click()

    expect(operation.locator(".request-url")).to_contain_text(f"{url}/v1/segment?model=three")
    answer = operation.locator(".live-responses-table")
    expect(answer.locator(".response-col_status").last).to_contain_text("200")
    shown = json.loads(answer.locator("code").first.inner_text())
    assert shown["classes"] == server.summarize(IMAGE)["classes"]
    # Fields that were left empty are not sent.
    assert operation.locator(".curl").inner_text().count("-F '") == 1
    assert visit.faults == []
    assert visit.foreign == []


def test_the_interface_is_shown_without_another_host_and_segments(context, server):
    check(context, server.url, server)


def test_it_works_under_the_prefix_of_a_proxy(context, proxied):
    with forward(proxied.url.removeprefix("http://"), Forwarding(sends_prefix=True)) as proxy:
        check(context, f"http://{proxy}/lacuna", proxied)
