"""Plain loop to compare a server with: the same SavedModel, without HTTP.

    python benchmarks/raw_loop.py FOLDER THREADS

A process of its own, because the number of TensorFlow's threads is set once. It takes commands as
lines of JSON on its standard input, `{"do": NAME, …}`, and answers each with a line on its standard
output. The loop is what a user would write. Python threads take images uint8 and masks bool in
turn, cast the images to float32 and call the signature `labels`. Images of one size may share a
batch; others run one by one, unpadded. TensorFlow's settings are the defaults.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lacuna.sample import Sample
from service.bench.report import measure_share
from service.bench.workload import Sizes, Workload, draw_samples


class RawLoop:
    """Commands. Each method is a command, and its parameters are the command's members.

    Args:
        folder: folder of the SavedModel.
    """

    def __init__(self, folder: Path) -> None:
        self._loaded = tf.saved_model.load(str(folder))
        self._signature = self._loaded.signatures["labels"]
        self._samples: dict[str, list[Sample]] = {}
        # Kept, because TensorFlow caches some of its preparations for each thread.
        self._workers = ThreadPoolExecutor(64)

    def draw(self, name: str, workload: dict[str, Any]) -> dict[str, Any]:
        """Draw the images of a workload."""
        sizes = tuple(Sizes(tuple(low), tuple(high)) for low, high in workload.pop("sizes"))
        lists = {key: tuple(workload[key]) for key in ("valid", "regions")}
        self._samples[name] = draw_samples(Workload(**workload | lists | {"sizes": sizes}))
        return {}

    def forget(self, name: str) -> dict[str, Any]:
        """Forget the images of a workload."""
        del self._samples[name]
        return {}

    def answer(self, name: str, path: str) -> dict[str, Any]:
        """Run each image alone and whole, and save all labels as NPZ, in order."""
        labels = [self._run([sample])[0] for sample in self._samples[name]]
        np.savez(path, *labels)
        return {}

    def warm(self, name: str, batch: int) -> dict[str, Any]:
        """Run every shape once."""
        seen: set[tuple[int, ...]] = set()
        for sample in self._samples[name]:
            if sample.size not in seen:
                seen.add(sample.size)
                self._run([sample] * batch)
        return {}

    def measure(
        self, name: str, workers: int, batch: int, seconds: float, warmup_s: float
    ) -> dict[str, Any]:
        """Run images in turn for some seconds after the warm-up, and return the throughput.

        Every worker goes on until the calls that the others began in time are done, so that no last
        call runs on an idle machine. A call across an end of the window counts in part.
        """
        samples = self._samples[name]
        turns = itertools.count()
        calls: list[tuple[float, float, int]] = []
        done = [False] * workers
        begins_s = time.perf_counter() + warmup_s
        ends_s = begins_s + seconds

        def work(worker: int) -> None:
            while not all(done):
                first = next(turns) * batch
                group = [samples[(first + offset) % len(samples)] for offset in range(batch)]
                began_s = time.perf_counter()
                self._run(group)
                ended_s = time.perf_counter()
                calls.append((began_s, ended_s, sum(sample.mask.size for sample in group)))
                done[worker] = done[worker] or ended_s >= ends_s

        list(self._workers.map(work, range(workers)))
        began, ended, pixels = (np.array(column) for column in zip(*calls, strict=True))
        share = measure_share(began, ended, begins_s, ends_s)
        return {
            "images_per_s": float(share.sum() * batch / seconds),
            "megapixels_per_s": float(share @ pixels / seconds / 1e6),
            "call_p50_s": float(np.percentile(ended - began, 50)),
            "call_p99_s": float(np.percentile(ended - began, 99)),
        }

    def time_square(self, side: int, channels: int, calls: int) -> dict[str, Any]:
        """Time calls with one square image that is wholly valid."""
        image = np.random.default_rng(0).integers(0, 256, (side, side, channels), np.uint8)
        sample = Sample(image, np.ones((side, side), np.bool_))
        times = []
        for _ in range(calls + 1):
            began_s = time.perf_counter()
            self._run([sample])
            times.append(time.perf_counter() - began_s)
        return {"median_s": float(np.median(times[1:]))}

    def _run(self, samples: Sequence[Sample]) -> Any:
        images = np.stack([sample.image for sample in samples]).astype(np.float32)
        masks = np.stack([sample.mask for sample in samples])[..., None]
        return self._signature(image=tf.constant(images), mask=tf.constant(masks))["labels"].numpy()


def main() -> None:
    """Run commands until the input ends."""
    # Other output must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[2]))
    loop = RawLoop(Path(sys.argv[1]))
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(loop, command.pop("do"))(**command)), file=answers)


if __name__ == "__main__":
    main()
