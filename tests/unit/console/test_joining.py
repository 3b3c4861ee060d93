# SPDX-License-Identifier: Apache-2.0
"""A group is joined by browser, by two people at each step; messages come in from a file, on record with a reason."""

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Person, Role
from comity.canonical import sha256_digest
from comity.console.visit import Visit
from comity.ids import AgreementId, PersonId
from comity.node import people
from comity.node.correspond import export_messages
from comity.node.people import list_matters
from comity.node.standing import list_dossiers
from comity.operations import acting
from comity.operations.reply import Reply
from comity.release.disclosure import EntryType
from comity.release.imported import format_imported
from tests.consoles import URL, Browser, Desk, _Nothing, make_person
from tests.unit.console.test_agreements import propose, read, state
from tests.unit.console.test_approvals import find_problems, read_last
from tests.worlds import BASIS, World

HEADERS = {"origin": URL, "sec-fetch-site": "same-origin"}
GROUP = '[structure]\nkind = "group"\naccession = "any_member"'
IMPORT = "/agreements/import"


def of(party: str, role: Role) -> Person:
    return make_person(f"{party}-{role.value}", role)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    yield made
    made.close()


@pytest.fixture
def group(world: World) -> str:
    """A group of aurelia and borealia that meridia can join."""
    return world.sign_all(world.terms(extra=GROUP))


def visit(world: World, party: str, role: Role) -> Browser:
    return Desk(world.nodes[party]).visit(of(party, role))


def find_page(world: World, party: str) -> str:
    (matter,) = list_matters(world.nodes[party])
    return f"/approvals/{matter.digest}"


def members(world: World, group: str) -> list[str]:
    found: list[str] = visit(world, "aurelia", Role.LEGAL).get(f"/agreements/{group}.json").json()["members"]
    return found


def upload(browser: Browser, data: bytes, *, reason: str = "They cannot be reached.") -> httpx.Response:
    key = re.search(r'name="form_key" value="([0-9a-f]{64})"', read(browser, IMPORT))
    assert key is not None
    files = {"file": ("borealia.messages.json", data, "application/json")}
    return browser.send("POST", IMPORT, data={"form_key": key[1], "reason": reason}, files=files, headers=HEADERS)


# --- admitting and joining -------------------------------------------------------------------------------------------


def test_a_party_is_admitted_and_joins_by_two_people_each(world: World, group: str) -> None:
    page = f"/agreements/{group}/admit"
    liaison, legal = (visit(world, "aurelia", role) for role in (Role.LIAISON, Role.LEGAL))
    assert f'href="{page}"' in read(liaison, f"/agreements/{group}")
    manifest = world.manifests["meridia"].digest
    assert f'<option value="meridia">meridia, {manifest[:12]}</option>' in read(liaison, page)
    assert liaison.get(f"{page}.json").json()["joining"]["admissible"] == [{"party": "meridia", "manifest": manifest}]
    shown = read_shown(liaison, page)
    waits = liaison.post(page, page, party="meridia", why="As the group agreed.", **shown)
    assert waits.headers["location"] == f"/agreements/{group}?said=waits"
    world.deliver()
    assert visit(world, "meridia", Role.LEGAL).get(f"/agreements/{group}").status_code == 404, "nothing was sent"
    waiting = find_page(world, "aurelia")
    assert manifest in read(legal, waiting)
    assert waiting in read(legal, page)
    assert liaison.post(f"{waiting}/approve", waiting).status_code == 409, "one person is not two"
    assert legal.post(f"{waiting}/approve", waiting).headers["location"] == f"/agreements/{group}?said=done"
    assert "aurelia admits meridia" in read(legal, f"/agreements/{group}")
    world.deliver()

    join(world, group)
    assert members(world, group) == ["aurelia", "borealia", "meridia"]
    assert visit(world, "aurelia", Role.LEGAL).get(page).status_code == 409, "nobody else can be admitted"


def join(world: World, group: str) -> None:
    page = f"/agreements/{group}/accede"
    liaison, legal = (visit(world, "meridia", role) for role in (Role.LIAISON, Role.LEGAL))
    assert f'href="{page}"' in read(liaison, f"/agreements/{group}")
    shown = read(liaison, page)
    assert 'party = "meridia"' in shown.replace("&#34;", '"')
    bases = f'[[legal_bases]]\nparty = "meridia"\nkind = "unsc_resolution"\nreference = "{BASIS}"\nforce = "decides"\n'
    hidden = read_shown(liaison, page)
    refused = liaison.post(page, page, bases="[[legal_bases]]\nparty = 7", **hidden)
    assert refused.status_code == 400
    assert "line 2" in refused.text
    waits = liaison.post(page, page, bases=bases.replace("\n", "\r\n"), **hidden)
    assert waits.headers["location"] == f"/agreements/{group}?said=waits", waits.text
    waiting = find_page(world, "meridia")
    assert BASIS in read(legal, waiting)
    assert members(world, group) == ["aurelia", "borealia"]
    assert legal.post(f"{waiting}/approve", waiting).headers["location"] == f"/agreements/{group}?said=done"
    world.deliver()


