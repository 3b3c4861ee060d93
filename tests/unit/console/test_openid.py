# SPDX-License-Identifier: Apache-2.0
"""Sign-in by an OpenID provider: who comes in by it, what it is asked, and what strangers, sites and providers try."""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from html import unescape
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from comity.agreement.people import Role
from comity.config import Address, ConsoleSetting
from comity.console.provider import Provider
from comity.ids import PersonId
from comity.node import agree, people
from comity.node.accounts import find_account_of, name_account
from comity.node.audit import audit_folder
from comity.node.invitations import find_invited, invite_person
from comity.node.passkeys import list_passkeys
from comity.node.people import Actor, Waiting, remove_person
from comity.node.sessions import find_session, list_sessions
from comity.node.tokens import verify_id_token
from comity.openid import OidcSetting
from comity.operations.acting import act
from tests.authenticators import Authenticator
from tests.consoles import URL, Browser, Desk, _Nothing
from tests.issuers import CLIENT, SECRET, Issuer, make_key, public_jwk, serve_issuer, sign
from tests.worlds import World

LEGAL, LIAISON = PersonId("aurelia-legal"), PersonId("aurelia-liaison")
BACK = "/sign-in/openid/return"
NAME = "the staff <directory>"
TO = re.compile(r'<meta http-equiv="refresh" content="0;url=([^"]+)">')


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serve_issuer() as served:
        yield served


@dataclass
class Guest:
    """Somebody before the door whom the provider knows by `subject`, with a browser that keeps its cookies."""

    desk: Desk
    world: World
    issuer: Issuer
    subject: str = "subject-of-legal"
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)
    browser: Browser = field(init=False)

    def __post_init__(self) -> None:
        self.browser = self.desk.visit(None)

    def take(self, answer: httpx.Response) -> httpx.Response:
        for header in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(header).items():
                self.browser.cookies[name] = morsel.value
                self.cookies[name] = {key: str(value) for key, value in morsel.items()}
        return answer

    def send(self, path: str, **fields: str) -> httpx.Response:
        return self.take(self.browser.send_form(path, **fields))

    def go(self, path: str = "/sign-in/openid", **fields: str) -> dict[str, str]:
        """What the provider is asked by the browser that is led there."""
        answer = self.send(path, **fields)
        assert answer.status_code == 200, answer.text
        found = TO.search(answer.text)
        assert found is not None
        return dict(parse_qsl(urlsplit(unescape(found[1])).query))

    def be_let_in(self, asked: dict[str, str], **claims: Any) -> dict[str, str]:  # noqa: ANN401
        """What the provider says when it has authenticated the person just now."""
        now = self.world.now // 1_000_000
        times = {"iat": now, "exp": now + 300, "auth_time": now}
        said = {"iss": self.issuer.url, "aud": asked["client_id"], "nonce": asked["nonce"], "sub": self.subject}
        self.issuer.claims = {**said, **times, **claims}
        return {"state": asked["state"], "code": "code-of-the-provider"}

    def come_back(self, said: dict[str, str]) -> httpx.Response:
        # From another site, browsers send no strict cookie along (RFC 6265bis §5.2).
        held = dict(self.browser.cookies)
        for name, flags in self.cookies.items():
            if flags["samesite"].lower() == "strict":
                self.browser.cookies.pop(name, None)
        answer = self.browser.send("GET", BACK, params=said, headers={"sec-fetch-site": "cross-site"})
        self.browser.cookies.clear()
        self.browser.cookies.update(held)
        return self.take(answer)

    def sign_in(self, *, to: str = "/", **claims: Any) -> httpx.Response:  # noqa: ANN401
        return self.come_back(self.be_let_in(self.go(next=to), **claims))

    def enrol(self, person: PersonId = LEGAL, *, code: str | None = None) -> httpx.Response:
        code = code or invite_person(self.desk.node, person).code
        return self.come_back(self.be_let_in(self.go("/enrol/openid", code=code)))

    def is_in(self) -> bool:
        return self.browser.get("/").status_code == 200


@pytest.fixture
def configure(desk: Desk, world: World, issuer: Issuer) -> Callable[..., None]:
    def configure(**more: Any) -> None:  # noqa: ANN401
        path = world.folder / "aurelia" / "keys" / "oidc.secret"
        path.write_text(f"{SECRET}\n")
        path.chmod(0o600)
        setting = OidcSetting(**{"issuer": issuer.url, "client_id": CLIENT, "secret": path, "name": NAME, **more})
        desk.door.provider = Provider(desk.node, setting, url=URL, verify=verify_id_token)

    return configure


@pytest.fixture
def guest(desk: Desk, world: World, issuer: Issuer, configure: Callable[..., None]) -> Guest:
    configure()
    return Guest(desk, world, issuer)


