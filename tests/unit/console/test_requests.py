# SPDX-License-Identifier: Apache-2.0
"""Requests for information are read, answered, declined, taken back and sent by people whose roles let them."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Person, Role
from comity.ids import AgreementId, Digest, ObjectId, PartyId
from comity.letters.letter import About, Draft, make_letter
from comity.letters.request import Reply, ReplyOutcome, Request, Urgency
from comity.node.letterbox import take_letter
from comity.node.requests import Asked, Sent, list_requests, send_request
from comity.node.standing import find_agreement
from comity.signing import Role as KeyRole
from comity.store import objects
from tests.chains import introduce, pull_all, sign_onward
from tests.consoles import Browser, Desk, make_person
from tests.worlds import World, make_object, object_id

A, B = map(PartyId, ("aurelia", "borealia"))
X, Y, Z = (object_id("report", name) for name in "xyz")
EVIL = '<script>window.ran=1</script>\u202egnp.exe\n"><img src=x onerror=alert(1)>'
TITLE = "Exchange of reports <b>on Ashfall</b>"
HOUR = 3_600_000_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Aurelia has given borealia a report."""
    made = World(tmp_path)
    made.found(A, B)
    introduce(made, [(A, B)])
    for name in (A, B):
        made.register(name, f"{name}-analyst", Role.ANALYST)
    yield made
    made.close()


@pytest.fixture
def agreement(world: World) -> str:
    made = sign_onward(world, A, B, listed=[], title=TITLE)
    world.add(A, make_object("x"))
    pull_all(world, A, B)
    return made


def visit(world: World, party: str, *roles: Role) -> Browser:
    return Desk(world.nodes[party]).visit(make_person(f"{party}-{roles[0]}", *roles))


def ask(world: World, agreement: str, *about: str, question: str = "Was it seen?", sender: PartyId = B) -> str:
    """The name of a request that has arrived."""
    done = send_request(
        world.nodes[sender],
        agreement,
        to=A if sender == B else B,
        question=question,
        urgency=Urgency.SOON,
        about=about,
        by=world.actor(sender, Role.LIAISON),
    )
    assert isinstance(done, Sent), done
    world.deliver()
    return done.letter.digest


def write(world: World, sender: PartyId, draft: Draft) -> bytes:
    """A letter as a node of its sender would not write it."""
    node = world.nodes[sender]
    keys = [node.signers[KeyRole.AGREEMENT]]
    return make_letter(draft, sender=sender, at=node.clock(), nonce=bytes(16), signers=keys)


def name_text(world: World, agreement: str) -> tuple[AgreementId, Digest]:
    with world.nodes[A].store.read() as transaction:
        dossier = find_agreement(world.nodes[A], transaction, agreement)
    return dossier.id, dossier.versions[-1].hash


def received(world: World) -> list[Asked]:
    return list_requests(world.nodes[A], limit=1_000)[1]


def test_a_request_is_read_and_answered_in_words_and_by_an_object(world: World, agreement: str) -> None:
    letter = ask(world, agreement, X)
    analyst = visit(world, A, Role.ANALYST)
    listed = analyst.get("/requests").text
    assert f'href="/requests/{letter}"' in listed
    page = analyst.get(f"/requests/{letter}").text
    assert "Was it seen?" in page
    assert f'<a href="/objects/{X}"' in page
    assert f'<a href="/agreements/{agreement}"' in page
    done = analyst.post(f"/requests/{letter}/answer", f"/requests/{letter}", text="Twice,\r\nin June. ", objects=X)
    assert done.headers["location"] == f"/requests/{letter}?said=done", done.text
    (asked,) = received(world)
    assert asked.stored.progress == "answered"
    world.deliver()
    asker = visit(world, B, Role.LIAISON)
    shown = asker.get(f"/requests/{letter}").text
    assert "Twice,\nin June." in shown
    assert shown.count(f'<a href="/objects/{X}"') == 2
    for browser in (analyst, asker):
        assert 'action="/requests' not in browser.get(f"/requests/{letter}").text
    again = analyst.post(f"/requests/{letter}/answer", "/requests/send", text="Thrice.")
    assert again.status_code == 409
    assert "answered already" in again.text


