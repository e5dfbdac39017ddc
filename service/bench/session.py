"""A whole measurement of a server that is running."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from service.bench.ask import answer_alone, find_model
from service.bench.load import run_load
from service.bench.plan import Plan
from service.bench.question import Address, build_question
from service.bench.report import Report, make_report
from service.bench.workload import Workload, draw_samples


async def measure_server(
    address: Address,
    workload: Workload,
    plan: Plan,
    model: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Report:
    """Ask every image alone, then all of them at once, and compare.

    Args:
        address: of the server.
        workload: what to ask. Its number of channels is replaced by what the model takes.
        plan: how to load the server.
        model: name of the model; None for the only one.
        tell: hears what is being done.

    Raises:
        UnansweredError: if the server does not answer, serves no such model, or fails to answer an
            image that is asked alone.
    """
    tell(f"asking what is served at {address.host}:{address.port}")
    served = await find_model(address, model, plan.timeout_s)
    workload = dataclasses.replace(workload, channels=served.channels)
    tell(f"drawing {workload.images} images")
    fields = {} if model is None else {"model": model}
    questions = [build_question(address, sample, fields) for sample in draw_samples(workload)]
    tell(f"asking each of {workload.images} images alone")
    questions = await answer_alone(address, questions, plan.timeout_s)
    tell("measuring")
    return make_report(await run_load(address, questions, plan), questions)