def said_of(answer: httpx.Response) -> str:
    """What a page says was wrong."""
    found = re.search(r'<p class="problem" role="alert">(.*?)</p>', answer.text, flags=re.DOTALL)
    assert found is not None, answer.text
    return unescape(re.sub(r"<[^>]+>", "", found[1]))


# --- in ---------------------------------------------------------------------------------------------------------------


def test_a_person_enrols_by_an_account_goes_out_and_comes_in_by_it(guest: Guest) -> None:
    answer = guest.enrol()
    assert (answer.status_code, TO.findall(answer.text)) == (200, ["/"])
    assert guest.is_in()
    page = guest.browser.get("/me").text
    assert guest.subject in page
    assert guest.issuer.url in page
    guest.take(guest.browser.post("/sign-out", "/me"))
    assert not guest.is_in()
    answer = guest.sign_in(to="/people?x=1&y=2")
    assert TO.findall(answer.text) == ["/people?x=1&amp;y=2"]
    assert guest.is_in()
    assert [item.factor for item in list_sessions(guest.desk.node, LEGAL)] == ["openid"]


def test_what_the_provider_is_asked(guest: Guest) -> None:
    asked = guest.go(next="/people")
    assert (
        asked.items()
        >= {
            "response_type": "code",
            "scope": "openid",
            "client_id": CLIENT,
            "redirect_uri": f"{URL}{BACK}",
            "code_challenge_method": "S256",
            "max_age": "300",
        }.items()
    )
    assert "acr_values" not in asked
    guest.come_back(guest.be_let_in(asked))
    ((_, _, fields, headers),) = [call for call in guest.issuer.asked if call[1] == "/token"]
    challenge = base64.urlsafe_b64encode(hashlib.sha256(fields.pop("code_verifier").encode()).digest()).rstrip(b"=")
    assert challenge.decode() == asked["code_challenge"]
    assert fields == {
        "grant_type": "authorization_code",
        "code": "code-of-the-provider",
        "redirect_uri": f"{URL}{BACK}",
    }
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode() == f"{CLIENT}:{SECRET}"
    assert "cookie" not in headers


def test_each_sign_in_has_its_own_secrets(guest: Guest) -> None:
    first, second = guest.go(), guest.go()
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]
        assert len(first[name]) == 43


def test_a_provider_that_wants_the_secret_in_the_body_has_it_there(guest: Guest) -> None:
    guest.issuer.published = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    guest.enrol()
    ((_, _, fields, headers),) = [call for call in guest.issuer.asked if call[1] == "/token"]
    assert (fields["client_id"], fields["client_secret"]) == (CLIENT, SECRET)
    assert "authorization" not in headers


def test_a_way_of_authenticating_is_asked_for_and_demanded(guest: Guest, configure: Callable[..., None]) -> None:
    configure(acr=("phr", "phrh"))
    code = invite_person(guest.desk.node, LEGAL).code
    asked = guest.go("/enrol/openid", code=code)
    assert asked["acr_values"] == "phr phrh"
    answer = guest.come_back(guest.be_let_in(asked, acr="pwd"))
    assert "in a way that is demanded" in said_of(answer)
    assert not guest.is_in()
    guest.come_back(guest.be_let_in(guest.go("/enrol/openid", code=code), acr="phrh"))
    assert guest.is_in()


def test_nothing_is_asked_of_the_provider_before_somebody_wants_it(guest: Guest) -> None:
    guest.browser.get("/sign-in")
    guest.send("/enrol", code=invite_person(guest.desk.node, LEGAL).code)
    assert guest.issuer.asked == []


def test_what_is_published_is_read_once_an_hour(guest: Guest) -> None:
    guest.enrol()
    guest.sign_in()
    assert (guest.issuer.count("/.well-known/openid-configuration"), guest.issuer.count("/keys")) == (1, 1)
    guest.world.tick(3_600_000_000)
    guest.sign_in()
    assert (guest.issuer.count("/.well-known/openid-configuration"), guest.issuer.count("/keys")) == (2, 2)


# --- who it is --------------------------------------------------------------------------------------------------------


def test_an_account_that_nobody_has_lets_nobody_in_whatever_it_claims(guest: Guest) -> None:
    answer = guest.sign_in(email="legal@aurelia.example", preferred_username=LEGAL, name=LEGAL, groups=["legal"])
    assert answer.status_code == 403
    assert "not, or no longer, known here" in said_of(answer)
    assert not guest.is_in()
    assert people.list_people(guest.desk.node)[0].person.id in {LEGAL, LIAISON}
    assert len(people.list_people(guest.desk.node)) == 2


