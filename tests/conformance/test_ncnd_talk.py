# SPDX-License-Identifier: Apache-2.0
"""SILENT to those who have learned an agreement's id, or its whole text: whatever they say of it, in whatever order.

Both worlds of `tests.conformance.ncnd_worlds` are told the same by outsiders, each by itself, and must answer with the
same bytes, whether the agreement is on record, is not, or comes only later. Not here, and not kept: two outsiders that
name each other in what they claim (THREATMODEL.md).
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from comity.agreement.drafting import convert_terms
from comity.agreement.events import EventKind
from comity.agreement.terms import Terms, parse_terms
from comity.agreement.transitions import State
from comity.errors import ComityError, ConflictError
from comity.ids import AgreementId, Digest, PartyId
from comity.letters.letter import About, Draft, make_letter
from comity.letters.recall import Change, Recall
from comity.node.correspond import receive_any
from comity.node.node import Node
from comity.node.outbox import list_waiting
from comity.node.recording import Recorded
from comity.node.standing import Dossier, list_dossiers
from comity.signing import Role
from comity.taxii.responses import find_status
from tests.conformance.ncnd_worlds import (
    AURELIA,
    BOREALIA,
    HIDDEN,
    MERIDIA,
    PARTIES,
    TAVRIA,
    Twins,
    copy_world,
    make_messages,
    make_twins,
    read_hidden,
)
from tests.simulation.forging import forge_message
from tests.worlds import World, object_id

SAID: Mapping[EventKind, Mapping[str, Any]] = {
    EventKind.PROPOSE: {},
    EventKind.COUNTER: {},
    EventKind.ACCEPT: {},
    EventKind.REJECT: {},
    EventKind.SUSPEND: {},
    EventKind.LEAVE: {},
    EventKind.CLARIFY: {"clause": "purposes", "text": "Is it there?"},
    EventKind.ANSWER: {"re": Digest("1" * 64), "text": "Yes."},
}
CLAIMS = ("next", "another next", "next but one", "without aurelia", "with meridia")


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    with make_twins(tmp_path_factory.mktemp("twins")) as made:
        yield made


def claim(world: World, party: str, agreement: AgreementId, what: str) -> Terms:
    """A text by which an outsider makes itself a party of an agreement whose id it knows."""
    receivers = {"without aurelia": ("meridia",), "with meridia": ("aurelia", "meridia")}.get(what, ("aurelia",))
    toml = world.terms(
        giver=party,
        receivers=receivers,
        title=f"{party} {what}",
        version=3 if what == "next but one" else 2,
        agreement=agreement,
        supersedes=agreement,
    )
    return parse_terms(convert_terms(toml))


def list_talk(world: World, party: PartyId, dossier: Dossier) -> dict[str, bytes]:
    """Everything that `party` can say of the agreement, of its own claims to it, and of texts that there are not."""
    talk = dict(make_messages(world, party, dossier))
    signer = world.nodes[party].signers[Role.AGREEMENT]
    for what in CLAIMS:
        terms = claim(world, party, dossier.id, what)
        for kind, words in SAID.items():
            talk[f"{kind} {what}"] = forge_message(
                party, kind, terms, at=world.now, nonce=bytes(16), signer=signer, **words
            )
        talk[f"recall {what}"] = recall_under(world, party, dossier.id, terms.hash)
    for terms in dossier.versions:
        talk[f"recall {terms.version}"] = recall_under(world, party, dossier.id, terms.hash)
    return talk


def recall_under(world: World, party: PartyId, agreement: AgreementId, terms: Digest) -> bytes:
    """A letter by which an outsider recalls something, whatever it is, under the agreement."""
    about = About(id=object_id("report", "anything"), version="1", digest=Digest("1" * 64))
    body = Recall(change=Change.WITHDRAW, reason="Is it there?")
    draft = Draft(body=body, to=AURELIA, agreement=agreement, terms=terms, about=(about,))
    signers = [world.nodes[party].signers[Role.AGREEMENT]]
    return make_letter(draft, sender=party, at=world.now, nonce=bytes(16), signers=signers)


def shuffle(talk: Mapping[str, bytes], seed: str) -> list[tuple[str, bytes]]:
    """All of it twice, in an order that follows from the seed."""
    items = [*talk.items()] * 2
    random.Random(seed).shuffle(items)
    return items


def say(node: Node, message: bytes) -> int:
    """The HTTP status of what the node makes of a message; its answers have no other content (`test_ncnd`)."""
    try:
        receive_any(node, message)
    except ComityError as error:
        return find_status(error)
    return 202


# ---- beside what both worlds are served ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("party", [BOREALIA, TAVRIA])
def test_whatever_an_outsider_says_has_the_same_answer_in_both_worlds(twins: Twins, party: PartyId, name: str) -> None:
    before = read_hidden(twins, name)
    talk = list_talk(twins.lacking, party, before)
    statuses = [
        twins.ask("nobody", "POST", "/comity/exchange/", body=message)[9:12]
        for _, message in shuffle(talk, f"{party} {name}")
    ]
    assert set(statuses) == {b"202", b"404"}
    after = read_hidden(twins, name)
    assert (after.events, after.versions) == (before.events, before.versions)
    assert after.standing(now=twins.having.now).state is HIDDEN[name]
    assert party not in {each.party for each in twins.served[0].call(lambda: list_waiting(twins.served[0].node))}


# ---- before the agreement comes --------------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[World, World]]:
    """Two worlds of four parties without any agreement."""
    made = World(tmp_path / "made")
    made.found(*PARTIES)
    made.close()
    having, lacking = copy_world(made, tmp_path / "having"), copy_world(made, tmp_path / "lacking")
    with closing(having), closing(lacking):
        yield having, lacking


@pytest.mark.parametrize("seed", range(6))
def test_an_agreement_that_comes_after_the_question_changes_no_answer(pair: tuple[World, World], seed: int) -> None:
    """Aurelia's node takes the outsider's claim for a proposal first, and finds out only later."""
    having, lacking = pair
    recorded = having.propose("meridia", having.terms(giver="meridia", receivers=("aurelia",)))
    assert isinstance(recorded, Recorded)
    agreement = recorded.event.agreement
    (dossier,) = list_all(having, "meridia")
    said = shuffle(list_talk(lacking, TAVRIA, dossier), str(seed))
    place = {0: 1, 1: 5}.get(seed, len(said) // 3)
    answers = list[tuple[int, int]]()
    for number, (_, message) in enumerate(said):
        if number == place:
            having.deliver()
            having.act("aurelia", agreement, EventKind.ACCEPT)
            having.deliver()
        answers.append((say(having.nodes["aurelia"], message), say(lacking.nodes["aurelia"], message)))
    assert [having for having, _ in answers] == [lacking for _, lacking in answers]
    assert {status for status, _ in answers} == {202, 404}
    (held,) = list_all(having, "aurelia")
    assert held.standing(now=having.now).state is State.IN_FORCE
    assert held.standing(now=having.now).members == {AURELIA, MERIDIA}


def list_all(world: World, name: str) -> Sequence[Dossier]:
    node = world.nodes[name]
    with node.store.read() as transaction:
        return list_dossiers(node, transaction)


@pytest.mark.parametrize("first", [True, False])
def test_the_bound_on_proposals_counts_a_claim_like_any_other(pair: tuple[World, World], first: bool) -> None:
    having, lacking = pair
    agreement = AgreementId(having.sign_all(having.terms(receivers=("meridia",))))
    signer = lacking.nodes["tavria"].signers[Role.AGREEMENT]
    texts = [
        parse_terms(convert_terms(lacking.terms(giver="tavria", receivers=("aurelia",), title=f"Proposal {number}")))
        for number in range(102)
    ]
    texts.insert(0 if first else 99, claim(lacking, "tavria", agreement, "next"))
    answers = list[int]()
    for terms in texts:
        message = forge_message("tavria", EventKind.PROPOSE, terms, at=lacking.now, nonce=bytes(16), signer=signer)
        status = say(having.nodes["aurelia"], message)
        assert status == say(lacking.nodes["aurelia"], message), terms.title
        answers.append(status)
    assert answers == [202] * 100 + [find_status(ConflictError(""))] * 3
