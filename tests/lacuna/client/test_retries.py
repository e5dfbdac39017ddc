import asyncio

import httpx2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacuna.client import AsyncClient, Client, RetryPolicy, TimedOutError, UnreachableError
from lacuna.client.failures import Failure
from lacuna.client.retries import choose_wait
from lacuna.errors import (
    InvalidImageError,
    LacunaError,
    MalformedRequestError,
    NotReadyError,
    OverloadedError,
)
from tests.lacuna.client.scripts import FINE, Script, Time, refuse

IMAGE = np.zeros((1, 2), np.uint8)
PASSING = Failure(LacunaError("?"), may_pass=True)
GONE = httpx2.ConnectError("nobody there")


def ask(script, policy=None):
    """Ask once, with a client that waits for nothing; give the answer and what it slept."""
    time = Time()
    with Client(
        "http://server", transport=script, retry=policy, clock=time.clock, sleep=time.sleep
    ) as client:
        return client.segment(IMAGE), time.sleeps


def test_a_refusal_is_asked_again_no_sooner_than_the_server_says():
    script = Script(refuse(429, retry_after="7"), refuse(503, "not_ready", retry_after="3"), FINE)

    result, sleeps = ask(script)

    assert result.labels.tolist() == [[0, 255]]
    assert 7 <= sleeps[0] <= 7.7
    assert 3 <= sleeps[1] <= 3.3
    assert len(sleeps) == 2


@pytest.mark.parametrize("protocol", ["native", "oip", "tfserving"])
@pytest.mark.parametrize("status", [429, 503])
def test_every_protocol_waits_as_long_as_the_server_says(protocol, status):
    time, script = Time(), Script(refuse(status, retry_after="7"), refuse(400, "malformed_request"))

    with (
        Client(
            "http://server",
            protocol=protocol,
            transport=script,
            clock=time.clock,
            sleep=time.sleep,
        ) as client,
        pytest.raises(MalformedRequestError),
    ):
        client.segment(IMAGE, model="fake", version=1)
    assert len(time.sleeps) == 1
    assert 7 <= time.sleeps[0] <= 7.7


@pytest.mark.parametrize("text", ["0", "Sun, 06 Nov 1994 08:49:37 GMT"])
def test_a_server_that_says_at_once_is_not_hammered(text):
    script = Script(*[refuse(429, retry_after=text)] * 5, FINE)

    _, sleeps = ask(script)

    assert all(seconds >= RetryPolicy().first_wait_s / 2 for seconds in sleeps)
    assert sum(sleeps) > 1


def test_the_same_bytes_are_sent_again():
    script = Script(refuse(429), FINE)

    ask(script)

    first, second = (request.read() for request in script.requests)
    assert first == second


def test_an_async_client_waits_the_same_way():
    time, script = Time(), Script(refuse(429, retry_after="7"), FINE)

    async def run():
        async with AsyncClient(
            "http://server", transport=script, clock=time.clock, sleep=time.asleep
        ) as client:
            return await client.segment(IMAGE)

    assert asyncio.run(run()).areas["dark"].pixels == 1
    assert 7 <= time.sleeps[0] <= 7.7


def test_patience_ends_and_the_last_refusal_is_raised():
    with pytest.raises(OverloadedError, match="said the server") as caught:
        ask(Script(refuse(429, retry_after="7")), RetryPolicy(patience_s=20))
    assert caught.value.retry_after_s == 7


def test_a_wait_beyond_patience_is_not_begun():
    script = Script(refuse(503, "not_ready", retry_after="61"), FINE)

    with pytest.raises(NotReadyError):
        ask(script, RetryPolicy(patience_s=60))
    assert len(script.requests) == 1


def test_without_patience_there_is_one_try():
    script = Script(refuse(429), FINE)

    with pytest.raises(OverloadedError):
        ask(script, RetryPolicy(0))
    assert len(script.requests) == 1


def test_a_request_that_is_at_fault_is_not_asked_again():
    script = Script(refuse(422, "invalid_image"), FINE)

    with pytest.raises(InvalidImageError):
        ask(script)
    assert len(script.requests) == 1


def test_a_server_that_was_there_is_waited_for():
    script = Script(refuse(429, retry_after="1"), *[GONE] * 9, FINE)

    _, sleeps = ask(script)

    assert sum(sleeps) > 10


def test_a_server_that_never_was_there_is_given_up_soon():
    time = Time()
    client = Client("http://typo", transport=Script(GONE), clock=time.clock, sleep=time.sleep)

    with client, pytest.raises(UnreachableError, match="http://typo does not: nobody there"):
        client.segment(IMAGE)
    assert 0 < sum(time.sleeps) <= RetryPolicy().first_answer_s


@pytest.mark.parametrize(
    "fault", [httpx2.ReadError("reset"), httpx2.RemoteProtocolError("disconnected"), GONE]
)
def test_a_connection_that_breaks_is_made_again(fault):
    assert ask(Script(fault, FINE))[0].model == "fake"


def test_a_server_that_is_too_slow_is_not_asked_twice():
    script = Script(httpx2.ReadTimeout("too slow"), FINE)

    with pytest.raises(TimedOutError, match="in time"):
        ask(script)
    assert len(script.requests) == 1


@given(
    tries=st.integers(1, 10_000),
    elapsed_s=st.floats(0, 1e6),
    chance=st.floats(0, 1),
    retry_after_s=st.none() | st.floats(0, 1e6),
    patience_s=st.floats(0, 1e6),
)
def test_no_wait_goes_beyond_patience_nor_before_the_servers_word(
    tries, elapsed_s, chance, retry_after_s, patience_s
):
    policy = RetryPolicy(patience_s)
    failure = Failure(LacunaError("?"), True, retry_after_s)

    wait_s = choose_wait(policy, failure, tries, elapsed_s, chance)

    if wait_s is not None:
        assert 0 <= elapsed_s + wait_s <= patience_s
        assert wait_s >= (retry_after_s or 0)
        assert retry_after_s or policy.first_wait_s / 2 <= wait_s <= policy.max_wait_s


def test_waits_double_up_to_the_longest():
    policy = RetryPolicy(patience_s=1e9, first_wait_s=0.5, max_wait_s=3)

    waits = [choose_wait(policy, PASSING, tries, 0, 1.0) for tries in range(1, 6)]

    assert waits == [0.5, 1, 2, 3, 3]


def test_seconds_below_zero_are_refused():
    with pytest.raises(ValueError, match="at least 0"):
        RetryPolicy(-1)
