# SPDX-License-Identifier: Apache-2.0
"""The door of the console: who is let in, what every answer carries, and that nothing can be asked past it."""

import asyncio
import hashlib
import re
import tomllib
from pathlib import Path

import pytest

import comity.console
from comity.agreement.people import Role
from comity.console.pages import TYPED
from comity.console.visit import Visit
from comity.operations.sight import SIGHT
from comity.operations.table import OPERATIONS
from tests.consoles import URL, Desk, make_person
from tests.worlds import World

PLACE = Path(comity.console.__file__).parent
ANALYST = make_person("aurelia-analyst", Role.ANALYST)
PATHS = ["/", "/work.json", "/agreements", "/agreements/3f2a", "/nowhere", "/log.json", "/static", "/sign-in-not/x"]


@pytest.mark.parametrize("path", PATHS)
def test_who_is_not_signed_in_learns_no_path(desk: Desk, path: str) -> None:
    answer = desk.visit(None).get(path)
    if path.startswith("/sign-in"):
        assert answer.status_code == 404
    elif path.endswith(".json"):
        assert answer.status_code == 401
    else:
        assert (answer.status_code, answer.headers["location"].partition("=")[0]) == (303, "/sign-in?next")
    assert desk.asked == []


def test_a_token_of_nobody_opens_nothing(desk: Desk) -> None:
    browser = desk.visit(ANALYST)
    browser.cookies["comity"] += "x"
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize("path", ["/", "/nowhere", "/static/pico.min.css", "/static/nothing", "/static/../app.py"])
def test_every_answer_forbids_what_is_foreign(desk: Desk, path: str) -> None:
    headers = desk.visit(ANALYST).get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert ("no-store" in headers["cache-control"]) == (path != "/static/pico.min.css")


def test_nothing_of_the_program_is_served_as_a_file(desk: Desk) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"):
        assert desk.visit(ANALYST).get(path).status_code in {303, 404}, path


@pytest.mark.parametrize("host", ["localhost", "localhost:8461", "evil.example", "localhost:8460.evil.example", ""])
def test_another_host_is_not_answered(desk: Desk, host: str) -> None:
    answer = desk.visit(ANALYST).get("/", host=host)
    assert answer.status_code == 421
    assert desk.asked == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin"},
        {"origin": "https://evil.example"},
        {"origin": "null", "sec-fetch-site": "same-origin"},
        {"origin": URL, "sec-fetch-site": "cross-site"},
        {"origin": URL, "sec-fetch-site": "same-site"},
    ],
)
def test_what_another_site_sends_is_refused(desk: Desk, headers: dict[str, str]) -> None:
    answer = desk.visit(ANALYST).send("POST", "/", data={}, headers=headers)
    assert answer.status_code == 403


def test_a_page_that_is_not_there_says_so(desk: Desk) -> None:
    answer = desk.visit(ANALYST).get("/nowhere")
    assert answer.status_code == 404
    assert "there is nothing of that name here" in answer.text
    twin = desk.visit(ANALYST).get("/nowhere.json")
    assert (twin.status_code, twin.json()["error"]["code"]) == (404, "not-found")


def test_the_menu_has_what_the_person_may_ask_and_no_more(desk: Desk) -> None:
    operator = make_person("aurelia-operator", Role.OPERATOR)
    for person, shown, absent in (
        (ANALYST, {"/agreements", "/objects"}, {"/log", "/node"}),
        (operator, {"/node"}, {"/agreements", "/objects", "/log", "/explain"}),
    ):
        found = set(re.findall(r'<li><a href="([^"]+)"', desk.visit(person).get("/").text))
        assert shown <= found
        assert not absent & found


def test_work_is_shown_with_its_twin(desk: Desk) -> None:
    browser = desk.visit(ANALYST)
    assert "Nothing waits." in browser.get("/").text
    twin = browser.get("/work.json").json()
    assert (twin["todo"], twin["matters"]) == ([], [])


def test_a_form_key_is_of_one_session(world: World) -> None:
    desk = Desk(world.nodes["aurelia"])
    keys = {Visit(person=ANALYST, token=token, ask_as=desk.ask).form_key for token in ("one", "two")}
    assert len(keys) == 2


def test_whoever_may_not_ask_is_answered_as_if_nothing_was_there(desk: Desk) -> None:
    """Also past the menu: the operation itself is refused, whatever a page asks."""
    auditor = make_person("aurelia-auditor", Role.AUDITOR)
    visit = Visit(person=auditor, token="t", ask_as=desk.ask)

    async def ask() -> object:
        return await visit.ask("object.show", {"id": "report--x"})

    reply = asyncio.run(ask())
    assert reply.code == 5  # type: ignore[attr-defined]
    assert reply.error["message"] == "there is nothing of that name here"  # type: ignore[attr-defined]


FORM = {"origin": URL, "sec-fetch-site": "same-origin", "accept": "text/html,*/*;q=0.8"}
WRITTEN = {"reason": 'Two lines\nand <b>"marks"</b>', "text.channels.main": "Of one clause", "ground.x": "other"}