def test_claims_give_no_role(guest: Guest) -> None:
    code = invite_person(guest.desk.node, LIAISON).code
    guest.come_back(guest.be_let_in(guest.go("/enrol/openid", code=code), roles=["legal"], groups=["legal"]))
    person = find_session(guest.desk.node, guest.browser.cookies["comity"])
    assert person is not None
    assert (person.id, set(person.roles)) == (LIAISON, {Role.LIAISON})


def test_the_page_is_the_same_for_an_account_that_is_not_known_and_one_whose_person_was_removed(guest: Guest) -> None:
    guest.enrol()
    assert guest.is_in()
    remove_person(guest.desk.node, LEGAL)
    assert not guest.is_in()
    removed = guest.sign_in()
    guest.subject = "nobody"
    assert guest.sign_in().text == removed.text
    assert find_account_of(guest.desk.node, LEGAL) is None


def test_a_letter_more_or_less_is_another_account(guest: Guest) -> None:
    guest.enrol()
    known = guest.subject
    for other in (known.upper(), f"{known} ", f" {known}", known[:-1], f"{known}%", "%", f"{known}\u0000"):
        guest.subject = other
        assert guest.sign_in().status_code == 403, other


def test_another_provider_knows_other_people(guest: Guest, configure: Callable[..., None]) -> None:
    guest.enrol()
    with serve_issuer() as other:
        guest.issuer = other
        configure(issuer=other.url)
        answer = guest.sign_in()
    assert "not, or no longer, known here" in said_of(answer)


def test_an_account_is_one_persons(guest: Guest) -> None:
    guest.enrol(LEGAL)
    code = invite_person(guest.desk.node, LIAISON).code
    answer = guest.enrol(code=code)
    assert answer.status_code == 409
    assert "known here already" in said_of(answer)
    assert find_invited(guest.desk.node, code).id == LIAISON
    guest.subject = "subject-of-liaison"
    guest.enrol(code=code)
    held = find_account_of(guest.desk.node, LIAISON)
    assert held is not None
    assert held.subject == "subject-of-liaison"


def test_another_account_takes_another_invitation_which_ends_the_first(guest: Guest) -> None:
    guest.enrol()
    first, guest.subject = guest.subject, "another-subject"
    assert guest.sign_in().status_code == 403
    guest.enrol()
    assert guest.is_in()
    guest.subject = first
    assert guest.sign_in().status_code == 403


def test_an_invitation_counts_once_and_no_other_code_counts(guest: Guest) -> None:
    code = invite_person(guest.desk.node, LEGAL).code
    asked, again = guest.go("/enrol/openid", code=code), dict[str, str]()
    guest.come_back(guest.be_let_in(asked))
    again = guest.send("/enrol/openid", code=code)  # type: ignore[assignment]
    assert isinstance(again, httpx.Response)
    assert again.status_code == 403
    for wrong in ("", "A" * 52, "x" * 60_000):
        assert guest.send("/enrol/openid", code=wrong).status_code == 403


def test_an_invitation_that_ended_on_the_way_is_good_no_more(guest: Guest) -> None:
    asked = guest.go("/enrol/openid", code=invite_person(guest.desk.node, LEGAL).code)
    invite_person(guest.desk.node, LEGAL)
    answer = guest.come_back(guest.be_let_in(asked))
    assert answer.status_code == 403
    assert not guest.is_in()
    assert find_account_of(guest.desk.node, LEGAL) is None


def test_two_ways_in_are_one_person(guest: Guest) -> None:
    """What takes two people takes two people, however often one of them signs in, and by what."""
    guest.enrol(LIAISON)
    by_account = find_session(guest.desk.node, guest.browser.cookies["comity"])
    add_passkey(guest)
    other = Guest(guest.desk, guest.world, guest.issuer)
    options = other.send("/sign-in/passkey/options").json()
    other.send("/sign-in/passkey", response=PASSKEY.get(options, origin=URL))
    by_passkey = find_session(guest.desk.node, other.browser.cookies["comity"])
    assert by_account is not None
    assert by_passkey is not None
    for person in (by_account, by_passkey):
        done = agree.propose(guest.desk.node, guest.world.terms(), by=Actor(person=person))
        assert isinstance(done, Waiting)


# --- looking after it -------------------------------------------------------------------------------------------------

PASSKEY = Authenticator()


def add_passkey(guest: Guest) -> None:
    key = re.search(r'name="form_key" value="([0-9a-f]{64})"', guest.browser.get("/me").text)
    assert key is not None
    options = guest.send("/me/passkeys/options", form_key=key[1]).json()
    response = PASSKEY.create(options, origin=guest.browser.url)
    assert guest.send("/me/passkeys", form_key=key[1], response=response, label="Blue key").status_code == 200


