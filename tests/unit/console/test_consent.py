# SPDX-License-Identifier: Apache-2.0
"""Consent is asked for and answered on the page of the object, by as many people as it takes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.agreement.people import Role
from comity.ids import ObjectId, PartyId, format_instant
from comity.node.consent import list_consents_of, list_requests_about, revoke_consent
from comity.node.people import list_matters
from tests.chains import introduce, pull_all, sign_consent, sign_onward
from tests.consoles import Browser, Desk, make_person
from tests.unit.console.test_outdated import find_form, send
from tests.worlds import World, make_object, object_id

A, B, C = map(PartyId, ("aurelia", "borealia", "cimbria"))
X = object_id("report", "x")
DAY = 86_400_000_000


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[World]:
    """Aurelia gave borealia an object by consent; borealia gives cimbria, who has never heard of aurelia."""
    made = World(tmp_path)
    made.found(A, B, C)
    introduce(made, [(A, B), (B, C)])
    sign_consent(made, A, B, extra='[response_times]\nconsent = "P7D"')
    sign_onward(made, B, C, listed=[])
    made.add(A, make_object("x"))
    pull_all(made, A, B)
    yield made
    made.close()


def visit(world: World, party: str, role: Role) -> Browser:
    return Desk(world.nodes[party]).visit(make_person(f"{party}-{role}", role))


def ask(world: World) -> None:
    asker = visit(world, B, Role.LIAISON)
    until = format_instant(world.now)[:4]
    asked = {"to": C, "purpose": "exchange", "reason": "They hold the other half.", "until": f"{int(until) + 1}-01-01"}
    done = asker.post(f"/objects/{X}/consent", f"/objects/{X}", **asked)
    assert done.headers["location"] == f"/objects/{X}?said=done", done.text
    world.deliver()


def test_consent_is_asked_for_the_version_that_was_on_the_page(chain: World) -> None:
    asker, page = visit(chain, B, Role.LIAISON), f"/objects/{X}"
    form = find_form(asker, page, f"{page}/consent")
    chain.add(A, make_object("x", day=9))
    pull_all(chain, A, B)
    asked = {"to": C, "purpose": "exchange", "reason": "They hold the other half."}
    status, text = send(asker, f"{page}/consent", form, **asked)
    assert (status, "another version is the newest" in text) == (409, True), text
    assert list_requests_about(chain.nodes[B], ObjectId(X))[0] == []
    assert send(asker, f"{page}/consent", find_form(asker, page, f"{page}/consent"), **asked)[0] == 303


def find_letter(world: World) -> str:
    (asked,) = list_requests_about(world.nodes[A], ObjectId(X))[1]
    return asked.stored.letter.digest


def test_consent_is_asked_for_and_granted_by_two_people(chain: World) -> None:
    ask(chain)
    liaison, legal = (visit(chain, A, role) for role in (Role.LIAISON, Role.LEGAL))
    page = liaison.get(f"/objects/{X}").text
    assert "They hold the other half." in page
    day = f"{int(format_instant(chain.now)[:4]) + 1}-01-01"
    assert f'type="date" value="{day}"' in page
    fields = {"letter": find_letter(chain), "answer": "grant", "until": day}
    first = liaison.post(f"/objects/{X}/answer", f"/objects/{X}", **fields)
    assert first.headers["location"] == f"/objects/{X}?said=waits", first.text
    chain.deliver()
    assert list_consents_of(chain.nodes[B], ObjectId(X)) == ()
    second = legal.post(f"/objects/{X}/answer", f"/objects/{X}", **fields)
    assert second.headers["location"] == f"/objects/{X}?said=done", second.text
    chain.deliver()
    (grant,) = list_consents_of(chain.nodes[B], ObjectId(X))
    assert (grant.recipient, grant.state) == (C, "good")
    assert f'let it go to <bdi dir="auto">{C}</bdi>' in visit(chain, B, Role.LIAISON).get(f"/objects/{X}").text


def test_consent_is_refused_with_its_reason(chain: World) -> None:
    ask(chain)
    liaison = visit(chain, A, Role.LIAISON)
    fields = {"letter": find_letter(chain), "answer": "refuse", "reason": "Not yet."}
    done = liaison.post(f"/objects/{X}/answer", f"/objects/{X}", **fields)
    assert done.headers["location"] == f"/objects/{X}?said=done", done.text
    chain.deliver()
    (asked,) = list_requests_about(chain.nodes[B], ObjectId(X))[0]
    assert asked.stored.progress == "refused"
    page = visit(chain, B, Role.LIAISON).get(f"/objects/{X}").text
    assert re.search(r"Refused, <time[^>]*>[^<]+</time>: <bdi[^>]*>Not yet\.</bdi>", page)
    assert list_consents_of(chain.nodes[B], ObjectId(X)) == ()
    assert 'name="answer"' not in liaison.get(f"/objects/{X}").text


def test_a_reason_to_ask_and_to_recall_has_lines(chain: World) -> None:
    """A browser ends each with two characters, of which the first shows nowhere and would be refused for that."""
    asker, page, lines = visit(chain, B, Role.LIAISON), f"/objects/{X}", "They hold\r\nthe other half."
    done = asker.post(f"{page}/consent", page, to=C, purpose="exchange", reason=lines)
    assert done.status_code == 303, done.text
    (asked,) = asker.get(f"{page}.json").json()["asked"]["sent"]
    assert asked["reason"] == "They hold\nthe other half."
    recalled = visit(chain, A, Role.LIAISON).post(f"{page}/recall", page, reason=lines)
    assert recalled.status_code == 303, recalled.text


def test_a_reason_to_refuse_grants_nothing(chain: World) -> None:
    """Enter in the field of the reason presses the button that stands before the one to refuse."""
    ask(chain)
    liaison = visit(chain, A, Role.LIAISON)
    day = f"{int(format_instant(chain.now)[:4]) + 1}-01-01"
    fields = {"letter": find_letter(chain), "answer": "grant", "until": day, "reason": "Its source is at risk."}
    sent = liaison.post(f"/objects/{X}/answer", f"/objects/{X}", **fields)
    assert sent.status_code == 400
    assert "a reason to refuse is written, and nothing was granted" in sent.text
    assert list_matters(chain.nodes[A]) == []


def test_what_was_answered_is_read_on_both_sides(chain: World) -> None:
    """A condition is for people, who have to tell the recipient of it; and a reason is what the asker acts on."""
    page = f"/objects/{X}"
    ask(chain)
    liaison, legal, asker = (visit(chain, *who) for who in ((A, Role.LIAISON), (A, Role.LEGAL), (B, Role.ANALYST)))
    day = f"{int(format_instant(chain.now)[:4]) + 1}-01-01"
    fields = {"letter": find_letter(chain), "answer": "grant", "until": day}
    # The first one thinks better of it: of what was approved before nothing comes, and nothing may say so.
    for condition in ("In writing.", "Orally alone."):
        assert liaison.post(f"{page}/answer", page, **fields, condition=condition).status_code == 303
    assert "One person has approved granting it, and it waits for a second." in legal.get(page).text
    assert legal.post(f"{page}/answer", page, **fields, condition="Orally alone.").status_code == 303
    assert "One person has approved granting it, and it waits for a second." not in legal.get(page).text
    chain.deliver()
    for reader in (liaison, asker):
        assert re.search(
            r"Granted until <time[^>]*>[^<]+</time>, on the condition: <bdi[^>]*>Orally alone\.</bdi>: good",
            reader.get(page).text,
        )
    revoke_consent(
        chain.nodes[A], find_letter(chain), reason="It has been published.", takes_back=False, by=chain.actor(A)
    )
    chain.deliver()
    for reader in (liaison, asker):
        assert re.search(
            r"Revoked, <time[^>]*>[^<]+</time>: <bdi[^>]*>It has been published\.</bdi>", reader.get(page).text
        )


def test_an_analyst_sees_what_was_asked_and_answers_nothing(chain: World) -> None:
    ask(chain)
    analyst = visit(chain, A, Role.ANALYST)
    page = analyst.get(f"/objects/{X}").text
    assert "They hold the other half." in page
    assert 'value="grant"' not in page
    fields = {"letter": find_letter(chain), "answer": "grant"}
    assert analyst.post(f"/objects/{X}/answer", f"/objects/{X}", **fields).status_code == 404
    assert list_requests_about(chain.nodes[A], ObjectId(X))[1][0].stored.progress is None


def test_one_s_own_is_passed_on_without_asking_oneself(chain: World) -> None:
    page = visit(chain, A, Role.LIAISON).get(f"/objects/{X}").text
    assert "Ask for consent" not in page
    assert "Nobody has asked." in page


def test_where_it_came_from_is_shown(chain: World) -> None:
    page = visit(chain, B, Role.LIAISON).get(f"/objects/{X}").text
    assert f'Received from <bdi dir="auto">{A}</bdi>' in page
    assert "Ask for consent" in page


def test_the_second_person_grants_what_the_first_did_without_saying_it_again(chain: World) -> None:
    ask(chain)
    liaison, legal = (visit(chain, A, role) for role in (Role.LIAISON, Role.LEGAL))
    day = f"{int(format_instant(chain.now)[:4]) + 1}-01-01"
    fields = {"letter": find_letter(chain), "answer": "grant", "until": day, "condition": "For your eyes."}
    liaison.post(f"/objects/{X}/answer", f"/objects/{X}", **fields)
    (matter,) = list_matters(chain.nodes[A])
    page = f"/approvals/{matter.digest}"
    assert f'href="{page}"' in legal.get(f"/objects/{X}").text
    row = legal.get("/").text.partition(page)[2].partition("</tr>")[0]
    assert f'href="/objects/{X}"' in row
    assert f'to <bdi dir="auto">{C}</bdi>' in row
    assert "For your eyes." in legal.get(page).text
    assert liaison.post(f"{page}/approve", page).status_code == 409
    done = legal.post(f"{page}/approve", page)
    assert done.headers["location"] == "/?said=done", done.text
    chain.deliver()
    (grant,) = list_consents_of(chain.nodes[B], ObjectId(X))
    assert (grant.recipient, grant.conditions, format_instant(grant.expires_at)[:10]) == (C, "For your eyes.", day)
