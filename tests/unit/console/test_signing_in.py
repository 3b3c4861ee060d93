# SPDX-License-Identifier: Apache-2.0
"""The pages where people sign in, enrol and look after it: who comes in, where they are led, and what no page tells."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import unescape
from http.cookies import SimpleCookie

import httpx
import pyotp
import pytest
import segno
from argon2 import PasswordHasher

from comity.agreement.people import Role
from comity.console.door import find_own_path
from comity.ids import PersonId
from comity.node import passwords
from comity.node.invitations import invite_person
from comity.node.passkeys import list_passkeys
from comity.node.sessions import list_sessions
from tests.authenticators import Authenticator
from tests.consoles import URL, Browser, Desk
from tests.worlds import World

LEGAL, LIAISON = PersonId("aurelia-legal"), PersonId("aurelia-liaison")
PASSWORD = "four plain words here"


@dataclass
class Guest:
    """Somebody before the door, with a browser that keeps its cookie."""

    desk: Desk
    world: World
    url: str = URL
    secret: str = ""
    browser: Browser = field(init=False)

    def __post_init__(self) -> None:
        self.browser = self.desk.visit(None, url=self.url)

    def take(self, answer: httpx.Response) -> httpx.Response:
        for header in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(header).items():
                self.browser.cookies[name] = morsel.value
        return answer

    def send(self, path: str, **fields: str) -> httpx.Response:
        return self.take(self.browser.send_form(path, **fields))

    def enrol(self, person: PersonId = LEGAL, *, code: str | None = None, password: str = PASSWORD) -> httpx.Response:
        code = code or invite_person(self.desk.node, person).code
        page = self.send("/enrol", code=code).text
        sealed = re.search(r'name="sealed" value="([0-9a-f]+)"', page)
        secret = re.search(r"<code>([A-Z2-7]{32})</code>", page)
        assert sealed is not None
        assert secret is not None
        self.secret = secret[1]
        fields = {"code": code, "password": password, "again": password, "sealed": sealed[1]}
        return self.send("/enrol/password", second=self.show_code(), **fields)

    def show_code(self) -> str:
        return pyotp.TOTP(self.secret).at(self.world.now // 1_000_000)

    def sign_in(self, *, name: str = LEGAL, password: str = PASSWORD, **more: str) -> httpx.Response:
        self.world.tick(30_000_000)
        return self.send("/sign-in", **{"name": name, "password": password, "code": self.show_code(), **more})


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cheap hashing: what it costs is asserted where the node is tested."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords.stand_in.cache_clear()
    yield
    passwords.stand_in.cache_clear()


@pytest.fixture
def guest(desk: Desk, world: World) -> Guest:
    return Guest(desk, world)


# --- in, and out ------------------------------------------------------------------------------------------------------


def test_a_person_enrols_is_in_goes_out_and_comes_in_again(guest: Guest) -> None:
    answer = guest.enrol()
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert guest.browser.get("/").status_code == 200
    token = guest.browser.cookies["comity"]
    out = guest.browser.post("/sign-out", "/me")
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
    assert re.search(r'comity=""; .*Max-Age=0', out.headers["set-cookie"])
    assert guest.browser.cookies["comity"] == token
    assert guest.browser.get("/").status_code == 303
    answer = guest.sign_in(next="/people?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/people?x=1")
    assert guest.browser.get("/people").status_code == 200


def test_the_pages_are_shown_to_everybody_and_told_apart_by_nothing(guest: Guest) -> None:
    for path in ("/sign-in", "/enrol"):
        answer = guest.browser.get(path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert "aurelia" not in answer.text.lower()


@pytest.mark.parametrize("url", ["http://localhost:8460", "https://console.aurelia.example"])
def test_the_cookie_is_for_this_host_and_for_no_script(desk: Desk, world: World, url: str) -> None:
    guest = Guest(desk, world, url=url)
    headers = guest.enrol().headers.get_list("set-cookie")
    secure = url.startswith("https")
    own = "__Host-comity" if secure else "comity"
    assert [header.partition("=")[0] for header in headers] == [own, f"{own}-known"]
    for header, more in zip(headers, ([], ["max-age=15552000"]), strict=True):
        words = {word.strip().lower() for word in header.split(";")[1:]}
        assert words == {"httponly", "path=/", "samesite=strict", *more, *(["secure"] if secure else [])}


def test_a_token_that_was_there_before_is_not_the_one_after(guest: Guest) -> None:
    """Whoever planted a token in the browser has no session by it."""
    guest.browser.cookies["comity"] = planted = "f" * 64
    guest.enrol()
    assert guest.browser.cookies["comity"] != planted
    earlier = guest.browser.cookies["comity"]
    guest.sign_in()
    assert guest.browser.cookies["comity"] != earlier
    guest.browser.cookies["comity"] = earlier
    assert guest.browser.get("/").status_code == 303
    assert len(list_sessions(guest.desk.node)) == 1


def test_whatever_is_wrong_the_page_is_the_same(guest: Guest) -> None:
    guest.enrol()
    pages = set[tuple[int, str]]()
    for wrong in (
        {"name": "nobody"},
        {"name": "<script>alert(1)</script>"},
        {"password": "wrong"},
        {"code": "000000"},
        {"name": LIAISON},
    ):
        answer = guest.sign_in(**wrong)
        assert answer.headers.get("set-cookie") is None
        pages.add((answer.status_code, answer.text))
    assert len(pages) == 1
    assert pages.pop()[0] == 403


def test_too_many_tries_wait(guest: Guest) -> None:
    for _ in range(5):
        assert guest.send("/sign-in", name="nobody", password="x", code="000000").status_code == 403
    answer = guest.send("/sign-in", name="nobody", password="x", code="000000")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


def test_strangers_keep_nobody_out_of_the_browser_that_is_known(guest: Guest, desk: Desk, world: World) -> None:
    guest.enrol()
    stranger = Guest(desk, world)

    def flood() -> int:
        names = [LEGAL, "somebody"] * 60  # of this person, and of all together
        tried = [stranger.send("/sign-in", name=name, password="x", code="000000") for name in names]
        return tried[-1].status_code

    assert flood() == 429
    fields = {"name": LEGAL, "password": PASSWORD}
    assert guest.send("/sign-in", code=guest.show_code(), **fields).status_code in {303, 403}  # 403: the code was used
    assert guest.sign_in().status_code == 303
    assert flood() == 429
    # What is kept in it lets nobody in, and is of this one person.
    mark = guest.browser.cookies["comity-known"]
    thief = Guest(desk, world)
    thief.browser.cookies["comity-known"] = mark
    assert thief.browser.get("/").status_code == 303
    for name, kept in (("somebody", mark), (LEGAL, mark[:-1] + ("0" if mark[-1] != "0" else "1")), (LEGAL, "")):
        thief.browser.cookies["comity-known"] = kept
        assert thief.send("/sign-in", name=name, password="x", code="000000").status_code == 429
    # Guessing in it has a bound too.
    assert [guest.send("/sign-in", code="000000", **fields).status_code for _ in range(8)][-1] == 429


def test_nothing_that_was_typed_stands_in_the_page(guest: Guest) -> None:
    text = guest.send("/sign-in", name="typed-name", password="typed-password", code="typed-code").text
    assert "typed" not in text


# --- where it leads ---------------------------------------------------------------------------------------------------


ELSEWHERE = [
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "https://evil.example/",
    "javascript:alert(1)",
    "/\t/evil.example",
    "/\n/evil.example",
    " //evil.example",
    "",
    "evil",
    "/\u2215evil",
    "/x\\y",
    "/sign-out",
    "/enrol",
    "/" + "x" * 3_000,
]


def test_nobody_is_led_elsewhere(guest: Guest) -> None:
    guest.enrol()
    for to in ELSEWHERE:
        assert find_own_path(to) == "/"
        assert guest.sign_in(next=to).headers["location"] == "/", to


def test_an_encoded_way_out_is_none(guest: Guest) -> None:
    for path in (
        "/sign-in?next=%2F%2Fevil.example",
        "/sign-in?next=%2F%5Cevil.example",
        "/sign-in?next=/%09/evil.example",
    ):
        assert "evil" not in guest.browser.get(path).text
    assert find_own_path("/%2f%2fevil.example") == "/%2f%2fevil.example"


def test_own_paths_are_kept(guest: Guest) -> None:
    asked = guest.browser.get("/agreements/3f2a?x=a%20b&y=2")
    page = guest.browser.get(asked.headers["location"]).text
    assert 'name="next" value="/agreements/3f2a?x=a%20b&amp;y=2"' in page


# --- what another site sends ------------------------------------------------------------------------------------------

POSTS = (
    "/sign-in",
    "/sign-in/passkey",
    "/sign-in/passkey/options",
    "/enrol",
    "/enrol/password",
    "/enrol/passkey",
    "/enrol/passkey/options",
    "/sign-out",
    "/me/sessions/end",
    "/me/sessions/end-all",
    "/me/passkeys",
    "/me/passkeys/options",
    "/me/passkeys/remove",
)
OWN = [path for path in POSTS if path.startswith(("/me", "/sign-out"))]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "null"},
        {"origin": URL, "sec-fetch-site": "same-site"},
    ],
)
def test_another_site_signs_nobody_in_or_out(guest: Guest, headers: dict[str, str]) -> None:
    guest.enrol()
    data = {"name": LEGAL, "password": PASSWORD, "code": guest.show_code()}
    for path in POSTS:
        answer = guest.browser.send("POST", path, data=data, headers=headers)
        assert answer.status_code == 403, path
        assert "set-cookie" not in answer.headers, path
    assert guest.browser.get("/").status_code == 200


def test_a_form_needs_the_key_of_its_session(guest: Guest) -> None:
    guest.enrol()
    for path in OWN:
        for fields in ({}, {"form_key": "0" * 64}):
            assert guest.browser.send_form(path, **fields).status_code == 400, path
    assert guest.browser.get("/").status_code == 200


def test_without_a_session_there_is_nothing_to_change(guest: Guest) -> None:
    for path in OWN:
        assert guest.browser.send_form(path, form_key="0" * 64).status_code == 401, path


def test_a_form_without_end_is_not_read(guest: Guest) -> None:
    guest.enrol()
    for path in POSTS:
        assert guest.browser.send_form(path, form_key="x" * 2_000_000).status_code == 400, path


# --- invitations ------------------------------------------------------------------------------------------------------


def test_a_code_that_is_not_good_is_answered_without_a_name(guest: Guest) -> None:
    code = invite_person(guest.desk.node, LEGAL).code
    guest.enrol(code=code)
    for wrong in (code, "", "A" * 52, "<b>"):
        answer = guest.send("/enrol", code=wrong)
        assert answer.status_code == 403
        assert "aurelia-legal" not in answer.text
        assert "<b>" not in answer.text


def test_the_code_stands_in_no_address(guest: Guest) -> None:
    code = invite_person(guest.desk.node, LEGAL).code
    page = guest.browser.get(f"/enrol?code={code}").text
    assert code not in page
    shown = guest.send("/enrol", code=code)
    assert not re.search(rf'(href|action|src)="[^"]*{code}', shown.text)
    assert code not in guest.enrol(code=code).headers["location"]


def test_what_is_wrong_with_a_password_is_said_and_the_code_stays_good(guest: Guest) -> None:
    code = invite_person(guest.desk.node, LEGAL).code
    fields = {"code": code, "sealed": "00", "second": "000000"}
    for password, again, said in (
        ("short", "short", "at least 12 characters"),
        (PASSWORD, "another one here", "not the same"),
        ("aurelia-legal", "aurelia-legal", "the name of the person"),
        (PASSWORD, PASSWORD, "another invitation"),
    ):
        answer = guest.send("/enrol/password", password=password, again=again, **fields)
        assert answer.status_code == 400
        assert said in answer.text
        assert password not in re.sub(r"<code>aurelia-legal</code>|value=\"aurelia-legal\"", "", answer.text)
        # Each page has a secret of its own: who photographed an earlier one would fail at the code again and again.
        assert "The picture is another one than before." in answer.text
    assert "another one than before" not in guest.send("/enrol", code=code).text
    assert guest.enrol(code=code).status_code == 303


def test_the_picture_is_of_the_secret_and_comes_with_the_page(guest: Guest) -> None:
    page = guest.send("/enrol", code=invite_person(guest.desk.node, LEGAL).code).text
    secret, picture = re.search(r"<code>([A-Z2-7]{32})</code>", page), re.search(r'<img [^>]*src="([^"]+)"', page)
    assert secret is not None
    assert picture is not None
    uri = f"otpauth://totp/Comity%20aurelia:aurelia-legal?secret={secret[1]}&issuer=Comity%20aurelia"
    assert unescape(picture[1]) == segno.make(uri, micro=False).svg_data_uri(scale=4, border=4, light="white")
    assert picture[1].startswith("data:image/svg+xml")


# --- passkeys ---------------------------------------------------------------------------------------------------------


def add(guest: Guest, authenticator: Authenticator, label: str = "Blue key") -> httpx.Response:
    key = re.search(r'name="form_key" value="([0-9a-f]{64})"', guest.browser.get("/me").text)
    assert key is not None
    options = guest.send("/me/passkeys/options", form_key=key[1])
    if options.status_code != 200:
        return options
    response = authenticator.create(options.json(), origin=guest.url)
    return guest.send("/me/passkeys", form_key=key[1], response=response, label=label)


def test_a_person_enrols_by_a_passkey_and_comes_in_by_it(guest: Guest) -> None:
    authenticator, code = Authenticator(), invite_person(guest.desk.node, LEGAL).code
    options = guest.send("/enrol/passkey/options", code=code).json()
    response = authenticator.create(options, origin=guest.url)
    answer = guest.send("/enrol/passkey", code=code, response=response, label="Key <b>")
    assert (answer.status_code, answer.json()) == (200, {"to": "/"})
    assert "Key &lt;b&gt;" in guest.browser.get("/me").text
    guest.browser.post("/sign-out", "/me")
    options = guest.send("/sign-in/passkey/options").json()
    answer = guest.send("/sign-in/passkey", response=authenticator.get(options, origin=guest.url), next="//evil")
    assert answer.json() == {"to": "/"}
    assert guest.browser.get("/").status_code == 200


def test_what_does_not_verify_is_told_to_the_script_and_sets_no_cookie(guest: Guest) -> None:
    options = guest.send("/sign-in/passkey/options").json()
    for response in ("", "{}", Authenticator().get(options, origin=guest.url)):
        answer = guest.send("/sign-in/passkey", response=response)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "not-authenticated"
        assert "set-cookie" not in answer.headers


def test_passkeys_are_added_and_removed_but_for_the_last_way_in(guest: Guest) -> None:
    guest.enrol()
    assert add(guest, Authenticator()).json() == {"to": "/me?said=done"}
    assert "Blue key" in guest.browser.get("/me").text
    (kept,) = list_passkeys(guest.desk.node, LEGAL)
    assert guest.browser.post("/me/passkeys/remove", "/me", digest="0" * 64).status_code == 404
    assert guest.browser.post("/me/passkeys/remove", "/me", digest=kept.digest).status_code == 303
    assert list_passkeys(guest.desk.node, LEGAL) == []


def test_the_last_passkey_stays(guest: Guest) -> None:
    authenticator, code = Authenticator(), invite_person(guest.desk.node, LEGAL).code
    options = guest.send("/enrol/passkey/options", code=code).json()
    response = authenticator.create(options, origin=guest.url)
    guest.send("/enrol/passkey", code=code, response=response, label="Key")
    (kept,) = list_passkeys(guest.desk.node, LEGAL)
    assert guest.browser.post("/me/passkeys/remove", "/me", digest=kept.digest).status_code == 409
    assert len(list_passkeys(guest.desk.node, LEGAL)) == 1


def test_who_finds_a_screen_unlocked_cannot_stay(guest: Guest) -> None:
    guest.enrol()
    assert add(guest, Authenticator()).status_code == 200
    (kept,) = list_passkeys(guest.desk.node, LEGAL)
    guest.world.tick(15 * 60 * 1_000_000)
    assert add(guest, Authenticator(credential=b"other")).status_code == 403
    assert guest.browser.post("/me/passkeys/remove", "/me", digest=kept.digest).status_code == 403
    assert (
        "What you sign in by is added and removed, and a program let ask, within 15 minutes"
        in guest.browser.get("/me").text
    )
    assert len(list_passkeys(guest.desk.node, LEGAL)) == 1


def test_where_the_host_is_a_number_there_are_no_passkeys(desk: Desk, world: World) -> None:
    guest = Guest(desk, world, url="http://127.0.0.1:8460")
    assert "passkey" not in guest.browser.get("/sign-in").text.replace("passkeys.js", "")
    assert guest.send("/sign-in/passkey/options").status_code == 400
    assert guest.enrol().status_code == 303


# --- one's own --------------------------------------------------------------------------------------------------------


def test_a_person_sees_and_ends_the_own_sessions_and_no_other(guest: Guest) -> None:
    guest.enrol()
    other = Guest(guest.desk, guest.world)
    other.enrol(LIAISON)
    second = Guest(guest.desk, guest.world, secret=guest.secret)
    second.sign_in()
    own = guest.browser.get("/me.json").json()
    assert (own["person"], own["password"], len(own["sessions"])) == (LEGAL, True, 2)
    assert [item["this"] for item in own["sessions"]] == [True, False]
    theirs = other.browser.get("/me.json").json()["sessions"][0]["session"]
    assert guest.browser.post("/me/sessions/end", "/me", session=theirs).status_code == 404
    assert other.browser.get("/").status_code == 200
    mine = own["sessions"][1]["session"]
    assert guest.browser.post("/me/sessions/end", "/me", session=mine).status_code == 303
    assert second.browser.get("/").status_code == 303
    assert guest.browser.post("/me/sessions/end-all", "/me").status_code == 303
    assert guest.browser.get("/").status_code == 303
    assert other.browser.get("/").status_code == 200


def stay(guest: Guest, *, minutes: int) -> None:
    """Ask for a page every quarter of an hour."""
    for _ in range(0, minutes, 15):
        guest.browser.get("/work.json")
        guest.world.tick(15 * 60 * 1_000_000)


ENDS: dict[str, Callable[[Guest], object]] = {
    "half an hour": lambda guest: guest.world.tick(30 * 60 * 1_000_000),
    "twelve hours": lambda guest: stay(guest, minutes=12 * 60),
    "an invitation": lambda guest: invite_person(guest.desk.node, LEGAL),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_session_that_ended_opens_no_page(guest: Guest, end: str) -> None:
    guest.enrol()
    assert guest.browser.get("/").status_code == 200
    ENDS[end](guest)
    assert guest.browser.get("/").status_code == 303
    assert guest.browser.get("/me.json").status_code == 401


def test_whoever_has_no_role_for_it_still_has_an_own_page(guest: Guest) -> None:
    person = guest.world.register("aurelia", "op", Role.OPERATOR).person
    guest.enrol(person)
    assert "may act as operator" in guest.browser.get("/me").text