def test_the_last_way_in_stays_and_another_can_go(guest: Guest) -> None:
    guest.enrol()
    assert guest.browser.post("/me/account/remove", "/me").status_code == 409
    add_passkey(guest)
    assert guest.browser.post("/me/account/remove", "/me").status_code == 303
    assert find_account_of(guest.desk.node, LEGAL) is None
    assert guest.sign_in().status_code == 403


def test_a_passkey_can_go_while_the_account_counts(guest: Guest) -> None:
    """It counts while the settings name its provider: with none, or another, the passkey is the last way in."""
    guest.enrol()
    add_passkey(guest)
    (passkey,) = list_passkeys(guest.desk.node, LEGAL)
    node, plain = guest.desk.node, ConsoleSetting(listen=Address(host="127.0.0.1", port=8460), url=URL)
    own = OidcSetting(issuer=guest.issuer.url, client_id=CLIENT, secret=Path("unused"))
    for console, status in (
        (None, 409),
        (plain, 409),
        (replace(plain, oidc=replace(own, issuer=f"{own.issuer}/")), 409),
        (replace(plain, oidc=own), 303),
    ):
        node.settings = replace(node.settings, console=console)
        assert guest.browser.post("/me/passkeys/remove", "/me", digest=passkey.digest).status_code == status
    assert guest.sign_in().status_code == 200


def test_it_is_removed_soon_after_a_sign_in_alone(guest: Guest) -> None:
    guest.enrol()
    add_passkey(guest)
    guest.world.tick(15 * 60 * 1_000_000)
    assert guest.browser.post("/me/account/remove", "/me").status_code == 403
    assert find_account_of(guest.desk.node, LEGAL) is not None


def test_it_is_listed_for_who_looks_after_people(guest: Guest) -> None:
    guest.enrol()

    async def ask() -> dict[str, Any]:
        reply = await act(guest.desk.node, "person.list", {}, around=_Nothing())
        assert reply.result is not None
        return reply.result

    listed = {item["person"]: item["account"] for item in asyncio.run(ask())["people"]}
    assert listed == {LEGAL: guest.issuer.url, LIAISON: None}
    assert "account" in guest.browser.get("/people").text


def test_it_is_on_record_and_what_is_not_is_found(guest: Guest) -> None:
    guest.enrol()
    add_passkey(guest)
    folder, now = guest.desk.node.folder, guest.world.now
    assert not audit_folder(folder, now=now).findings
    with guest.desk.node.store.write() as transaction:
        transaction.run("UPDATE account SET subject = 'of-a-stranger' WHERE person = ?", (LEGAL,))
    (finding,) = audit_folder(folder, now=now).findings
    assert finding.problem == "the person aurelia-legal signs in by something else than the log has put on record"


def test_the_log_does_not_say_the_subject(guest: Guest) -> None:
    guest.enrol()
    named = name_account(guest.issuer.url, guest.subject)
    assert guest.subject not in named
    assert named != name_account(guest.issuer.url + "\nx", guest.subject[1:])
    assert len({name_account("a", "b"), name_account("b", "a"), name_account("", "ab")}) == 3


# --- what another browser, another site or a stranger brings ----------------------------------------------------------


def test_what_the_provider_said_to_one_browser_counts_in_no_other(guest: Guest) -> None:
    """Login CSRF: a stranger signs in as himself, stops, and has another browser open the address."""
    guest.enrol()
    stranger, victim = Guest(guest.desk, guest.world, guest.issuer), Guest(guest.desk, guest.world, guest.issuer)
    said = stranger.be_let_in(stranger.go())
    for _ in range(2):
        answer = victim.come_back(said)
        assert answer.status_code == 403
        assert "did not begin in this browser" in said_of(answer)
        victim.go()  # also where one of its own is under way
    assert not victim.is_in()
    assert guest.issuer.count("/token") == 1
    stranger.come_back(said)
    assert stranger.is_in()


def test_a_stranger_does_not_end_what_is_under_way(guest: Guest) -> None:
    guest.enrol()
    said = guest.be_let_in(guest.go())
    for wrong in ({"state": "x", "code": "y"}, {"state": "x", "error": "access_denied"}, {}, {"state": "\u00e9"}):
        assert guest.come_back(wrong).status_code == 403
    assert guest.come_back(said).status_code == 200


def test_an_answer_counts_once(guest: Guest) -> None:
    guest.enrol()
    said = guest.be_let_in(guest.go())
    kept = dict(guest.browser.cookies)
    assert guest.come_back(said).status_code == 200
    guest.browser.cookies.clear()
    guest.browser.cookies.update(kept)
    answer = guest.come_back(said)
    assert answer.status_code == 403
    assert "is over" in said_of(answer)
    assert guest.issuer.count("/token") == 2


def test_an_answer_that_failed_counts_no_more(guest: Guest) -> None:
    guest.enrol()
    asked = guest.go()
    kept = dict(guest.browser.cookies)
    guest.come_back({"state": asked["state"], "error": "login_required"})
    guest.browser.cookies.update(kept)
    assert "is over" in said_of(guest.come_back(guest.be_let_in(asked)))


