# SPDX-License-Identifier: Apache-2.0
"""A partner that has lost its keys is pinned anew: what it signed stays, its old keys and credentials are nobody's."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from comity import peers
from comity.agreement.events import Event, EventKind
from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.agreement.transitions import State
from comity.config import Address
from comity.errors import (
    AuthenticationError,
    ConflictError,
    DigestMismatch,
    NotFoundError,
    UnknownKey,
    VerificationError,
)
from comity.exchange import make_access, make_message
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.letters.recall import Change
from comity.node import people
from comity.node.certificate import read_evidence, verify_evidence
from comity.node.correspond import receive_any
from comity.node.founding import found_node
from comity.node.journal import list_entries, list_relationships, verify_folder
from comity.node.node import Node, open_node
from comity.node.outbox import list_due
from comity.node.parties import add_party, authenticate, create_credential, export_manifest, find_manifest, find_party
from comity.node.people import Actor, Waiting
from comity.node.pinning import Repinned, list_pins_before, repin_party
from comity.node.recall import Recalling, recall
from comity.node.recording import Recorded
from comity.node.rotation import Rotated, revoke_key, rotate_keys
from comity.node.soundness import examine_folder
from comity.release.disclosure import EntryType
from comity.signing import (
    MANIFEST_TYPE,
    RoleKeys,
    format_manifest,
    format_signed_document,
    key_id,
    parse_manifest,
    parse_signed_document,
    sign_document,
)
from comity.signing import Role as KeyRole
from comity.store import receipts
from comity.store.receipts import EndedLog
from tests.served import Served
from tests.unit.node.test_beside import problems
from tests.worlds import World, make_object, object_id

AURELIA, BOREALIA = PartyId("aurelia"), PartyId("borealia")
REASON = "all keys lost in a fire; digest compared by the liaison in person"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Aurelia gives to borealia, which has pulled. Aurelia has rotated once."""
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    made.sign_all(made.terms())
    made.add("aurelia", make_object("first"))
    rotate_keys(made.nodes["aurelia"], list(KeyRole), by=made.actor("aurelia", Role.LIAISON))
    done = rotate_keys(made.nodes["aurelia"], list(KeyRole), by=made.actor("aurelia", Role.LEGAL))
    assert isinstance(done, Rotated)
    made.deliver()
    pull(made)
    yield made
    made.close()


@pytest.fixture
def fresh(world: World, tmp_path: Path) -> Iterator[Node]:
    """What aurelia comes with: another node under its name, of which nothing is known but its manifest."""
    folder = tmp_path / "fresh"
    found_node(folder, party=AURELIA, name="Aurelia", state=None, listen=Address(host="127.0.0.1", port=0))
    node = open_node(folder)
    node.clock = lambda: world.now
    world.now = max(world.now, find_party(node, AURELIA).manifest.issued_at)
    yield node
    node.close()


def pull(world: World) -> dict[str, object]:
    node = world.nodes["borealia"]
    with Served.start(world.nodes["aurelia"]) as served:
        add_party(node, export_manifest(world.nodes["aurelia"]), digest=None, url=served.url)
        return {item.target.title: item.refused for item in asyncio.run(peers.pull(node, AURELIA))}


def repin(
    world: World, envelope: bytes, *, digest: Digest | None = None, reason: str = REASON
) -> Repinned | Waiting | Refusal:
    node = world.nodes["borealia"]
    named = digest or own_digest(envelope)
    done = repin_party(node, envelope, digest=named, url=None, reason=reason, by=world.actor("borealia", Role.LIAISON))
    assert isinstance(done, Waiting), done
    return repin_party(node, envelope, digest=named, url=None, reason=reason, by=world.actor("borealia", Role.LEGAL))


def own_digest(envelope: bytes) -> Digest:
    return parse_manifest(parse_signed_document(envelope).payload).digest


def test_the_manifests_from_before_it_was_pinned_anew_are_found_by_their_time(world: World, fresh: Node) -> None:
    node = world.nodes["borealia"]
    first, second = (find_manifest(node, AURELIA, number=number) for number in (1, 2))
    world.tick()
    lost_at = world.now
    world.tick()
    envelope = export_manifest(fresh)
    issued_at = parse_manifest(parse_signed_document(envelope).payload).issued_at
    assert isinstance(repin(world, envelope), Repinned)
    assert find_manifest(node, AURELIA) == find_manifest(node, AURELIA, number=1) == envelope
    assert find_manifest(node, AURELIA, number=2) == second
    early = Instant(min(lost_at, issued_at - 1))
    assert find_manifest(node, AURELIA, number=1, at=early) == first


