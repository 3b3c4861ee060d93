# SPDX-License-Identifier: Apache-2.0
"""The second person reads what the first one brought, and approves that or declines it, without a file."""

import base64
import re
from collections.abc import Mapping
from typing import Any

import pytest

from comity.agreement.drafting import convert_terms
from comity.agreement.events import EventKind
from comity.agreement.people import Person, Role
from comity.canonical import sha256_digest
from comity.console.visit import Visit
from comity.ids import PersonId
from comity.node import agree, people
from comity.node.agree import Recorded
from comity.node.audit import audit_folder
from comity.node.journal import list_entries
from comity.node.people import APPROVAL_LIFETIME, Waiting, list_matters
from comity.node.standing import list_dossiers
from comity.release.declined import format_declined
from comity.release.disclosure import EntryType
from tests.consoles import Browser, Desk, make_person
from tests.unit.console.test_agreements import propose, read, state
from tests.unit.console.test_meanwhile import open_browser, sign_in
from tests.worlds import World, make_object

LIAISON = make_person("aurelia-liaison", Role.LIAISON)
LEGAL = make_person("aurelia-legal", Role.LEGAL)
ANALYST = make_person("aurelia-analyst", Role.ANALYST)
AUDITOR = make_person("aurelia-auditor", Role.AUDITOR)
OPERATOR = make_person("aurelia-operator", Role.OPERATOR)
SIGN = "Approve the same, and sign for this party"


@pytest.fixture
def draft(world: World) -> bytes:
    return b"# What the colleague thought of it: \xc3\xa4.\n" + world.terms(title="Exchange of letters")


@pytest.fixture
def waiting(desk: Desk, world: World, draft: bytes) -> str:
    """The page of a proposal that the liaison officer has approved in the console."""
    page = "/agreements/propose"
    done = desk.visit(LIAISON).post(page, page, step="sign", draft=draft.decode(), why="As talked of.")
    assert done.headers["location"] == "/?said=waits"
    return find_page(world)


def find_page(world: World) -> str:
    (matter,) = list_matters(world.nodes["aurelia"])
    return f"/approvals/{matter.digest}"


def count(world: World, table: str) -> int:
    with world.nodes["aurelia"].store.read() as transaction:
        row = transaction.row(f"SELECT COUNT(*) FROM {table}")
    assert row is not None
    return int(row[0])


def signed(world: World) -> int:
    with world.nodes["aurelia"].store.read() as transaction:
        return len(list_dossiers(world.nodes["aurelia"], transaction))


def find_problems(world: World) -> str:
    found = audit_folder(world.nodes["aurelia"].folder, now=world.now)
    return "\n".join(item.problem for item in found.findings)


def read_last(world: World) -> Mapping[str, Any]:
    content = list_entries(world.nodes["aurelia"], start=-1, limit=1)[0].content
    assert isinstance(content, dict)
    return content


# --- shown and signed ------------------------------------------------------------------------------------------------


def test_the_second_person_reads_what_the_first_brought_and_signs_it_without_a_file(
    desk: Desk, world: World, waiting: str, draft: bytes
) -> None:
    world.add("aurelia", make_object("one"))
    world.tick()
    second = desk.visit(LEGAL)
    assert f'href="{waiting}"' in read(second, "/")
    page = read(second, waiting)
    terms = sha256_digest(convert_terms(draft))
    assert terms in page
    assert "1 object would be released" in page
    bases = second.get(f"{waiting}.json").json()["bases"]
    assert [item["party"] for item in bases] == ["aurelia", "borealia"]
    assert page.count("Its positions, each with the basis that it is on") == 1
    for basis in bases:
        assert (
            f'<li>{basis["party"]}: unsc resolution <bdi dir="auto">{basis["reference"]}</bdi>, recognised</li>' in page
        )
    assert "unmarked and stricter ones are withheld" in page
    assert "As talked of." in page
    assert "aurelia-liaison" in page
    assert 'type="file"' not in page
    assert "<textarea" not in page
    twin = second.get(f"{waiting}.json").json()
    assert base64.b64decode(twin["brought"]) == draft
    assert (twin["terms"], twin["completes"], twin["here"]) == (terms, True, True)
    assert twin["approvals"][0]["reason"] == "As talked of."
    done = second.post(f"{waiting}/approve", waiting, why="Basis seen.")
    location = done.headers["location"]
    assert re.fullmatch(r"/agreements/[0-9a-f]{64}\?said=done", location), done.text
    assert state(world, location[12:76]) == "proposed"
    status = second.get(f"/agreements/{location[12:76]}.json").json()
    assert status["terms"] == terms
    assert [(item["person"], item["role"]) for item in status["signatures"][0]["approvals"]] == [
        ("aurelia-liaison", "liaison"),
        ("aurelia-legal", "legal"),
    ]
    assert (count(world, "approval"), count(world, "brought")) == (0, 0)