def test_an_answer_counts_for_ten_minutes(guest: Guest) -> None:
    guest.enrol()
    asked = guest.go()
    guest.world.tick(600_000_000 - 1)
    assert guest.come_back(guest.be_let_in(asked)).status_code == 200
    asked = guest.go()
    guest.world.tick(600_000_000)
    assert "is over" in said_of(guest.come_back(guest.be_let_in(asked)))


def test_a_code_of_another_sign_in_does_not_count(guest: Guest) -> None:
    """The stranger's code in the own answer: its token has the nonce of the stranger's sign-in."""
    guest.enrol()
    stranger = Guest(guest.desk, guest.world, guest.issuer)
    code = stranger.be_let_in(stranger.go())["code"]
    asked = guest.go()
    answer = guest.come_back({"state": asked["state"], "code": code})
    assert answer.status_code == 403
    assert "another sign-in" in said_of(answer)


def test_what_the_browser_keeps_cannot_be_made_or_changed(guest: Guest, configure: Callable[..., None]) -> None:
    guest.enrol()
    said = guest.be_let_in(guest.go())
    name = "comity-openid"
    good = guest.browser.cookies[name]
    middle = len(good) // 2
    for kept in (
        good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :],
        good[:-4],
        "",
        "x",
        "!",
        "A" * 200,
        "A" * 5_000,
        good + "\u00e9",
    ):
        guest.browser.cookies[name] = kept
        try:
            assert guest.come_back(said).status_code == 403, kept
        except UnicodeEncodeError:
            continue  # no browser sends such a cookie
    configure()  # another process: another key
    guest.browser.cookies[name] = good
    assert guest.come_back(said).status_code == 403


def test_what_the_browser_keeps_says_nothing_and_is_for_no_script(guest: Guest) -> None:
    code = invite_person(guest.desk.node, LEGAL).code
    asked = guest.go("/enrol/openid", code=code)
    kept = guest.browser.cookies["comity-openid"]
    plain = base64.urlsafe_b64decode(kept + "=" * (-len(kept) % 4))
    for secret in (asked["nonce"], asked["state"], code, SECRET):
        assert secret.encode() not in plain
    flags = guest.cookies["comity-openid"]
    assert (flags["httponly"], flags["samesite"], flags["path"], flags["max-age"]) == ("True", "lax", "/", "600")
    longest = guest.send("/sign-in/openid", next="/" + '"' * 1_999)
    assert max(len(header) for header in longest.headers.get_list("set-cookie")) < 4_096
    guest.browser.cookies["comity"] = "x" * 3_000
    again = guest.send("/enrol/openid", code=f"{code}{' ' * 40_000}")
    assert max(len(header) for header in again.headers.get_list("set-cookie")) < 4_096


def test_by_https_the_cookie_is_of_this_host_alone(guest: Guest) -> None:
    browser = guest.desk.visit(None, url="https://console.aurelia.example")
    (header,) = browser.send_form("/sign-in/openid").headers.get_list("set-cookie")
    assert header.startswith("__Host-comity-openid=")
    assert "Secure" in header


def test_a_parameter_that_comes_twice_is_none(guest: Guest) -> None:
    guest.enrol()
    said = guest.be_let_in(guest.go())
    for name in said:
        pairs = [*said.items(), (name, said[name])]
        assert guest.browser.send("GET", BACK, params=pairs).status_code == 403
    assert guest.come_back(said).status_code == 200


def test_another_issuer_in_the_answer_is_a_mix_up(guest: Guest) -> None:
    guest.enrol()
    said = guest.be_let_in(guest.go())
    assert "another provider" in said_of(guest.come_back({**said, "iss": "https://evil.example"}))
    said = guest.be_let_in(guest.go())
    assert guest.come_back({**said, "iss": guest.issuer.url}).status_code == 200
    assert guest.issuer.count("/token") == 2


def test_a_provider_that_says_it_names_itself_has_to(guest: Guest) -> None:
    guest.issuer.published = {"authorization_response_iss_parameter_supported": True}
    said = guest.be_let_in(guest.go())
    assert "does not name its provider" in said_of(guest.come_back(said))
    assert guest.issuer.count("/token") == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "null"},
        {"origin": URL, "sec-fetch-site": "same-site"},
    ],
)
def test_another_site_sends_nobody_there(guest: Guest, headers: dict[str, str]) -> None:
    code = invite_person(guest.desk.node, LEGAL).code
    for path in ("/sign-in/openid", "/enrol/openid", "/me/account/remove"):
        answer = guest.browser.send("POST", path, data={"code": code}, headers=headers)
        assert answer.status_code == 403, path
        assert "set-cookie" not in answer.headers
    assert guest.browser.get("/sign-in/openid").status_code == 400
    assert guest.issuer.asked == []


