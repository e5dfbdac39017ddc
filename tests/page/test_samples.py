"""Samples of the models: the page shows those of the model that is chosen."""

import pytest
from playwright.sync_api import expect

from tests.page.driving import Visit, run_server

SIZES = {"aerial": "512 × 512", "groundcover": "448 × 320"}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A server of both models of the demo; the first one is the default."""
    folder = tmp_path_factory.mktemp("both")
    with run_server(folder, "--demo", "aerial", "groundcover") as server:
        yield server


@pytest.fixture
def page(context, both):
    visit = Visit(context.new_page(), both.url)
    yield visit.open().page
    assert (visit.faults, visit.foreign) == ([], [])


@pytest.mark.slow
def test_the_default_model_is_offered_first_and_segments_its_sample(page):
    assert page.locator("#model option").all_inner_texts() == ["aerial", "groundcover"]
    expect(page.locator("#model")).to_have_value("aerial")

    page.click("#first-samples .sample >> nth=0")
    expect(page.locator("#readout-size")).to_have_text(SIZES["aerial"])
    page.click("#run")

    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#legend")).to_contain_text("vegetation")


@pytest.mark.slow
def test_another_model_comes_with_samples_of_its_own(page):
    page.click("#first-samples .sample >> nth=0")
    expect(page.locator("#readout-size")).to_have_text(SIZES["aerial"])

    page.select_option("#model", "groundcover")
    page.click("#samples[data-model=groundcover] .sample >> nth=0")

    expect(page.locator("#readout-size")).to_have_text(SIZES["groundcover"])
    expect(page.locator("#samples img")).to_have_count(4)


@pytest.mark.slow
def test_a_link_opens_the_sample_that_was_segmented_whichever_model_segments_it(context, both):
    visit = Visit(context.new_page(), both.url)
    visit.page.goto(f"{both.url}#sample=groundcover/clouds&model=aerial&layer=labels")

    visit.await_result()
    expect(visit.page.locator("#model")).to_have_value("aerial")
    expect(visit.page.locator("#readout-size")).to_have_text(SIZES["groundcover"])
    assert (visit.faults, visit.foreign) == ([], [])


@pytest.mark.parametrize("sample", ["aerial/nothing", "nothing/clouds", "clouds"])
def test_a_link_to_a_sample_that_is_not_there_says_so(context, server, sample):
    page = context.new_page()
    page.goto(f"{server.url}#sample={sample}&model=three")

    expect(page.locator("#error")).to_contain_text(f"no sample of the name {sample}")


def test_a_model_without_samples_is_shown_with_those_of_the_first_model(visit):
    visit.page.click("#first-samples .sample >> nth=0")

    expect(visit.page.locator("#readout-size")).to_have_text(SIZES["aerial"])
