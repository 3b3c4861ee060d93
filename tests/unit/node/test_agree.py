# SPDX-License-Identifier: Apache-2.0
"""Acts and messages on agreements: agreed means signed, one side can always stop, nobody acts for another."""

from unittest.mock import patch

import pytest

from comity.agreement.drafting import convert_terms
from comity.agreement.events import CARRIES_TERMS, Event, EventKind
from comity.agreement.recognition import Refusal
from comity.agreement.transitions import State
from comity.canonical import sha256_digest
from comity.errors import (
    ComityError,
    ConflictError,
    MalformedMessage,
    MalformedRequest,
    MalformedTerms,
    NotFoundError,
    TransitionError,
    UnknownKey,
    VerificationError,
)
from comity.exchange import make_message
from comity.ids import AgreementId, Digest, PartyId
from comity.node import taking
from comity.node.agree import Recorded
from comity.node.correspond import receive
from comity.node.outbox import list_due, list_waiting, settle
from comity.node.parties import add_party, export_manifest
from comity.node.standing import find_agreement, judge_terms
from comity.signing import Role
from tests.worlds import World, make_object


def standing(world: World, name: str, agreement: str) -> State:
    node = world.nodes[name]
    with node.store.read() as transaction:
        return find_agreement(node, transaction, agreement).standing(now=world.now).state


def proposal(world: World, toml: bytes | None = None) -> str:
    recorded = world.propose("aurelia", toml or world.terms())
    assert isinstance(recorded, Recorded)
    return recorded.event.agreement


def log_size(world: World, name: str) -> int:
    with world.nodes[name].store.read() as transaction:
        row = transaction.row("SELECT COUNT(*) FROM log_entry")
    assert row is not None
    return int(row[0])


def forge(world: World, kind: EventKind, *, party: str, signer: str, **fields: object) -> bytes:
    """A message in the name of `party`, signed by the node of `signer`."""
    terms, document = Digest(str(fields.pop("terms"))), fields.pop("document", None)
    role = Role(str(fields.pop("role", Role.AGREEMENT)))
    said = Event(
        digest=Digest("0" * 64),
        kind=kind,
        agreement=AgreementId(str(fields.pop("agreement", terms))),
        terms=terms,
        party=PartyId(party),
        at=world.now,
        **fields,  # type: ignore[arg-type]
    )
    signers = [world.nodes[signer].signers[role]]
    return make_message(said, nonce=b"nonce", signers=signers, document=document if kind in CARRIES_TERMS else None)  # type: ignore[arg-type]


def test_a_proposal_and_an_acceptance_of_the_same_bytes_make_an_agreement(world: World) -> None:
    agreement = proposal(world)
    world.deliver()
    assert standing(world, "borealia", agreement) is State.PROPOSED
    world.add("aurelia", make_object("a"))
    with pytest.raises(IndexError):
        world.poll("borealia")
    world.act("borealia", agreement, EventKind.ACCEPT)
    assert standing(world, "aurelia", agreement) is State.PROPOSED, "nothing is agreed before the message is here"
    world.deliver()
    assert standing(world, "aurelia", agreement) is State.IN_FORCE
    assert len(world.poll("borealia").items) == 1


def test_a_party_of_its_own_policy_refuses_to_propose_and_to_accept(world: World) -> None:
    (world.folder / "borealia" / "recognition.toml").write_text("")
    agreement = proposal(world)
    world.deliver()
    before = log_size(world, "borealia")
    refused = world.act_on("borealia", agreement, EventKind.ACCEPT)
    assert isinstance(refused, Refusal)
    assert refused.clause == "legal_bases"
    assert (standing(world, "borealia", agreement), log_size(world, "borealia")) == (State.PROPOSED, before)
    (world.folder / "aurelia" / "recognition.toml").write_text("refused_frameworks = []")
    assert isinstance(world.propose("aurelia", world.terms(title="Another")), Refusal)


def test_nobody_signs_terms_that_select_people_by_religion_or_ethnicity(world: World) -> None:
    terms = world.terms(subjects=["national:ashfall", "national:muslims"])
    refused = world.propose("aurelia", terms)
    assert isinstance(refused, Refusal)
    assert refused.clause == "Regulation (EU) 2016/794, Article 30(2)"
    assert "'national:muslims'" in refused.reason
    # Another node may propose it all the same: it is received and shown, and not accepted.
    with patch("comity.node.agree.judge_signing", judge_terms):
        agreement = proposal(world, terms)
    world.deliver()
    before = log_size(world, "borealia")
    assert world.act_on("borealia", agreement, EventKind.ACCEPT) == refused
    assert (standing(world, "borealia", agreement), log_size(world, "borealia")) == (State.PROPOSED, before)
    assert not isinstance(world.propose("aurelia", world.terms(subjects=["national:muslim-river-band"])), Refusal)


