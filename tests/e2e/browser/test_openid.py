# SPDX-License-Identifier: Apache-2.0
"""Somebody enrols and signs in by a real OpenID provider, in a real browser, with scripts and without."""

import asyncio
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page

from comity.agreement.people import Role
from comity.config import Address, ConsoleSetting
from comity.console.provider import RETURN_PATH, Provider
from comity.console.serving import ConsoleServer
from comity.ids import PersonId
from comity.node.accounts import find_account_of
from comity.node.clock import read_clock
from comity.node.invitations import invite_person
from comity.node.people import remove_person
from comity.node.sessions import end_sessions
from comity.node.tokens import verify_id_token
from comity.openid import OidcSetting
from tests.consoles import Desk
from tests.e2e.browser.looking import View, find_barriers, find_faulty_headings, open_page
from tests.e2e.browser.oidc_provider import PASSWORD
from tests.worlds import World

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

CLIENT, SECRET = "comity-console", "a-client-secret-of-a-test"
NAME = "the staff directory"
NARROW_AND_DARK = View(width=390, height=844, scheme="dark", scripts=True)


def find_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Served:
    """The console at `url`, whose provider is at another site: `localhost` here, a number there."""

    world: World
    url: str
    issuer: str

    def invite(self, person: str) -> str:
        node = self.world.nodes["aurelia"]
        return invite_person(node, self.world.register("aurelia", person, Role.ANALYST).person).code


@contextmanager
def serve_provider(return_url: str) -> Iterator[str]:
    """The issuer of a provider that runs until the block ends; it knows olga and mallory."""
    port = find_port()
    program = Path(__file__).with_name("oidc_provider.py")
    command = [sys.executable, str(program), str(port), CLIENT, SECRET, return_url, "olga", "mallory"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield f"http://127.0.0.1:{port}/o"
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    world = World(tmp_path_factory.mktemp("door"))
    world.found("aurelia")
    node = world.nodes["aurelia"]
    # The provider has the machine's clock, and so must who judges what it says.
    node.clock = read_clock
    url = f"http://localhost:{find_port()}"
    secret = node.folder / "keys" / "oidc.secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    desk, loop = Desk(node), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="console")
    thread.start()
    try:
        with serve_provider(f"{url}{RETURN_PATH}") as issuer:
            oidc = OidcSetting(issuer=issuer, client_id=CLIENT, secret=secret, name=NAME)
            setting = ConsoleSetting(
                listen=Address(host="127.0.0.1", port=int(url.rpartition(":")[2])), url=url, oidc=oidc
            )
            desk.door.provider = Provider(node, oidc, url=url, verify=verify_id_token)
            server = ConsoleServer(setting, ask=desk.ask, find_person=desk.find_person, door=desk.door)
            asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
            yield Served(world, url, issuer)
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
        world.close()


@contextmanager
def opened(chromium: Browser, door: Served, *, scripts: bool) -> Iterator[Page]:
    """A page of a browser that knows nobody, which must not have complained of this console when the block ends."""
    context = chromium.new_context(base_url=door.url, java_script_enabled=scripts)
    context.set_default_timeout(20_000)
    faults = list[str]()
    try:
        page = context.new_page()
        page.on("console", lambda said: faults.append(f"{said.location['url']}: {said.type}: {said.text}"))
        yield page
        # The provider has no icon, and its complaints are its own; that nobody is let in is an answer, no fault.
        own = [fault for fault in faults if not fault.startswith(door.issuer.removesuffix("/o"))]
        told = [fault for fault in own if ": error: " in fault or ": warning: " in fault]
        assert [fault for fault in told if "status of 403" not in fault] == []
    finally:
        context.close()


def log_in(page: Page, name: str) -> None:
    """At the provider."""
    page.wait_for_url(re.compile(r"^http://127\.0\.0\.1:\d+/login/"))
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def enrol(page: Page, code: str, name: str) -> None:
    page.goto("/enrol")
    page.get_by_label("Code of your invitation").fill(code)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name=f"Enrol with {NAME}").click()
    log_in(page, name)