def test_an_audit_verifies_letters_by_the_manifests_from_before(world: World, fresh: Node) -> None:
    by = world.actor("aurelia", Role.LIAISON)
    item = object_id("report", "first")
    done = recall(world.nodes["aurelia"], item, change=Change.WITHDRAW, versions=(), reason="wrong", by=by)
    assert isinstance(done, Recalling)
    world.deliver()
    assert isinstance(repin(world, export_manifest(fresh)), Repinned)
    assert problems(world, "borealia") == []


def test_a_party_that_lost_its_keys_is_pinned_anew_by_two_people(world: World, fresh: Node) -> None:
    node = world.nodes["borealia"]
    before = find_party(node, AURELIA).manifest
    secret, token = create_credential(node, AURELIA), old_token(world)
    assert authenticate(node, secret=secret) == authenticate(node, secret=token) == AURELIA
    with node.store.write() as transaction:
        receipts.end_logs(
            transaction, AURELIA, {"comity/aurelia/0123456789abcdef": EndedLog(size=7, agreement=None, next=None)}
        )
    envelope = export_manifest(fresh)
    with pytest.raises(VerificationError, match="party repin"):
        add_party(node, envelope, digest=own_digest(envelope), url=None)

    done = repin(world, envelope)
    assert isinstance(done, Repinned), done
    assert (done.before, done.manifest.version, done.credentials) == (before.digest, 1, 1)
    assert (done.anew, done.receipts) == (True, 1)
    assert [title for _, title in done.in_force] == ["Exchange on Ashfall"]
    assert find_party(node, AURELIA).manifest.digest == own_digest(envelope)
    assert find_party(node, AURELIA).url is not None  # what was known of its address stays

    # What stops: credentials and tokens, and whatever the old keys sign.
    for shown in (secret, token, old_token(world)):
        with pytest.raises(AuthenticationError):
            authenticate(node, secret=shown)
    world.act("aurelia", agreement(world), EventKind.SUSPEND)
    (said,) = [item for item in list_due(world.nodes["aurelia"]) if item.party == BOREALIA]
    with pytest.raises(UnknownKey):
        receive_any(node, said.envelope)

    # What stays: both manifests of before, what they signed, and the log with why.
    assert len(list_pins_before(node, AURELIA)) == 2
    assert list_pins_before(node, AURELIA)[-1] == before.digest
    verify_folder(node.folder)
    assert examine_folder(node.folder).is_sound
    certified = verify_evidence(read_evidence(node, agreement(world), at=None), now=node.clock())
    assert [check for check in certified.checks if check.problem is not None] == []
    (entry,) = [
        item
        for item in list_entries(node, start=0, limit=99)
        if item.leaf.type is EntryType.KEY_ROTATION and isinstance(item.content, dict) and "before" in item.content
    ]
    assert isinstance(entry.content, dict)
    assert (entry.content["reason"], entry.content["before"]) == (REASON, before.digest)
    assert entry.content["set_aside"] == 1
    (log,) = list_relationships(world.nodes["aurelia"])
    assert isinstance(entry.content["seen"], list)
    assert [str(note).splitlines()[0] for note in entry.content["seen"]] == [log.origin]
    approvals = entry.content["approvals"]
    assert isinstance(approvals, list)
    assert len(approvals) == 2
    with node.store.read() as transaction:
        ((origin, sequence),) = transaction.rows("SELECT origin, sequence FROM receipt_set_aside")
        assert transaction.rows("SELECT 1 FROM receipt") == []
        assert (receipts.read_seen(transaction, AURELIA), receipts.read_bound(transaction, AURELIA)) == ({}, {})
        assert receipts.read_ended(transaction, AURELIA) == {}
    assert (origin.rsplit("+", 1)[0], sequence) == ("comity/aurelia", 1)


def old_token(world: World) -> str:
    node = world.nodes["aurelia"]
    return make_access(
        AURELIA, BOREALIA, now=world.now, nonce=world.now.to_bytes(16), signers=[node.signers[KeyRole.TRANSPORT]]
    )


def agreement(world: World) -> str:
    with world.nodes["borealia"].store.read() as transaction:
        return str(transaction.rows("SELECT id FROM agreement")[0][0])


def with_key(fresh: Node, role: KeyRole, key: bytes) -> bytes:
    """The manifest that `fresh` comes with, but for the key of one role."""
    made = find_party(fresh, AURELIA).manifest
    payload = format_manifest(
        party=AURELIA,
        name="Aurelia",
        state=None,
        version=1,
        previous=None,
        issued_at=made.issued_at,
        expires_at=made.expires_at,
        roles={**made.roles, role: RoleKeys(keys=(key,), threshold=1)},
    )
    return format_signed_document(sign_document(MANIFEST_TYPE, payload, [fresh.signers[KeyRole.MANIFEST]]))


