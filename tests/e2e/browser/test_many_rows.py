# SPDX-License-Identifier: Apache-2.0
"""Before 100,000 objects, releases, entries of the log and things to do each page holds, and leads to more."""

from http import HTTPStatus

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser.desks import ServedDesk
from tests.e2e.browser.looking import View, open_page

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

WIDE = View(width=1280, height=800, scheme="light", scripts=True)
NARROW = View(width=390, height=844, scheme="dark", scripts=False)
MOST_BYTES = 300_000
MOST_ROWS = 201
PAGED = (
    "/objects",
    "/objects?type=report",
    "/objects?id=indicator--",
    "/log",
    "/log?q=to:borealia",
    "/?only=ends",
    "/assessments",
    "/assessments?state=ending",
)
"""Each has more rows than it shows."""


@pytest.mark.parametrize("view", [WIDE, NARROW], ids=str)
def test_every_page_is_bounded_and_fits(chromium: Browser, long_desk: ServedDesk, view: View) -> None:
    with open_page(chromium, long_desk.url, view, cookies=long_desk.cookies) as look:
        for address in dict.fromkeys([*long_desk.list_addresses(), *PAGED]):
            answer = look.go(address)
            assert answer.status == HTTPStatus.OK, address
            assert len(answer.body()) <= MOST_BYTES, address
            assert look.page.locator("main tr, main li").count() <= MOST_ROWS, address
            assert look.find_overflow() == [], address


@pytest.mark.parametrize("page", ["/objects", "/log"])
def test_what_is_behind_a_page_is_reached_by_its_link(chromium: Browser, long_desk: ServedDesk, page: str) -> None:
    with open_page(chromium, long_desk.url, WIDE, cookies=long_desk.cookies) as look:
        look.go(page)
        seen = set[str]()
        for _ in range(3):
            shown = set(look.page.locator("main tbody tr").all_inner_texts())
            assert len(shown) > 10
            assert not shown & seen
            seen |= shown
            look.page.locator("main a[href*='before=']").last.click()
            look.page.wait_for_load_state()


def test_what_there_is_to_do_is_counted_and_paged(chromium: Browser, long_desk: ServedDesk) -> None:
    with open_page(chromium, long_desk.url, WIDE, cookies=long_desk.cookies) as look:
        look.go("/")
        assert look.page.locator("main tr, main li").count() > 10
        look.go("/?only=ends&page=2")
        assert look.page.locator("main tr, main li").count() > 50
        look.go("/?only=ends&page=900")
        assert "more threat assessments" in look.page.locator("main").inner_text()
        look.page.get_by_role("link", name="All of them, and to do this here").click()
        look.page.wait_for_load_state()
        assert look.page.locator("main tbody tr").count() == 100