def test_nobody_is_led_elsewhere(guest: Guest) -> None:
    guest.enrol()
    for to in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/sign-out",
        "",
        "/x\"y'",
    ):
        answer = guest.sign_in(to=to)
        (target,) = TO.findall(answer.text)
        assert unescape(target) in {"/", "/x\"y'"}, to
        assert "evil" not in answer.text


def test_a_session_that_was_there_before_has_ended(guest: Guest) -> None:
    """Its cookie does not come along from the provider's site, and its end does not depend on that."""
    guest.enrol()
    earlier = guest.browser.cookies["comity"]
    guest.sign_in()
    assert guest.browser.cookies["comity"] != earlier
    assert find_session(guest.desk.node, earlier) is None
    assert len(list_sessions(guest.desk.node, LEGAL)) == 1


def test_a_session_ends_as_others_do(guest: Guest) -> None:
    guest.enrol()
    guest.world.tick(30 * 60 * 1_000_000)
    assert not guest.is_in()
    guest.sign_in()
    assert guest.is_in()
    invite_person(guest.desk.node, LEGAL)
    assert not guest.is_in()
    assert guest.sign_in().status_code == 403


def test_strangers_who_come_back_without_end_are_bounded(guest: Guest) -> None:
    guest.issuer.answers["/token"] = (400, {}, b'{"error":"invalid_grant"}')
    statuses = [guest.sign_in().status_code for _ in range(52)]
    assert statuses[:50] == [403] * 50
    assert statuses[50:] == [429] * 2
    assert guest.issuer.count("/token") == 50


def test_strangers_who_come_back_refused_are_bounded_and_little_is_kept_of_them(guest: Guest) -> None:
    """Whoever begins in vain can end it as often: of each that is ended something is kept, and looked through."""
    statuses = list[int]()
    for _ in range(52):
        refused = {"state": guest.go()["state"], "error": "access_denied"}
        statuses.append(guest.come_back(refused).status_code)
    assert (statuses[:50], statuses[50:]) == ([403] * 50, [429] * 2)
    provider = guest.desk.door.provider
    assert provider is not None
    assert len(provider._used) == 50


def test_a_sign_in_that_came_back_too_early_counts_still(guest: Guest) -> None:
    guest.issuer.answers["/token"] = (400, {}, b'{"error":"invalid_grant"}')
    for _ in range(50):
        guest.sign_in()
    del guest.issuer.answers["/token"]
    early = guest.be_let_in(guest.go())
    assert guest.come_back(early).status_code == 429
    guest.world.tick(1_000_000)
    assert "not, or no longer, known here" in said_of(guest.come_back(early))


def test_strangers_keep_nobody_out_who_was_in_before_or_is_invited(
    guest: Guest, desk: Desk, world: World, issuer: Issuer
) -> None:
    guest.enrol()
    invited = Guest(desk, world, issuer, "subject-of-liaison")
    stranger = Guest(desk, world, issuer, "subject-of-nobody")
    assert [stranger.sign_in().status_code for _ in range(51)] == [403] * 50 + [429]
    assert guest.sign_in().status_code == 200
    assert invited.enrol(LIAISON).status_code == 200
    remove_person(desk.node, LEGAL)
    assert guest.sign_in().status_code == 429, "the browser of somebody who was removed is a stranger's"


# --- pages ------------------------------------------------------------------------------------------------------------


def test_no_page_has_a_looser_policy_and_none_can_be_framed(guest: Guest) -> None:
    """Not even the page that leads to the provider: it leads there by itself, and no form does."""
    plain = guest.browser.get("/enrol")
    pages = [
        guest.browser.get("/sign-in"),
        guest.send("/sign-in/openid"),
        guest.come_back({"state": "x"}),
        guest.enrol(),
    ]
    for page in pages:
        for name in ("content-security-policy", "x-frame-options", "referrer-policy", "cache-control"):
            assert page.headers[name] == plain.headers[name], name
    assert "form-action 'self';" in plain.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in plain.headers["content-security-policy"]
    assert plain.headers["x-frame-options"] == "DENY"


def test_no_page_says_a_secret(guest: Guest) -> None:
    asked = guest.go()
    said = guest.be_let_in(guest.go())
    for page in (guest.come_back({**said, "state": "x"}), guest.come_back(said)):
        for secret in (said["code"], said["state"], asked["nonce"], SECRET, guest.subject):
            assert secret not in page.text


def test_what_the_operator_calls_the_provider_is_no_markup(guest: Guest) -> None:
    for page in (guest.browser.get("/sign-in"), guest.send("/sign-in/openid")):
        assert "the staff &lt;directory&gt;" in page.text
        assert "<directory>" not in page.text


