# SPDX-License-Identifier: Apache-2.0
"""What other parties say is meant to break the pages: in a real browser nothing of it runs, and every page holds."""

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser.desks import EVIL, PAGES, RIGHT_TO_LEFT, ServedDesk
from tests.e2e.browser.looking import View, open_page

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

MOST_ROWS = 201
MOST_BYTES = 1_500_000

VIEWS = (
    View(width=390, height=844, scheme="light", scripts=True),
    View(width=1280, height=800, scheme="dark", scripts=True),
)
ELEMENTS = """() => [...document.querySelectorAll('script,img,svg,iframe,object,embed,base,form')]
  .filter(e => !(e.tagName === 'SCRIPT' && e.getAttribute('src')?.startsWith('/static/')))
  .filter(e => !(e.tagName === 'FORM' && /^[/]/.test(e.getAttribute('action') ?? '/')))
  .filter(e => !(e.tagName === 'svg' && ![e, ...e.querySelectorAll('*')].some(inner =>
    [...inner.attributes].some(attribute => attribute.value.includes('window.ran')))))
  .map(e => e.outerHTML.slice(0, 100))"""
LEFT_TO_RIGHT = "() => getComputedStyle(document.querySelector('h1')).direction"


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_nothing_of_it_runs_and_pages_hold(chromium: Browser, hostile_desk: ServedDesk, view: View) -> None:
    """`open_page` fails if the browser had to stop anything: what is markup here would be a violation of the policy."""
    shown, wide = set[str](), dict[str, list[str]]()
    with open_page(chromium, hostile_desk.url, view, cookies=hostile_desk.cookies) as look:
        for address in hostile_desk.list_addresses():
            look.go(address)
            assert look.page.evaluate("() => window.ran") is None, address
            assert look.page.evaluate(ELEMENTS) == [], address
            assert look.page.evaluate(LEFT_TO_RIGHT) == "ltr", address
            assert look.page.locator("a[href^='javascript:' i]").count() == 0, address
            if found := look.find_overflow():
                wide[address] = found
            if EVIL[:40] in look.page.locator("body").inner_text():
                shown.add(address)
    assert wide == {}
    assert shown, "nothing hostile was shown: nothing was tested"


def test_controls_that_turn_the_text_around_are_shown_and_do_not_work(
    chromium: Browser, hostile_desk: ServedDesk
) -> None:
    controls = [
        letter for letter in RIGHT_TO_LEFT if letter in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    ]
    assert controls
    with open_page(chromium, hostile_desk.url, VIEWS[0], cookies=hostile_desk.cookies) as look:
        for address in hostile_desk.list_addresses():
            look.go(address)
            text = look.page.locator("body").inner_text()
            assert not any(control in text for control in controls), address


def test_every_page_is_bounded(chromium: Browser, crowded_desk: ServedDesk) -> None:
    """However much there is: a page has so many rows, and a link to more."""
    with open_page(chromium, crowded_desk.url, VIEWS[1], cookies=crowded_desk.cookies) as look:
        for address in crowded_desk.list_addresses():
            answer = look.go(address)
            assert look.page.locator("main tr, main li").count() <= MOST_ROWS, address
            assert len(answer.body()) <= MOST_BYTES, address
        for page in {"/log", "/objects"} & set(PAGES):
            look.go(page)
            assert look.page.locator("main a[href*='?']").count() > 0, page