def test_a_basis_no_longer_recognised_closes_the_gate_at_the_next_poll(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    assert len(world.poll("borealia").items) == 1
    (world.folder / "aurelia" / "recognition.toml").write_text("# nothing any more")
    with pytest.raises(IndexError):
        world.poll("borealia")


def test_an_unreadable_policy_stops_everything_rather_than_nothing(world: World) -> None:
    world.sign_all(world.terms())
    (world.folder / "aurelia" / "recognition.toml").write_text("recognised = all of it")
    with pytest.raises(ComityError, match=r"recognition\.toml"):
        world.poll("borealia")


def test_terms_that_name_another_manifest_or_an_unknown_party_are_not_signed(world: World) -> None:
    toml = world.terms().replace(world.manifests["borealia"].digest.encode(), b"0" * 64)
    with pytest.raises(VerificationError, match="compare digests"):
        world.propose("aurelia", toml)
    with pytest.raises(NotFoundError, match="party add"):
        world.propose("aurelia", world.terms().replace(b"borealia", b"nowhere"))
    with pytest.raises(MalformedTerms, match="line"):
        world.propose("aurelia", world.terms() + b'\nsecret_clause = "x"\n')


def test_the_same_message_twice_is_one_event(world: World) -> None:
    agreement = proposal(world)
    (message,) = list_due(world.nodes["aurelia"])
    assert receive(world.nodes["borealia"], message.envelope).new
    size = log_size(world, "borealia")
    assert not receive(world.nodes["borealia"], message.envelope).new
    assert log_size(world, "borealia") == size
    assert standing(world, "borealia", agreement) is State.PROPOSED


def test_events_in_any_order_lead_to_the_same_state(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.act("aurelia", agreement, EventKind.SUSPEND)
    world.act("aurelia", agreement, EventKind.RESUME)
    suspend, resume = list_due(world.nodes["aurelia"])
    receive(world.nodes["borealia"], resume.envelope)
    assert standing(world, "borealia", agreement) is State.IN_FORCE
    receive(world.nodes["borealia"], suspend.envelope)
    assert standing(world, "borealia", agreement) is State.IN_FORCE
    receive(world.nodes["borealia"], suspend.envelope)
    assert standing(world, "borealia", agreement) is State.IN_FORCE


def test_two_suspensions_in_the_same_instant_are_two(world: World) -> None:
    agreement = world.sign_all(world.terms())
    for _ in range(3):
        world.act("aurelia", agreement, EventKind.SUSPEND)
        assert standing(world, "aurelia", agreement) is State.SUSPENDED
        world.act("aurelia", agreement, EventKind.RESUME)
        assert standing(world, "aurelia", agreement) is State.IN_FORCE


def test_only_the_one_who_suspended_can_resume(world: World) -> None:
    agreement = world.sign_all(world.terms())
    lock = world.act("aurelia", agreement, EventKind.SUSPEND)
    world.deliver()
    with pytest.raises(TransitionError, match="only aurelia, who suspended, can resume"):
        world.act_on("borealia", agreement, EventKind.RESUME)
    forged = forge(world, EventKind.RESUME, party="borealia", signer="borealia", terms=agreement, re=lock.event.digest)
    receive(world.nodes["aurelia"], forged)
    assert standing(world, "aurelia", agreement) is State.SUSPENDED


@pytest.mark.parametrize("kind", [EventKind.ACCEPT, EventKind.SUSPEND, EventKind.TERMINATE])
def test_nobody_speaks_for_another_party(world: World, kind: EventKind) -> None:
    agreement = proposal(world)
    world.deliver()
    document = world.nodes["aurelia"]
    with document.store.read() as transaction:
        text = find_agreement(document, transaction, agreement).versions[0].document
    fields = {"document": text} if kind is EventKind.ACCEPT else {}
    forged = forge(world, kind, party="borealia", signer="aurelia", terms=agreement, **fields)
    with pytest.raises(ComityError) as caught:
        receive(world.nodes["borealia"], forged)
    assert isinstance(caught.value, VerificationError)
    world.found("meridia")
    with pytest.raises(VerificationError):
        receive(world.nodes["aurelia"], forged)
    assert standing(world, "aurelia", agreement) is State.PROPOSED


def test_who_read_one_text_does_not_sign_another_that_came_in_the_meantime(world: World) -> None:
    agreement = proposal(world)
    world.deliver()
    wide = world.propose("aurelia", world.terms(version=2, agreement=agreement, supersedes=agreement, tlp="red"))
    assert isinstance(wide, Recorded)
    world.deliver()
    for kind in (EventKind.ACCEPT, EventKind.REJECT):
        with pytest.raises(TransitionError, match="name it by its own hash"):
            world.act_on("borealia", agreement, kind)
    world.act("borealia", wide.event.terms, EventKind.ACCEPT)


def test_a_text_whose_hash_begins_as_that_of_the_one_that_was_read_is_not_signed_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partner can make such a text: for the beginnings that people type it takes seconds. One digit stands for it."""
    monkeypatch.setattr("comity.node.standing._MIN_PREFIX", 1)
    agreement = proposal(world)
    texts = (
        world.terms(version=2, agreement=agreement, supersedes=agreement, tlp="red", title=f"Exchange {number}")
        for number in range(1_000)
    )
    alike = next(text for text in texts if sha256_digest(convert_terms(text))[0] == agreement[0])
    wide = world.propose("aurelia", alike)
    assert isinstance(wide, Recorded)
    world.deliver()
    for kind in (EventKind.ACCEPT, EventKind.REJECT):
        with pytest.raises(TransitionError, match="several versions begin with"):
            world.act_on("borealia", agreement[0], kind)
    world.act("borealia", wide.event.terms, EventKind.ACCEPT)


def test_a_stop_is_taken_from_a_party_whose_manifest_has_run_out_and_nothing_flows_to_it(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    assert world.read("borealia")
    world.tick(3 * 365 * 86_400_000_000)
    with pytest.raises(IndexError):
        world.poll("borealia")
    suspend = forge(world, EventKind.SUSPEND, party="borealia", signer="borealia", terms=agreement)
    assert receive(world.nodes["aurelia"], suspend).new
    resume = forge(
        world, EventKind.RESUME, party="borealia", signer="borealia", terms=agreement, re=sha256_digest(b"anything")
    )
    with pytest.raises(VerificationError, match="expired"):
        receive(world.nodes["aurelia"], resume)


def test_a_repeated_stop_stops_nothing_anew(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.act("borealia", agreement, EventKind.SUSPEND)
    (message,) = list_due(world.nodes["borealia"])
    assert receive(world.nodes["aurelia"], message.envelope).stops
    assert not receive(world.nodes["aurelia"], message.envelope).stops


def test_an_outsider_can_neither_speak_nor_bring_an_agreement_to_a_node_that_is_no_party(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.found("meridia")
    suspend = forge(world, EventKind.SUSPEND, party="meridia", signer="meridia", terms=agreement)
    with pytest.raises(NotFoundError):  # as if there were no such agreement
        receive(world.nodes["aurelia"], suspend)
    recorded = world.propose("aurelia", world.terms(receivers=("meridia",), title="Between two"))
    assert isinstance(recorded, Recorded)
    stray = next(item for item in list_due(world.nodes["aurelia"]) if item.party == "meridia")
    with pytest.raises(VerificationError, match="not a party of the agreement"):
        receive(world.nodes["borealia"], stray.envelope)


def test_a_text_that_names_an_agreement_on_record_is_no_way_into_it(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.found("meridia")
    toml = world.terms(
        giver="meridia", receivers=("aurelia", "borealia"), version=2, agreement=agreement, supersedes=agreement
    )
    document = convert_terms(toml)
    message = forge(
        world,
        EventKind.PROPOSE,
        party="meridia",
        signer="meridia",
        agreement=agreement,
        terms=sha256_digest(document),
        document=document,
    )
    suspend = forge(world, EventKind.SUSPEND, party="meridia", signer="meridia", terms=agreement)
    for stray in (message, suspend, message):
        recorded = receive(world.nodes["aurelia"], stray)
        assert (recorded.heard, recorded.stops) == (False, False)
    assert standing(world, "aurelia", agreement) is State.IN_FORCE


def test_an_event_on_an_agreement_that_is_not_here_yet_is_asked_for_again_later(world: World) -> None:
    agreement = proposal(world)
    early = forge(world, EventKind.REJECT, party="aurelia", signer="aurelia", terms=agreement)
    with pytest.raises(NotFoundError):
        receive(world.nodes["borealia"], early)


def test_a_message_signed_by_a_key_of_another_role_is_not_believed(world: World) -> None:
    agreement = world.sign_all(world.terms())
    message = forge(world, EventKind.TERMINATE, party="aurelia", signer="aurelia", terms=agreement, role=Role.TRANSPORT)
    with pytest.raises(UnknownKey):
        receive(world.nodes["borealia"], message)


def test_a_clarification_names_a_clause_and_its_answer_changes_nothing(world: World) -> None:
    agreement = proposal(world)
    world.deliver()
    with pytest.raises(MalformedMessage, match=r"channels\.main\.regions"):
        world.act_on("borealia", agreement, EventKind.CLARIFY, clause="channels.main.colour", text="?")
    with pytest.raises(ComityError, match="text"):
        world.act_on("borealia", agreement, EventKind.CLARIFY, clause="validity", text="")
    world.act("borealia", agreement, EventKind.CLARIFY, clause="validity", text="Until when?")
    world.deliver()
    assert standing(world, "aurelia", agreement) is State.IN_CLARIFICATION
    world.act("aurelia", agreement, EventKind.ANSWER, text="Ten years.")
    world.deliver()
    assert standing(world, "borealia", agreement) is State.PROPOSED


def test_acts_that_are_not_possible_say_what_is(world: World) -> None:
    agreement = proposal(world)
    for kind, words in (
        (EventKind.SUSPEND, "possible is"),
        (EventKind.RESUME, "nothing is suspended"),
        (EventKind.ACCEPT, "signed this version already"),
        (EventKind.ANSWER, "no open question"),
    ):
        with pytest.raises(TransitionError, match=words):
            world.act_on("aurelia", agreement, kind, text="x")
    with pytest.raises(TransitionError):
        world.propose("aurelia", world.terms())
    world.act("aurelia", agreement, EventKind.REJECT)
    with pytest.raises(TransitionError, match="rejected by aurelia"):
        world.act_on("aurelia", agreement, EventKind.ACCEPT)


def test_an_agreement_is_named_by_a_unique_beginning(world: World) -> None:
    agreement = proposal(world)
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        assert find_agreement(node, transaction, agreement[:6]).id == agreement
        with pytest.raises(MalformedRequest, match="too short"):
            find_agreement(node, transaction, agreement[:2])
        with pytest.raises(NotFoundError):
            find_agreement(node, transaction, "ffff" if agreement[0] != "f" else "0000")
        with pytest.raises(NotFoundError):
            find_agreement(node, transaction, "****")


def test_what_a_partner_does_not_acknowledge_is_tried_again_later_and_later(world: World) -> None:
    proposal(world)
    node = world.nodes["aurelia"]
    waits = []
    for _ in range(12):
        (message,) = list_due(node)
        settle(node, message, problem="no answer")
        assert not list_due(node)
        begun = world.now
        while not list_due(node):
            world.tick()
        waits.append(world.now - begun)
    assert waits == sorted(waits)
    assert waits[-1] == 300_000_000
    assert list_waiting(node)[0].problem == "no answer"
    digest = world.manifests["borealia"].digest
    settle(node, list_due(node)[0], problem="no answer")
    add_party(node, export_manifest(world.nodes["borealia"]), digest=digest, url="http://127.0.0.1:1")
    assert list_due(node), "a new address is worth a try at once"


def test_a_bound_on_what_one_partner_can_make_a_node_keep_never_mutes_a_stop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "_MAX_EVENTS_OF_A_PARTY", 4)
    monkeypatch.setattr(taking, "_MAX_UNANSWERED", 2)
    agreement = world.sign_all(world.terms())
    borealia = world.nodes["borealia"]
    for number in range(2):
        world.act_on("borealia", agreement, EventKind.CLARIFY, clause="validity", text=f"{number}?")
    world.deliver()
    world.act("borealia", agreement, EventKind.CLARIFY, clause="validity", text="And?")
    with pytest.raises(ConflictError, match="bound"):
        world.deliver()
    world.act("borealia", agreement, EventKind.SUSPEND)
    stop = list_due(borealia)[-1]
    assert receive(world.nodes["aurelia"], stop.envelope).stops
    assert standing(world, "aurelia", agreement) is State.SUSPENDED
    for number in range(3):
        assert isinstance(world.propose("borealia", world.terms(title=f"Another {number}")), Recorded)
    envelopes = [item.envelope for item in list_due(borealia)][-3:]
    receive(world.nodes["aurelia"], envelopes[0])
    receive(world.nodes["aurelia"], envelopes[1])
    with pytest.raises(ConflictError, match="wait for an answer"):
        receive(world.nodes["aurelia"], envelopes[2])


def test_what_waits_for_an_answer_is_bounded_in_bytes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it stands in memory: else a hundred proposals of a megabyte each, to which nobody here has said a word."""
    agreement = world.sign_all(world.terms())
    for number in range(3):
        assert isinstance(world.propose("borealia", world.terms(title=f"Another {number}")), Recorded)
    aurelia, envelopes = world.nodes["aurelia"], [item.envelope for item in list_due(world.nodes["borealia"])][-3:]
    monkeypatch.setattr(taking, "_MAX_BYTES_UNANSWERED", len(envelopes[0]) + len(envelopes[1]))
    first = receive(aurelia, envelopes[0]).event
    receive(aurelia, envelopes[1])
    with pytest.raises(ConflictError, match="bytes here that wait for an answer"):
        receive(aurelia, envelopes[2])
    said = {"party": "borealia", "signer": "borealia", "agreement": first.agreement, "terms": first.terms}
    asks = forge(world, EventKind.CLARIFY, **said, clause="validity", text="Well?")
    with pytest.raises(ConflictError, match="bytes here that wait for an answer"):
        receive(aurelia, asks)
    # What was answered does not count, and goes on; and a stop is heard whatever is waiting.
    world.act_on("borealia", agreement, EventKind.CLARIFY, clause="validity", text="And this?")
    receive(aurelia, list_due(world.nodes["borealia"])[-1].envelope)
    withdrawn = forge(world, EventKind.WITHDRAW, **said)
    receive(aurelia, withdrawn)


def test_a_stop_over_the_bound_is_taken_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    agreement = world.sign_all(world.terms())
    aurelia = world.nodes["aurelia"]
    monkeypatch.setattr(taking, "_MAX_EVENTS_OF_A_PARTY", 2)

    def send(kind: EventKind, **fields: object) -> None:
        world.tick()
        receive(aurelia, forge(world, kind, party="borealia", signer="borealia", agreement=agreement, **fields))

    send(EventKind.SUSPEND, terms=agreement, channel="main")
    for fields in ({"channel": "main"}, {"channel": "elsewhere"}, {"terms": "ab" * 32}):
        with pytest.raises(ConflictError, match="bound"):
            send(EventKind.SUSPEND, **{"terms": agreement, **fields})
    for kind in (EventKind.SUSPEND, EventKind.REJECT, EventKind.TERMINATE):
        send(kind, terms=agreement)
        with pytest.raises(ConflictError, match="bound"):
            send(kind, terms=agreement)
    assert standing(world, "aurelia", agreement) is State.TERMINATED


def test_two_partners_together_are_bounded_as_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "_MAX_UNANSWERED", 2)
    world.found("meridia")
    for number in range(2):
        toml = world.terms(giver="borealia", receivers=("meridia", "aurelia"), title=f"Another {number}")
        proposed = world.propose("borealia", toml)
        assert isinstance(proposed, Recorded)
        world.deliver()
        world.act("meridia", proposed.event.terms, EventKind.ACCEPT)
        world.deliver()
    one_more = world.terms(giver="borealia", receivers=("meridia", "aurelia"), title="One more")
    assert isinstance(world.propose("borealia", one_more), Recorded)
    with pytest.raises(ConflictError, match="wait for an answer"):
        world.deliver()


def test_a_failed_act_leaves_nothing_remembered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    agreement = world.sign_all(world.terms())
    node = world.nodes["aurelia"]

    def fail(*_: object) -> bytes:
        raise OSError("no")

    with monkeypatch.context() as patch:
        patch.setattr(node, "_seal", fail)
        with pytest.raises(OSError, match="no"):
            world.act_on("aurelia", agreement, EventKind.SUSPEND)
    assert standing(world, "aurelia", agreement) is State.IN_FORCE
    world.act("aurelia", agreement, EventKind.TERMINATE)
    assert standing(world, "aurelia", agreement) is State.TERMINATED
