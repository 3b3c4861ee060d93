# SPDX-License-Identifier: Apache-2.0
"""What strangers say of an agreement: kept apart, counting for nothing, and heard once a party has named them."""

import json
from typing import Any

import pytest

from comity.agreement.drafting import convert_terms
from comity.agreement.events import EventKind
from comity.agreement.terms import Terms, parse_terms
from comity.agreement.transitions import State
from comity.agreement.work import WorkKind
from comity.errors import ConflictError, NotFoundError
from comity.ids import AgreementId, Instant, PartyId
from comity.node import correspond
from comity.node.correspond import import_messages, receive
from comity.node.outbox import list_waiting
from comity.node.work import list_work
from comity.signing import Role
from comity.store import agreements
from tests.simulation.forging import forge_message
from tests.unit.node.test_agree import log_size, standing
from tests.worlds import World

DAY = 24 * 3_600_000_000


@pytest.fixture
def trio(world: World) -> tuple[World, AgreementId]:
    """Aurelia and Borealia have an agreement in force, and Meridia is pinned by both."""
    world.found("meridia")
    return world, AgreementId(world.sign_all(world.terms()))


def claim(world: World, agreement: str, title: str = "Claimed") -> Terms:
    toml = world.terms(
        giver="meridia", receivers=("aurelia",), version=2, agreement=agreement, supersedes=agreement, title=title
    )
    return parse_terms(convert_terms(toml))


def say(world: World, kind: EventKind, terms: Terms, *, by: str = "meridia", **words: Any) -> bytes:  # noqa: ANN401
    world.tick(1)
    signer = world.nodes[by].signers[Role.AGREEMENT]
    return forge_message(by, kind, terms, at=world.now, nonce=bytes(16), signer=signer, **words)


def count_unheard(world: World, name: str, agreement: AgreementId) -> int:
    with world.nodes[name].store.read() as transaction:
        return len(agreements.read_unheard(transaction, agreement))


def test_what_a_stranger_says_is_kept_once_and_changes_nothing(trio: tuple[World, AgreementId]) -> None:
    world, agreement = trio
    size = log_size(world, "aurelia")
    terms = claim(world, agreement)
    for message in (say(world, EventKind.PROPOSE, terms), say(world, EventKind.SUSPEND, terms)):
        for new in (True, False):
            recorded = receive(world.nodes["aurelia"], message)
            assert (recorded.new, recorded.heard, recorded.stops) == (new, False, False)
    assert count_unheard(world, "aurelia", agreement) == 2
    assert (log_size(world, "aurelia"), standing(world, "aurelia", agreement)) == (size, State.IN_FORCE)
    assert "meridia" not in {item.party for item in list_waiting(world.nodes["aurelia"])}


def amend(world: World, agreement: str) -> Terms:
    """The text by which Aurelia and Borealia take Meridia in."""
    toml = world.terms(
        receivers=("borealia", "meridia"), version=2, agreement=agreement, supersedes=agreement, title="With three"
    )
    return parse_terms(convert_terms(toml))


def test_a_signature_that_comes_before_the_version_counts_once_that_has_come(trio: tuple[World, AgreementId]) -> None:
    world, agreement = trio
    terms = amend(world, agreement)
    early = [say(world, EventKind.ACCEPT, terms), say(world, EventKind.CLARIFY, terms, clause="purposes", text="Why?")]
    for message in early:
        assert not receive(world.nodes["aurelia"], message).heard
    assert standing(world, "aurelia", agreement) is State.IN_FORCE
    heard = receive(world.nodes["aurelia"], say(world, EventKind.PROPOSE, terms, by="borealia"))
    assert heard.standing.signed_by == {"borealia", "meridia"}
    assert [question.party for question in heard.standing.open_questions] == ["meridia"]
    assert count_unheard(world, "aurelia", agreement) == 0
    assert [receive(world.nodes["aurelia"], message).new for message in early] == [False, False]


def test_what_aurelia_has_said_before_goes_to_who_is_heard(trio: tuple[World, AgreementId]) -> None:
    """Its lock holds on every version, so whoever is bound by a later one has to know it."""
    world, agreement = trio
    world.act("aurelia", agreement, EventKind.SUSPEND)
    world.deliver()
    terms = amend(world, agreement)
    receive(world.nodes["aurelia"], say(world, EventKind.ACCEPT, terms))
    receive(world.nodes["aurelia"], say(world, EventKind.CLARIFY, terms, clause="purposes", text="Why?"))
    receive(world.nodes["aurelia"], say(world, EventKind.PROPOSE, terms, by="borealia"))
    world.act("aurelia", terms.hash, EventKind.ACCEPT)
    waiting = {item.party: item.messages for item in list_waiting(world.nodes["aurelia"])}
    assert waiting[PartyId("meridia")] == 3, "the lock, the signature and the confirmation"


