"""docs/scaling.md is computed from its own figures, and from the simulation's results."""

import json
import re
from pathlib import Path

import pytest
import yaml
from PIL import Image

from benchmarks.simulation.autoscaler import Behavior
from benchmarks.simulation.experiments import RULES, TARGETS_S, run_steady
from benchmarks.simulation.picture import draw_picture
from benchmarks.simulation.scenario import RECOMMENDED, Scenario
from benchmarks.simulation.traffic import SCENE_WINDOW
from benchmarks.simulation.work import BYTES_PER_PIXEL, COST, REQUEST_S
from service.core.batching import BatchPolicy

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TEXT = (DOCS / "scaling.md").read_text()
RESULTS = json.loads((DOCS / "pictures" / "scaling.json").read_text())

LOAD = Scenario.load_target
SCENE_PIXELS, SCENE_VALID, SCENES_A_DAY = 10_980**2, 0.6, 10_000
PNG_BYTES_PER_PIXEL, PRICE = 1.3, 0.04


def read_row(start, section):
    """Return the cells of the row that begins so, in a section."""
    part = TEXT[TEXT.index(f"## {section}") :]
    row = re.search(rf"^\| {re.escape(start)}[^|]*\|(.*)\|$", part, re.MULTILINE)
    return [cell.strip() for cell in row[1].split("|")]


def read_numbers(cell):
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\.?\d*", cell)]


def compute_image_s(side):
    """Return the seconds of a core that an image takes in a full batch."""
    batch = BatchPolicy().choose_sizes((side, side))[-1]
    return COST.predict(batch * side * side) / batch + REQUEST_S


def read_scene_speed():
    """Return the valid pixels that a core does in a second."""
    (speed,) = read_numbers(read_row("valid pixels of a scene", "One core")[0])
    valid, seconds, cores = 0.3 * 20_000**2, 80, 2
    assert speed == pytest.approx(valid / seconds / cores / 1e6, rel=1e-3)
    return speed * 1e6


SCENE_S = SCENE_VALID * SCENE_PIXELS / 0.75e6
WORK = {
    "1,000 requests a second, 64²": (compute_image_s(64), 1000.0),
    "1,000 requests a second, 512²": (compute_image_s(512), 1000.0),
    "10,000 scenes a day": (SCENE_S, SCENES_A_DAY / 86_400),
}


def test_the_figures_of_a_core_are_those_of_the_simulation():
    assert read_numbers(read_row("pixel of a call", "One core")[0]) == [COST.pixel_s * 1e6]
    assert read_numbers(read_row("call", "One core")[0]) == [COST.call_s * 1e3]
    assert read_numbers(read_row("request besides", "One core")[0]) == [REQUEST_S * 1e3]
    assert pytest.approx(0.75e6) == read_scene_speed()