def test_what_was_brought_first_is_kept_though_another_file_says_the_same(
    desk: Desk, world: World, waiting: str, draft: bytes
) -> None:
    """A second liaison officer adds comments of his own; the legal officer still reads the first one's bytes."""
    world.register("aurelia", "luisa", Role.LIAISON)
    luisa = make_person("luisa", Role.LIAISON)
    page = "/agreements/propose"
    other = b"# Other words.\n" + draft
    assert desk.visit(luisa).post(page, page, step="sign", draft=other.decode()).headers["location"] == "/?said=waits"
    twin = desk.visit(LEGAL).get(f"{waiting}.json").json()
    assert base64.b64decode(twin["brought"]) == draft
    assert len(twin["approvals"]) == 2


def test_a_counter_proposal_shows_what_it_changes(desk: Desk, world: World) -> None:
    agreement = propose(world)
    text = world.terms(giver="aurelia", version=2, agreement=agreement, supersedes=agreement, tlp="green")
    waits = agree.propose(world.nodes["aurelia"], text, by=world.actor("aurelia", Role.LIAISON))
    assert isinstance(waits, Waiting)
    page = find_page(world)
    twin = desk.visit(LEGAL).get(f"{page}.json").json()
    named = {item["clause"]: (item["removed"], item["added"]) for item in twin["changes"]}
    assert named["channels.main.tlp_ceiling"] == (["amber"], ["green"])
    assert named.keys() == {"agreement", "supersedes", "version", "channels.main.tlp_ceiling"}
    done = desk.visit(LEGAL).post(f"{page}/approve", page)
    assert done.headers["location"] == f"/agreements/{agreement}?said=done"
    assert desk.visit(LEGAL).get(f"/agreements/{agreement}.json").json()["latest"]["version"] == 2


def test_a_next_version_shows_what_it_changes_and_a_first_one_changes_nothing(
    desk: Desk, world: World, waiting: str
) -> None:
    legal = desk.visit(LEGAL)
    assert legal.get(f"{waiting}.json").json()["changes"] is None
    agreement = world.sign_all(world.terms(title="Another"))
    later = world.terms(title="Another", agreement=agreement, supersedes=agreement, version=2, tlp="red")
    assert isinstance(agree.propose(world.nodes["aurelia"], later, by=world.actor("aurelia", Role.LIAISON)), Waiting)
    (matter,) = [item for item in list_matters(world.nodes["aurelia"]) if item.digest not in waiting]
    twin = legal.get(f"/approvals/{matter.digest}.json").json()
    assert twin["kind"] == "propose"
    assert "channels.main.tlp_ceiling" in {item["clause"] for item in twin["changes"]}
    assert "What it changes in the text that counts now" in legal.get(f"/approvals/{matter.digest}").text


