import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.memory import MemoryPool


class Claims:
    """Claims of clients on a pool, and the order in which they were granted."""

    def __init__(self, total_bytes, max_share=1.0):
        self.pool = MemoryPool(total_bytes, max_share)
        self.granted = []

    def claim(self, client, claim_bytes, own_bytes=0):
        name = f"{client}{claim_bytes}"
        claim = self.pool.claim(client, claim_bytes, own_bytes)
        if claim.is_granted:
            self.granted.append(name)
        claim.on_grant = lambda: self.granted.append(name)
        return claim


def test_what_fits_is_granted_at_once_and_what_does_not_waits():
    claims = Claims(100)

    first, second = claims.claim("a", 60), claims.claim("b", 50)
    assert claims.granted == ["a60"]
    assert claims.pool.held_bytes == 60
    claims.pool.release(first)

    assert claims.granted == ["a60", "b50"]
    assert second.is_granted
    assert claims.pool.held_bytes == 50


def test_what_is_given_back_early_lets_others_in():
    claims = Claims(100)
    first = claims.claim("a", 90)
    claims.claim("b", 50)

    claims.pool.shrink(first, 51)
    assert claims.granted == ["a90"]
    claims.pool.shrink(first, 50)

    assert claims.granted == ["a90", "b50"]


def test_a_small_claim_does_not_overtake_a_large_one():
    claims = Claims(100)
    first = claims.claim("a", 60)
    claims.claim("b", 80)
    claims.claim("c", 10)

    assert claims.granted == ["a60"]
    claims.pool.release(first)

    assert claims.granted == ["a60", "b80", "c10"]


def test_the_client_that_holds_least_is_next():
    claims = Claims(100)
    held = [claims.claim("a", 30), claims.claim("a", 20), claims.claim("b", 50)]
    claims.claim("a", 40)
    claims.claim("c", 40)

    claims.pool.release(held[2])

    assert claims.granted[3:] == ["c40"]


def test_a_client_with_its_share_waits_and_keeps_nobody_waiting():
    claims = Claims(100, max_share=0.5)
    first = claims.claim("a", 40)
    claims.claim("a", 20)
    claims.claim("b", 30)

    assert claims.granted == ["a40", "b30"]
    claims.pool.release(first)

    assert claims.granted == ["a40", "b30", "a20"]


def test_a_client_that_holds_nothing_may_have_more_than_its_share():
    claims = Claims(100, max_share=0.5)

    claims.claim("a", 100)

    assert claims.granted == ["a100"]


def test_a_request_that_holds_some_memory_may_exceed_the_share_of_its_client():
    claims = Claims(100, max_share=0.5)
    claims.claim("a", 30)

    claims.claim("a", 60, own_bytes=30)

    assert claims.granted == ["a30", "a60"]


def test_a_claim_can_be_asked_about_before_it_is_made():
    claims = Claims(100, max_share=0.5)
    claims.claim("a", 40)

    assert claims.pool.can_grant("a", 10)
    assert not claims.pool.can_grant("a", 11)
    assert claims.pool.can_grant("b", 60)
    assert not claims.pool.can_grant("b", 61)
    claims.claim("c", 70)
    assert not claims.pool.can_grant("b", 1)


def test_no_share_applies_to_clients_that_are_not_known():
    claims = Claims(100, max_share=0.1)

    claims.claim("", 50)
    claims.claim("", 49)

    assert claims.granted == ["50", "49"]


def test_a_claim_that_is_withdrawn_makes_way():
    claims = Claims(100)
    claims.claim("a", 60)
    large = claims.claim("b", 80)
    claims.claim("c", 10)

    claims.pool.release(large)

    assert claims.granted == ["a60", "c10"]
    assert not large.is_granted


def test_a_larger_pool_lets_others_in_and_a_smaller_one_takes_nothing_away():
    claims = Claims(100)
    claims.claim("a", 60)
    claims.claim("b", 50)

    claims.pool.resize(110)
    claims.pool.resize(50)
    claims.claim("c", 10)

    assert claims.granted == ["a60", "b50"]
    assert claims.pool.held_bytes == 110


@pytest.mark.parametrize("claim_bytes", [101, -1])
def test_a_claim_that_could_never_be_granted_is_refused(claim_bytes):
    with pytest.raises(ValueError, match=f"from 0 to 100 bytes; it has {claim_bytes}"):
        Claims(100).claim("a", claim_bytes)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 100), st.integers(0, 5))),
    st.sampled_from([0.3, 0.5, 1.0]),
)
def test_never_more_than_there_is_and_everybody_gets_it_in_the_end(steps, max_share):
    claims, open_claims = Claims(100, max_share), []
    for client, claim_bytes, gone in steps:
        open_claims.append(claims.claim(client, claim_bytes))
        assert claims.pool.held_bytes <= 100
        if gone < len(open_claims):
            claims.pool.release(open_claims.pop(gone))
        assert claims.pool.held_bytes == sum(c.held_bytes for c in open_claims if c.is_granted)

    while open_claims:
        done = [claim for claim in open_claims if claim.is_granted]
        assert done
        for claim in done:
            claims.pool.release(claim)
        open_claims = [claim for claim in open_claims if claim not in done]
    assert claims.pool.held_bytes == 0
