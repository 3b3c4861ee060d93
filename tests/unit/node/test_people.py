# SPDX-License-Identifier: Apache-2.0
"""Who acts, and for what: badges are known or not, approvals add up only for the same text, and all is on record."""

from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from typing import Any

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Person, Role, hash_badge, make_matter
from comity.agreement.recognition import Refusal
from comity.agreement.transitions import State
from comity.canonical import SIGNED_LIMITS, Json, parse_json
from comity.errors import (
    AuthenticationError,
    ComityError,
    ConflictError,
    CorruptionError,
    MalformedRequest,
    NotFoundError,
    TransitionError,
)
from comity.ids import PartyId, PersonId, format_instant
from comity.node import agree, people
from comity.node.agree import Recorded
from comity.node.journal import list_entries, verify_folder
from comity.node.node import Node
from comity.node.outbox import list_due
from comity.node.people import APPROVAL_LIFETIME, Actor, Approved, Waiting, approve, identify
from comity.release.disclosure import EntryType
from comity.store import people as table
from tests.worlds import World


def accept(world: World, agreement: str, by: Actor) -> Recorded | Waiting | Refusal:
    return agree.act_on(world.nodes["borealia"], agreement, EventKind.ACCEPT, by=by)


@pytest.fixture
def proposed(world: World) -> str:
    """The agreement that aurelia has proposed to borealia."""
    recorded = world.propose("aurelia", world.terms())
    assert isinstance(recorded, Recorded)
    world.deliver()
    return recorded.event.agreement


def new(world: World, person: str, *roles: Role, name: str = "borealia") -> Actor:
    """Somebody more at a node."""
    return Actor(person=identify(world.nodes[name], world.register(name, person, *roles)))


def read_last(node: Node, *, back: int = 1) -> tuple[EntryType, dict[str, Any]]:
    entry = list_entries(node, start=-back, limit=1)[0]
    assert isinstance(entry.content, dict)
    return entry.leaf.type, entry.content


def count(node: Node, table: str) -> int:
    with node.store.read() as transaction:
        row = transaction.row(f"SELECT COUNT(*) FROM {table}")
    assert row is not None
    return int(row[0])


def do(world: World, by: Actor, kind: str = "accept", **facts: Json) -> Approved | Waiting | Refusal:
    """The approval of a matter of which nothing else becomes."""
    with world.nodes["borealia"].act() as act:
        return approve(act, by, make_matter(kind, agreement=None, facts=facts))


# --- two people -------------------------------------------------------------------------------------------------------


def test_the_first_approval_signs_and_sends_nothing_and_the_second_completes(world: World, proposed: str) -> None:
    node = world.nodes["borealia"]
    before = (count(node, "event"), count(node, "log_entry"), len(list_due(node)))
    first = accept(world, proposed, replace(world.actor("borealia", Role.LIAISON), why="Read it."))
    assert isinstance(first, Waiting)
    assert first.sentence == "waits for a second person, who acts as legal"
    assert first.expires_at == world.now + APPROVAL_LIFETIME
    assert (count(node, "event"), count(node, "log_entry"), len(list_due(node))) == before
    world.tick()
    second = accept(world, proposed, replace(world.actor("borealia", Role.LEGAL), why="Basis seen."))
    assert isinstance(second, Recorded)
    assert second.standing.state is State.AGREED, "the other party's node has not confirmed yet"
    assert count(node, "approval") == 0
    confirmed = read_last(node)[1]
    assert (confirmed["kind"], confirmed.get("approvals")) == ("confirm", None), "the node says that by itself"
    kind, content = read_last(node, back=2)
    assert kind is EntryType.AGREEMENT_EVENT
    assert content["approvals"] == [
        {
            "person": "borealia-liaison",
            "role": "liaison",
            "reason": "Read it.",
            "at": format_instant(first.approvals[0].at),
        },
        {"person": "borealia-legal", "role": "legal", "reason": "Basis seen.", "at": format_instant(world.now)},
    ]


def test_an_event_of_another_party_names_nobody_of_ours(world: World, proposed: str) -> None:
    kind, content = read_last(world.nodes["borealia"])
    assert kind is EntryType.AGREEMENT_EVENT
    assert set(content) == {"format", "event", "kind", "party", "agreement"}


