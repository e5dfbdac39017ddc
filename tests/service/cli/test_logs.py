import json
import logging

import pytest

from service.cli.logs import TextFormatter, configure_logging


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