def test_a_signature_and_a_resumption_are_completed_with_what_the_first_said(desk: Desk, world: World) -> None:
    agreement = propose(world, extra='reservations = ["channels.main.regions"]')
    fields = {"ground.channels.main.regions": "national_law", "text.channels.main.regions": "Our own rule."}
    accept = f"/agreements/{agreement}/accept"
    desk.visit(LIAISON).post(accept, accept, terms=agreement, **fields)
    page = find_page(world)
    assert "Our own rule." in read(desk.visit(LEGAL), page)
    assert desk.visit(LEGAL).post(f"{page}/approve", page).headers["location"].endswith("said=done")
    world.deliver()
    status = desk.visit(LEGAL).get(f"/agreements/{agreement}.json").json()
    assert [(item["clause"], item["text"]) for item in status["reservations"]] == [
        ("channels.main.regions", "Our own rule.")
    ]
    assert status["state"] == "in force"
    for channel in ("main", None):
        world.act("aurelia", agreement, EventKind.SUSPEND, channel=channel, text="A leak.")
        world.tick()
    first = agree.act_on(
        world.nodes["aurelia"],
        agreement,
        EventKind.RESUME,
        by=world.actor("aurelia", Role.LIAISON),
        channel="main",
        text="It is closed.",
    )
    assert isinstance(first, Waiting)
    page = find_page(world)
    assert desk.visit(LEGAL).post(f"{page}/approve", page).headers["location"].endswith("said=done")
    left = desk.visit(LEGAL).get(f"/agreements/{agreement}.json").json()["suspensions"]
    assert [item["channel"] for item in left] == [None], "the other suspension was no part of what was approved"


# --- nobody twice ----------------------------------------------------------------------------------------------------


def test_one_person_with_two_tabs_or_two_sessions_signs_nothing(desk: Desk, world: World, draft: bytes) -> None:
    """A person who holds every role, in two tabs of one session, in a second session and by the form of the first."""
    world.register("aurelia", "vera", *Role)
    tokens = sign_in(world, "vera"), sign_in(world, "vera")
    one, tab, other = (open_browser(desk, token) for token in (tokens[0], *tokens))
    page = "/agreements/propose"
    assert one.post(page, page, step="sign", draft=draft.decode()).headers["location"] == "/?said=waits"
    waiting = find_page(world)
    for browser, roles in ((tab, ("", "legal", "liaison")), (other, ("", "legal", "liaison"))):
        shown = read(browser, waiting)
        assert SIGN not in shown
        assert "You have approved it. Somebody else has to." in shown
        for role in roles:
            answer = browser.post(f"{waiting}/approve", waiting, role=role)
            assert answer.status_code == 409, role
            assert "you alone have approved it" in answer.text
        again = browser.post(page, page, step="sign", draft=draft.decode(), role="legal")
        assert again.headers["location"] == "/?said=waits"
    assert signed(world) == 0
    assert len(list_matters(world.nodes["aurelia"])[0].approvals) == 1
    done = desk.visit(LEGAL).post(f"{waiting}/approve", waiting)
    assert done.headers["location"].endswith("said=done"), "somebody else can"
    assert signed(world) == 1


def test_a_form_of_one_session_is_worth_nothing_in_another(desk: Desk, world: World, waiting: str) -> None:
    liaison, legal = desk.visit(LIAISON), desk.visit(LEGAL)
    stolen = re.search(r'name="form_key" value="([0-9a-f]{64})"', read(legal, waiting))
    assert stolen is not None
    for act, fields in (("approve", {}), ("decline", {"reason": "No."})):
        answer = liaison.send_form(f"{waiting}/{act}", form_key=stolen[1], **fields)
        assert answer.status_code == 400
        assert "of another session" in answer.text
        elsewhere = {"origin": "http://elsewhere.example", "sec-fetch-site": "cross-site"}
        data = {"form_key": stolen[1], **fields}
        assert legal.send("POST", f"{waiting}/{act}", data=data, headers=elsewhere).status_code == 403
    assert (signed(world), count(world, "approval"), count(world, "brought")) == (0, 1, 1)


# --- what has changed since ------------------------------------------------------------------------------------------


