"""A browser, and servers for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, expect, sync_playwright

from tests.page.driving import RunningServer, Visit, run_server

CHROMIUM = "chromium-headless-shell", "chromium"  # the first takes 0.8 of the other's time
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 20_000  # machines that test are shared


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or the one that Playwright has fetched, or none."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        except Error as error:
            if path is not None:
                raise
            pytest.skip(f"the page is tested in Chromium; there is none ({error.name})")
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of a fake model in two versions."""
    with run_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of one shipped model."""
    with run_server(tmp_path_factory.mktemp("demo"), "--demo", "groundcover") as server:
        yield server


@pytest.fixture
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A browser's window; a test may say what kind of window with `parametrize`, indirectly."""
    # Nothing moves by itself while a test looks where it is.
    kind: dict[str, Any] = {
        "viewport": {"width": 1280, "height": 900},
        "reduced_motion": "reduce",
    }
    context = browser.new_context(**kind | getattr(request, "param", {}))
    yield context
    context.close()


@pytest.fixture
def visit(context: BrowserContext, server: RunningServer) -> Iterator[Visit]:
    """The page; whatever the test is about, it must not complain, nor ask another host."""
    visit = Visit(context.new_page(), server.url)
    yield visit.open()
    assert visit.faults == []
    assert visit.foreign == []