def test_a_request_is_declined_with_a_reason(world: World, agreement: str) -> None:
    letter = ask(world, agreement)
    liaison = visit(world, A, Role.LIAISON)
    page = f"/requests/{letter}"
    assert liaison.post(f"{page}/decline", page, text="  ").status_code == 400
    assert received(world)[0].stored.progress is None
    done = liaison.post(f"{page}/decline", page, text="The source does not allow it.")
    assert done.headers["location"] == f"{page}?said=done", done.text
    world.deliver()
    twin = visit(world, B, Role.LEGAL).get(f"{page}.json").json()
    assert (twin["state"], twin["possible"]) == ("declined", [])
    assert [(item["outcome"], item["text"]) for item in twin["answers"]] == [
        ("declined", "The source does not allow it.")
    ]


def test_who_asked_takes_it_back(world: World, agreement: str) -> None:
    letter = ask(world, agreement)
    asker, page = visit(world, B, Role.ANALYST), f"/requests/{letter}"
    assert f'action="{page}/withdraw"' not in visit(world, A, Role.LIAISON).get(page).text
    done = asker.post(f"{page}/withdraw", page)
    assert done.headers["location"] == f"{page}?said=done", done.text
    assert "<strong>Withdrawn</strong>" in asker.get(page).text
    world.deliver()
    assert received(world)[0].stored.progress == "withdrawn"
    assert visit(world, A, Role.LIAISON).get(f"{page}.json").json()["possible"] == []


def test_what_whoever_asks_cannot_know_of_is_said_alike_whether_it_is_held_or_not(world: World, agreement: str) -> None:
    world.add(A, make_object("y"))
    with world.nodes[A].store.read() as transaction:
        held = objects.read_current(transaction, [ObjectId(Y)])[ObjectId(Y)]
    about = (
        About(id=ObjectId(Y), version=held.version, digest=held.digest),
        About(id=ObjectId(Z), version=held.version, digest=held.digest),
    )
    text = name_text(world, agreement)
    draft = Draft(body=Request(question="?", urgency=Urgency.SOON), to=A, agreement=text[0], terms=text[1], about=about)
    take_letter(world.nodes[A], write(world, B, draft))
    (asked,) = received(world)
    liaison, page = visit(world, A, Role.LIAISON), f"/requests/{asked.stored.letter.digest}"
    shown = liaison.get(page).text
    assert shown.count("Not known") == 2
    lines = re.findall(r"<li>(<code>[^<]*</code>.*)", shown)
    assert [line.replace(Y, "").replace(Z, "") for line in lines] == [lines[0].replace(Y, "")] * 2
    assert f'href="/objects/{Y}"' not in shown
    assert [item["held"] for item in liaison.get(f"{page}.json").json()["about"]] == [None, None]


def test_an_answer_that_names_what_did_not_come_leads_nowhere(world: World, agreement: str) -> None:
    letter = ask(world, agreement, X)
    text = name_text(world, agreement)
    body = Reply(outcome=ReplyOutcome.ANSWERED, text="It is in there.")
    about = (About(id=ObjectId(Z), version="2025-01-01T00:00:00Z", digest=Digest("0" * 64)),)
    draft = Draft(body=body, to=B, agreement=text[0], terms=text[1], about=about, answers=Digest(letter))
    take_letter(world.nodes[B], write(world, A, draft))
    shown = visit(world, B, Role.LIAISON).get(f"/requests/{letter}").text
    assert "It is in there." in shown
    assert f"<code>{Z}</code>" in shown
    assert f'href="/objects/{Z}"' not in shown
    assert f'href="/objects/{X}"' in shown


def test_each_role_sees_what_it_may(world: World, agreement: str) -> None:
    letter = ask(world, agreement)
    page = f"/requests/{letter}"
    legal = visit(world, A, Role.LEGAL)
    shown = legal.get(page).text
    assert "Was it seen?" in shown
    assert "form_key" not in shown
    assert "/requests/send" not in legal.get("/requests").text
    assert legal.get("/requests/send").status_code == 404
    for tail in ("answer", "decline", "withdraw"):
        assert legal.post(f"{page}/{tail}", "/me", text="No.").status_code == 404
    assert (
        legal.post("/requests/send", "/me", under=f"{agreement} {B}", question="?", urgency="soon").status_code == 404
    )
    for role in (Role.AUDITOR, Role.OPERATOR):
        outsider = visit(world, A, role)
        missing = outsider.get("/requests/nothing-of-that-name").text
        assert 'href="/requests"' not in outsider.get("/me").text
        for path in ("/requests", "/requests.json", page, f"{page}.json", "/requests/send"):
            answer = outsider.get(path)
            assert answer.status_code == 404, path
            assert (letter in answer.text, "Was it seen" in answer.text) == (False, False)
        assert outsider.get(page).text == missing.replace("/requests/nothing-of-that-name", page)
    assert received(world)[0].stored.progress is None


