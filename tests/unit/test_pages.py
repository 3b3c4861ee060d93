# SPDX-License-Identifier: Apache-2.0
"""Where the next page is asked for while one is still taken in; what is not as it must be leads nowhere."""

import httpx
import pytest

from comity.ids import parse_instant
from comity.pages import Given, find_next

AT = "2026-01-01T00:00:00.000001Z"
MORE = b'{"more":true,"next":"x","objects":[]}'


def given(*, status: int = 200, body: bytes = MORE, last: str | None = AT) -> Given:
    headers = {} if last is None else {"x-taxii-date-added-last": last}
    return Given(httpx.Response(status, content=body, headers=headers))


@pytest.mark.parametrize("reached", [None, "2025-12-31T00:00:00Z", "2026-01-01T00:00:00.000000Z"])
def test_a_page_with_more_behind_it_leads_to_the_next(reached: str | None) -> None:
    assert find_next(given(), None if reached is None else parse_instant(reached)) == parse_instant(AT)


@pytest.mark.parametrize(
    "answer",
    [
        given(status=404),
        given(body=b'{"objects":[]}'),
        given(body=b"{}"),
        given(last=None),
        given(last="yesterday"),
        given(last="2025-12-31T23:59:59Z"),
        given(last="2026-01-01T00:00:00Z"),
    ],
)
def test_what_is_no_such_page_leads_nowhere(answer: Given) -> None:
    assert find_next(answer, parse_instant("2026-01-01T00:00:00Z")) is None