@pytest.mark.parametrize("roles", [(Role.LEGAL,), (Role.LEGAL, Role.LIAISON), tuple(Role)])
def test_one_person_alone_never_completes_whatever_the_roles(
    world: World, proposed: str, roles: tuple[Role, ...]
) -> None:
    one = new(world, "one", *roles)
    for named in (None, Role.LEGAL, None, *roles):
        done = accept(world, proposed, replace(one, role=named))
        assert isinstance(done, Waiting | Refusal)
    assert count(world.nodes["borealia"], "approval") == 1


def test_one_person_with_two_badges_is_one_person(world: World, proposed: str) -> None:
    node = world.nodes["borealia"]
    old = world.badges["borealia", Role.LEGAL]
    assert isinstance(accept(world, proposed, world.actor("borealia")), Waiting)
    renewed = people.renew_person(node, old.person)
    assert isinstance(accept(world, proposed, Actor(person=identify(node, renewed))), Waiting)
    with pytest.raises(AuthenticationError):
        identify(node, old)


def test_two_without_legal_wait_for_one(world: World, proposed: str) -> None:
    assert isinstance(accept(world, proposed, world.actor("borealia", Role.LIAISON)), Waiting)
    waiting = accept(world, proposed, new(world, "another", Role.LIAISON))
    assert isinstance(waiting, Waiting)
    assert waiting.missing.sentence == "one more person, who acts as legal"
    done = accept(world, proposed, world.actor("borealia", Role.LEGAL))
    assert isinstance(done, Recorded)
    assert len(done.approvals) == 3


@pytest.mark.parametrize("role", [Role.ANALYST, Role.AUDITOR, Role.OPERATOR])
def test_a_role_that_does_not_fit_is_refused_and_counts_for_nothing(world: World, proposed: str, role: Role) -> None:
    assert isinstance(accept(world, proposed, world.actor("borealia", Role.LEGAL)), Waiting)
    refused = accept(world, proposed, new(world, "third", role))
    assert isinstance(refused, Refusal)
    assert refused.clause == "people"
    assert f"third may act as {role}" in refused.reason
    assert count(world.nodes["borealia"], "approval") == 1


def test_a_role_that_the_person_does_not_hold_is_refused(world: World, proposed: str) -> None:
    refused = accept(world, proposed, replace(world.actor("borealia", Role.LIAISON), role=Role.LEGAL))
    assert isinstance(refused, Refusal)
    assert "not as legal" in refused.reason


@pytest.mark.parametrize("role", [Role.LIAISON, Role.LEGAL, Role.OPERATOR])
def test_one_person_suspends_at_once_and_two_resume(world: World, role: Role) -> None:
    agreement = world.sign_all(world.terms())
    node = world.nodes["aurelia"]
    stopped = agree.act_on(node, agreement, EventKind.SUSPEND, by=new(world, "one", role, name="aurelia"), text="Stop.")
    assert isinstance(stopped, Recorded)
    assert read_last(node)[1]["approvals"][0] == {
        "person": "one",
        "role": role.value,
        "reason": "Stop.",
        "at": format_instant(world.now),
    }
    resume = [
        agree.act_on(node, agreement, EventKind.RESUME, by=world.actor("aurelia", role))
        for role in (Role.LIAISON, Role.LEGAL)
    ]
    assert [type(done) for done in resume] == [Waiting, Recorded]


def test_an_act_that_no_rule_is_about_may_be_done_by_nobody(world: World) -> None:
    for role in Role:
        refused = do(world, new(world, f"a-{role}", *Role), "annex")
        assert isinstance(refused, Refusal)
        assert refused.clause == "people"
    assert count(world.nodes["borealia"], "approval") == 0


def test_an_act_that_is_not_possible_is_not_approved_either(world: World, proposed: str) -> None:
    node = world.nodes["aurelia"]
    with pytest.raises(TransitionError, match="signed this version already"):
        agree.act_on(node, proposed, EventKind.ACCEPT, by=world.actor("aurelia"))
    assert count(node, "approval") == 0


