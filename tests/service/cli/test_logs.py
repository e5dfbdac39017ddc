import asyncio
import io
import json
import logging
import math
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from service.cli.logs import BatchingHandler, TextFormatter, configure_logging
from tests.support.waiting import let_others_run


@pytest.fixture
def _restored():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
            handler.stream.close()
    root.handlers[:], root.level = handlers, level


@pytest.mark.usefixtures("_restored")
def test_json_is_a_line_an_event_with_its_facts(capfd):
    configure_logging("json")
    logging.getLogger("service").info("request", extra={"status": 200, "color_message": "no"})

    (line,) = capfd.readouterr().err.splitlines()
    content = json.loads(line)
    assert content.pop("time")
    assert content == {"level": "INFO", "logger": "service", "message": "request", "status": 200}


@pytest.mark.usefixtures("_restored")
def test_off_a_terminal_auto_means_json(capfd):
    configure_logging("auto")
    logging.getLogger("service").warning("hello")

    assert json.loads(capfd.readouterr().err)["level"] == "WARNING"


def test_text_ends_with_the_facts():
    record = logging.makeLogRecord(
        {"msg": "request", "levelname": "INFO", "status": 200, "detail": "a rule; a fact"}
    )

    assert (
        TextFormatter()
        .format(record)
        .endswith('INFO    request status=200 detail="a rule; a fact"')
    )


@pytest.mark.usefixtures("_restored")
def test_json_tells_the_time_with_its_zone_and_what_was_raised(capfd):
    configure_logging("json")
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("service").exception("unexpected")

    content = json.loads(capfd.readouterr().err)
    assert datetime.fromisoformat(content["time"]).utcoffset() == timedelta(0)
    assert content["exc_info"].endswith("ValueError: no")


def test_lines_of_one_turn_of_the_loop_are_written_at_its_end():
    written = Counting()
    handler = BatchingHandler(written)

    async def log_twice():
        for number in (1, 2):
            handler.handle(logging.makeLogRecord({"msg": str(number)}))
        assert written.flushes == 0
        await let_others_run()

    asyncio.run(log_twice())

    assert written.getvalue() == "1\n2\n"
    assert written.flushes == 1


def test_a_line_that_no_loop_waits_for_is_written_at_once():
    written = Counting()

    BatchingHandler(written).handle(logging.makeLogRecord({"msg": "now"}))

    assert written.flushes == 1


def test_a_line_from_a_thread_comes_after_those_that_wait():
    written = Counting()
    handler = BatchingHandler(written)

    async def log_beside_a_thread():
        handler.handle(logging.makeLogRecord({"msg": "1"}))
        thread = threading.Thread(target=handler.handle, args=[logging.makeLogRecord({"msg": "2"})])
        thread.start()
        thread.join()
        assert written.getvalue() == "1\n2\n"
        handler.handle(logging.makeLogRecord({"msg": "3"}))
        await let_others_run()

    asyncio.run(log_beside_a_thread())

    assert written.getvalue() == "1\n2\n3\n"


def test_what_cannot_be_told_silences_no_other_line(capsys):
    written = Counting()
    handler = BatchingHandler(written)

    async def log_around_a_fault():
        for message, args in (("1", ()), ("%d", ("two",)), ("3", ())):
            handler.handle(logging.makeLogRecord({"msg": message, "args": args}))
        await let_others_run()

    asyncio.run(log_around_a_fault())

    assert written.getvalue() == "1\n3\n"
    assert "Logging error" in capsys.readouterr().err


@pytest.mark.usefixtures("_restored")
def test_json_tells_what_is_no_json_by_its_text(capfd):
    configure_logging("json")
    facts = {"folder": Path("/models"), "share": float("nan"), "title": "Grün"}
    logging.getLogger("service").info("request", extra=facts)

    content = json.loads(capfd.readouterr().err)
    assert content["folder"] == "/models"
    assert math.isnan(content["share"])
    assert content["title"] == "Grün"


def test_a_log_that_cannot_be_written_disturbs_nobody():
    class Full(Counting):
        def flush(self):
            super().flush()
            raise OSError("no space left on device")

    written, told = Full(), []

    async def log_once():
        asyncio.get_running_loop().set_exception_handler(lambda *about: told.append(about))
        BatchingHandler(written).handle(logging.makeLogRecord({"msg": "lost"}))
        await let_others_run()

    asyncio.run(log_once())

    assert written.flushes == 1
    assert told == []


class Counting(io.StringIO):
    flushes = 0

    def flush(self):
        self.flushes += 1