@pytest.mark.parametrize("scripts", [False, True], ids=["without-scripts", "with-scripts"])
def test_a_person_enrols_and_comes_in_again(chromium: Browser, door: Served, *, scripts: bool) -> None:
    person = "olga-1" if scripts else "olga-2"
    code = door.invite(person)
    with opened(chromium, door, scripts=scripts) as page:
        enrol(page, code, "olga")
        page.wait_for_url(f"{door.url}/")
        end_sessions(door.world.nodes["aurelia"], PersonId(person))
        page.goto("/me")
        page.wait_for_url("**/sign-in?next=%2Fme")
        # The provider remembers who has logged in there, and sends the browser back at once.
        page.get_by_role("button", name=f"Sign in with {NAME}").click()
        page.wait_for_url(f"{door.url}/me")
        assert page.get_by_role("heading", level=1).inner_text() == person.title()
        assert door.issuer in page.locator("main").inner_text()
        # What the provider said stands in no address that can be gone back to.
        page.go_back()
        assert "code=" not in page.url
        # The account is this person's alone: it is free for the next test when this person is gone.
        remove_person(door.world.nodes["aurelia"], PersonId(person))
        page.goto("/me")
        page.wait_for_url("**/sign-in?next=%2Fme")
        page.get_by_role("button", name=f"Sign in with {NAME}").click()
        page.get_by_text("not, or no longer, known here").wait_for()


def test_an_account_that_nobody_enrolled_stays_outside(chromium: Browser, door: Served) -> None:
    with opened(chromium, door, scripts=False) as page:
        page.goto("/sign-in?next=/people")
        page.get_by_role("button", name=f"Sign in with {NAME}").click()
        log_in(page, "mallory")
        page.get_by_text("not, or no longer, known here").wait_for()
        page.goto("/people")
        page.wait_for_url("**/sign-in?next=%2Fpeople")


def stop_on_the_way_back(door: Served, code: str, name: str) -> str:
    """The address to which the provider sends a stranger's browser, who has an account and an invitation of his own."""
    form = {"origin": door.url, "sec-fetch-site": "same-origin"}
    with httpx.Client(trust_env=False, timeout=30) as client:
        page = client.post(f"{door.url}/enrol/openid", data={"code": code}, headers=form).text
        (url,) = re.findall(r'http-equiv="refresh" content="0;url=([^"]+)"', page)
        asked = client.get(unescape(url))
        login = asked.headers["location"]
        key = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get(asked.url.join(login)).text)
        assert key is not None
        fields = {"csrfmiddlewaretoken": key[1], "username": name, "password": PASSWORD}
        done = client.post(asked.url.join(login), data=fields)
        back = client.get(asked.url.join(done.headers["location"])).headers["location"]
    assert back.startswith(f"{door.url}{RETURN_PATH}?")
    return str(back)


def test_what_was_said_to_another_browser_lets_nobody_in(chromium: Browser, door: Served) -> None:
    """A stranger stops on the way back, and has somebody else open the address."""
    back = stop_on_the_way_back(door, door.invite("mallory-1"), "mallory")
    with opened(chromium, door, scripts=True) as page:
        page.set_content(f'<a href="{escape(back)}">look</a>')
        page.get_by_role("link", name="look").click()
        page.get_by_text("did not begin in this browser").wait_for()
        page.goto("/me")
        page.wait_for_url("**/sign-in?next=%2Fme")
    assert find_account_of(door.world.nodes["aurelia"], PersonId("mallory-1")) is None


def test_another_site_cannot_begin_it_and_no_page_can_be_framed(chromium: Browser, door: Served) -> None:
    with opened(chromium, door, scripts=True) as page:
        page.goto(f"{door.issuer.removesuffix('/o')}/login/")
        page.evaluate(
            "url => { document.body.innerHTML ="
            " `<form method=post action='${url}/sign-in/openid'><button>win</button></form>` }",
            door.url,
        )
        page.get_by_role("button", name="win").click()
        page.get_by_text("this was not sent by a page of this console").wait_for()
        assert page.context.cookies(door.url) == []
    context = chromium.new_context()
    try:
        page = context.new_page()
        refused = list[str]()
        page.on("console", lambda said: refused.append(said.text))
        page.goto(f"{door.issuer.removesuffix('/o')}/login/")
        page.evaluate(
            "url => { const frame = document.createElement('iframe'); frame.src = url; document.body.append(frame) }",
            f"{door.url}/sign-in",
        )
        page.wait_for_timeout(1_000)
        assert any("frame-ancestors" in said for said in refused)
    finally:
        context.close()


def test_nobody_is_kept_out_by_the_button_and_the_page_that_leads_there(chromium: Browser, door: Served) -> None:
    with open_page(chromium, door.url, NARROW_AND_DARK) as look:
        look.go("/sign-in")
        look.page.get_by_role("button", name=f"Sign in with {NAME}").wait_for()
        assert find_barriers(look.page) == []
        assert find_faulty_headings(look.page) == []
        assert look.find_overflow() == []