@pytest.mark.parametrize("path", ["/agreements/3f2a/clarify", "/nowhere", "/retention/keep"])
def test_what_was_written_outlives_the_session(desk: Desk, path: str) -> None:
    """Whatever was asked, and whether there is such a page: it is shown to be copied, and nothing is done."""
    sent = desk.visit(None).send("POST", path, data={**WRITTEN, "form_key": "f" * 64, "password": "hush"}, headers=FORM)
    assert sent.status_code == 401
    assert "you are not signed in any more, and nothing of this was done" in sent.text
    assert "Two lines\nand &lt;b&gt;&#34;marks&#34;&lt;/b&gt;</textarea>" in sent.text
    assert "Of one clause</textarea>" in sent.text
    assert 'href="/sign-in"' in sent.text
    assert "hush" not in sent.text
    assert "f" * 64 not in sent.text
    assert desk.asked == []


def test_a_form_that_is_too_large_for_nobody_says_so(desk: Desk) -> None:
    sent = desk.visit(None).send("POST", "/intake", data={"reason": "x" * 1_100_000}, headers=FORM)
    assert sent.status_code == 401
    assert "the form was too large to be read without you" in sent.text


def test_a_script_whose_session_has_ended_is_told_as_data(desk: Desk) -> None:
    sent = desk.visit(None).send_form("/me/passkeys/options")
    assert (sent.status_code, sent.json()["error"]["code"]) == (401, "not-signed-in")


def test_what_was_written_stands_beside_what_was_wrong(desk: Desk) -> None:
    """A browser that goes back over TLS finds the form empty."""
    browser = desk.visit(make_person("aurelia-liaison", Role.LIAISON))
    for sent in (
        browser.send_form("/agreements/3f2a/clarify", form_key="0" * 64, **WRITTEN),
        browser.post("/agreements/3f2a/clarify", "/me", **WRITTEN),
    ):
        assert sent.status_code in {400, 404}
        assert "Two lines\nand &lt;b&gt;&#34;marks&#34;&lt;/b&gt;</textarea>" in sent.text
        assert "Of one clause</textarea>" in sent.text
        assert 'name="ground.x"' not in sent.text


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        (f"{URL}/agreements/3f2a?x=1", "/agreements/3f2a?x=1"),
        (f"{URL}//evil.example", None),
        (f"{URL}/sign-in", None),
        ("https://evil.example/agreements", None),
        (f"{URL}.evil.example/agreements", None),
        ("http://[", None),
        ("", None),
    ],
)
def test_what_was_wrong_leads_back_to_the_form(desk: Desk, referer: str, back: str | None) -> None:
    headers = {**FORM, "referer": referer}
    sent = desk.visit(make_person("aurelia-liaison", Role.LIAISON)).send("POST", "/suspend", data={}, headers=headers)
    link = re.search(r'<a href="([^"]+)">Back to the form, as it is now</a>', sent.text)
    assert (link[1] if link else None) == back
    ended = desk.visit(None).send("POST", "/suspend", data={}, headers=headers)
    assert ("/sign-in?next=%2Fagreements" in ended.text) == (back is not None), ended.text
    assert 'href="/sign-in' in ended.text


def test_every_field_to_write_in_is_one_whose_words_are_shown_again() -> None:
    for path in (PLACE / "templates").glob("*.html"):
        text = path.read_text()
        written = set(re.findall(r'<textarea[^>]*? name="([a-z_]+)"', text))
        written |= set(re.findall(r'<input[^>]*? name="([a-z_]+)"[^>]*maxlength="[0-9]{4}"', text))
        written |= set(re.findall(r'{{ (?:line|area)\("([a-z_]+)"', text)) - {"id"}
        assert written - {"q", "password", "again"} <= TYPED, path


def test_what_can_be_asked_is_an_operation() -> None:
    assert SIGHT.keys() <= OPERATIONS.keys()


def test_what_changes_who_may_come_in_cannot_be_asked_by_a_session() -> None:
    """People, credentials, keys and files of the machine are for whoever controls the node's folder."""
    for name in OPERATIONS:
        if name.startswith(("person.", "credential.", "party.", "backup", "purge.", "log.reader.")):
            assert name not in SIGHT or name.endswith((".list", ".sessions")), name


def test_what_lies_beside_is_what_was_published() -> None:
    listed = tomllib.loads((PLACE / "static" / "VENDORED.toml").read_text())["file"]
    for item in listed:
        data = (PLACE / "static" / item["name"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == item["sha256"]
        assert (PLACE / "static" / item["licence_file"]).is_file()
    own = {"comity.css", "passkeys.js", "VENDORED.toml"}
    named = {item["name"] for item in listed} | {item["licence_file"] for item in listed}
    assert {path.name for path in (PLACE / "static").iterdir()} == own | named


def test_no_page_needs_what_the_policy_forbids() -> None:
    for path in (PLACE / "templates").iterdir():
        text = path.read_text()
        assert "<style" not in text, path
        assert " style=" not in text, path
        assert not re.search(r"\son[a-z]+=", text), path
        assert not re.search(r"<script(?! src=\"/static/)", text), path
        assert "| safe" not in text, path
        assert "autoescape false" not in text, path