def read_shown(browser: Browser, page: str) -> dict[str, str]:
    """What the form of a page says of what it shows: the text, and manifests."""
    found = dict(
        re.findall(r'<input type="hidden" name="(terms|manifest\.[a-z]+)" value="([0-9a-f]{64})">', read(browser, page))
    )
    assert "terms" in found
    return found


def test_who_was_shown_one_text_or_manifest_approves_no_other(world: World, group: str) -> None:
    """What counts can change while a page is open: the text by the other parties, the manifest by this one."""
    page = f"/agreements/{group}/admit"
    liaison = visit(world, "aurelia", Role.LIAISON)
    shown = read_shown(liaison, page)
    assert shown == {"terms": group, "manifest.meridia": world.manifests["meridia"].digest}
    for name, message in (("terms", "not the text that was shown"), ("manifest.meridia", "not the one that was shown")):
        for other in ("7" * 64, ""):
            refused = liaison.post(page, page, party="meridia", **{**shown, name: other})
            assert refused.status_code == 409
            assert message in refused.text
    assert list_matters(world.nodes["aurelia"]) == []
    world.admit("aurelia", group, "meridia")
    world.deliver()

    page = f"/agreements/{group}/accede"
    joiner = visit(world, "meridia", Role.LIAISON)
    bases = f'[[legal_bases]]\nparty = "meridia"\nkind = "unsc_resolution"\nreference = "{BASIS}"\nforce = "decides"\n'
    for other in ("7" * 64, ""):
        refused = joiner.post(page, page, bases=bases, terms=other)
        assert refused.status_code == 409
        assert "not the text that was shown" in refused.text
    assert list_matters(world.nodes["meridia"]) == []


def test_the_same_person_twice_admits_and_joins_nobody(world: World, group: str) -> None:
    page = f"/agreements/{group}/admit"
    for _ in range(2):
        legal = visit(world, "aurelia", Role.LEGAL)
        done = legal.post(page, page, party="meridia", **read_shown(legal, page))
        assert done.headers["location"].endswith("said=waits")
    assert len(list_matters(world.nodes["aurelia"])) == 1
    world.deliver()
    assert visit(world, "meridia", Role.LEGAL).get(f"/agreements/{group}").status_code == 404


@pytest.mark.parametrize("role", [Role.ANALYST, Role.AUDITOR, Role.OPERATOR])
def test_who_may_not_admit_or_join_finds_no_such_page(world: World, group: str, role: Role) -> None:
    desk = Desk(world.nodes["aurelia"])
    browser = desk.visit(make_person("somebody", role))
    key = Visit(person=make_person("somebody", role), token=browser.cookies["comity"], ask_as=desk.ask).form_key
    for act in ("admit", "accede"):
        page = f"/agreements/{group}/{act}"
        assert browser.get(page).status_code == browser.get(f"{page}.json").status_code == 404
        assert browser.send_form(page, form_key=key, party="meridia", bases="").status_code == 404
    assert browser.get(IMPORT).status_code == browser.send_form(IMPORT, form_key=key).status_code == 404
    if role is not Role.OPERATOR:
        shown = read(browser, f"/agreements/{group}")
        assert "/admit" not in shown
        assert IMPORT not in read(browser, "/agreements")


def test_a_closed_agreement_offers_neither(world: World) -> None:
    closed = world.sign_all(world.terms())
    browser = visit(world, "aurelia", Role.LEGAL)
    shown = read(browser, f"/agreements/{closed}")
    assert "/admit" not in shown
    assert "/accede" not in shown
    for act in ("admit", "accede"):
        assert browser.get(f"/agreements/{closed}/{act}").status_code == 409


# --- from a file -----------------------------------------------------------------------------------------------------


