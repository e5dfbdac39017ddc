"""A run of `lacuna segment`: images through an engine, servers or a cluster, then scenes."""

from __future__ import annotations

import asyncio
import itertools
import warnings
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from lacuna.cli.segment_plan import ImagePlan
from lacuna.cli.segment_progress import show_images, show_scenes
from lacuna.cli.segment_run import ImageFailure, ImageSuccess, SegmentImage, run_plans
from lacuna.cli.segment_scenes import open_scene_runner, run_tasks, take_refused
from lacuna.client import AsyncClient, Question, Result, RetryPolicy
from lacuna.errors import LacunaWarning
from lacuna.outputs import find_by_suffix
from lacuna.plugins import ClusterOptions, load_cluster_images, load_local_images

if TYPE_CHECKING:
    from lacuna.scenes.task import SceneTask


def run_session(
    pictures: Sequence[ImagePlan],
    scenes: Sequence[ImagePlan],
    make: Callable[[Sequence[ImagePlan]], Mapping[ImagePlan, SceneTask]],
    concurrency: int,
    options: dict[str, Any],
) -> tuple[list[ImageSuccess], list[ImageFailure]]:
    """Segment images and scenes.

    Args:
        pictures: images that are segmented as a whole.
        scenes: images that are segmented in windows.
        make: makes the tasks of scenes.
        concurrency: number of images that are segmented at once.
        options: options of the command.

    Returns:
        Those that were segmented, and those that failed. After an error that all others would
        have too, the rest is in neither.

    Raises:
        ClickException: if the user stops it.
    """
    succeeded: list[ImageSuccess] = []
    failed: list[ImageFailure] = []

    def note(outcome: ImageSuccess | ImageFailure) -> None:
        if isinstance(outcome, ImageSuccess):
            succeeded.append(outcome)
        else:
            failed.append(outcome)

    preparation = _describe_preparation(options)

    async def run() -> None:
        if pictures:
            probabilities = any(
                find_by_suffix(plan.output.suffix).has_probabilities for plan in pictures
            )
            with show_images(len(pictures), preparation) as bar:

                def note_image(outcome: ImageSuccess | ImageFailure) -> None:
                    note(outcome)
                    bar.advance()

                async with _open(options, probabilities=probabilities) as segment_image:
                    bar.begin()
                    await run_plans(pictures, segment_image, concurrency, note_image)
        refused = [] if options["as_images"] else take_refused(failed)
        tasks = make([*scenes, *refused])
        if tasks:
            with show_scenes(preparation) as show:
                await run_tasks(tasks, lambda: open_scene_runner(options), show, note)

    with warnings.catch_warnings():
        # They are told in the end, once for all images.
        warnings.simplefilter("ignore", LacunaWarning)
        try:
            asyncio.run(run())
        except KeyboardInterrupt:
            done = f"{len(succeeded)} of {len(pictures) + len(scenes)} images"
            raise click.ClickException(
                f"stopped after {done}; --resume goes on from there"
            ) from None
    return succeeded, failed


def _describe_preparation(options: Mapping[str, Any]) -> str:
    if options["url"]:
        return "asking the server"
    return "starting workers …" if options["ray"] else "loading the model …"


@asynccontextmanager
async def _open(options: dict[str, Any], *, probabilities: bool) -> AsyncIterator[SegmentImage]:
    target = {
        name: options[name]
        for name in ("model", "version", "nodata", "timeout_s", "stretch", "bands", "alpha")
    }
    async with AsyncExitStack() as stack:
        if options["ray"]:
            cluster = ClusterOptions(options["ray"], options["workers"], options["patience_s"])
            open_models = load_cluster_images()
            models = open_models(
                cluster, options["model_repository"], target, probabilities=probabilities
            )
            yield await stack.enter_async_context(models)
            return
        if not options["url"]:
            open_models = load_local_images()
            models = open_models(options["model_repository"], target, probabilities=probabilities)
            yield await stack.enter_async_context(models)
            return
        clients = [
            await stack.enter_async_context(
                AsyncClient(
                    url,
                    api_key=options["api_key"],
                    retry=RetryPolicy(options["patience_s"]),
                    protocol=options["protocol"],
                )
            )
            for url in options["url"]
        ]
        turns = itertools.cycle(clients)

        async def segment_image(plan: ImagePlan) -> Result:
            # Only JSON names the version of the model that answered, and where the image lies.
            brief = find_by_suffix(plan.output.suffix).place == "unused"
            question = Question(
                plan.image,
                plan.mask,
                probabilities,
                brief,
                takes_sidecar=plan.takes_sidecar,
                **target,
            )
            return await next(turns).ask(question)

        yield segment_image