def test_what_the_provider_says_was_wrong_is_told_if_it_is_a_word(guest: Guest) -> None:
    for error, told in (("access_denied", True), ("<b>no</b>", False), ("x" * 61, False), ("No way", False)):
        answer = guest.come_back({"state": guest.go()["state"], "error": error, "error_description": "<i>because</i>"})
        assert answer.status_code == 403
        assert ("(access_denied)" in said_of(answer)) is told
        assert "because" not in answer.text
        assert error == "access_denied" or error not in unescape(answer.text)


def test_where_no_provider_is_configured_nothing_is_there(desk: Desk) -> None:
    browser = desk.visit(None)
    for path in ("/sign-in", "/enrol"):
        assert "openid" not in browser.get(path).text.lower()
    code = invite_person(desk.node, LEGAL).code
    assert "openid" not in browser.send_form("/enrol", code=code).text.lower()
    for path in ("/sign-in/openid", "/enrol/openid", BACK):
        absent = browser.send_form(f"{path}-nothing")
        assert browser.send_form(path).text == absent.text
        assert browser.get(path).text == absent.text
        assert (browser.get(path).status_code, absent.status_code) == (404, 404)


def test_a_form_without_end_is_not_read(guest: Guest) -> None:
    for path in ("/sign-in/openid", "/enrol/openid"):
        assert guest.send(path, next="x" * 200_000).status_code == 400


# --- what a provider says ---------------------------------------------------------------------------------------------

JSON = {"content-type": "application/json"}
ELSEWHERE = "https://evil.example/x"
DISCOVERY = "/.well-known/openid-configuration"

BAD: dict[str, tuple[Callable[[Issuer], Any], str]] = {
    "another issuer": (lambda it: it.published.update(issuer=f"{it.url}/"), "another issuer"),
    "no issuer": (lambda it: it.published.update(issuer=None), "another issuer"),
    "a redirect": (
        lambda it: it.answers.update({DISCOVERY: (302, {"location": f"{it.url}/elsewhere"}, b"")}),
        "not followed",
    ),
    "without end": (lambda it: it.answers.update({DISCOVERY: (200, JSON, b"[" + b" " * 70_000 + b"]")}), "65536"),
    "no JSON": (lambda it: it.answers.update({DISCOVERY: (200, JSON, b"<html>")}), "not answer in JSON"),
    "no object": (lambda it: it.answers.update({DISCOVERY: (200, JSON, b"[]")}), "JSON object"),
    "a failure": (lambda it: it.answers.update({DISCOVERY: (503, JSON, b"{}")}), "answered 503"),
    "no PKCE": (lambda it: it.published.update(code_challenge_methods_supported=["plain"]), "PKCE"),
}

NOT_OWN = (
    ELSEWHERE,
    "http://169.254.169.254/latest",
    "http://127.0.0.1:1/x",
    "http://localhost/x",
    "{0}@evil.example/x",
    "{0}.evil.example/x",
    "{0}\\@evil.example",
    "{0}/#x",
    "{0}:x",
    "file:///etc/passwd",
    "//evil.example",
    "/relative",
    "{0}/a b",
    '{0}/"><script>',
    "",
)


@pytest.mark.parametrize("bad", BAD)
def test_a_provider_that_publishes_what_does_not_fit_is_not_used(guest: Guest, bad: str) -> None:
    bend, reason = BAD[bad]
    bend(guest.issuer)
    for path, fields in (
        ("/sign-in/openid", {}),
        ("/enrol/openid", {"code": invite_person(guest.desk.node, LEGAL).code}),
    ):
        answer = guest.send(path, **fields)
        assert answer.status_code == 502
        assert "set-cookie" not in answer.headers
        assert "cannot be used now" in said_of(answer)
        assert reason in said_of(answer)
        assert "evil" not in answer.text
    assert [asked[1] for asked in guest.issuer.asked] == [DISCOVERY]


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
def test_an_endpoint_elsewhere_is_not_used(guest: Guest, configure: Callable[..., None], name: str) -> None:
    for url in NOT_OWN:
        guest.issuer.published = {name: url.format(guest.issuer.url)}
        configure()
        answer = guest.send("/sign-in/openid")
        assert answer.status_code == 502, url
        assert "own address" in said_of(answer)
        assert "evil" not in answer.text
    guest.issuer.published = {name: f"{guest.issuer.url}/somewhere/else?x=1"}
    configure()
    assert guest.send("/sign-in/openid").status_code == 200
    assert {asked[1] for asked in guest.issuer.asked} == {DISCOVERY}


