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
from comity.exchange import parse_message
from comity.ids import AgreementId, Instant, PartyId
from comity.node import correspond, taking
from comity.node.agree import Recorded
from comity.node.correspond import import_messages, receive
from comity.node.outbox import list_due, list_waiting
from comity.node.work import list_work
from comity.signing import Role
from comity.store import agreements
from tests.simulation.forging import forge_message
from tests.unit.node.test_agree import log_size, standing
from tests.worlds import World

PARTIES = tuple(PartyId(name) for name in ("aurelia", "borealia", "meridia", "tavria"))
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
        return len(agreements.read_unheard(transaction, agreement, PARTIES))


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
    monkeypatch.setattr(taking, "_MAX_EVENTS_OF_A_PARTY", 3)
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
    assert remembered.items() <= node.remembered.items()


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


# ---- what a stranger says costs nobody anything ----------------------------------------------------------------------


def draft_first(world: World) -> Terms:
    """The first version of Aurelia and Borealia, which Meridia has got hold of before it is signed."""
    return parse_terms(convert_terms(world.terms(title="Not signed yet")))


def test_claims_to_an_agreement_do_not_fill_it_for_its_parties(
    trio: tuple[World, AgreementId], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = trio
    monkeypatch.setattr(taking, "_MAX_VERSIONS", 5)
    first, node = draft_first(world), world.nodes["aurelia"]
    for number in range(5):
        assert receive(node, say(world, EventKind.PROPOSE, claim(world, first.hash, title=str(number)))).new
    with pytest.raises(ConflictError):
        receive(node, say(world, EventKind.PROPOSE, claim(world, first.hash, title="One more")))
    assert receive(node, say(world, EventKind.PROPOSE, first, by="borealia")).standing.signed_by == {"borealia"}
    toml = world.terms(version=2, agreement=first.hash, supersedes=first.hash, title="The next one")
    following = parse_terms(convert_terms(toml))
    assert receive(node, say(world, EventKind.COUNTER, following, by="borealia")).standing.latest.hash == following.hash


def test_a_claim_does_not_stop_the_first_version_from_being_proposed(trio: tuple[World, AgreementId]) -> None:
    world, _ = trio
    first = draft_first(world)
    receive(world.nodes["aurelia"], say(world, EventKind.PROPOSE, claim(world, first.hash)))
    recorded = world.propose("aurelia", world.terms(title="Not signed yet"))
    assert isinstance(recorded, Recorded)
    assert (str(recorded.event.agreement), recorded.standing.latest.version) == (first.hash, 1)
    assert "meridia" not in {item.party for item in list_waiting(world.nodes["aurelia"])}


@pytest.mark.parametrize("asks", [False, True])
def test_a_lock_is_told_to_who_is_heard_whatever_it_says_last(trio: tuple[World, AgreementId], asks: bool) -> None:
    """The newcomer signs, and asks, before the proposal that names it has come; Aurelia has signed the text by then."""
    world, agreement = trio
    world.act("aurelia", agreement, EventKind.SUSPEND)
    world.deliver()
    terms = amend(world, agreement)
    early = [say(world, EventKind.ACCEPT, terms)]
    early += [say(world, EventKind.CLARIFY, terms, clause="purposes", text="Why?")] if asks else []
    for message in early:
        assert not receive(world.nodes["aurelia"], message).heard
    recorded = world.propose("aurelia", terms_of(world, agreement))
    assert isinstance(recorded, Recorded)
    assert recorded.standing.signed_by == {"aurelia", "meridia"}, (
        "what was kept apart is heard by an act of its own too"
    )
    receive(world.nodes["aurelia"], say(world, EventKind.PROPOSE, terms, by="borealia"))
    waiting = [item.envelope for item in list_due(world.nodes["aurelia"]) if item.party == "meridia"]
    assert EventKind.SUSPEND in {parse_message(envelope).event.kind for envelope in waiting}


def terms_of(world: World, agreement: str) -> bytes:
    return world.terms(
        receivers=("borealia", "meridia"), version=2, agreement=agreement, supersedes=agreement, title="With three"
    )


def test_who_was_only_named_by_another_stranger_gets_an_answer(trio: tuple[World, AgreementId]) -> None:
    world, _ = trio
    world.found("tavria")
    first, node = draft_first(world), world.nodes["aurelia"]
    toml = world.terms(
        giver="tavria", receivers=("aurelia", "meridia"), version=2, agreement=first.hash, supersedes=first.hash
    )
    named = parse_terms(convert_terms(toml))
    receive(node, say(world, EventKind.PROPOSE, named, by="tavria"))
    receive(node, say(world, EventKind.CLARIFY, named, clause="purposes", text="Well?"))
    receive(node, say(world, EventKind.PROPOSE, first, by="borealia"))
    assert not receive(node, say(world, EventKind.PROPOSE, claim(world, first.hash))).heard


def test_a_stop_that_is_heard_is_a_stop(trio: tuple[World, AgreementId]) -> None:
    world, agreement = trio
    terms = amend(world, agreement)
    for kind in (EventKind.ACCEPT, EventKind.SUSPEND):
        receive(world.nodes["aurelia"], say(world, kind, terms))
    recorded = receive(world.nodes["aurelia"], say(world, EventKind.PROPOSE, terms, by="borealia"))
    assert [event.kind for event in recorded.followed] == [EventKind.ACCEPT, EventKind.SUSPEND]
    assert recorded.stops


def test_what_came_before_what_it_is_about_stays(trio: tuple[World, AgreementId]) -> None:
    """It was acknowledged, so nobody will send it again."""
    world, agreement = trio
    node = world.nodes["aurelia"]
    old = claim(world, agreement)
    receive(node, say(world, EventKind.PROPOSE, old))
    with node.store.write() as transaction:  # as at a node that knows the agreement only from a later version on
        transaction.run("DROP TRIGGER event_stays")
        transaction.run("DELETE FROM event WHERE agreement = ?", (agreement,))
        transaction.run("DELETE FROM terms WHERE agreement = ?", (agreement,))
        transaction.run("DELETE FROM agreement WHERE id = ?", (agreement,))
    node.remembered.clear()
    toml = world.terms(receivers=("borealia", "meridia"), version=5, agreement=agreement, supersedes="5" * 64)
    receive(node, say(world, EventKind.PROPOSE, parse_terms(convert_terms(toml)), by="borealia"))
    assert count_unheard(world, "aurelia", agreement) == 1
