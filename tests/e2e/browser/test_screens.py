# SPDX-License-Identifier: Apache-2.0
"""Every page of the console in a real browser: with and without scripts, narrow and wide, by light and in the dark."""

from http import HTTPStatus
from urllib.parse import urljoin

import httpx
import pytest
from playwright.sync_api import Browser

from tests.e2e.browser.desks import PAGES, ServedDesk
from tests.e2e.browser.looking import (
    VIEWS,
    View,
    find_barriers,
    find_faulty_headings,
    open_page,
    tab_through,
)

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

WIDE = View(width=1280, height=800, scheme="light", scripts=True)
NARROW_AND_DARK = View(width=390, height=844, scheme="dark", scripts=True)
MOST_BYTES = 300_000
TARGETS = "() => [...document.querySelectorAll('[href],[src]')].map(e => e.getAttribute(e.src ? 'src' : 'href'))"

NOT_LINKED: tuple[str, ...] = ("/jobs", "/jobs/{number}", "/intake/take")
"""Pages that nothing leads to before somebody has begun some work."""

REACHED = [page for page in PAGES if page not in NOT_LINKED]


@pytest.mark.parametrize("page", REACHED)
def test_links_lead_to_it(desk: ServedDesk, page: str) -> None:
    assert desk.find(page) != []


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_pages_fit_the_window_and_the_browser_has_no_complaint(chromium: Browser, desk: ServedDesk, view: View) -> None:
    wide = dict[str, list[str]]()
    with open_page(chromium, desk.url, view, cookies=desk.cookies) as look:
        for address in desk.list_addresses():
            assert look.go(address).status == HTTPStatus.OK
            assert look.page.locator("main").is_visible()
            if found := look.find_overflow():
                wide[address] = found
    assert wide == {}


@pytest.mark.parametrize("view", [WIDE, NARROW_AND_DARK], ids=str)
def test_nobody_is_kept_out(chromium: Browser, desk: ServedDesk, view: View) -> None:
    found = list[str]()
    with open_page(chromium, desk.url, view, cookies=desk.cookies) as look:
        for address in desk.list_addresses():
            look.go(address)
            barriers = [*find_barriers(look.page), *find_faulty_headings(look.page)]
            found += [f"{address}: {barrier}" for barrier in barriers]
    assert found == []


def test_the_keyboard_is_enough(chromium: Browser, desk: ServedDesk) -> None:
    found = list[str]()
    with open_page(chromium, desk.url, WIDE, cookies=desk.cookies) as look:
        for address in desk.list_addresses():
            look.go(address)
            found += [f"{address}: {fault}" for fault in tab_through(look.page)]
    assert found == []


def test_the_first_stop_leads_past_the_menu(chromium: Browser, desk: ServedDesk) -> None:
    with open_page(chromium, desk.url, WIDE, cookies=desk.cookies) as look:
        look.go("/people")
        look.page.keyboard.press("Tab")
        skip = look.page.locator("a.skip")
        assert skip.evaluate("e => e === document.activeElement")
        box = skip.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        look.page.keyboard.press("Enter")
        look.page.keyboard.press("Tab")
        assert look.page.evaluate("() => document.activeElement.closest('header')") is None


def test_a_link_is_followed_by_enter(chromium: Browser, desk: ServedDesk) -> None:
    with open_page(chromium, desk.url, WIDE, cookies=desk.cookies) as look:
        look.go("/")
        look.page.get_by_role("link", name="People").focus()
        look.page.keyboard.press("Enter")
        look.page.wait_for_url("**/people")
        assert look.page.get_by_role("heading", level=1).inner_text() == "People"


def test_whatever_a_page_leads_to_is_there(chromium: Browser, desk: ServedDesk) -> None:
    """Links, images, scripts and style sheets of every page, each asked for once."""
    targets = dict[str, str]()
    with open_page(chromium, desk.url, WIDE, cookies=desk.cookies) as look:
        for address in desk.list_addresses():
            look.go(address)
            found: list[str] = look.page.evaluate(TARGETS)
            targets |= {urljoin(desk.url + address, target).partition("#")[0]: address for target in found}
    del targets["data:,"]
    missing = list[str]()
    with httpx.Client(cookies=desk.cookies, trust_env=False, timeout=30) as client:
        for target, address in targets.items():
            if not target.startswith(f"{desk.url}/"):
                missing.append(f"{target} on {address} is elsewhere")
            elif (status := client.get(target).status_code) not in {200, 303}:
                missing.append(f"{target} on {address}: {status}")
    assert missing == []


def test_the_first_page_is_light(chromium: Browser, desk: ServedDesk) -> None:
    taken = list[int]()
    with open_page(chromium, desk.url, WIDE, cookies=desk.cookies) as look:
        look.page.on("response", lambda answer: taken.append(len(answer.body()) if answer.url[:4] != "data" else 0))
        look.go("/")
        look.page.wait_for_load_state("networkidle")
    assert len(taken) > 1
    assert sum(taken) <= MOST_BYTES