def test_nothing_is_signed_by_a_way_that_forgot_to_ask(
    world: World, proposed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agree, "approve", lambda *_, **__: Approved(approvals=()))
    with pytest.raises(AuthenticationError, match="nobody has approved"):
        accept(world, proposed, world.actor("borealia"))


def test_a_failed_act_keeps_the_approvals_that_waited(
    world: World, proposed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = world.nodes["borealia"]
    assert isinstance(accept(world, proposed, world.actor("borealia", Role.LIAISON)), Waiting)

    def fail(*_: object) -> bytes:
        raise OSError("no")

    with monkeypatch.context() as patch:
        patch.setattr(node, "_seal", fail)
        with pytest.raises(OSError, match="no"):
            accept(world, proposed, world.actor("borealia", Role.LEGAL))
    assert count(node, "approval") == 1
    assert isinstance(accept(world, proposed, world.actor("borealia", Role.LEGAL)), Recorded)


# --- the same text ----------------------------------------------------------------------------------------------------


def test_an_approval_of_one_text_never_completes_another(world: World) -> None:
    node, liaison, legal = world.nodes["aurelia"], world.actor("aurelia", Role.LIAISON), world.actor("aurelia")
    assert isinstance(agree.propose(node, world.terms(), by=liaison), Waiting)
    assert isinstance(agree.propose(node, world.terms(tlp="red"), by=legal), Waiting)
    assert count(node, "event") == 0
    assert len(people.list_matters(node)) == 2
    assert isinstance(agree.propose(node, world.terms(tlp="red"), by=liaison), Recorded)


def test_a_version_that_comes_between_two_approvals_is_not_what_the_first_one_read(world: World, proposed: str) -> None:
    assert isinstance(accept(world, proposed, world.actor("borealia", Role.LIAISON)), Waiting)
    wide = world.propose("aurelia", world.terms(version=2, agreement=proposed, supersedes=proposed, tlp="red"))
    assert isinstance(wide, Recorded)
    world.deliver()
    done = accept(world, wide.event.terms, world.actor("borealia", Role.LEGAL))
    assert isinstance(done, Waiting)
    assert done.missing.role is None


def test_an_approval_to_accept_is_none_to_resume_or_of_another_agreement(world: World, proposed: str) -> None:
    other = world.propose("aurelia", world.terms(title="Another"))
    assert isinstance(other, Recorded)
    world.deliver()
    assert isinstance(accept(world, proposed, world.actor("borealia", Role.LIAISON)), Waiting)
    assert isinstance(accept(world, other.event.terms, world.actor("borealia", Role.LEGAL)), Waiting)


def test_a_resumption_is_of_the_lock_that_both_saw_and_says_what_both_said(world: World) -> None:
    agreement = world.sign_all(world.terms())
    node = world.nodes["aurelia"]

    def resume(role: Role, text: str | None = None) -> Recorded | Waiting | Refusal:
        return agree.act_on(node, agreement, EventKind.RESUME, by=world.actor("aurelia", role), text=text)

    world.act("aurelia", agreement, EventKind.SUSPEND)
    assert isinstance(resume(Role.LIAISON), Waiting)
    assert isinstance(resume(Role.LEGAL, "Over."), Waiting), "another text would have been sent"
    world.act_on("aurelia", agreement, EventKind.RESUME, text="Over.")
    world.act("aurelia", agreement, EventKind.SUSPEND)
    done = resume(Role.LEGAL)
    assert isinstance(done, Waiting), "the approval was of another lock"
    assert [item.person for item in done.approvals] == ["aurelia-legal"]


# --- time, and people who go ------------------------------------------------------------------------------------------


def test_an_approval_ends_after_fourteen_days_to_the_microsecond(world: World, proposed: str) -> None:
    liaison, legal = world.actor("borealia", Role.LIAISON), world.actor("borealia", Role.LEGAL)
    assert isinstance(accept(world, proposed, liaison), Waiting)
    world.tick(14 * 86_400_000_000)
    assert people.list_matters(world.nodes["borealia"]) == []
    again = accept(world, proposed, legal)
    assert isinstance(again, Waiting)
    assert [item.person for item in again.approvals] == ["borealia-legal"]
    assert count(world.nodes["borealia"], "approval") == 1, "what has run out is gone"
    world.tick(14 * 86_400_000_000 - 1)
    assert isinstance(accept(world, proposed, liaison), Recorded)


@pytest.mark.parametrize("end", [people.remove_person, people.renew_person], ids=["removed", "renewed"])
def test_what_waits_dies_with_the_person_or_the_badge(
    world: World, proposed: str, end: Callable[[Node, PersonId], object]
) -> None:
    node = world.nodes["borealia"]
    legal = world.actor("borealia", Role.LEGAL)
    liaison = world.badges["borealia", Role.LIAISON].person
    assert isinstance(accept(world, proposed, world.actor("borealia", Role.LIAISON)), Waiting)
    end(node, liaison)
    assert people.list_matters(node) == []
    assert count(node, "approval") == 0
    assert isinstance(accept(world, proposed, legal), Waiting)


def test_an_approval_of_a_removed_person_would_not_count_if_it_were_there(world: World, proposed: str) -> None:
    """The removal deletes it, and the count leaves it out: each alone is enough."""
    node = world.nodes["borealia"]
    assert isinstance(accept(world, proposed, world.actor("borealia", Role.LIAISON)), Waiting)
    with node.store.write() as transaction:
        table.remove_person(transaction, PersonId("borealia-liaison"), now=world.now)
    assert count(node, "approval") == 1
    assert isinstance(accept(world, proposed, world.actor("borealia", Role.LEGAL)), Waiting)


def test_a_person_removed_after_being_identified_does_not_act(world: World, proposed: str) -> None:
    legal = world.actor("borealia", Role.LEGAL)
    assert isinstance(accept(world, proposed, world.actor("borealia", Role.LIAISON)), Waiting)
    people.remove_person(world.nodes["borealia"], legal.person.id)
    with pytest.raises(AuthenticationError, match="no person of this node any more"):
        accept(world, proposed, legal)


def test_roles_are_those_on_record_and_not_those_that_somebody_says(world: World, proposed: str) -> None:
    assert isinstance(accept(world, proposed, world.actor("borealia", Role.LEGAL)), Waiting)
    analyst = new(world, "analyst", Role.ANALYST)
    forged = Actor(person=replace(analyst.person, roles=frozenset(Role)))
    assert isinstance(accept(world, proposed, forged), Refusal)


# --- badges -----------------------------------------------------------------------------------------------------------


def test_a_badge_is_its_persons(world: World) -> None:
    assert world.actor("aurelia").person.id == "aurelia-legal"
    assert world.actor("aurelia", Role.LIAISON).person.roles == {Role.LIAISON}


def test_wrong_old_removed_and_unknown_badges_get_one_answer(world: World) -> None:
    node = world.nodes["aurelia"]
    good = world.badges["aurelia", Role.LEGAL]
    removed = world.register("aurelia", "removed", Role.LEGAL)
    old = world.register("aurelia", "renewed", Role.LEGAL)
    people.remove_person(node, removed.person)
    people.renew_person(node, old.person)
    bad = [
        replace(good, secret=bytes(32)),
        replace(good, person=PersonId("nobody")),
        replace(good, person=PersonId("aurelia-liaison")),
        removed,
        old,
    ]
    answers = set[str]()
    for badge in bad:
        with pytest.raises(AuthenticationError) as refused:
            identify(node, badge)
        answers.add(refused.value.detail)
        assert badge.secret.hex() not in refused.value.detail
    assert len(answers) == 1
    assert "person renew" in answers.pop()


def test_a_badge_of_another_node_is_none_here(world: World) -> None:
    theirs = world.badges["borealia", Role.LEGAL]
    with pytest.raises(AuthenticationError, match="for the node of borealia"):
        identify(world.nodes["aurelia"], theirs)
    world.register("aurelia", "borealia-legal", Role.LEGAL)
    with pytest.raises(AuthenticationError, match="not, or no longer"):
        identify(world.nodes["aurelia"], replace(theirs, party=PartyId("aurelia")))


def test_without_a_badge_the_answer_says_how_to_show_one(world: World) -> None:
    with pytest.raises(AuthenticationError, match="--as BADGE"):
        identify(world.nodes["aurelia"], None)


@pytest.mark.parametrize("removed", [False, True], ids=["never any", "all removed"])
def test_a_node_without_people_lets_nobody_act_and_says_how_to_add_them(world: World, *, removed: bool) -> None:
    node = world.nodes["aurelia"]
    badge = world.badges["aurelia", Role.LEGAL]
    if removed:
        for role in (Role.LIAISON, Role.LEGAL):
            people.remove_person(node, world.badges["aurelia", role].person)
    else:
        with node.store.write() as transaction:
            transaction.run("DROP TRIGGER person_stays")
            transaction.run("DELETE FROM person")
    for shown in (None, badge):
        with pytest.raises(AuthenticationError, match=r"no person is registered.*comity person add"):
            identify(node, shown)


def test_only_a_hash_of_the_badge_is_kept(world: World) -> None:
    badge = world.badges["aurelia", Role.LEGAL]
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        stored = table.read_person(transaction, badge.person)
        tables = [row[0] for row in transaction.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        everything = b"".join(repr(transaction.rows(f"SELECT * FROM {name}")).encode() for name in tables)
    assert stored is not None
    assert stored.secret_hash == hash_badge(badge)
    assert badge.secret.hex().encode() not in everything
    assert repr(badge.secret)[2:-1].encode() not in everything


# --- who is registered ------------------------------------------------------------------------------------------------


def test_every_change_of_people_is_on_record_with_nothing_of_it_in_the_leaf(world: World) -> None:
    node = world.nodes["aurelia"]
    badge = world.register("aurelia", "anna", Role.LEGAL, Role.ANALYST)
    people.renew_person(node, badge.person)
    people.remove_person(node, badge.person)
    entries = list_entries(node, start=-3, limit=3)
    for entry, change in zip(entries, ("add", "renew", "remove"), strict=True):
        assert (entry.leaf.type, entry.leaf.terms, entry.leaf.recipient) == (EntryType.PEOPLE, None, None)
        assert entry.content == {
            "format": "comity-people-record/1",
            "change": change,
            "person": "anna",
            "name": "Anna",
            "roles": ["analyst", "legal"],
        }
    with node.store.read() as transaction:
        leaves = transaction.rows("SELECT leaf FROM log_entry ORDER BY position DESC LIMIT 3")
    assert not any(b"anna" in bytes(leaf).lower() for (leaf,) in leaves)
    node.close()
    assert verify_folder(node.folder).size == 5


def test_an_id_is_given_once_and_never_again(world: World) -> None:
    node = world.nodes["aurelia"]
    badge = world.register("aurelia", "anna", Role.LEGAL)
    before = count(node, "log_entry")
    for _ in range(2):
        with pytest.raises(ConflictError, match=r"given before.*person renew anna"):
            world.register("aurelia", "anna", Role.LIAISON)
        assert identify(node, badge).roles == {Role.LEGAL}
    people.remove_person(node, badge.person)
    with pytest.raises(ConflictError, match=r"to somebody removed, and is never given again; choose another$"):
        world.register("aurelia", "anna", Role.LEGAL)
    assert count(node, "log_entry") == before + 1
    assert [item.person.id for item in people.list_people(node) if item.removed_at] == ["anna"]


def test_somebody_who_is_not_there_is_neither_removed_nor_renewed(world: World) -> None:
    node = world.nodes["aurelia"]
    badge = world.register("aurelia", "anna", Role.LEGAL)
    people.remove_person(node, badge.person)
    for person in (badge.person, PersonId("nobody")):
        for act in (people.remove_person, people.renew_person):
            with pytest.raises(NotFoundError, match="person list"):
                act(node, person)


@pytest.mark.parametrize(
    ("name", "roles"), [("", {Role.LEGAL}), ("  ", {Role.LEGAL}), ("x" * 201, {Role.LEGAL}), ("Anna", set[Role]())]
)
def test_a_person_has_a_name_and_a_role(world: World, name: str, roles: set[Role]) -> None:
    with pytest.raises(MalformedRequest):
        people.add_person(world.nodes["aurelia"], Person(id=PersonId("anna"), name=name, roles=frozenset(roles)))


# --- what waits -------------------------------------------------------------------------------------------------------


def test_what_waits_is_listed_with_all_that_would_be_signed(world: World, proposed: str) -> None:
    first = accept(world, proposed, replace(world.actor("borealia", Role.LIAISON), why="Read it."))
    assert isinstance(first, Waiting)
    (listed,) = people.list_matters(world.nodes["borealia"])
    assert (listed.kind, listed.agreement, listed.digest) == ("accept", proposed, first.matter.digest)
    assert listed.facts == {
        "terms": proposed,
        "title": "Exchange on Ashfall",
        "version": 1,
        "says": [{"positions": ["recognised", "recognised"]}],
    }
    assert listed.facts == parse_json(first.matter.text, limits=SIGNED_LIMITS)["facts"]  # type: ignore[call-overload,index]
    assert (listed.missing, listed.expires_at) == ("a second person, who acts as legal", first.expires_at)
    assert listed.approvals[0].reason == "Read it."


def test_a_list_that_would_show_another_text_than_was_approved_is_not_shown(world: World, proposed: str) -> None:
    accept(world, proposed, world.actor("borealia", Role.LIAISON))
    node = world.nodes["borealia"]
    with node.store.write() as transaction:
        transaction.run("UPDATE approval SET body = CAST(replace(CAST(body AS TEXT), 'Ashfall', 'Roses') AS BLOB)")
    with pytest.raises(CorruptionError, match="not the one that was approved"):
        people.list_matters(node)


def test_what_one_person_can_let_wait_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "_MAX_WAITING_OF_A_PERSON", 3)
    liaison = world.actor("borealia", Role.LIAISON)
    for number in range(3):
        assert isinstance(do(world, liaison, number=number), Waiting)
    with pytest.raises(ConflictError, match="wait for somebody else"):
        do(world, liaison, number=3)
    assert isinstance(do(world, liaison, number=0), Waiting), "the same again is not one more"
    assert isinstance(do(world, world.actor("borealia"), number=0), Approved)
    assert isinstance(do(world, liaison, number=3), Waiting)


def test_what_is_approved_and_why_are_bounded(world: World) -> None:
    legal = world.actor("borealia")
    with pytest.raises(MalformedRequest, match="65536"):
        do(world, legal, text="x" * 70_000)
    for why in ("x" * 2_001, " ", "\ud800"):
        with pytest.raises(MalformedRequest, match="1 to 2000 characters"):
            do(world, replace(legal, why=why))


def test_what_people_write_can_always_be_read_again(world: World, proposed: str) -> None:
    """The log is read strictly: one name or reason that is not in Unicode form NFC would make it unreadable."""
    node = world.nodes["borealia"]
    badge = people.add_person(node, Person(id=PersonId("rene"), name="Rene\u0301", roles=frozenset({Role.LEGAL})))
    assert read_last(node)[1]["name"] == "Ren\u00e9"
    by = Actor(person=identify(node, badge), why="De\u0301ja\u0300")
    assert isinstance(agree.act_on(node, proposed, EventKind.REJECT, by=by), Recorded)
    assert read_last(node)[1]["approvals"][0]["reason"] == "D\u00e9j\u00e0"
    with pytest.raises(ComityError, match="NFC"):
        do(world, by, text="e\u0301")


def test_a_store_from_before_there_were_people_opens_and_lets_nobody_act(world: World) -> None:
    world.sign_all(world.terms())
    node = world.nodes["aurelia"]
    folder = resources.files("comity.store") / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    (number,) = (number for number, name in enumerate(names, start=1) if name.endswith("_people.sql"))
    with node.store.write() as transaction:
        transaction.run("DROP TABLE approval; DROP TABLE person")
        transaction.run("DELETE FROM migration WHERE number = ?", (number,))
    node.close()
    node = world.open("aurelia")
    assert people.list_people(node) == []
    with pytest.raises(AuthenticationError, match="comity person add"):
        identify(node, world.badges["aurelia", Role.LEGAL])
    assert identify(node, world.register("aurelia", "anna", Role.LEGAL)).id == "anna"
    assert verify_folder(node.folder).size == 7
