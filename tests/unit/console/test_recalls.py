# SPDX-License-Identifier: Apache-2.0
"""Recalls are read by who may, lead from work, and what is recalled is kept for a reason by who may keep it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comity.agreement.people import Role
from comity.ids import ObjectId, PartyId
from comity.letters.letter import About, Draft, make_letter
from comity.letters.recall import Change, Recall
from comity.node.accept import Status, accept_objects, list_write_collections
from comity.node.explain import show_object
from comity.node.letterbox import take_letter
from comity.node.poll import VersionChoice
from comity.node.recall import Recalling, list_recalls, recall
from comity.node.retraction import Retraction, retract
from comity.node.standing import list_dossiers
from comity.signing import Role as KeyRole
from comity.store import objects
from tests.chains import introduce, pull_all, sign_onward
from tests.consoles import Browser, Desk, make_person
from tests.worlds import World, make_object, object_id

A, B, C = map(PartyId, ("aurelia", "borealia", "cimbria"))
X, Z = object_id("report", "x"), object_id("report", "z")
EVIL = '<script>window.ran=1</script>"><img src=x onerror=alert(1)>'
RETENTION = '[retention]\nreview_after = "P6M"\nno_decision = "delete"'


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[World]:
    """Aurelia gave borealia a report, and borealia cimbria."""
    made = World(tmp_path)
    made.found(A, B, C)
    introduce(made, [(A, B), (B, C)])
    sign_onward(made, A, B, listed=[C], extra=RETENTION, title="Reports <b>one</b>")
    sign_onward(made, B, C, listed=[], extra=RETENTION)
    made.add(A, make_object("x"))
    pull_all(made, A, B)
    made.tick()
    pull_all(made, B, C)
    yield made
    made.close()


def visit(world: World, party: str, *roles: Role) -> Browser:
    return Desk(world.nodes[party]).visit(make_person(f"{party}-{roles[0]}", *roles))


def withdraw(world: World, item: str = X, *, reason: str = "Not true.", name: PartyId = A) -> str:
    """The name of the one letter of a recall that has arrived."""
    done = recall(
        world.nodes[name],
        item,
        change=Change.WITHDRAW,
        versions=(),
        reason=reason,
        by=world.actor(name, Role.LIAISON),
    )
    assert isinstance(done, Recalling), done
    world.deliver()
    return done.letters[0].digest


def test_what_a_recall_deleted_is_said_to_be_by_no_person(tmp_path: Path) -> None:
    """Where no terms ask for a decision it goes when the letter arrives: no operator did it, nor anybody else."""
    made = World(tmp_path)
    made.found(A, B)
    introduce(made, [(A, B)])
    sign_onward(made, A, B, listed=[])
    made.add(A, make_object("x"))
    pull_all(made, A, B)
    withdraw(made)
    reader = visit(made, B, Role.LIAISON)
    (stone,) = reader.get("/retention.json").json()["deleted"]
    assert (stone["by"], stone["reason"]) == (None, f"recalled by {A}")
    page = reader.get("/retention").text
    assert "no person is named" in page
    assert "whoever controls the folder" not in page
    made.close()


def test_what_a_partner_recalled_is_kept_for_a_reason_from_where_work_leads(chain: World) -> None:
    letter = withdraw(chain)
    liaison, page = visit(chain, B, Role.LIAISON), f"/recalls/{letter}"
    (item,) = [one for one in liaison.get("/work.json").json()["todo"] if one["kind"] == "recall-to-decide"]
    assert item["page"] == page
    shown = liaison.get(page).text
    for said in ("Not true.", "stopped, to be decided here", f'href="/objects/{X}"', "cimbria", "What nobody keeps"):
        assert said in shown, said
    assert liaison.post(f"{page}/keep", page, object=X, reason=" ").status_code == 400
    assert list_recalls(chain.nodes[B], limit=9)[1][0].results[0].outcome == "stopped"
    done = liaison.post(f"{page}/keep", page, object=X, reason="Evidence in\r\ncase 12.")
    assert done.headers["location"] == f"{page}?said=done", done.text
    assert list_recalls(chain.nodes[B], limit=9)[1][0].results[0].outcome == "kept"
    assert show_object(chain.nodes[B], X).object.id == X
    kept = liaison.get(page).text
    assert "Evidence in case 12." in kept
    assert "form_key" not in kept
    chain.deliver()
    told = visit(chain, A, Role.LEGAL).get(page).text
    assert "Evidence in case 12." in told
    assert "settled, not by all behind" in told
    assert "cimbria" not in told


def test_who_has_not_acknowledged_stands_there(chain: World) -> None:
    done = recall(chain.nodes[A], X, change=Change.WITHDRAW, versions=(), reason="r", by=chain.actor(A, Role.LIAISON))
    assert isinstance(done, Recalling)
    page = f"/recalls/{done.letters[0].digest}"
    analyst = visit(chain, A, Role.ANALYST)
    assert "has not acknowledged it" in analyst.get(page).text
    assert "not acknowledged" in analyst.get("/recalls").text
    (item,) = [one for one in analyst.get("/work.json").json()["todo"] if one["kind"] == "recall-unacknowledged"]
    assert item["page"] == page
    chain.deliver()
    shown = analyst.get(page).text
    assert "has not acknowledged it" not in shown
    assert "stopped, not settled" in shown


def test_each_role_sees_what_it_may(chain: World) -> None:
    letter = withdraw(chain)
    page = f"/recalls/{letter}"
    analyst = visit(chain, B, Role.ANALYST)
    shown = analyst.get(page).text
    assert "Not true." in shown
    assert "form_key" not in shown
    assert analyst.post(f"{page}/keep", "/me", object=X, reason="Evidence.").status_code == 404
    for role in (Role.AUDITOR, Role.OPERATOR):
        outsider = visit(chain, B, role)
        for path in ("/recalls", "/recalls.json", page, f"{page}.json"):
            answer = outsider.get(path)
            assert answer.status_code == 404, path
            assert (letter in answer.text, X in answer.text, "Not true" in answer.text) == (False, False, False)
        assert outsider.post(f"{page}/keep", "/me", object=X, reason="Evidence.").status_code == 404
        assert letter not in outsider.get("/work.json").text
    assert list_recalls(chain.nodes[B], limit=9)[1][0].results[0].outcome == "stopped"


def test_another_sessions_form_keeps_nothing(chain: World) -> None:
    letter = withdraw(chain)
    fields = {"form_key": "0" * 64, "object": X, "reason": "Evidence."}
    assert visit(chain, B, Role.LIAISON).send_form(f"/recalls/{letter}/keep", **fields).status_code == 400
    assert list_recalls(chain.nodes[B], limit=9)[1][0].results[0].outcome == "stopped"


def test_no_reason_is_markup(chain: World) -> None:
    letter = withdraw(chain, reason=EVIL)
    browser = visit(chain, B, Role.LEGAL)
    for path in ("/recalls", f"/recalls/{letter}"):
        text = browser.get(path).text
        assert "<script>window" not in text
        assert "<img" not in text
        assert "<b>one" not in text
    assert "&lt;script&gt;window.ran=1" in browser.get(f"/recalls/{letter}").text


def write_recall(world: World, *about: About) -> str:
    """The page of a recall of aurelia, about whatever it is about, at borealia."""
    node = world.nodes[A]
    with node.store.read() as transaction:
        (dossier,) = list_dossiers(node, transaction)
    body = Recall(change=Change.WITHDRAW, reason="Ours.", newer=None)
    terms = dossier.versions[-1].hash
    draft = Draft(body=body, to=B, agreement=dossier.id, terms=terms, about=about)
    keys = [node.signers[KeyRole.AGREEMENT]]
    envelope = make_letter(draft, sender=A, at=node.clock(), nonce=bytes(16), signers=keys)
    return f"/recalls/{take_letter(world.nodes[B], envelope).letter.digest}"


def find_held(world: World, name: str) -> About:
    """The object as borealia has it."""
    with world.nodes[B].store.read() as transaction:
        item = objects.read_current(transaction, [ObjectId(name)])[ObjectId(name)]
    return About(id=item.id, version=item.version, digest=item.digest)


def test_a_recall_of_what_its_sender_did_not_give_leads_nowhere(chain: World) -> None:
    chain.add(B, make_object("z"))
    page = write_recall(chain, find_held(chain, Z))
    liaison = visit(chain, B, Role.LIAISON)
    (item,) = [one for one in liaison.get("/work.json").json()["failed"] if one["kind"] == "recall-refused"]
    assert item["page"] == page
    shown = liaison.get(page).text
    assert "did not give it under this agreement" in shown
    assert f'href="/objects/{Z}"' not in shown
    assert "form_key" not in shown
    assert "refused, not given by it" in liaison.get("/recalls").text


def test_only_what_waits_can_be_kept_there(chain: World) -> None:
    page = write_recall(chain, replace(find_held(chain, X), id=ObjectId(Z)), find_held(chain, X))
    liaison = visit(chain, B, Role.LIAISON)
    twin = liaison.get(f"{page}.json").json()
    assert [item["outcome"] for item in twin["results"]] == ["absent", "stopped"]
    assert twin["undecided"] == [X]
    assert f"<option>{X}</option>" in liaison.get(page).text
    assert f"<option>{Z}</option>" not in liaison.get(page).text


def test_what_was_taken_back_over_taxii_is_decided_there_too(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.found(A, B)
    introduce(world, [(A, B)])
    sign_onward(world, B, A, listed=[], extra=RETENTION)
    (target,) = list_write_collections(world.nodes[A], B)
    names = [object_id("report", name) for name in ("x", "w")]
    for name in ("x", "w"):
        data = json.dumps({"objects": [make_object(name)]}).encode()
        assert isinstance(accept_objects(world.nodes[A], data, giver=B, collection=target.id), Status)
        world.tick()
    retractions = list[Retraction]()
    for name in names:
        versions = VersionChoice(last=False, every=True)
        done = retract(world.nodes[A], giver=B, collection=target.id, item=ObjectId(name), versions=versions)
        assert isinstance(done, Retraction)
        retractions.append(done)
        world.tick()
    liaison, page = visit(world, A, Role.LIAISON), f"/recalls/{retractions[0].name}"
    items = [one for one in liaison.get("/work.json").json()["todo"] if one["kind"] == "recall-to-decide"]
    assert {item["page"] for item in items} == {f"/recalls/{item.name}" for item in retractions}
    shown = liaison.get(page).text
    assert f'href="/objects/{names[0]}"' in shown
    assert "<strong>To be decided</strong>" in shown
    kept = liaison.post(f"{page}/keep", page, object=names[0], reason="Evidence.")
    assert kept.headers["location"] == f"{page}?said=done", kept.text
    assert "<strong>Settled</strong>" in liaison.get(page).text
    assert "Evidence." in liaison.get(page).text
    before = retractions[1].name
    part = liaison.get(f"/recalls.json?side=taken_back&before={before}").json()
    assert [item["retraction"] for item in part["taken_back"]] == [retractions[0].name]
    assert len(liaison.get("/recalls.json").json()["taken_back"]) == 2
    world.close()


def test_pages_go_through_all_those_of_which_something_is_to_come_first(
    chain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comity.console.recalls._ROWS", 2)
    made = list[str]()
    for number in range(5):
        chain.add(A, make_object(f"n{number}"))
        pull_all(chain, A, B)
        made.append(withdraw(chain, object_id("report", f"n{number}")))
        chain.tick()
    liaison = visit(chain, B, Role.LIAISON)
    page = f"/recalls/{made[3]}"
    liaison.post(f"{page}/keep", page, object=object_id("report", "n3"), reason="Evidence.")
    wanted = [made[4], made[2], made[1], made[0], made[3]]
    twin = liaison.get("/recalls.json").json()
    found, before = [item["letter"] for item in twin["received"]], twin["next"]["received"]
    assert f'href="/recalls?side=received&amp;before={before}"' in liaison.get("/recalls").text
    while before is not None:
        part = liaison.get(f"/recalls.json?side=received&before={before}").json()
        assert (part["sent"], part["taken_back"]) == ([], [])
        found += [item["letter"] for item in part["received"]]
        before = part["next"]["received"]
    assert found == wanted
    assert liaison.get("/recalls?side=sent&before=nonsense").status_code == 400
    assert liaison.get("/recalls?side=taken_back&before=nonsense").status_code == 400


def test_the_page_of_an_object_leads_there(chain: World) -> None:
    assert 'href="/recalls"' in visit(chain, B, Role.ANALYST).get(f"/objects/{X}").text


def test_the_log_shows_the_entries_of_a_recall_and_its_letters(chain: World) -> None:
    withdraw(chain)
    legal = visit(chain, A, Role.LEGAL)
    entries = legal.get("/log.json").json()["entries"]
    kinds = {item["type"] for item in entries}
    assert {"recall", "letter"} <= kinds
    for item in entries:
        assert legal.get(f"/log/{item['entry']}").status_code == 200, item
