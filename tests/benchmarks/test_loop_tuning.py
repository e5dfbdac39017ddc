import pytest

from benchmarks.loop_tuning import LoopSettings, find_best_settings, list_batches
from service.bench.workload import Workload, parse_sizes


class PretendedLoop:
    """A loop whose speed follows from how it is used."""

    def __init__(self, rate):
        self.rate, self.drawn, self.warmed = rate, None, set()

    def draw(self, name, workload):
        self.drawn = name

    def warm(self, name, batch):
        self.warmed.add(batch)

    def measure(self, name, workers, batch, seconds, warmup_s):
        assert name == self.drawn
        assert batch in self.warmed
        return {"megapixels_per_s": self.rate(workers, batch)}


@pytest.mark.parametrize(
    ("images", "size", "batches"),
    [
        (256, "64", [1, 2, 4, 8, 16, 32, 64]),
        (8, "64", [1, 2, 4, 8]),
        (8, "1024", [1, 2]),
        (8, "4096", [1]),
        (256, "48-384", [1]),
    ],
)
def test_batches_are_of_equal_images_and_not_too_large(images, size, batches):
    assert list(list_batches(Workload(images, (parse_sizes(size),)))) == batches


def test_the_fastest_settings_are_found():
    loops = {
        1: PretendedLoop(lambda workers, batch: workers - abs(batch - 8) / 100),
        2: PretendedLoop(lambda workers, batch: 0.5 + batch / 1000),
    }

    settings = find_best_settings(loops, "A", Workload(64, (parse_sizes("64"),)), cores=2)

    assert settings == LoopSettings(threads=1, workers=2, batch=8)


def test_larger_batches_are_not_tried_once_they_are_slower():
    loop = PretendedLoop(lambda _, batch: 1 / batch)

    find_best_settings({1: loop}, "A", Workload(64, (parse_sizes("64"),)), cores=1)

    assert loop.warmed == {1, 2}