def test_who_does_not_answer_is_asked_again_after_some_seconds(guest: Guest) -> None:
    guest.issuer.answers[DISCOVERY] = (503, JSON, b"{}")
    for _ in range(5):
        assert guest.send("/sign-in/openid").status_code == 502
    assert guest.issuer.count(DISCOVERY) == 1
    guest.issuer.answers.clear()
    guest.world.tick(5_000_000)
    assert guest.send("/sign-in/openid").status_code == 200


def test_a_key_that_was_rotated_is_found_and_keys_are_read_anew_once(guest: Guest) -> None:
    guest.enrol()
    guest.issuer.key, guest.issuer.kid = make_key("next"), "2"
    assert guest.sign_in().status_code == 200
    assert guest.issuer.count("/keys") == 2
    guest.issuer.make_token = lambda it: sign(make_key("stranger"), it.claims, alg="RS256", kid="3")
    answer = guest.sign_in()
    assert answer.status_code == 403
    assert "a key that is not" in said_of(answer)
    assert guest.issuer.count("/keys") == 3


def test_a_key_that_was_withdrawn_counts_no_more_within_the_hour(guest: Guest) -> None:
    guest.enrol()
    old = guest.issuer.key
    guest.issuer.key, guest.issuer.kid = make_key("next"), "2"
    guest.world.tick(3_600_000_000)
    guest.issuer.make_token = lambda it: sign(old, it.claims, alg="RS256", kid="1")
    assert guest.sign_in().status_code == 403


BAD_KEYS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "without end": (200, JSON, json.dumps({"keys": [], "x": "x" * 300_000}).encode()),
    "a redirect": (307, {"location": "/keys2"}, b""),
    "no JSON": (200, JSON, b"-----BEGIN CERTIFICATE-----"),
    "no keys": (200, JSON, b'{"keys":[]}'),
    "a secret": (200, JSON, b'{"keys":[{"kty":"oct","k":"AAAA","kid":"1"}]}'),
}


@pytest.mark.parametrize("bad", BAD_KEYS)
def test_keys_that_are_none_let_nobody_in(guest: Guest, bad: str) -> None:
    code = invite_person(guest.desk.node, LEGAL).code
    guest.issuer.answers["/keys"] = BAD_KEYS[bad]
    answer = guest.enrol(code=code)
    assert answer.status_code in {403, 502}
    assert not guest.is_in()
    assert find_invited(guest.desk.node, code).id == LEGAL
    guest.issuer.answers.clear()
    guest.world.tick(5_000_000)
    guest.enrol(code=code)
    assert guest.is_in()


BAD_TOKENS: dict[str, Callable[[Issuer], Any]] = {
    "a failure": lambda it: it.answers.update({"/token": (500, JSON, b"{}")}),
    "refused": lambda it: it.answers.update({"/token": (400, JSON, b'{"error":"invalid_grant"}')}),
    "a redirect": lambda it: it.answers.update({"/token": (307, {"location": ELSEWHERE}, b"")}),
    "no token": lambda it: it.answers.update({"/token": (200, JSON, b'{"access_token":"x"}')}),
    "no text": lambda it: it.answers.update({"/token": (200, JSON, b'{"id_token":7}')}),
    "without end": lambda it: it.answers.update({"/token": (200, JSON, b'{"id_token":"' + b"x" * 70_000 + b'"}')}),
    "without a signature": lambda it: setattr(it, "make_token", lambda it: sign(None, it.claims, alg="none")),
    "by the secret": lambda it: setattr(it, "make_token", lambda it: sign(SECRET.encode(), it.claims, alg="HS256")),
    "by a stranger": lambda it: setattr(
        it, "make_token", lambda it: sign(make_key("stranger"), it.claims, alg="RS256", kid="1")
    ),
    "with a key of its own": lambda it: setattr(
        it,
        "make_token",
        lambda it: sign(make_key("stranger"), it.claims, alg="RS256", kid="1", jwk=public_jwk(make_key("stranger"))),
    ),
}


@pytest.mark.parametrize("bad", BAD_TOKENS)
def test_what_is_no_token_lets_nobody_in(guest: Guest, bad: str) -> None:
    guest.enrol()
    guest.take(guest.browser.post("/sign-out", "/me"))
    BAD_TOKENS[bad](guest.issuer)
    answer = guest.sign_in()
    assert answer.status_code in {403, 502}
    assert not guest.is_in()
    assert list_sessions(guest.desk.node, LEGAL) == []


def test_the_environment_names_no_proxy(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    guest.enrol()
    assert guest.is_in()


def test_a_secret_that_others_can_read_is_not_used(guest: Guest) -> None:
    (guest.world.folder / "aurelia" / "keys" / "oidc.secret").chmod(0o644)
    answer = guest.enrol()
    assert answer.status_code == 502
    assert "oidc.secret" not in answer.text
    assert guest.issuer.count("/token") == 0