def test_a_file_of_messages_is_verified_and_on_record_with_who_brought_it(world: World) -> None:
    agreement = propose_unsent(world)
    data = export_messages(world.nodes["borealia"], agreement)
    browser = visit(world, "aurelia", Role.LIAISON)
    assert IMPORT in read(browser, "/agreements")
    job = upload(browser, data).headers["location"]
    shown = read(browser, job)
    assert "1 recorded, 0 known already, 0 refused" in shown
    assert f'href="/agreements/{agreement}"' in shown
    assert state(world, agreement) == "proposed"
    again = browser.get(f"{upload(browser, data).headers['location']}.json").json()
    assert (again["result"]["known"], again["result"]["recorded"]) == (1, [])
    said = read_last(world)
    assert (said["format"], said["person"], said["role"]) == ("comity-import-record/1", "aurelia-liaison", "liaison")
    assert (said["reason"], said["digest"]) == ("They cannot be reached.", sha256_digest(data))
    assert find_problems(world) == ""


def propose_unsent(world: World) -> str:
    """What borealia proposed, and could not tell."""
    recorded = world.propose("borealia", world.terms(giver="aurelia"))
    return str(recorded.event.agreement)  # type: ignore[union-attr]


def test_what_does_not_verify_or_is_no_such_file_is_refused_in_words(world: World) -> None:
    agreement = propose_unsent(world)
    value = json.loads(export_messages(world.nodes["borealia"], agreement))
    value["messages"] = [value["messages"][0].replace('"sig":"', '"sig":"AAAA')]
    browser = visit(world, "aurelia", Role.LEGAL)
    shown = read(browser, upload(browser, json.dumps(value).encode()).headers["location"])
    assert "0 recorded, 0 known already, 1 refused" in shown
    before = read_last(world)
    for data in (b"", b"{}", b"\xff", b'{"format":"comity-messages/1","agreement":"x","messages":[]}'):
        answer = upload(browser, data)
        text = answer.text if answer.status_code >= 400 else browser.get(answer.headers["location"]).text
        assert "This could not be done" in text
    assert upload(browser, b"{}", reason=" ").status_code == 400
    assert read_last(world) == before, "what is no file of messages leaves nothing on record"
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        assert list_dossiers(node, transaction) == ()


def test_a_suspension_in_a_file_stops_at_once(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.tick()
    world.act("borealia", agreement, EventKind.SUSPEND, text="A leak.")
    browser = visit(world, "aurelia", Role.LIAISON)
    shown = read(browser, upload(browser, export_messages(world.nodes["borealia"], agreement)).headers["location"])
    assert "borealia</bdi>: suspend" in shown
    assert state(world, agreement) == "suspended"


def test_who_was_removed_brings_nothing(world: World) -> None:
    agreement = propose_unsent(world)
    browser = visit(world, "aurelia", Role.LIAISON)
    people.remove_person(world.nodes["aurelia"], PersonId("aurelia-liaison"))
    job = upload(browser, export_messages(world.nodes["borealia"], agreement)).headers["location"]
    assert "no person of this node any more" in browser.get(job).text
    with world.nodes["aurelia"].store.read() as transaction:
        assert list_dossiers(world.nodes["aurelia"], transaction) == ()


def test_a_long_file_keeps_nobody_waiting_and_ends_with_who_brought_it(world: World) -> None:
    """What must be stopped is stopped while a file is taken in, and who was removed meanwhile goes on with nothing."""
    agreement = propose_unsent(world)
    for number in range(4):
        world.act("borealia", agreement, EventKind.CLARIFY, clause="purposes", text=f"question {number}")
    data = export_messages(world.nodes["borealia"], agreement)
    asked = {"messages": base64.b64encode(data).decode(), "reason": "They cannot be reached."}
    node = world.nodes["aurelia"]

    async def take_in() -> Reply:
        reply = asyncio.create_task(
            acting.act(node, "agreement.import", asked, around=_Nothing(), by=of("aurelia", Role.LIAISON))
        )
        for _ in range(3):
            await asyncio.sleep(0)
        people.remove_person(node, PersonId("aurelia-liaison"))
        return await reply

    reply = asyncio.run(take_in())
    assert reply.error is not None
    assert "no person of this node any more" in str(reply.error["message"])
    with node.store.read() as transaction:
        (dossier,) = list_dossiers(node, transaction)
    assert 0 < len(dossier.events) < 5


def test_an_audit_finds_a_file_brought_by_nobody(world: World) -> None:
    node = world.nodes["aurelia"]
    content = format_imported(
        agreement=AgreementId(propose(world)),
        digest=sha256_digest(b"x"),
        messages=1,
        person=PersonId("mallory"),
        role=Role.LEGAL,
        reason="No.",
    )
    with node.act() as act:
        act.record(EntryType.PEOPLE, content, terms=None, recipient=None, count=1)
    assert "mallory, who brought a file, was no person of this party then" in find_problems(world)