@pytest.mark.parametrize("name", WORK)
def test_cores_and_pods_follow_from_the_figures(name):
    work_s, rate = WORK[name]
    seconds, cores, pods = (read_numbers(cell)[0] for cell in read_row(name, "How many cores?"))

    assert seconds == pytest.approx(work_s, rel=0.01)
    assert cores == -(-work_s * rate // LOAD)
    assert pods == -(-cores // 2)


@pytest.mark.parametrize(
    ("name", "side", "rate"), [("1,000/s of 64²", 64, 1000), ("1,000/s of 512²", 512, 1000)]
)
def test_the_network_follows_from_the_pixels(name, side, rate):
    sent, answered, _, first = read_row(name, "What breaks first?")

    assert read_numbers(sent)[0] == pytest.approx(rate * side**2 * BYTES_PER_PIXEL * 8e-9, abs=0.05)
    assert read_numbers(answered)[0] == pytest.approx(rate * side**2 * 8e-9, abs=0.05)
    if side == 512:
        png = rate * side**2 * PNG_BYTES_PER_PIXEL * 8e-9
        assert f"PNG needs {png:.1f} Gbit/s" in first
    else:
        assert f"{1 / REQUEST_S:,.0f} requests a second" in first
        # Workers that one loop keeps busy, if its part of the work is the loop's own.
        assert int(compute_image_s(side) / REQUEST_S) == 4


def test_the_network_of_scenes_follows_from_their_windows():
    sent, answered, read, _ = read_row("10,000 scenes/day", "What breaks first?")
    side = SCENE_WINDOW.height
    windows = (-(-10_980 // (side - 2 * SCENE_WINDOW.halo))) ** 2
    per_day = SCENES_A_DAY / 86_400 * 8e-9

    assert read_numbers(sent)[0] == pytest.approx(windows * side**2 * 4 * per_day, abs=0.005)
    assert read_numbers(answered)[0] == pytest.approx(windows * side**2 * per_day, abs=0.005)
    assert read_numbers(read)[0] == pytest.approx(3 * SCENE_PIXELS * per_day, abs=0.005)


def test_the_sizes_of_files_are_those_of_the_samples(tmp_path):
    sizes = {"PNG": 0, "JPEG": 0}
    pixels = 0
    for name in ("clouds", "dead_pixels", "stripes", "swath"):
        image = Image.open(ROOT / f"service/demo/samples/groundcover/{name}.png").convert("RGB")
        pixels += image.width * image.height
        for kind in sizes:
            path = tmp_path / f"image.{kind}"
            image.save(path, kind, quality=90)
            sizes[kind] += path.stat().st_size

    told = read_numbers(read_row("PNG and JPEG", "One core")[0])
    assert told == [pytest.approx(sizes[kind] / pixels, abs=0.05) for kind in ("PNG", "JPEG")]


def test_the_memory_of_pods_follows_from_their_workers():
    cores = int(read_row("1,000 requests a second, 512²", "How many cores?")[1])
    small, large = -(-cores // 2), -(-cores // 8)

    assert f"{small * (0.8 + 2 * 0.95):.0f} GB as pods of 2" in " ".join(TEXT.split())
    assert f"{large * (0.8 + 8 * 0.95):.0f} GB as {large} pods of 8" in " ".join(TEXT.split())


@pytest.mark.parametrize(
    ("name", "work_s"),
    [
        ("1,000,000 images of 64²", 1e6 * compute_image_s(64)),
        ("1,000,000 images of 512²", 1e6 * compute_image_s(512)),
        ("10,000 scenes", 1e4 * SCENE_S),
    ],
)
def test_the_cost_follows_from_the_price(name, work_s):
    hours, cost = (read_numbers(cell)[0] for cell in read_row(name, "What does it cost?"))

    assert hours == pytest.approx(work_s / 3600 / LOAD, rel=0.005)
    assert cost == pytest.approx(work_s / 3600 / LOAD * PRICE, abs=0.006)
    assert f"{PRICE:g} a\ncore-hour" in TEXT or f"{PRICE:g} a core-hour" in TEXT


@pytest.mark.parametrize("name", RULES)
def test_the_table_of_the_burst_has_the_simulated_numbers(name):
    numbers = RESULTS["burst"][name]

    (row,) = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", TEXT, re.MULTILINE)
    assert [cell.strip(" *") for cell in row.split("|")] == [
        f"{numbers['p50_s']:.2f} s",
        f"{numbers['p99_s']:.1f} s",
        f"{numbers['refused']:.1%}".replace("%", " %"),
        f"{numbers['most_pods']:.0f}",
        f"{numbers['pod_hours']:.1f}",
    ]


def test_what_the_text_says_of_the_simulation_is_what_it_gave():
    text = " ".join(TEXT.split())
    burst, steady = RESULTS["burst"], RESULTS["steady"]

    def part(numbers):
        return f"{numbers['refused']:.1%}".replace("%", " %")

    assert f"{part(burst['pods start in 2 min'])} of all requests are refused" in text
    assert f"{part(burst['kept connections'])} of all requests" in text
    mean, last = burst["queue averaged over 1 min"], burst["recommended"]
    assert f"{part(mean)} refused instead of {part(last)}" in text
    assert f"{mean['pod_hours']:.1f} pod-hours instead of {last['pod_hours']:.1f}" in text
    assert f"With the queue alone, {part(RESULTS['wave']['queue'])} were refused" in text
    assert RESULTS["wave"]["recommended"]["refused"] == 0
    last = {name: f"{row[-1]['p99_s']:.1f} s" for name, row in steady.items()}
    assert f"is {last['least']} with the pod that has the fewest requests" in text
    assert f"{last['two']} with the better of two at random" in text
    assert f"{last['turn']} in turn, and {last['random']} at random" in text
    assert f"With one pod it is {steady['random'][0]['p99_s']:.1f} s" in text


def test_the_results_are_those_of_the_code():
    # The quickest of the experiments. A change of the server's decisions shows here; then
    # `python benchmarks/cluster.py --picture` writes the results anew.
    assert run_steady(1, "two") == pytest.approx(RESULTS["steady"]["two"][0], rel=0.1)
    assert len(RESULTS["targets"]["recommended"]) == len(TARGETS_S)


def test_the_picture_is_that_of_the_results():
    assert (DOCS / "pictures" / "scaling.svg").read_text() == draw_picture(RESULTS)


def test_the_manifests_have_the_numbers_that_were_simulated():
    folder = ROOT / "deploy" / "kubernetes" / "components" / "hpa"
    hpa = yaml.safe_load((folder / "horizontalpodautoscaler.yaml").read_text())["spec"]
    targets = [metric["pods"]["target"]["averageValue"] for metric in hpa["metrics"]]
    (up,) = hpa["behavior"]["scaleUp"]["policies"]

    assert targets == [f"{Scenario.wait_target_s:g}", f"{Scenario.load_target * 1000:g}m"]
    assert RECOMMENDED.up == ((up["type"], up["value"], up["periodSeconds"]),)
    # Without policies, those of Kubernetes hold.
    assert RECOMMENDED.down == Behavior().down
    assert "policies" not in hpa["behavior"]["scaleDown"]
    window_s = hpa["behavior"]["scaleDown"]["stabilizationWindowSeconds"]
    assert window_s == RECOMMENDED.down_window_s
    assert hpa["minReplicas"] == RECOMMENDED.min_pods
    assert hpa["maxReplicas"] >= RESULTS["burst"]["recommended"]["most_pods"]


def test_the_adapter_averages_as_was_simulated():
    rules = yaml.safe_load((ROOT / "deploy/kubernetes/prometheus-adapter.yaml").read_text())
    wait, load = (rule["metricsQuery"] for rule in rules["rules"])

    assert Scenario.wait_average_s == 0
    assert "over_time" not in wait
    assert re.findall(r"\[(\w+)\]", load) == [f"{Scenario.load_average_s / 60:g}m"]