def test_what_is_done_is_not_done_again_by_a_page_that_stayed_open(desk: Desk, world: World, waiting: str) -> None:
    world.register("aurelia", "lena", Role.LEGAL)
    late = desk.visit(make_person("lena", Role.LEGAL))
    key = re.search(r'name="form_key" value="([0-9a-f]{64})"', read(late, waiting))
    assert key is not None
    assert desk.visit(LEGAL).post(f"{waiting}/approve", waiting).headers["location"].endswith("said=done")
    events = count(world, "event")
    answer = late.send_form(f"{waiting}/approve", form_key=key[1])
    assert answer.status_code == 404
    assert "no such act waits" in answer.text
    assert (count(world, "event"), count(world, "approval")) == (events, 0)


def test_what_would_be_another_text_by_now_is_not_signed(desk: Desk, world: World, waiting: str) -> None:
    """The recognition policy is part of what is signed: another position makes another act."""
    policy = world.folder / "aurelia" / "recognition.toml"
    more = '[[recognised]]\nkind = "domestic_law"\nreference = "*"\n'
    policy.write_text(policy.read_text().replace("S/RES/9101", "S/RES/9102") + more)
    answer = desk.visit(LEGAL).post(f"{waiting}/approve", waiting)
    assert answer.status_code == 409
    assert signed(world) == 0
    assert len(list_matters(world.nodes["aurelia"])[0].approvals) == 1


def test_a_changed_position_of_this_party_asks_to_begin_anew(desk: Desk, world: World) -> None:
    """Both bases are recognised when it is approved, and one alone when it would be signed."""
    second = '[[legal_bases]]\nparty = "borealia"\nkind = "domestic_law"\nreference = "Act 9"\nforce = "consent"\n'
    policy = world.folder / "aurelia" / "recognition.toml"
    only, both = policy.read_text(), '[[recognised]]\nkind = "domestic_law"\nreference = "Act 9"\n'
    policy.write_text(only + both)
    terms = world.terms() + b"\n" + second.encode()
    waits = agree.propose(world.nodes["aurelia"], terms, by=world.actor("aurelia", Role.LIAISON))
    assert isinstance(waits, Waiting)
    page = find_page(world)
    policy.write_text(only)
    answer = desk.visit(LEGAL).post(f"{page}/approve", page)
    assert answer.status_code == 409
    assert "not what was approved" in answer.text
    assert (signed(world), count(world, "approval")) == (0, 1)
    policy.write_text(only + both)
    assert desk.visit(LEGAL).post(f"{page}/approve", page).headers["location"].endswith("said=done")


def test_what_has_run_out_is_no_more(desk: Desk, world: World, waiting: str) -> None:
    world.tick(APPROVAL_LIFETIME)
    assert desk.visit(LEGAL).get(waiting).status_code == 404
    page = "/agreements/propose"
    other = world.terms(title="Another").decode()
    desk.visit(LIAISON).post(page, page, step="sign", draft=other)
    assert (count(world, "approval"), count(world, "brought")) == (1, 1), "what was brought goes with its approvals"


def test_what_a_person_approved_who_was_removed_is_no_more(desk: Desk, world: World, waiting: str) -> None:
    people.remove_person(world.nodes["aurelia"], PersonId("aurelia-liaison"))
    assert desk.visit(LEGAL).get(waiting).status_code == 404
    assert count(world, "brought") == 0


# --- declined --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", [LEGAL, LIAISON])
def test_one_person_declines_and_it_is_on_record(desk: Desk, world: World, waiting: str, person: Person) -> None:
    browser = desk.visit(person)
    assert browser.post(f"{waiting}/decline", waiting, reason=" ").status_code == 400
    assert count(world, "approval") == 1
    done = browser.post(f"{waiting}/decline", waiting, reason="Too wide.")
    assert done.headers["location"] == "/?said=declined"
    assert "Declined, and on record." in read(browser, done.headers["location"])
    assert (count(world, "approval"), count(world, "brought"), signed(world)) == (0, 0, 0)
    said = read_last(world)
    kept = {name: said[name] for name in ("format", "kind", "person", "role", "reason", "matter")}
    assert kept == {
        "format": "comity-declined-record/1",
        "kind": "propose",
        "person": person.id,
        "role": next(iter(person.roles)).value,
        "reason": "Too wide.",
        "matter": waiting.rpartition("/")[2],
    }
    assert [item["person"] for item in said["approvals"]] == ["aurelia-liaison"]
    assert browser.get(waiting).status_code == 404
    assert desk.visit(LEGAL).send_form(f"{waiting}/approve").status_code in {400, 404}
    assert find_problems(world) == ""


