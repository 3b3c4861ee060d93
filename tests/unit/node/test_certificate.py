# SPDX-License-Identifier: Apache-2.0
"""A certificate says exactly what is on record, verifies all of it again, and tells what does not verify."""

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from comity.agreement.events import EventKind, Reservation
from comity.canonical import canonical_bytes, sha256_digest
from comity.errors import CorruptionError, MalformedRequest, NotFoundError
from comity.exchange import EVENT_TYPE, make_message, parse_message
from comity.ids import AgreementId, Digest, Instant, PartyId, format_instant
from comity.node import agree, correspond
from comity.node.founding import found_node
from comity.node.journal import list_entries
from comity.node.node import open_node
from comity.node.outbox import list_due
from comity.node.parties import add_party, export_manifest
from comity.operations.certificate import certify
from comity.operations.outcome import Arguments, Outcome
from comity.operations.reply import Exit
from comity.signing import (
    MANIFEST_TYPE,
    Role,
    RoleKeys,
    format_manifest,
    format_signed_document,
    key_id,
    parse_manifest,
    parse_signed_document,
    sign_document,
)
from comity.store import Transaction, log
from tests.signers import SeedSigner
from tests.worlds import World

GROUP = '[structure]\nkind = "group"\naccession = "any_member"'
RESERVABLE = 'reservations = ["channels.main.regions"]'
TWO_YEARS = 2 * 366 * 86_400_000_000