def test_only_who_is_named_is_heard(trio: tuple[World, AgreementId]) -> None:
    world, agreement = trio
    world.found("tavria")
    stray = claim(world, agreement)
    receive(world.nodes["aurelia"], say(world, EventKind.PROPOSE, stray))
    toml = world.terms(receivers=("borealia", "tavria"), version=2, agreement=agreement, supersedes=agreement)
    heard = receive(
        world.nodes["aurelia"], say(world, EventKind.PROPOSE, parse_terms(convert_terms(toml)), by="borealia")
    )
    assert heard.standing.signed_by == {"borealia"}
    assert count_unheard(world, "aurelia", agreement) == 1
    assert stray.hash not in {terms.hash for terms in read_versions(world, agreement)}


def read_versions(world: World, agreement: AgreementId) -> list[Terms]:
    with world.nodes["aurelia"].store.read() as transaction:
        return [parse_terms(document) for document in agreements.read_versions(transaction, agreement)]


def test_a_stranger_is_bounded_like_anybody(trio: tuple[World, AgreementId], monkeypatch: pytest.MonkeyPatch) -> None:
    world, agreement = trio
    monkeypatch.setattr(correspond, "_MAX_EVENTS_OF_A_PARTY", 3)
    terms = claim(world, agreement)
    said = [say(world, EventKind.PROPOSE, terms)]
    said += [say(world, EventKind.CLARIFY, terms, clause="purposes", text=str(number)) for number in range(4)]
    for message in said[:3]:
        assert not receive(world.nodes["aurelia"], message).heard
    for message in said[3:]:
        with pytest.raises(ConflictError):
            receive(world.nodes["aurelia"], message)
    assert count_unheard(world, "aurelia", agreement) == 3


def test_a_file_says_what_became_of_a_message_that_came_too_early(trio: tuple[World, AgreementId]) -> None:
    world, agreement = trio
    terms = amend(world, agreement)
    accept, propose = say(world, EventKind.ACCEPT, terms), say(world, EventKind.PROPOSE, terms, by="borealia")

    def carry(*messages: bytes) -> correspond.Imported:
        listed = [message.decode() for message in messages]
        document = {"format": "comity-messages/1", "agreement": agreement, "messages": listed}
        return import_messages(world.nodes["aurelia"], json.dumps(document).encode())

    alone = carry(accept)
    assert (alone.recorded, alone.known) == ((), 0)
    assert "meridia is not a party of the agreement: this is kept" in alone.refused[0]
    both = carry(accept, propose)
    assert ([item.event.party for item in both.recorded], both.known) == (["borealia", "meridia"], 0)
    assert both.refused == ()


def test_people_see_for_a_month_who_speaks_of_an_agreement_of_others(trio: tuple[World, AgreementId]) -> None:
    world, agreement = trio
    first = Instant(world.now + 1)
    for message in (say(world, EventKind.PROPOSE, claim(world, agreement)),) * 2:
        receive(world.nodes["aurelia"], message)
    (item,) = [item for item in list_work(world.nodes["aurelia"]) if item.kind is WorkKind.STRANGER]
    assert (item.party, item.agreement, item.title, item.count) == ("meridia", agreement, "Exchange on Ashfall", 1)
    assert item.since == first
    assert WorkKind.STRANGER not in {item.kind for item in list_work(world.nodes["borealia"])}
    world.tick(30 * DAY + 1)
    assert WorkKind.STRANGER not in {item.kind for item in list_work(world.nodes["aurelia"])}


def test_a_refused_message_does_not_make_the_node_forget(trio: tuple[World, AgreementId]) -> None:
    world, agreement = trio
    node = world.nodes["aurelia"]
    standing(world, "aurelia", agreement)
    remembered = dict(node.remembered)
    assert agreement in remembered
    with pytest.raises(NotFoundError):
        receive(node, say(world, EventKind.SUSPEND, claim(world, agreement)))
    assert node.remembered == remembered


def test_an_act_that_fails_after_it_wrote_does(trio: tuple[World, AgreementId]) -> None:
    world, agreement = trio
    node = world.nodes["aurelia"]
    standing(world, "aurelia", agreement)

    def fail() -> None:
        with node.act() as act:
            agreements.mark_reviewed(act.transaction, agreement, now=act.now)
            raise NotFoundError("too late")

    with pytest.raises(NotFoundError):
        fail()
    assert node.remembered == {}
