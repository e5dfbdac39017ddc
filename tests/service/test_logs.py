import ast
import asyncio
import io
import json
import logging
import math
import os
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from service.logs import (
    OUR_LOGGERS,
    BatchingHandler,
    JsonFormatter,
    TextFormatter,
    configure_logging,
)
from tests.support.waiting import let_others_run


@pytest.fixture
def _restored():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    ours = {logging.getLogger(name): logging.getLogger(name).level for name in OUR_LOGGERS}
    yield
    for logger, before in ours.items():
        logger.setLevel(before)
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


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_fields_of_other_libraries_are_left_out(formatter):
    plain = logging.makeLogRecord({"msg": "request", "created": 0, "status": 200})
    marked = logging.makeLogRecord({**vars(plain), "_ray_timestamp_ns": 1795934003024439894})

    assert formatter.format(marked) == formatter.format(plain)


def format_text(message="request", **facts):
    record = logging.makeLogRecord({"msg": message, "levelname": "INFO", **facts})
    return TextFormatter().format(record)


FORGERIES = [
    "/v1\n12:00:00 INFO    request status=200",
    "/v1\r\nX",
    "/v1\x85X",  # the next line of C1
    "/v1\u2028X",
    "/v1\x1b[2J\x1b[1;31m",
    "/v1\x9b2J",
    "/v1\x00\x07\x08\x7f",
    "/v1\u202e002=sutats",  # reads backwards
    "/v1\udc80",
    '/v1" status="200',
    "/v1\\",
    "/v1\xa0status=200",
]


@pytest.mark.parametrize("text", FORGERIES)
def test_no_value_leaves_its_field_or_its_line(text):
    line = format_text(path=text, status=404)

    assert line.isprintable()
    head, _, value = line.partition(" path=")
    assert head.endswith("INFO    request")
    # The value is one literal of Python, and nothing but the status follows.
    literal, _, rest = value.rpartition(" status=")
    assert ast.literal_eval(literal) == text
    assert rest == "404"


@pytest.mark.parametrize("text", FORGERIES)
def test_no_message_leaves_its_line(text):
    assert format_text(f"the model failed: {text}").isprintable()


@pytest.mark.parametrize("text", ["Grün", "漢字", "a=b", "/v1/models/x", "a'b"])
def test_what_can_be_read_is_written_as_it_is(text):
    assert format_text(path=text).endswith(f" path={text}")


def test_the_words_of_an_exception_begin_no_line():
    try:
        raise ValueError("no\n12:00:00 INFO    request status=200\n\x1b[2J")
    except ValueError:
        text = format_text("unexpected", exc_info=sys.exc_info())

    first, *others = text.split("\n")
    assert first.endswith("INFO    unexpected")
    assert "    12:00:00 INFO    request status=200" in others
    assert all(line.startswith("    ") and line.isprintable() for line in others)


def test_json_is_one_line_whatever_it_tells():
    for text in FORGERIES:
        record = logging.makeLogRecord({"msg": f"no: {text}", "path": text})
        line = JsonFormatter().format(record)

        assert line.isascii()
        assert line.isprintable()
        assert json.loads(line)["path"] == text


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize(
    ("level", "ours", "others"),
    [
        ("debug", ["DEBUG", "INFO", "WARNING"], ["INFO", "WARNING"]),
        ("info", ["INFO", "WARNING"], ["INFO", "WARNING"]),
        ("warning", ["WARNING"], ["WARNING"]),
        ("error", [], []),
    ],
)
def test_lines_below_the_level_are_left_out(capfd, level, ours, others):
    configure_logging("json", level)
    for name in ("service.web", "other"):
        for method in ("debug", "info", "warning"):
            getattr(logging.getLogger(name), method)(name)

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["level"] for line in lines if line["logger"] == "service.web"] == ours
    assert [line["level"] for line in lines if line["logger"] == "other"] == others


LOG_A_LETTER = r"""
import logging
from service.logs import configure_logging
configure_logging("text")
logging.getLogger("service").info("request", extra={"path": "/\u6f22"})
"""


def test_a_letter_that_the_encoding_of_the_log_lacks_is_escaped():
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", LOG_A_LETTER],
        env=os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=True,
        timeout=60,
    )

    assert done.stderr.rstrip().endswith(rb" path=/\u6f22")


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