def test_nothing_asked_or_answered_is_markup(world: World, agreement: str) -> None:
    letter = ask(world, agreement, question=EVIL.replace("\u202e", ""))
    liaison, page = visit(world, A, Role.LIAISON), f"/requests/{letter}"
    liaison.post(f"{page}/answer", page, text=EVIL.replace("\u202e", ""))
    for path in ("/requests", page, "/requests/send"):
        text = liaison.get(path).text
        assert "<script>window" not in text
        assert "<img" not in text
        assert "<b>on Ashfall" not in text
    assert liaison.get(page).text.count("&lt;script&gt;window.ran=1") == 2


def test_another_sessions_form_does_nothing(world: World, agreement: str) -> None:
    letter = ask(world, agreement)
    liaison = visit(world, A, Role.LIAISON)
    for tail, fields in (("answer", {"text": "Twice."}), ("decline", {"text": "No."})):
        refused = liaison.send_form(f"/requests/{letter}/{tail}", form_key="0" * 64, **fields)
        assert refused.status_code == 400
    fields = {"under": f"{agreement} {B}", "question": "When?", "urgency": "soon"}
    assert liaison.send_form("/requests/send", form_key="0" * 64, **fields).status_code == 400
    assert received(world)[0].stored.progress is None
    assert list_requests(world.nodes[A], limit=9)[0] == []


def test_a_question_is_sent_about_the_object_that_its_page_leads_from(world: World, agreement: str) -> None:
    sign_onward(world, B, A, listed=[], title="The other way")
    analyst = visit(world, B, Role.ANALYST)
    found = re.search(r'href="(/requests/send\?object=[^"]+)"', analyst.get(f"/objects/{X}").text)
    assert found is not None
    assert unquote(found[1]) == f"/requests/send?object={X}"
    form = analyst.get(found[1]).text
    assert f">{X}</textarea>" in form
    assert re.findall(r'<option value="([0-9a-f]{64} [a-z]+)"', form) == [f"{agreement} {A}"]
    fields = {
        "under": f"{agreement} {A}",
        "question": "Was it seen\r\nafter May?",
        "urgency": "immediate",
        "objects": X,
    }
    done, twice = (analyst.post("/requests/send", found[1], **fields) for _ in range(2))
    (sent,) = list_requests(world.nodes[B], limit=9)[0]
    assert done.headers["location"] == f"/requests/{sent.stored.letter.digest}?said=done", done.text
    assert twice.headers["location"] == done.headers["location"]
    assert [item.id for item in sent.stored.letter.about] == [X]
    world.deliver()
    twin = visit(world, A, Role.LEGAL).get(f"/requests/{sent.stored.letter.digest}.json").json()
    assert (twin["question"], twin["urgency"], twin["title"]) == ("Was it seen\nafter May?", "immediate", TITLE)
    # Aurelia made it, and has nobody to ask about it.
    assert "Ask about it" not in visit(world, A, Role.ANALYST).get(f"/objects/{X}").text
    assert "so nobody can be asked about it" in visit(world, A, Role.ANALYST).get(f"/requests/send?object={X}").text


def test_the_page_of_an_agreement_leads_to_a_form_for_its_parties(world: World, agreement: str) -> None:
    sign_onward(world, B, A, listed=[], title="The other way")
    liaison, page = visit(world, B, Role.LIAISON), f"/agreements/{agreement}"
    link = f"/requests/send?agreement={agreement}"
    assert f'href="{link}"' in liaison.get(page).text
    assert f'href="{link}"' not in visit(world, B, Role.LEGAL).get(page).text
    assert re.findall(r'<option value="([0-9a-f]{64} [a-z]+)"', liaison.get(link).text) == [f"{agreement} {A}"]
    assert len(re.findall(r'<option value="[0-9a-f]{64} ', liaison.get("/requests/send").text)) == 2
    world.act(B, agreement, EventKind.SUSPEND, text="Under review.")
    assert f'href="{link}"' not in liaison.get(page).text
    assert "there is none to choose" in liaison.get(link).text
    refused = liaison.post("/requests/send", "/me", under=f"{agreement} {A}", question="When?", urgency="soon")
    assert refused.status_code == 409
    assert "not in force" in refused.text
    assert list_requests(world.nodes[B], limit=9)[0] == []