def test_what_the_new_keys_say_counts_in_the_agreements_of_before(world: World, fresh: Node) -> None:
    node, name = world.nodes["borealia"], AgreementId(agreement(world))
    assert isinstance(repin(world, export_manifest(fresh)), Repinned)
    event = Event(
        digest=Digest("0" * 64),
        kind=EventKind.SUSPEND,
        agreement=name,
        terms=Digest(name),
        party=AURELIA,
        at=world.now,
    )
    recorded = receive_any(node, make_message(event, nonce=b"nonce", signers=[fresh.signers[KeyRole.AGREEMENT]]))
    assert isinstance(recorded, Recorded)
    assert recorded.standing.state is State.SUSPENDED
    token = make_access(
        AURELIA, BOREALIA, now=world.now, nonce=b"0123456789abcdef", signers=[fresh.signers[KeyRole.TRANSPORT]]
    )
    assert authenticate(node, secret=token) == AURELIA


def test_a_log_that_goes_on_under_a_key_that_was_kept_stays_the_measure(world: World, fresh: Node) -> None:
    """Who lost all but the log key goes on with its log: what was seen of it is not set aside."""
    node, kept = world.nodes["borealia"], world.nodes["aurelia"].signers[KeyRole.LOG].public_key
    done = repin(world, with_key(fresh, KeyRole.LOG, kept))
    assert isinstance(done, Repinned)
    assert (done.anew, done.receipts) == (False, 0)
    with node.store.read() as transaction:
        assert transaction.rows("SELECT sequence FROM receipt") == [(1,)]
        assert transaction.rows("SELECT COUNT(*) FROM seen_checkpoint") == [(1,)]


def test_nobody_alone_and_nothing_else_is_pinned_anew(world: World, fresh: Node) -> None:
    node, envelope = world.nodes["borealia"], export_manifest(fresh)
    digest, legal = own_digest(envelope), world.actor("borealia", Role.LEGAL)
    before = find_party(node, AURELIA).manifest.digest

    def by_legal(data: bytes, *, digest: Digest = digest, reason: str = REASON) -> object:
        return repin_party(node, data, digest=digest, url=None, reason=reason, by=legal)

    assert isinstance(by_legal(envelope), Waiting)
    assert isinstance(by_legal(envelope), Waiting)
    analyst = world.register("borealia", "borealia-analyst", Role.ANALYST)
    alone = Actor(person=people.identify(node, analyst))
    assert isinstance(repin_party(node, envelope, digest=digest, url=None, reason=REASON, by=alone), Refusal)
    # Another reason is another matter: the approvals do not add up.
    other = world.actor("borealia", Role.LIAISON)
    assert isinstance(repin_party(node, envelope, digest=digest, url=None, reason="another", by=other), Waiting)
    with pytest.raises(DigestMismatch):
        by_legal(envelope, digest=Digest("0" * 64))
    with pytest.raises(ConflictError, match="nothing to repin"):
        by_legal(export_manifest(world.nodes["aurelia"]), digest=before)
    with pytest.raises(ConflictError, match="own party"):
        by_legal(export_manifest(node), digest=own_digest(export_manifest(node)))
    rotate_keys(world.nodes["aurelia"], [KeyRole.LOG], by=world.actor("aurelia", Role.LIAISON))
    done = rotate_keys(world.nodes["aurelia"], [KeyRole.LOG], by=world.actor("aurelia", Role.LEGAL))
    assert isinstance(done, Rotated)
    with pytest.raises(ConflictError, match="party add FILE"):
        by_legal(export_manifest(world.nodes["aurelia"]), digest=done.manifest.digest)
    stranger = world.folder / "stranger"
    found_node(stranger, party=PartyId("cardia"), name="Cardia", state=None, listen=Address(host="127.0.0.1", port=0))
    with closing(open_node(stranger)) as unknown, pytest.raises(NotFoundError):
        by_legal(export_manifest(unknown), digest=own_digest(export_manifest(unknown)))
    assert find_party(node, AURELIA).manifest.digest == before
    assert list_pins_before(node, AURELIA) == []


def test_a_key_that_was_called_revoked_never_comes_back(world: World, fresh: Node) -> None:
    node, lost = world.nodes["aurelia"], world.nodes["aurelia"].signers[KeyRole.TRANSPORT].public_key
    done = revoke_key(node, KeyRole.TRANSPORT, since=world.now, by=world.actor("aurelia"))
    assert isinstance(done, Rotated)
    world.deliver()
    envelope = with_key(fresh, KeyRole.TRANSPORT, lost)
    with pytest.raises(ConflictError, match=key_id(lost)):
        repin_party(
            world.nodes["borealia"],
            envelope,
            digest=own_digest(envelope),
            url=None,
            reason=REASON,
            by=world.actor("borealia"),
        )
