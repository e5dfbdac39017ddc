"""The page behind a proxy that shows the server under a prefix."""

import re

import pytest
from playwright.sync_api import expect

from tests.page.driving import IMAGE, MASK, Visit, draw_scene, run_server
from tests.support.apps import encode_image
from tests.support.reverse_proxy import Forwarding, forward


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    """A server that trusts the proxy in front of it."""
    folder = tmp_path_factory.mktemp("proxied")
    with run_server(folder, "--trusted", "127.0.0.1") as server:
        yield server


def check(context, server, forwarding, path):
    """Segment an image on the page behind a proxy, and look where the page leads."""
    with forward(server.url.removeprefix("http://"), forwarding) as proxy:
        url = f"http://{proxy}{path}"
        visit = Visit(context.new_page(), url).open()
        page = visit.page
        page.click("#first-samples .sample >> nth=0")
        expect(page.locator("#image-name")).to_have_text("clouds.png")
        visit.choose(IMAGE)
        visit.choose_mask(MASK)
        visit.run()
        summary = server.summarize(IMAGE, MASK)
        rows = page.locator("#legend tbody tr")
        shown = [
            int(re.sub(r"\D", "", rows.nth(at).locator("td").first.inner_text()))
            for at in range(len(summary["classes"]))
        ]

        assert shown == [entry["pixels"] for entry in summary["classes"]]
        assert f"http://{proxy}/lacuna/v1/segment" in page.locator("#curl").inner_text()
        assert (
            page.locator("#docs").evaluate("(link) => link.href") == f"http://{proxy}/lacuna/docs"
        )
        visit.choose(encode_image(draw_scene(), "TIFF"), "scene.tif", "image/tiff")
        assert visit.faults == []
        assert visit.foreign == []


@pytest.mark.parametrize("slash", ["/", ""])
def test_the_page_works_where_the_proxy_says_what_it_has_removed(context, proxied, slash):
    check(context, proxied, Forwarding(sends_prefix=True), f"/lacuna{slash}")


def test_the_page_works_where_the_prefix_is_kept(context, proxied):
    check(context, proxied, Forwarding(strips=False, sends_prefix=True), "/lacuna/")


def test_the_page_works_where_nobody_tells_the_server_of_the_prefix(context, server):
    check(context, server, Forwarding(), "/lacuna/")
