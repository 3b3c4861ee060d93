# SPDX-License-Identifier: Apache-2.0
"""The whole job by browser: two people of each of two parties, at the consoles of two served nodes.

Invited, they enrol; they propose, ask, answer, look, sign by two on each side, explain, receive, suspend, verify the
log and recall. Commands are used only for what the console leaves to whoever controls the folder.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from comity.agreement.drafting import convert_terms
from comity.canonical import sha256_digest
from tests.e2e.browser.desks import BUNDLE, EXAMPLES
from tests.e2e.browser.looking import MILLISECONDS
from tests.e2e.conftest import Serving, comity, wait_until
from tests.ports import find_port

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

PEOPLE = {
    "anton": ("aurelia", ("liaison", "analyst")),
    "livia": ("aurelia", ("legal", "auditor")),
    "berit": ("borealia", ("liaison", "analyst")),
    "lasse": ("borealia", ("legal",)),
}
PARTIES = ("aurelia", "borealia")
TITLE = "Exchange of letters on the Ashfall Column"
QUESTION = "Does SY include the border posts on the IQ side?"
ANSWER = "Yes; both sides of the border are meant."
OUTSIDE = "location--acc9ce05-269b-5307-b814-30754fd16ce6"
"""An object whose region the agreement does not name."""

_RECOGNISED = '[[recognised]]\nkind = "unsc_resolution"\nreference = "*"\n'


@dataclass(kw_only=True)
class Someone:
    """One person at the console of the own party."""

    page: Page
    url: str

    def go(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        self.page.get_by_role("link", name=name).first.click()

    def sees(self, text: str) -> None:
        expect(self.page.locator("main")).to_contain_text(text)

    def wait_for(self, path: str, text: str) -> None:
        """Load the page until it says so: what a partner does comes in by itself."""
        wait_until(lambda: text in self.go(path).locator("main").inner_text())

    def look_at_waiting(self, act: str) -> None:
        """From the list of what waits for a second person to where it is approved."""
        row = self.go("/").get_by_role("row").filter(has_text=act)
        row.get_by_role("link", name="Look, and approve").click()


@pytest.fixture
def nodes(tmp_path: Path, serve: Callable[[Path], Serving]) -> dict[str, Serving]:
    """Both nodes, served with consoles, each pinned at the other, and their people known."""
    served, digests = dict[str, Serving](), dict[str, str]()
    for party in PARTIES:
        folder = tmp_path / party
        assert comity(folder, "init", folder, "--party", party, "--name", party.title()).code == 0
        with (folder / "node.toml").open("a", encoding="utf-8") as file:
            port = find_port()
            file.write(f'\n[console]\nlisten = "127.0.0.1:{port}"\nurl = "http://localhost:{port}"\n')
        (folder / "recognition.toml").write_text(_RECOGNISED, encoding="utf-8")
        served[party] = serve(folder)
        digests[party] = comity(folder, "party", "export", tmp_path / f"{party}.json", "--json").result["digest"]
    for party, other in (PARTIES, PARTIES[::-1]):
        known = ("--digest", digests[other], "--url", served[other].url)
        assert comity(tmp_path / party, "party", "add", tmp_path / f"{other}.json", *known).code == 0
    for person, (party, roles) in PEOPLE.items():
        named = ("--name", person.title(), *(word for role in roles for word in ("--role", role)))
        badge = ("--badge", tmp_path / f"{person}.badge")
        assert comity(tmp_path / party, "person", "add", person, *named, *badge).code == 0
        assert comity(tmp_path / party, "person", "invite", person, "--file", tmp_path / f"{person}.code").code == 0
    assert comity(tmp_path / "aurelia", "object", "add", BUNDLE).code == 0
    terms = (EXAMPLES / "agreements" / "bilateral.toml").read_text(encoding="utf-8")
    for party in PARTIES:
        terms = terms.replace(f"MANIFEST-OF-{party.upper()}", digests[party])
    (tmp_path / "terms.toml").write_text(terms, encoding="utf-8")
    return served


@pytest.fixture
def people(chromium: Browser, nodes: dict[str, Serving], tmp_path: Path) -> Iterator[dict[str, Someone]]:
    """Everybody, enrolled: Livia by a passkey, the others by a password and a code."""
    found = dict[str, Someone]()
    for name, (party, _) in PEOPLE.items():
        console = nodes[party].console
        assert console is not None
        context = chromium.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
        context.set_default_timeout(MILLISECONDS)
        found[name] = Someone(page=context.new_page(), url=console)
        code = (tmp_path / f"{name}.code").read_text(encoding="utf-8").strip()
        (enrol_by_passkey if name == "livia" else enrol_by_password)(found[name], code)
    yield found
    for someone in found.values():
        someone.page.context.close()


def begin_enrolment(someone: Someone, code: str) -> None:
    someone.go(f"/enrol#{code}")
    expect(someone.page.get_by_label("Code of your invitation")).to_have_value(code)
    someone.press("Go on")


def enrol_by_password(someone: Someone, code: str) -> None:
    begin_enrolment(someone, code)
    page = someone.page
    secret = page.locator("form[action='/enrol/password'] code").inner_text()
    page.get_by_label("Password, 12").fill("four plain words here")
    page.get_by_label("The same password again").fill("four plain words here")
    page.get_by_label("Code that the app shows").fill(pyotp.TOTP(secret).now())
    someone.press("Enrol with a password")
    page.wait_for_url(f"{someone.url}/")


def enrol_by_passkey(someone: Someone, code: str) -> None:
    device = someone.page.context.new_cdp_session(someone.page)
    device.send("WebAuthn.enable")
    kind = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options = {**kind, "isUserVerified": True, "automaticPresenceSimulation": True}
    device.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    begin_enrolment(someone, code)
    someone.press("Enrol with a passkey")
    someone.page.wait_for_url(f"{someone.url}/")


def test_the_whole_job_by_browser(people: dict[str, Someone], tmp_path: Path) -> None:
    anton, livia, berit, lasse = (people[name] for name in PEOPLE)

    # Aurelia proposes; one person alone has bound nobody.
    anton.go("/agreements/propose").get_by_label("Or the terms themselves").fill(
        (tmp_path / "terms.toml").read_text(encoding="utf-8")
    )
    anton.press("Read it and show what it would do")
    anton.sees("release")
    anton.press("Approve proposing it")
    anton.sees("Nothing is signed yet: it waits for a second person.")
    assert TITLE not in berit.go("/agreements").locator("main").inner_text()
    livia.look_at_waiting("propose")
    livia.sees("This is the text that anton brought.")
    livia.sees(sha256_digest(convert_terms((tmp_path / "terms.toml").read_bytes())))
    livia.press("Approve the same, and sign for this party")
    livia.sees("Done, and on record.")

    # Borealia asks, Aurelia answers.
    berit.wait_for("/agreements", TITLE)
    berit.follow(TITLE)
    page = berit.page.url.removeprefix(berit.url)
    berit.page.locator("select[name=clause]").select_option("channels.main.regions")
    berit.page.get_by_label("Question, sent to the other parties").fill(QUESTION)
    berit.press("Ask")
    anton.wait_for(page, QUESTION)
    anton.page.get_by_label("Answer, sent to the other parties").fill(ANSWER)
    anton.press("Answer")
    berit.wait_for(page, ANSWER)

    # Two people of Borealia sign what they have looked at.
    berit.press("See what version 1 would release, and sign")
    berit.press("Approve signing version 1")
    berit.sees("it waits for a second person")
    lasse.look_at_waiting("accept")
    lasse.press("Approve the same, and sign for this party")
    for someone in (anton, berit):
        someone.wait_for(page, "In force")

    # What goes, and what does not, is explained before it is looked for at the partner.
    anton.go(f"/explain?object={OUTSIDE}&to=borealia")
    anton.sees("regions")
    berit.wait_for("/objects", "aurelia")
    berit.page.locator("main a[href^='/objects/']").first.click()
    received = berit.page.url.removeprefix(berit.url)
    anton.go(received)
    anton.sees("borealia")
    assert berit.go(f"/objects/{OUTSIDE}").get_by_role("heading", level=1).inner_text() == "This could not be done"

    suspend_and_recall(people, page, received)


def suspend_and_recall(people: dict[str, Someone], page: str, received: str) -> None:
    """Given the pages of the agreement and of an object that was given."""
    anton, livia, berit, _ = (people[name] for name in PEOPLE)

    # One person suspends, with a reason; the partner sees it.
    reason = "A source may be at risk."
    anton.go(page).locator("form.stop").get_by_label("Reason").fill(reason)
    anton.press("Suspend now")
    anton.sees("Suspended")
    berit.wait_for(page, reason)
    berit.sees("Suspended")

    # The log has what left, and proves it again.
    livia.go("/log?q=kind:disclosure").locator("main tbody a").first.click()
    livia.press("Verify now")
    livia.sees("Every part that is there holds.")

    # What was given is recalled; whoever has it is told.
    recalled = "It was about somebody else."
    anton.go(received).get_by_text("Recall it").click()
    anton.page.get_by_label("Reason, which the partners read").fill(recalled)
    anton.press("Recall")
    anton.sees(recalled)
    berit.wait_for(received, recalled)