def test_a_form_that_says_too_little_says_what_is_missing(world: World, agreement: str) -> None:
    liaison = visit(world, B, Role.LIAISON)
    for fields, said in (
        ({"under": "", "question": "?", "urgency": "soon"}, "choose whom to ask"),
        ({"under": f"{agreement} {A}", "question": " ", "urgency": "soon"}, "question holds 1 to"),
        ({"under": f"{agreement} {A}", "question": "?", "urgency": "now"}, "is none of immediate"),
        ({"under": f"{agreement} {A}", "question": "?", "urgency": "soon", "objects": Y}, Y),
        ({"under": f"{agreement} {B}", "question": "?", "urgency": "soon"}, "is this party itself"),
    ):
        refused = liaison.post("/requests/send", "/requests/send", **fields)
        assert refused.status_code in {400, 404}, fields
        assert said in refused.text, fields
    assert list_requests(world.nodes[B], limit=9)[0] == []


def test_under_an_agreement_that_is_suspended_the_page_says_why_nothing_can_be_answered(
    world: World, agreement: str
) -> None:
    letter = ask(world, agreement)
    world.act(A, agreement, EventKind.SUSPEND, text="Under review.")
    liaison, page = visit(world, A, Role.LIAISON), f"/requests/{letter}"
    shown = liaison.get(page).text
    assert "It cannot be answered now" in shown
    assert "form_key" not in shown
    assert visit(world, B, Role.LIAISON).get(f"{page}.json").json()["possible"] == ["withdraw"]


def test_pages_go_through_all_those_that_wait_first(
    world: World, agreement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comity.console.requests._ROWS", 3)
    made = list[str]()
    for number in range(8):
        made.append(ask(world, agreement, question=f"Question {number}?"))
        world.tick()
    liaison = visit(world, A, Role.LIAISON)
    for number in (7, 6, 2):
        page = f"/requests/{made[number]}"
        liaison.post(f"{page}/decline", page, text="No.")
    waiting = [made[number] for number in (5, 4, 3, 1, 0)]
    first = liaison.get("/requests")
    twin = liaison.get("/requests.json").json()
    assert [item["letter"] for item in twin["received"]] == waiting[:3]
    assert f'href="/requests?side=received&amp;before={twin["next"]["received"]}"' in first.text
    found, before = [item["letter"] for item in twin["received"]], twin["next"]["received"]
    while before is not None:
        part = liaison.get(f"/requests.json?side=received&before={before}").json()
        assert part["sent"] == []
        found += [item["letter"] for item in part["received"]]
        before = part["next"]["received"]
    assert found == [*waiting, made[7], made[6], made[2]]
    assert liaison.get("/requests?side=received&before=nonsense").status_code == 400
    assert liaison.get("/requests?side=nonsense").status_code == 200
    assert len(visit(world, B, Role.LIAISON).get("/requests.json").json()["sent"]) == 3


def test_work_leads_to_the_very_request(world: World, agreement: str) -> None:
    first, second = ask(world, agreement), ask(world, agreement, question="And then?")
    world.tick(73 * HOUR)
    for party, kind, part in ((A, "request-to-answer", "todo"), (B, "request-unanswered", "todo")):
        items = visit(world, party, Role.LEGAL).get("/work.json").json()[part]
        pages = {item["page"] for item in items if item["kind"] == kind}
        assert pages == {f"/requests/{first}", f"/requests/{second}"}
    shown = visit(world, A, Role.LIAISON)
    assert "overdue" in shown.get(f"/requests/{first}").text
    assert shown.get("/requests").text.count('<span class="no">overdue</span>') == 2
    person = Person(id=make_person("w", Role.OPERATOR).id, name="W", roles=frozenset({Role.OPERATOR}))
    assert first not in Desk(world.nodes[A]).visit(person).get("/work.json").text
