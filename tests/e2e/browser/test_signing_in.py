# SPDX-License-Identifier: Apache-2.0
"""Somebody enrols and signs in with a real browser: by its own authenticator, and with scripts off by a password."""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from comity.agreement.people import Role
from comity.config import Address, ConsoleSetting
from comity.console.serving import ConsoleServer
from comity.ids import PersonId
from comity.node.invitations import invite_person
from comity.node.programs import find_program
from comity.node.sessions import end_sessions
from tests.consoles import Desk
from tests.e2e.browser.looking import MILLISECONDS, View, find_barriers, find_faulty_headings, open_page
from tests.e2e.conftest import PATIENCE
from tests.ports import find_port
from tests.worlds import World

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

PASSWORD = "four plain words here"
WIDE = View(width=1280, height=800, scheme="light", scripts=True)
NARROW_AND_DARK = View(width=390, height=844, scheme="dark", scripts=True)
WITHOUT_SCRIPTS = View(width=1280, height=800, scheme="light", scripts=False)


@dataclass
class Served:
    world: World
    url: str


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Served]:
    """A console that is reached by a name: where it is a number, browsers make no passkeys."""
    world = World(tmp_path)
    world.found("aurelia")
    port = find_port()
    setting = ConsoleSetting(listen=Address(host="127.0.0.1", port=port), url=f"http://localhost:{port}")
    desk, loop = Desk(world.nodes["aurelia"]), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="console")
    thread.start()
    server = ConsoleServer(setting, ask=desk.ask, find_person=desk.find_person, door=desk.door)
    try:
        yield Served(world, asyncio.run_coroutine_threadsafe(server.start(), loop).result(PATIENCE))
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(PATIENCE)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()
        world.close()


@contextmanager
def opened(chromium: Browser, desk: Served, *, scripts: bool) -> Iterator[Page]:
    """A page of a browser that nobody is signed in with, on the name that passkeys need."""
    context = chromium.new_context(base_url=desk.url, java_script_enabled=scripts)
    context.set_default_timeout(MILLISECONDS)
    try:
        yield context.new_page()
    finally:
        context.close()


def invite(desk: Served, person: str) -> str:
    return invite_person(desk.world.nodes["aurelia"], desk.world.register("aurelia", person, Role.ANALYST).person).code


def test_by_a_passkey(chromium: Browser, door: Served) -> None:
    code = invite(door, "pia")
    with opened(chromium, door, scripts=True) as page:
        devices = page.context.new_cdp_session(page)
        devices.send("WebAuthn.enable")
        kind = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
        options = {**kind, "isUserVerified": True, "automaticPresenceSimulation": True}
        devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        page.goto(f"/enrol#{code}")
        expect(page.get_by_label("Code of your invitation")).to_have_value(code)
        assert "#" not in page.url
        page.get_by_role("button", name="Go on").click()
        page.get_by_role("button", name="Enrol with a passkey").click()
        page.wait_for_url(re.compile(r"/$"))
        page.get_by_role("link", name="Pia").click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        page.goto("/people")
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.wait_for_url(re.compile(r"/people$"))


def test_by_a_password_with_scripts_off(chromium: Browser, door: Served) -> None:
    code = invite(door, "otto")
    with opened(chromium, door, scripts=False) as page:
        page.goto("/enrol")
        page.get_by_label("Code of your invitation").fill(code)
        page.get_by_role("button", name="Go on").click()
        secret = page.locator("form[action='/enrol/password'] code").inner_text()
        assert page.locator("img.picture").evaluate("e => e.complete && e.naturalWidth > 100")
        page.get_by_label("Password, 12").fill(PASSWORD)
        page.get_by_label("The same password again").fill(PASSWORD)
        page.get_by_label("Code that the app shows").fill(show(door, secret))
        page.get_by_role("button", name="Enrol with a password").click()
        page.wait_for_url(re.compile(r"/$"))
        end_sessions(door.world.nodes["aurelia"], PersonId("otto"))
        door.world.tick(30_000_000)
        page.goto("/me")
        page.wait_for_url("**/sign-in?next=%2Fme")
        page.get_by_label("Your id").fill("otto")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_label("Code that your app shows").fill(show(door, secret))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(re.compile(r"/me$"))
        assert page.get_by_role("heading", level=1).inner_text() == "Otto"


@pytest.mark.parametrize("view", [WIDE, NARROW_AND_DARK], ids=str)
def test_nobody_is_kept_out_before_the_door(chromium: Browser, door: Served, view: View) -> None:
    code = invite(door, "eva")
    with open_page(chromium, door.url, view) as look:
        for path in ("/sign-in?next=/people", "/enrol"):
            assert look.go(path).status == 200
            assert find_barriers(look.page) == [], path
            assert find_faulty_headings(look.page) == [], path
            assert look.find_overflow() == [], path
        look.page.get_by_label("Code of your invitation").fill(code)
        look.page.get_by_role("button", name="Go on").click()
        look.page.locator("img.picture").wait_for()
        assert find_barriers(look.page) == []
        assert find_faulty_headings(look.page) == []
        assert look.find_overflow() == []


@pytest.mark.parametrize("view", [WIDE, NARROW_AND_DARK, WITHOUT_SCRIPTS], ids=str)
def test_a_program_is_let_ask_and_ended(chromium: Browser, door: Served, view: View) -> None:
    code = invite(door, "ines")
    with open_page(chromium, door.url, view) as look:
        page = look.page
        enrol(door, page, code)
        look.go("/me")
        page.get_by_text("Let a program ask").click()
        page.get_by_label("What the program is called").fill("Feeds " + "x" * 54)
        page.get_by_label("take in files and articles").check()
        page.get_by_label("read objects").check()
        page.get_by_role("button", name="Make its token").click()
        token = page.locator("code", has_text="comity-program-").first.inner_text()
        found = find_program(door.world.nodes["aurelia"], token)
        assert found is not None
        assert found[0].may == {"take-in", "objects"}
        for _ in range(2):
            assert not view.scripts or find_barriers(page) == []
            assert not view.scripts or find_faulty_headings(page) == []
            assert not view.scripts or look.find_overflow() == []
            look.go("/me")
        page.get_by_role("button", name="End the program Feeds").click()
        page.wait_for_url("**/me?said=ended")
        assert find_program(door.world.nodes["aurelia"], token) is None


def enrol(desk: Served, page: Page, code: str) -> None:
    page.goto(f"{desk.url}/enrol")
    page.get_by_label("Code of your invitation").fill(code)
    page.get_by_role("button", name="Go on").click()
    secret = page.locator("form[action='/enrol/password'] code").inner_text()
    page.get_by_label("Password, 12").fill(PASSWORD)
    page.get_by_label("The same password again").fill(PASSWORD)
    page.get_by_label("Code that the app shows").fill(show(desk, secret))
    page.get_by_role("button", name="Enrol with a password").click()
    page.wait_for_url(re.compile(r"/$"))


def show(desk: Served, secret: str) -> str:
    return pyotp.TOTP(secret).at(desk.world.now // 1_000_000)