@pytest.fixture
def three(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    yield made
    made.close()


def ask(world: World, agreement: str, *, name: str = "aurelia", at: Instant | None = None) -> Outcome:
    arguments = Arguments({"id": agreement, "at": None if at is None else format_instant(at)})
    return asyncio.run(certify(world.nodes[name], arguments))


def read(world: World, agreement: str, *, name: str = "aurelia", at: Instant | None = None) -> dict[str, Any]:
    outcome = ask(world, agreement, name=name, at=at)
    assert outcome.code is Exit.DONE, find_problems(outcome)
    return dict(outcome.result)


def write_store(world: World, sql: str, *parameters: str | int | bytes, name: str = "aurelia") -> None:
    """Write to the store as somebody can who has the file: past the triggers."""
    with world.nodes[name].store.write() as transaction:
        for (trigger,) in list(transaction.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'")):
            transaction.run(f"DROP TRIGGER {trigger}")
        transaction.run(sql, parameters)


def read_envelope(world: World, kind: str, *, name: str = "aurelia") -> bytes:
    with world.nodes[name].store.read() as transaction:
        row = transaction.row("SELECT envelope FROM event WHERE kind = ?", (kind,))
    assert row is not None
    return bytes(row[0])


def find_problems(outcome: Outcome) -> list[tuple[str, str]]:
    result: dict[str, Any] = dict(outcome.result)
    return [(check["covers"], check["problem"]) for check in result["checks"] if not check["verified"]]


def test_everything_of_an_agreement_in_force_verifies(world: World) -> None:
    agreement = world.sign_all(world.terms())
    result = read(world, agreement)
    assert (result["state"], result["verified"], result["problems"]) == ("in force", True, 0)
    assert result["verified_sentence"] is None
    # Two manifests, one text, and what each party said: propose or accept, and confirm.
    assert len(result["checks"]) == 2 + 1 + 4
    kinds = {(item["party"], item["kind"]) for item in result["signatures"]}
    assert kinds == {(party, kind) for party in ("aurelia",) for kind in ("propose", "confirm")} | {
        ("borealia", "accept"),
        ("borealia", "confirm"),
    }
    assert [event["event"] for event in result["events"]] == [check["digest"] for check in result["checks"][3:]]
    assert [party["manifest"] for party in result["parties"]] == [
        world.manifests[name].digest for name in ("aurelia", "borealia")
    ]
    assert result["channels"] == [
        {"channel": "main", "from": "aurelia", "to": "borealia", "open": True, "clause": None, "reason": None}
    ]
    assert result["bases"][0]["positions"] == {"aurelia": "recognised", "borealia": "recognised"}


def test_a_signature_says_which_key_and_whose_people_where_they_are_of_this_party(world: World) -> None:
    agreement = world.sign_all(world.terms())
    for name in ("aurelia", "borealia"):
        for item in read(world, agreement, name=name)["signatures"]:
            (key,) = world.manifests[item["party"]].roles[Role.AGREEMENT].keys
            assert (item["keys"], item["problem"]) == ([key_id(key)], None)
            people = [(person["person"], person["role"]) for person in item["approvals"]]
            own = item["party"] == name and item["kind"] != "confirm"
            assert people == ([(f"{name}-legal", "legal"), (f"{name}-liaison", "liaison")] if own else [])


def test_the_entries_of_events_are_found_without_looking_through_the_log(world: World) -> None:
    agreement = world.sign_all(world.terms())
    plan = list[str]()

    class Explaining:
        def rows(self, sql: str, parameters: tuple[str, ...]) -> list[Any]:
            plan.extend(row[3] for row in transaction.rows(f"EXPLAIN QUERY PLAN {sql}", parameters))
            return transaction.rows(sql, parameters)

    with world.nodes["aurelia"].store.read() as transaction:
        found = log.read_events(cast("Transaction", Explaining()), AgreementId(agreement))
    assert len(found) == 4
    assert "SCAN log_entry USING INDEX log_entry_of_events" in plan


def test_what_was_not_on_record_at_a_time_does_not_appear(world: World) -> None:
    recorded = world.propose("aurelia", world.terms())
    assert isinstance(recorded, agree.Recorded)
    agreement, proposed = recorded.event.agreement, world.now
    world.deliver()
    world.tick()
    asked = world.act("borealia", agreement, EventKind.CLARIFY, clause="validity", text="Until when exactly?")
    world.deliver()
    world.tick()
    accepted = world.act("borealia", agreement, EventKind.ACCEPT)
    world.deliver()
    world.tick()

    before = read(world, agreement, at=proposed)
    assert before["state"] == "proposed"
    assert before["versions"][0]["missing"] == ["borealia"]
    assert [item["kind"] for item in before["events"]] == ["propose"]
    assert before["threads"] == []
    text = json.dumps(before)
    assert not any(word in text for word in ("Until when", asked.event.digest, accepted.event.digest, "accept"))
    assert read(world, agreement)["state"] != "proposed"


def test_nothing_before_the_first_event_and_nothing_yet_to_come(world: World) -> None:
    agreement = world.sign_all(world.terms())
    with pytest.raises(NotFoundError, match="was on record"):
        ask(world, agreement, at=Instant(world.now - 1))
    with pytest.raises(MalformedRequest, match="yet to come"):
        ask(world, agreement, at=Instant(world.now + 1))
    with pytest.raises(NotFoundError):
        ask(world, "f" * 64)


def test_a_later_version_is_explained_beside_the_one_in_force(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.tick()
    wider = world.terms(version=2, agreement=agreement, supersedes=agreement, tlp="red")
    assert isinstance(world.propose("aurelia", wider), agree.Recorded)
    result = read(world, agreement)
    assert (result["version"], result["state"]) == (1, "in force")
    assert [(part["version"], part["channel"]) for part in result["parts"]] == [
        (1, None),
        (1, "main"),
        (2, None),
        (2, "main"),
    ]
    assert [item["agreed"] for item in result["versions"]] == [True, False]


def test_reservations_questions_joiners_and_leavers_are_told(three: World) -> None:
    world = three
    recorded = world.propose("aurelia", world.terms(extra=f"{RESERVABLE}\n{GROUP}"))
    assert isinstance(recorded, agree.Recorded)
    agreement = recorded.event.agreement
    world.deliver()
    question = world.act("borealia", agreement, EventKind.CLARIFY, clause="channels.main.regions", text="All of IQ?")
    world.deliver()
    world.tick()
    answer = world.act("aurelia", agreement, EventKind.ANSWER, text="Yes.")
    world.deliver()
    reserved = [Reservation(clause="channels.main.regions", ground="national_law", text="Not SY.")]
    assert isinstance(world.act_on("borealia", agreement, EventKind.ACCEPT, reservations=reserved), agree.Recorded)
    world.deliver()
    world.tick()
    world.admit("aurelia", agreement, "meridia")
    world.deliver()
    world.accede("meridia", agreement)
    world.deliver()
    world.tick()
    joined = read(world, agreement)
    assert {item["party"]: item["part"] for item in joined["parties"]}["meridia"] == "joined"
    world.act("meridia", agreement, EventKind.LEAVE, text="Mandate ended.")
    for message in list_due(world.nodes["meridia"]):
        correspond.receive(world.nodes[message.party], message.envelope)

    result = read(world, agreement)
    assert result["reservations"] == [
        {"party": "borealia", "clause": "channels.main.regions", "ground": "national_law", "text": "Not SY."}
    ]
    assert result["channels"][0]["clause"] == "reservations"
    (thread,) = result["threads"]
    assert thread["question"]["event"] == question.event.digest
    assert [item["event"] for item in thread["answers"]] == [answer.event.digest]
    assert [(item["party"], item["kind"]) for item in result["membership"]] == [
        ("aurelia", "admit"),
        ("meridia", "accede"),
        ("meridia", "leave"),
    ]
    assert {item["party"]: item["part"] for item in result["parties"]} == {
        "aurelia": "named in the text",
        "borealia": "named in the text",
        "meridia": "left",
    }
    assert {item["party"]: item["manifest"] for item in result["parties"]}["meridia"] == world.manifests[
        "meridia"
    ].digest


def test_suspensions_are_told_with_their_reason(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.act("borealia", agreement, EventKind.SUSPEND, channel="main", text="Review.")
    world.deliver()
    result = read(world, agreement)
    (lock,) = result["suspensions"]
    assert (lock["party"], lock["channel"], lock["reason"]) == ("borealia", "main", "Review.")
    assert result["channels"][0]["open"] is False


# --- what was altered -------------------------------------------------------------------------------------------------


def test_an_altered_signature_is_told_and_the_rest_verifies(world: World) -> None:
    agreement = world.sign_all(world.terms())
    envelope = read_envelope(world, "accept")
    place = envelope.index(b'"sig":"') + 10
    other = b"A" if envelope[place : place + 1] != b"A" else b"B"
    altered = envelope[:place] + other + envelope[place + 1 :]
    write_store(world, "UPDATE event SET envelope = ? WHERE kind = 'accept'", altered)
    outcome = ask(world, agreement)
    assert outcome.code is Exit.VERIFICATION_FAILED
    ((covers, problem),) = find_problems(outcome)
    assert covers.startswith("accept of borealia, and over the text")
    assert "does not verify" in problem
    assert outcome.result["verified_sentence"] == "proposed by aurelia; borealia has not signed"


def test_an_altered_signature_over_the_text_alone_is_told(world: World) -> None:
    agreement = world.sign_all(world.terms())
    node = world.nodes["borealia"]
    message = json.loads(read_envelope(world, "accept"))
    payload = json.loads(base64.b64decode(message["payload"]))
    sig = payload["signatures"][0]["sig"]
    payload["signatures"][0]["sig"] = ("B" if sig[0] != "B" else "C") + sig[1:]
    data = canonical_bytes(payload)
    forged = format_signed_document(sign_document(EVENT_TYPE, data, [node.signers[Role.AGREEMENT]]))
    write_store(world, "UPDATE event SET envelope = ?, digest = ? WHERE kind = 'accept'", forged, sha256_digest(data))
    problems = find_problems(ask(world, agreement))
    assert any(covers.startswith("accept of borealia, and over the text") for covers, _ in problems)
    # And the log still has the message that was there before.
    assert any(problem == "the log records this message, but it is missing here" for _, problem in problems)


def test_an_envelope_that_cannot_be_read_is_told_although_the_node_itself_cannot_go_on(world: World) -> None:
    agreement = world.sign_all(world.terms())
    write_store(world, "UPDATE event SET envelope = ? WHERE kind = 'confirm' AND party = 'borealia'", b"{}")
    outcome = ask(world, agreement)
    assert outcome.code is Exit.VERIFICATION_FAILED
    ((covers, problem),) = find_problems(outcome)
    assert covers == "a message"
    assert problem.startswith("it cannot be read")
    assert "waits for the confirmation of borealia" in str(outcome.result["sentence"])


def test_a_message_in_the_place_of_another_is_told(world: World) -> None:
    agreement = world.sign_all(world.terms())
    write_store(
        world,
        "UPDATE event SET envelope = ? WHERE kind = 'confirm' AND party = 'borealia'",
        read_envelope(world, "accept"),
    )
    ((_, problem),) = find_problems(ask(world, agreement))
    assert "not the message that is kept under this digest" in problem


def test_a_message_taken_out_of_the_store_is_missed_by_the_log(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.act("borealia", agreement, EventKind.SUSPEND)
    world.deliver()
    write_store(world, "DELETE FROM event WHERE kind = 'suspend'")
    outcome = ask(world, agreement)
    assert outcome.result["state"] == "in force"
    ((covers, problem),) = find_problems(outcome)
    assert covers.startswith("suspend of borealia, entry ")
    assert "missing here" in problem


@pytest.mark.parametrize(
    "sql", ["DELETE FROM log_opening WHERE position = ?", "UPDATE log_opening SET content = x'7b7d' WHERE position = ?"]
)
def test_a_message_taken_out_of_the_store_is_missed_though_its_entry_lost_what_it_says(world: World, sql: str) -> None:
    agreement = world.sign_all(world.terms())
    world.act("aurelia", agreement, EventKind.SUSPEND, text="Stop.")
    last = list_entries(world.nodes["aurelia"], start=-1, limit=1)[0].position
    write_store(world, "DELETE FROM event WHERE kind = 'suspend'")
    write_store(world, sql, last)
    outcome = ask(world, agreement)
    assert outcome.code is Exit.VERIFICATION_FAILED
    assert f"entry {last} of the log" in [covers for covers, _ in find_problems(outcome)]


def test_a_message_recorded_at_another_time_than_the_log_says_is_told(world: World) -> None:
    agreement = world.sign_all(world.terms())
    write_store(world, "UPDATE event SET recorded_at = recorded_at - 1 WHERE kind = 'accept'")
    ((_, problem),) = find_problems(ask(world, agreement))
    assert "the time it was recorded at was altered" in problem


def test_a_message_that_no_act_recorded_is_told(world: World) -> None:
    agreement = world.sign_all(world.terms())
    write_store(world, "DELETE FROM log_entry WHERE position = 2")
    ((covers, problem),) = find_problems(ask(world, agreement))
    assert covers.startswith("propose of aurelia")
    assert "the log of this node has no entry for it" in problem


def test_an_altered_text_is_told_and_the_one_that_was_signed_is_printed(world: World) -> None:
    agreement = world.sign_all(world.terms())
    write_store(
        world,
        "UPDATE terms SET document = CAST(replace(CAST(document AS TEXT), 'Exchange on', 'Exchange of') AS BLOB)",
    )
    outcome = ask(world, agreement)
    ((covers, problem),) = find_problems(outcome)
    assert covers == "the text of version 1"
    assert problem.endswith("it was altered")
    assert outcome.result["title"] == "Exchange on Ashfall"


def test_where_no_text_can_be_read_there_is_no_certificate(world: World) -> None:
    agreement = world.sign_all(world.terms())
    write_store(world, "UPDATE terms SET document = CAST('{}' AS BLOB)")
    write_store(world, "UPDATE event SET envelope = CAST('{}' AS BLOB)")
    with pytest.raises(CorruptionError, match="no text"):
        ask(world, agreement)


def make_false(world: World, folder: Path) -> bytes:
    """A manifest of borealia that borealia never made."""
    listen = world.nodes["aurelia"].settings.listen
    found_node(folder, party=PartyId("borealia"), name="Borealia", state=None, listen=listen)
    false = open_node(folder)
    envelope = export_manifest(false)
    false.close()
    return envelope


def test_a_manifest_put_in_the_place_of_another_is_told(world: World, tmp_path: Path) -> None:
    agreement = world.sign_all(world.terms())
    envelope = make_false(world, tmp_path / "false")
    write_store(world, "UPDATE manifest SET envelope = ? WHERE party = 'borealia'", envelope)
    problems = find_problems(ask(world, agreement))
    assert any(covers == "version 1 of the manifest of borealia" for covers, _ in problems)
    assert {covers.partition(" of ")[0] for covers, _ in problems} >= {"accept", "confirm"}


def test_a_manifest_that_the_text_does_not_name_is_told_although_it_verifies(world: World, tmp_path: Path) -> None:
    agreement = world.sign_all(world.terms())
    envelope = make_false(world, tmp_path / "false")
    digest = sha256_digest(parse_signed_document(envelope).payload)
    write_store(world, "UPDATE manifest SET envelope = ?, digest = ? WHERE party = 'borealia'", envelope, str(digest))
    problems = dict(find_problems(ask(world, agreement)))
    assert "none of those that are pinned" in problems["the manifest that version 1 names for borealia"]


def test_a_manifest_that_does_not_follow_the_one_before_is_told(world: World) -> None:
    agreement = world.sign_all(world.terms())
    current = world.manifests["borealia"]
    stranger = SeedSigner("a stranger")
    roles = {**current.roles, Role.MANIFEST: RoleKeys(keys=(stranger.public_key,), threshold=1)}
    payload = format_manifest(
        party=current.party,
        name=current.name,
        state=None,
        version=2,
        previous=current.digest,
        issued_at=current.issued_at,
        expires_at=current.expires_at,
        roles=roles,
    )
    envelope = format_signed_document(sign_document(MANIFEST_TYPE, payload, [stranger]))
    digest, expires = str(sha256_digest(payload)), int(current.expires_at)
    write_store(world, "INSERT INTO manifest VALUES (?, 'borealia', 2, ?, ?)", digest, expires, envelope)
    ((covers, _),) = find_problems(ask(world, agreement))
    assert covers == "version 2 of the manifest of borealia, as following 1"


def test_what_a_party_says_that_is_not_in_it_is_told(three: World) -> None:
    world = three
    agreement = world.sign_all(world.terms())
    other = world.sign_all(world.terms(giver="meridia", title="Another exchange"), proposer="meridia")
    envelope = read_envelope(world, "confirm", name="meridia")
    event = parse_message(envelope).event
    draft = replace(event, agreement=AgreementId(agreement), terms=Digest(agreement), positions=())
    forged = make_message(draft, nonce=b"nonce", signers=[world.nodes["meridia"].signers[Role.AGREEMENT]])
    digest = str(parse_message(forged).event.digest)
    write_store(
        world, "UPDATE event SET envelope = ?, digest = ? WHERE kind = 'confirm' AND party = 'borealia'", forged, digest
    )
    assert ("confirm of meridia", "meridia is not a party of the agreement") in find_problems(ask(world, agreement))
    assert other != agreement


def test_a_message_about_another_agreement_is_told(world: World) -> None:
    agreement = world.sign_all(world.terms())
    other = world.sign_all(world.terms(title="Another exchange"))
    write_store(world, "UPDATE event SET agreement = ? WHERE agreement = ? AND kind = 'accept'", agreement, other)
    problems = [problem for _, problem in find_problems(ask(world, agreement))]
    assert "it speaks of another agreement" in problems


# --- manifests that ran out or were followed --------------------------------------------------------------------------


def test_what_was_signed_before_a_manifest_ran_out_verifies_as_of_then(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.tick(TWO_YEARS)
    result = read(world, agreement)
    assert [item["manifests"][0]["valid"] for item in result["parties"]] == [False, False]
    said = [check["how"] for check in result["checks"] if check["covers"].startswith("accept")]
    assert "manifest version 1, which ran out at" in said[0]
    assert "as of" in said[0]


def test_what_was_recorded_after_a_manifest_ran_out_does_not_verify(world: World) -> None:
    agreement = world.sign_all(world.terms())
    late = world.now + TWO_YEARS
    write_store(world, "UPDATE event SET recorded_at = ? WHERE party = 'borealia'", late)
    world.tick(TWO_YEARS)
    problems = dict(find_problems(ask(world, agreement)))
    assert "expired" in problems["confirm of borealia"]


def follow(world: World, name: str) -> None:
    """Pin, at aurelia, a second manifest of `name` that has other agreement keys."""
    current, node = world.manifests[name], world.nodes[name]
    roles = {**current.roles, Role.AGREEMENT: RoleKeys(keys=(SeedSigner("a later officer").public_key,), threshold=1)}
    payload = format_manifest(
        party=current.party,
        name=current.name,
        state=current.state,
        version=2,
        previous=current.digest,
        issued_at=world.now,
        expires_at=current.expires_at,
        roles=roles,
    )
    signed = format_signed_document(sign_document(MANIFEST_TYPE, payload, [node.signers[Role.MANIFEST]]))
    add_party(world.nodes["aurelia"], signed, digest=None, url=None)
    assert parse_manifest(payload).version == 2


def test_what_an_earlier_manifest_signed_verifies_by_it(world: World) -> None:
    agreement = world.sign_all(world.terms())
    before = world.now
    world.tick()
    follow(world, "borealia")
    result = read(world, agreement)
    (said,) = [check["how"] for check in result["checks"] if check["covers"] == "confirm of borealia"]
    assert "manifest version 1, as of" in said
    borealia = next(item for item in result["parties"] if item["party"] == "borealia")
    assert [item["version"] for item in borealia["manifests"]] == [1, 2]
    earlier = next(item for item in read(world, agreement, at=before)["parties"] if item["party"] == "borealia")
    assert [item["version"] for item in earlier["manifests"]] == [1]


def test_a_party_that_is_not_pinned_cannot_be_verified(world: World) -> None:
    agreement = world.sign_all(world.terms())
    write_store(world, "DELETE FROM manifest WHERE party = 'borealia'")
    outcome = ask(world, agreement)
    assert {problem for _, problem in find_problems(outcome)} == {"borealia is not a party this node has pinned"}


def test_a_log_entry_that_was_altered_is_told(world: World) -> None:
    agreement = world.sign_all(world.terms())
    write_store(world, "UPDATE log_opening SET salt = zeroblob(32) WHERE position = 2")
    problems = find_problems(ask(world, agreement))
    assert ("entry 2 of the log", "salt and content do not open the commitment of the leaf") in problems