def test_an_audit_finds_who_declined_without_being_there(world: World) -> None:
    node = world.nodes["aurelia"]
    for name, role in (("mallory", Role.LEGAL), ("aurelia-liaison", Role.LEGAL)):
        content = format_declined(
            matter=sha256_digest(b"x"),
            kind="propose",
            agreement=None,
            person=PersonId(name),
            role=role,
            reason="No.",
            approvals=[],
        )
        with node.act() as act:
            act.record(EntryType.PEOPLE, content, terms=None, recipient=None, count=1)
    found = find_problems(world)
    assert "mallory, who declined an act, was no person of this party then" in found
    assert "aurelia-liaison declined an act (propose) as legal, who could not have done it" in found


# --- who may see and do it -------------------------------------------------------------------------------------------


def test_who_may_not_know_of_it_finds_what_is_found_where_nothing_is(desk: Desk, waiting: str) -> None:
    nowhere = f"/approvals/{'0' * 64}"
    browser = desk.visit(OPERATOR)
    for tail in ("", ".json"):
        there, absent = browser.get(waiting + tail), browser.get(nowhere + tail)
        assert there.status_code == absent.status_code == 404
        assert there.text.replace(waiting, nowhere) == absent.text
    key = Visit(person=OPERATOR, token=browser.cookies["comity"], ask_as=desk.ask).form_key
    for act in ("approve", "decline"):
        answers = [browser.send_form(f"{page}/{act}", form_key=key, reason="r") for page in (waiting, nowhere)]
        assert [item.status_code for item in answers] == [404, 404]
        assert answers[0].text.replace(waiting, nowhere) == answers[1].text


def test_who_may_read_and_not_sign_has_no_form(desk: Desk, world: World, waiting: str) -> None:
    for person in (AUDITOR, ANALYST):
        browser = desk.visit(person)
        assert "<form" not in read(browser, waiting)
        key = Visit(person=person, token=browser.cookies["comity"], ask_as=desk.ask).form_key
        for act in ("approve", "decline"):
            answer = browser.send_form(f"{waiting}/{act}", form_key=key, reason="r")
            assert answer.status_code in {403, 404, 409}, (person, act)
    assert (signed(world), count(world, "approval"), count(world, "brought")) == (0, 1, 1)


def test_a_second_person_of_the_wrong_role_does_not_complete_it(desk: Desk, world: World, waiting: str) -> None:
    world.register("aurelia", "luisa", Role.LIAISON)
    browser = desk.visit(make_person("luisa", Role.LIAISON))
    page = read(browser, waiting)
    assert SIGN not in page
    assert "would not complete it" in page
    assert browser.post(f"{waiting}/approve", waiting).headers["location"] == "/?said=waits"
    assert signed(world) == 0


def test_part_of_a_name_leads_nowhere_by_browser(desk: Desk, waiting: str) -> None:
    browser: Browser = desk.visit(LEGAL)
    assert browser.get(waiting[:-1]).status_code == 404
    assert browser.get(waiting + "0").status_code == 404


def test_recorded_is_what_the_first_brought_to_the_byte(desk: Desk, world: World, waiting: str, draft: bytes) -> None:
    """The partner receives the canonical bytes of the first person's draft."""
    desk.visit(LEGAL).post(f"{waiting}/approve", waiting)
    world.deliver()
    other = world.nodes["borealia"]
    with other.store.read() as transaction:
        (dossier,) = list_dossiers(other, transaction)
    assert dossier.versions[-1].document == convert_terms(draft)
    assert isinstance(world.propose("borealia", world.terms(giver="borealia", receivers=("aurelia",))), Recorded)
