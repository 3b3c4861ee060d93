# SPDX-License-Identifier: Apache-2.0
"""Buckets: how much a taker can have in a time, by any sequence of takings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.taxii import rates
from comity.taxii.rates import Buckets, find_neighbourhood, is_loopback


def test_a_full_bucket_gives_what_it_holds_and_then_at_its_rate() -> None:
    buckets = Buckets(rate=2, most=3)
    given_at_once = 0
    while not buckets.wait("a", now=10):
        buckets.charge("a", 1, now=10)
        given_at_once += 1
    assert given_at_once == 3
    assert buckets.wait("a", now=10) == pytest.approx(0.5)
    assert buckets.wait("a", now=10.25) == pytest.approx(0.25)
    assert buckets.wait("a", now=10.5) == 0


def test_one_taker_takes_nothing_from_another() -> None:
    buckets = Buckets(rate=1, most=1)
    buckets.charge("a", 1, now=0)
    assert buckets.wait("a", now=0) > 0
    assert buckets.wait("b", now=0) == 0


def test_what_is_charged_afterwards_has_to_be_waited_for() -> None:
    buckets = Buckets(rate=10, most=10)
    buckets.charge("a", 110, now=0)
    assert buckets.wait("a", now=0) == pytest.approx(10.1)
    assert buckets.wait("a", now=10) == pytest.approx(0.1)
    assert buckets.wait("a", now=10.2) == 0


def test_a_clock_that_goes_back_gives_nothing() -> None:
    buckets = Buckets(rate=1, most=5)
    buckets.charge("a", 5, now=100)
    assert buckets.wait("a", now=0) == 1


def test_no_more_takers_are_kept_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_MOST_TAKERS", 3)
    buckets = Buckets(rate=1, most=1)
    for number in range(10):
        buckets.charge(str(number), 1, now=0)
    assert len(buckets) == 3
    assert [buckets.wait(str(number), now=0) > 0 for number in range(10)] == [False] * 7 + [True] * 3


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 4)), max_size=60), st.integers(1, 20), st.integers(1, 20))
def test_nobody_has_more_than_the_burst_and_the_rate_over_the_time(
    steps: list[tuple[float, int]], rate: int, most: int
) -> None:
    buckets, now, taken, last = Buckets(rate=rate, most=most), 0.0, 0, 0
    for pause, cost in steps:
        now += pause
        if not buckets.wait("a", now=now):
            buckets.charge("a", cost, now=now)
            taken, last = taken + cost, cost
    assert taken <= most + rate * now + last + 1e-6


@pytest.mark.parametrize(
    ("address", "neighbourhood"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9%eth0", "2001:db8:1:2::/64"),
        ("", ""),
        ("nonsense", "nonsense"),
    ],
)
def test_who_has_one_address_of_a_neighbourhood_has_all(address: str, neighbourhood: str) -> None:
    assert find_neighbourhood(address) == neighbourhood


@pytest.mark.parametrize(
    ("address", "here"), [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("192.0.2.1", False), ("x", False)]
)
def test_loopback_is_this_machine(address: str, here: bool) -> None:
    assert is_loopback(address) is here
