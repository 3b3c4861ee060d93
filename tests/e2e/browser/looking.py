# SPDX-License-Identifier: Apache-2.0
"""What is looked for on every page: what the browser itself complains of, and what people would."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Page, Request, Response, expect

from tests.e2e.conftest import PATIENCE

__all__ = ["MILLISECONDS", "VIEWS", "Look", "View", "find_barriers", "find_faulty_headings", "open_page", "tab_through"]

MILLISECONDS = PATIENCE * 1_000
"""What Playwright may wait for anything."""

expect.set_options(timeout=MILLISECONDS)
_MOST_STOPS = 50
_MOST_PRESSES = 120

_OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const wide = [...document.body.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > width + 1);
  return wide.slice(0, 8).map(e => `${e.tagName.toLowerCase()}.${e.className}: ${e.textContent.slice(0, 40)}`);
}"""

_HEADINGS = "() => [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(e => [Number(e.tagName[1]), e.textContent])"

_STOPS = """() => {
  const all = document.querySelectorAll('a[href],button,input,select,textarea,summary,[tabindex]');
  const groups = new Set();
  const stops = [...all].filter(e => {
    if (e.type === 'hidden' || e.disabled || e.tabIndex < 0 || !e.checkVisibility()) return false;
    if (e.type !== 'radio') return true;
    const first = !groups.has(e.name);
    groups.add(e.name);
    return first;
  });
  stops.forEach((e, i) => { e.dataset.stop = String(i); });
  document.querySelectorAll('input[type=radio]').forEach(e => {
    e.dataset.stop ??= String(stops.findIndex(s => s.type === 'radio' && s.name === e.name));
  });
  window.looks = e => {
    const s = getComputedStyle(e);
    return [s.outlineStyle === 'none' ? '' : s.outline, s.boxShadow, s.backgroundColor].join();
  };
  window.plain = stops.map(window.looks);
  return stops.map(e => `${e.tagName.toLowerCase()} ${e.name || e.getAttribute('href') || e.textContent.trim()}`);
}"""

_FOCUSED = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const stop = e.dataset.stop === undefined ? null : Number(e.dataset.stop);
  const scrolls = e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight;
  const shown = stop === null || window.looks(e) !== window.plain[stop];
  const inside = /^(date|time|datetime-local|month|week)$/.test(e.type ?? '');
  return { stop, scrolls, shown, inside, tag: e.outerHTML.slice(0, 80) };
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How somebody looks at a page."""

    width: int
    height: int
    scheme: Literal["light", "dark"]
    scripts: bool

    def __str__(self) -> str:
        return f"{self.width}-{self.scheme}-{'scripts' if self.scripts else 'no-scripts'}"


VIEWS = tuple(
    View(width=width, height=height, scheme=scheme, scripts=scripts)
    for width, height in ((390, 844), (1280, 800))
    for scheme in ("light", "dark")
    for scripts in (True, False)
)


@dataclass(kw_only=True)  # Playwright hangs what it wraps on the object whose method listens
class Look:
    """A page that is open, and what the browser complained of meanwhile."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)

    def go(self, address: str) -> Response:
        """Open another page of the console."""
        answer = self.page.goto(self.url + address)
        assert answer is not None
        return answer

    def find_overflow(self) -> list[str]:
        """What makes the page wider than the window; empty: nothing does."""
        return list(self.page.evaluate(_OVERFLOW))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._blame(f"{message.type}: {message.text}")

    def _see(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:")):
            self._blame(f"asked elsewhere: {request.url}")

    def _fail(self, error: Error) -> None:
        self._blame(f"failed: {error}")

    def _dismiss(self, dialog: Dialog) -> None:
        self._blame(f"asked: {dialog.message}")
        dialog.dismiss()

    def _blame(self, what: str) -> None:
        self.faults.append(f"{self.page.url.removeprefix(self.url)}: {what}")


@contextmanager
def open_page(browser: Browser, url: str, view: View, *, cookies: dict[str, str] | None = None) -> Iterator[Look]:
    """A context of its own with one empty page, which must not have complained of anything when the block ends."""
    context = browser.new_context(
        viewport={"width": view.width, "height": view.height},
        color_scheme=view.scheme,
        java_script_enabled=view.scripts,
        reduced_motion="reduce",
    )
    context.add_cookies([{"name": name, "value": value, "url": url} for name, value in (cookies or {}).items()])
    page = context.new_page()
    page.set_default_timeout(MILLISECONDS)
    look = Look(page=page, url=url)
    page.on("console", look._hear)
    page.on("pageerror", look._fail)
    page.on("request", look._see)
    page.on("dialog", look._dismiss)
    try:
        yield look
        assert look.faults == []
    finally:
        context.close()


def find_barriers(page: Page) -> list[str]:
    """What axe says keeps people out: rule, place and why."""
    violations: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {' '.join(map(str, node['target']))}: {node.get('failureSummary', '')}"
        for violation in violations
        for node in violation["nodes"]
    ]


def find_faulty_headings(page: Page) -> list[str]:
    """Headings out of order: a page has one first heading, at its begin, and no level is left out."""
    headings: list[tuple[int, str]] = page.evaluate(_HEADINGS)
    levels = [level for level, _ in headings]
    faults = [f"empty: h{level}" for level, text in headings if not text.strip()]
    if levels.count(1) != 1 or levels[0] != 1:
        faults.append(f"not one first heading: {headings}")
    faults += [f"h{before} before h{after}" for before, after in pairwise(levels) if after > before + 1]
    return faults


def tab_through(page: Page) -> list[str]:
    """Whatever is wrong with going through the page by the Tab key alone."""
    stops: list[str] = page.evaluate(_STOPS)
    reached, faults = list[int](), list[str]()
    for _ in range(_MOST_PRESSES):
        if len(reached) == min(len(stops), _MOST_STOPS):
            break
        page.keyboard.press("Tab")
        focused = page.evaluate(_FOCUSED)
        if focused is None:
            break
        if focused["inside"] and reached and reached[-1] == focused["stop"]:
            continue
        if not focused["shown"]:
            faults.append(f"that it has the focus does not show: {focused['tag']}")
        if focused["stop"] is not None:
            reached.append(focused["stop"])
        elif not focused["scrolls"]:
            faults.append(f"stops at what is no control: {focused['tag']}")
    if len(reached) < min(len(stops), _MOST_STOPS):
        faults.append(f"not reached: {stops[len(reached)]}")
    if reached != list(range(len(reached))):
        faults.append(f"not in the order of the page: {[stops[number] for number in reached]}")
    return faults
