# SPDX-License-Identifier: Apache-2.0
"""Keys of a party over years: other ones, a later end, a key in other hands; and what partners make of it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Role as PersonRole
from comity.agreement.recognition import Refusal
from comity.errors import (
    AuthenticationError,
    BadSignature,
    ConflictError,
    DigestMismatch,
    Expired,
    LogMismatch,
    MalformedManifest,
    MalformedMessage,
    MalformedRequest,
    StoreFull,
    ThresholdNotMet,
    UnknownKey,
    VerificationError,
)
from comity.exchange import endorse_message, make_access, parse_message
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.keys import create_keys
from comity.lineage import make_lineage, parse_lineage
from comity.node import correspond, founding
from comity.node.journal import list_entries, verify_folder
from comity.node.lineage import read_chain
from comity.node.node import Node
from comity.node.outbox import list_due
from comity.node.parties import add_party, authenticate, create_credential, export_manifest, find_party
from comity.node.people import Actor, Waiting
from comity.node.rotation import Rotated, name_tls_keys, renew_manifest, revoke_key, rotate_keys
from comity.node.standing import read_dossier
from comity.release.disclosure import EntryType, parse_leaf
from comity.signing import (
    MANIFEST_TYPE,
    Manifest,
    Role,
    RoleKeys,
    Signer,
    format_manifest,
    format_signed_document,
    parse_manifest,
    parse_signed_document,
    sign_document,
    verify_successor,
)
from comity.store import agreements, log, parties
from comity.tlog.note import parse_note, verify_note
from tests.worlds import World, make_object, object_id

ALL = list(Role)


@pytest.fixture
def agreed(world: World) -> World:
    """Both have signed, and borealia has polled."""
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    world.poll("borealia")
    world.deliver()
    return world


def agreement_of(world: World) -> str:
    with world.nodes["aurelia"].store.read() as transaction:
        return agreements.list_agreements(transaction)[0]


def rotate(world: World, name: str, *roles: Role) -> Rotated:
    return both(world, name, lambda by: rotate_keys(world.nodes[name], roles or ALL, by=by))


def both(world: World, name: str, act: Callable[[Actor], Rotated | Waiting | Refusal]) -> Rotated:
    first = act(world.actor(name, PersonRole.LIAISON))
    assert isinstance(first, Waiting), first
    done = act(world.actor(name, PersonRole.LEGAL))
    assert isinstance(done, Rotated), done
    return done


def keys_of(node: Node) -> dict[Role, bytes]:
    return {role: signer.public_key for role, signer in node.signers.items()}


def pinned(world: World, at: str, party: str) -> Manifest:
    return find_party(world.nodes[at], PartyId(party)).manifest


def messages_to(world: World, sender: str, party: str) -> list[bytes]:
    return [item.envelope for item in list_due(world.nodes[sender]) if item.party == party]


def types_of(node: Node) -> list[EntryType]:
    with node.store.read() as transaction:
        return [parse_leaf(leaf).type for _, leaf in log.read_entries(transaction, 0, 1_000)]


# --- rotation at the node itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize("roles", [[Role.LOG], [Role.MANIFEST], [Role.AGREEMENT, Role.TRANSPORT], ALL])
def test_only_the_keys_of_the_roles_named_are_other_ones(agreed: World, roles: list[Role]) -> None:
    node = agreed.nodes["aurelia"]
    before = keys_of(node)
    done = rotate(agreed, "aurelia", *roles)
    after = keys_of(node)
    assert {role for role in Role if before[role] != after[role]} == set(roles)
    assert done.manifest.version == 2
    assert {role: done.manifest.roles[role].keys for role in Role} == {role: (key,) for role, key in after.items()}
    assert EntryType.KEY_ROTATION in types_of(node)


def test_the_node_opens_again_with_the_new_keys_alone(agreed: World) -> None:
    rotate(agreed, "aurelia")
    keys = keys_of(agreed.nodes["aurelia"])
    assert not list((agreed.folder / "aurelia" / "keys").glob("*.next.pem")), "they took their places at once"
    agreed.nodes["aurelia"].close()
    assert keys_of(agreed.open("aurelia")) == keys
    assert sorted(path.name for path in (agreed.folder / "aurelia" / "keys").iterdir()) == [
        "agreement.pem",
        "log.pem",
        "manifest.pem",
        "transport.pem",
        "witness.pem",
    ]


def test_the_log_verifies_over_a_rotation_of_its_key(agreed: World) -> None:
    node = agreed.nodes["aurelia"]
    first = pinned(agreed, "aurelia", "aurelia")
    rotate(agreed, "aurelia", Role.LOG)
    agreed.poll("borealia")
    rotate(agreed, "aurelia")
    agreed.poll("borealia")
    verified = verify_folder(node.folder)
    assert verified.manifest == pinned(agreed, "aurelia", "aurelia").digest
    assert verify_folder(node.folder, digest=first.digest).size == verified.size


def test_each_checkpoint_is_signed_by_the_log_key_of_its_time(agreed: World) -> None:
    node = agreed.nodes["aurelia"]
    old = keys_of(node)[Role.LOG]
    with node.store.read() as transaction:
        size = log.read_size(transaction)
    rotate(agreed, "aurelia", Role.LOG)
    new = keys_of(node)[Role.LOG]
    with node.store.read() as transaction:
        heads = log.read_heads(transaction)
    entries = list_entries(node, start=0, limit=99)
    entry = next(each.place for each in entries if each.leaf.type is EntryType.KEY_ROTATION)
    assert entry >= size
    for grown, note in heads:
        key, other = (new, old) if grown > entry else (old, new)
        verify_note(parse_note(note), node.origin, key)
        with pytest.raises(UnknownKey):
            verify_note(parse_note(note), node.origin, other)


def test_a_checkpoint_by_the_key_of_another_time_does_not_verify(agreed: World) -> None:
    """Whoever has an old log key cannot write the newest checkpoint, nor the new one an old one."""
    node = agreed.nodes["aurelia"]
    before = node.signers
    rotate(agreed, "aurelia", Role.LOG)
    after, node.signers = node.signers, before
    node._renew_signers = lambda _: None  # type: ignore[method-assign, assignment]
    agreed.add("aurelia", make_object("b"))
    agreed.poll("borealia")
    node.signers = after
    with pytest.raises(LogMismatch, match="log key"):
        verify_folder(node.folder)


def test_a_manifest_that_no_entry_says_is_found(agreed: World) -> None:
    """The chain in the store and the log are of one story."""
    node = agreed.nodes["aurelia"]
    rotate(agreed, "aurelia", Role.TRANSPORT)
    chain = read_all(node)
    payload = format_manifest(
        party=node.party,
        name="Aurelia",
        state=None,
        version=3,
        previous=chain[-1].digest,
        issued_at=agreed.now,
        expires_at=Instant(agreed.now + 1_000_000),
        roles=chain[-1].roles,
    )
    document = sign_document(MANIFEST_TYPE, payload, [node.signers[Role.MANIFEST]])
    with node.store.write() as transaction:
        parties.put_party(
            transaction,
            parse_manifest(payload),
            envelope=format_signed_document(document),
            url=None,
            now=agreed.now,
        )
    with pytest.raises(LogMismatch, match="in no entry"):
        verify_folder(node.folder)


def read_all(node: Node) -> list[Manifest]:
    with node.store.read() as transaction:
        return [version.manifest for version in read_chain(transaction, node.party)]


def test_a_rotation_that_fails_leaves_the_old_keys_in_use(agreed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for what is signed outside of any act: a token."""
    node = agreed.nodes["aurelia"]
    before = keys_of(node)

    def fail(*_: object) -> None:
        raise StoreFull("no room")

    assert isinstance(rotate_keys(node, ALL, by=agreed.actor("aurelia", PersonRole.LIAISON)), Waiting)
    by = agreed.actor("aurelia", PersonRole.LEGAL)
    monkeypatch.setattr(log, "add_head", fail)
    with pytest.raises(StoreFull):
        rotate_keys(node, ALL, by=by)
    monkeypatch.undo()
    assert keys_of(node) == before
    agreed.poll("borealia")
    assert verify_folder(node.folder).manifest == pinned(agreed, "aurelia", "aurelia").digest
    assert rotate(agreed, "aurelia").manifest.version == 2


def test_renewing_keeps_the_keys_and_moves_the_end(agreed: World) -> None:
    node = agreed.nodes["aurelia"]
    before, first = keys_of(node), pinned(agreed, "aurelia", "aurelia")
    agreed.tick(86_400_000_000)
    done = both(agreed, "aurelia", lambda by: renew_manifest(node, days=800, by=by))
    assert keys_of(node) == before
    assert done.manifest.roles == first.roles
    assert done.manifest.expires_at == agreed.now + 800 * 86_400_000_000
    agreed.deliver()
    assert pinned(agreed, "borealia", "aurelia") == done.manifest


def test_a_manifest_that_has_run_out_is_renewed_late(agreed: World) -> None:
    agreed.tick(800 * 86_400_000_000)
    done = both(agreed, "aurelia", lambda by: renew_manifest(agreed.nodes["aurelia"], by=by))
    agreed.deliver()
    assert pinned(agreed, "borealia", "aurelia") == done.manifest


# --- people -----------------------------------------------------------------------------------------------------------


def test_rotating_takes_two_people_and_leaves_nothing_while_it_waits(agreed: World) -> None:
    node = agreed.nodes["aurelia"]
    before = keys_of(node)
    first = rotate_keys(node, ALL, by=agreed.actor("aurelia", PersonRole.LIAISON))
    again = rotate_keys(node, ALL, by=agreed.actor("aurelia", PersonRole.LIAISON))
    assert isinstance(first, Waiting)
    assert isinstance(again, Waiting)
    assert keys_of(node) == before
    assert not list((node.folder / "keys").glob("*.next.pem"))
    other = rotate_keys(node, [Role.LOG], by=agreed.actor("aurelia", PersonRole.LEGAL))
    assert isinstance(other, Waiting), "another set of roles is another matter"


def test_where_people_are_registered_nobody_rotates_without_them(agreed: World) -> None:
    with pytest.raises(AuthenticationError, match="needs a person"):
        rotate_keys(agreed.nodes["aurelia"], ALL, by=None)
    assert pinned(agreed, "aurelia", "aurelia").version == 1


def test_one_person_is_enough_to_revoke(agreed: World) -> None:
    done = revoke_key(
        agreed.nodes["aurelia"], Role.LOG, since=agreed.now, by=agreed.actor("aurelia", PersonRole.LIAISON)
    )
    assert isinstance(done, Rotated)


def test_what_cannot_be_is_refused(agreed: World) -> None:
    node, by = agreed.nodes["aurelia"], agreed.actor("aurelia")
    with pytest.raises(MalformedRequest, match="1 to 3650"):
        rotate_keys(node, ALL, days=0, by=by)
    with pytest.raises(MalformedRequest, match="name the roles"):
        rotate_keys(node, [], by=by)
    with pytest.raises(MalformedRequest, match="has come"):
        revoke_key(node, Role.LOG, since=Instant(agreed.now + 1), by=by)


# --- partners ---------------------------------------------------------------------------------------------------------


def test_partners_follow_and_go_on(agreed: World) -> None:
    done = rotate(agreed, "aurelia")
    assert done.told == (PartyId("borealia"),)
    agreed.deliver()
    assert pinned(agreed, "borealia", "aurelia") == done.manifest
    agreed.add("aurelia", make_object("b"))
    assert object_id("report", "b") in agreed.read("borealia")
    token = make_access(
        PartyId("aurelia"),
        PartyId("borealia"),
        now=agreed.now,
        nonce=b"nonce",
        signers=[agreed.nodes["aurelia"].signers[Role.TRANSPORT]],
    )
    assert authenticate(agreed.nodes["borealia"], secret=token) == "aurelia"
    suspended = agreed.act_on("aurelia", agreement_of(agreed), EventKind.SUSPEND)
    assert not isinstance(suspended, Refusal)
    agreed.deliver()
    assert not list_due(agreed.nodes["aurelia"])
    assert verify_folder(agreed.nodes["borealia"].folder).size == len(types_of(agreed.nodes["borealia"]))


def test_old_keys_do_nothing_once_the_partner_knows(agreed: World) -> None:
    old = agreed.nodes["aurelia"].signers
    rotate(agreed, "aurelia")
    agreed.deliver()
    token = make_access(
        PartyId("aurelia"), PartyId("borealia"), now=agreed.now, nonce=b"n1", signers=[old[Role.TRANSPORT]]
    )
    with pytest.raises(AuthenticationError):
        authenticate(agreed.nodes["borealia"], secret=token)


def test_what_was_not_delivered_when_the_key_changed_arrives(agreed: World) -> None:
    """Before the partner knows of the new key, and after it was told by a file: both take what waited."""
    agreed.act_on("aurelia", agreement_of(agreed), EventKind.SUSPEND)
    rotate(agreed, "aurelia")
    add_party(agreed.nodes["borealia"], export_manifest(agreed.nodes["aurelia"]), digest=None, url=None)
    agreed.deliver()
    assert not list_due(agreed.nodes["aurelia"])


def test_two_rotations_are_followed_at_once(agreed: World) -> None:
    rotate(agreed, "aurelia")
    done = rotate(agreed, "aurelia", Role.MANIFEST, Role.TRANSPORT)
    assert len(messages_to(agreed, "aurelia", "borealia")) == 1, "the older message is taken back"
    agreed.deliver()
    assert pinned(agreed, "borealia", "aurelia") == done.manifest


def test_a_message_that_comes_twice_or_late_changes_nothing(agreed: World) -> None:
    rotate(agreed, "aurelia")
    (first,) = messages_to(agreed, "aurelia", "borealia")
    agreed.deliver()
    rotate(agreed, "aurelia")
    (second,) = messages_to(agreed, "aurelia", "borealia")
    agreed.deliver()
    node = agreed.nodes["borealia"]
    entries = types_of(node)
    for envelope in (first, second, first):
        taken = correspond.receive_any(node, envelope)
        assert isinstance(taken, Manifest)
        assert taken.version == 3
    assert types_of(node) == entries


def test_a_joiner_that_pins_a_later_manifest_is_given_those_before(agreed: World) -> None:
    agreed.manifests["aurelia"] = rotate(agreed, "aurelia").manifest
    agreed.found("meridia")
    agreed.propose("aurelia", agreed.terms(receivers=("meridia",), title="Another"))
    agreed.deliver()
    with agreed.nodes["meridia"].store.read() as transaction:
        kept = read_chain(transaction, PartyId("aurelia"))
    assert [version.manifest.version for version in kept] == [1, 2]
    assert not list_due(agreed.nodes["aurelia"])


def test_who_is_bound_later_is_told_what_was_said_before_by_the_key_of_now(agreed: World) -> None:
    agreement = agreement_of(agreed)
    agreed.act_on("aurelia", agreement, EventKind.SUSPEND)
    agreed.deliver()
    agreed.manifests["aurelia"] = rotate(agreed, "aurelia").manifest
    agreed.deliver()
    agreed.found("meridia")
    receivers = ("borealia", "meridia")
    toml = agreed.terms(version=2, agreement=agreement, supersedes=agreement, receivers=receivers)
    proposed = agreed.propose("aurelia", toml)
    assert not isinstance(proposed, Refusal)
    agreed.deliver()
    for name in receivers:
        agreed.act_on(name, proposed.event.terms, EventKind.ACCEPT)
        agreed.deliver()
    with agreed.nodes["meridia"].store.read() as transaction:
        dossier = read_dossier(agreed.nodes["meridia"], transaction, AgreementId(agreement))
    assert dossier is not None
    assert EventKind.SUSPEND in {event.kind for event in dossier.events}


def test_a_file_of_messages_is_signed_by_the_key_of_now(agreed: World) -> None:
    agreement = agreement_of(agreed)
    rotate(agreed, "aurelia")
    agreed.deliver()
    agreed.act_on("aurelia", agreement, EventKind.SUSPEND)
    rotate(agreed, "aurelia")
    add_party(agreed.nodes["borealia"], read_manifest(agreed, "aurelia", 3), digest=None, url=None)
    imported = correspond.import_messages(
        agreed.nodes["borealia"], correspond.export_messages(agreed.nodes["aurelia"], agreement)
    )
    assert imported.refused == ()
    assert [item.event.kind for item in imported.recorded] == [EventKind.SUSPEND]


def read_manifest(world: World, name: str, version: int) -> bytes:
    with world.nodes[name].store.read() as transaction:
        return read_chain(transaction, PartyId(name))[version - 1].envelope


# --- F1, F2: what a hostile sender tries (reference/log-and-crypto.md §5) ---------------------------------------------


@pytest.fixture
def attack(agreed: World) -> "Attack":
    return Attack(agreed)


class Attack:
    """Successors of aurelia's manifest made by hand, and what borealia makes of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.node, self.victim = world.nodes["aurelia"], world.nodes["borealia"]
        self.current = pinned(world, "aurelia", "aurelia")
        self.envelope = export_manifest(self.node)

    def payload(self, **changes: object) -> bytes:
        fields: dict[str, object] = {
            "party": self.current.party,
            "name": self.current.name,
            "state": None,
            "version": 2,
            "previous": self.current.digest,
            "issued_at": self.world.now,
            "expires_at": Instant(self.world.now + 10**12),
            "roles": self.current.roles,
        }
        return format_manifest(**{**fields, **changes})  # type: ignore[arg-type]

    def send(self, *envelopes: bytes, role: Role = Role.TRANSPORT, audience: str = "borealia") -> object:
        message = make_lineage(
            self.node.party, PartyId(audience), [self.envelope, *envelopes], signers=[self.node.signers[role]]
        )
        return correspond.receive_any(self.victim, message)

    def sign(self, payload: bytes, *signers: Signer) -> bytes:
        return format_signed_document(sign_document(MANIFEST_TYPE, payload, signers))

    @property
    def key(self) -> Signer:
        return self.node.signers[Role.MANIFEST]


def test_an_honest_successor_by_hand_is_taken(attack: Attack) -> None:
    taken = attack.send(attack.sign(attack.payload(), attack.key))
    assert isinstance(taken, Manifest)
    assert taken.version == 2


def test_f1_the_same_key_twice_counts_once(attack: Attack) -> None:
    roles = {**attack.current.roles, Role.MANIFEST: RoleKeys(keys=(attack.key.public_key, b"\x07" * 32), threshold=2)}
    payload = attack.payload(roles=roles)
    with pytest.raises(ThresholdNotMet):
        attack.send(attack.sign(payload, attack.key, attack.key))


def test_f1_one_key_under_two_ids_counts_once(attack: Attack) -> None:
    roles = {**attack.current.roles, Role.MANIFEST: RoleKeys(keys=(attack.key.public_key, b"\x07" * 32), threshold=2)}
    document = sign_document(MANIFEST_TYPE, attack.payload(roles=roles), [attack.key])
    twice = replace(document, signatures=(*document.signatures, replace(document.signatures[0], keyid="another")))
    with pytest.raises(ThresholdNotMet):
        attack.send(format_signed_document(twice))


def test_f1_one_party_cannot_sign_for_two(attack: Attack) -> None:
    """A manifest that lists a key of the victim's own is refused, however well it is signed."""
    stolen = attack.victim.signers[Role.AGREEMENT].public_key
    roles = {**attack.current.roles, Role.AGREEMENT: RoleKeys(keys=(stolen,), threshold=1)}
    with pytest.raises(ConflictError, match="also lists"):
        attack.send(attack.sign(attack.payload(roles=roles), attack.key))


def test_f1_an_expired_manifest_is_refused(attack: Attack) -> None:
    payload = attack.payload(issued_at=Instant(attack.world.now - 2), expires_at=Instant(attack.world.now - 1))
    with pytest.raises(Expired):
        attack.send(attack.sign(payload, attack.key))


def test_f1_a_message_by_a_rotated_key_is_refused(agreed: World) -> None:
    old = agreed.nodes["aurelia"].signers
    agreed.act_on("aurelia", agreement_of(agreed), EventKind.SUSPEND)
    (envelope,) = messages_to(agreed, "aurelia", "borealia")
    rotate(agreed, "aurelia")
    add_party(agreed.nodes["borealia"], export_manifest(agreed.nodes["aurelia"]), digest=None, url=None)
    assert old[Role.AGREEMENT].public_key != agreed.nodes["aurelia"].signers[Role.AGREEMENT].public_key
    with pytest.raises(UnknownKey):
        correspond.receive(agreed.nodes["borealia"], envelope)
    again = endorse_message(envelope, [agreed.nodes["aurelia"].signers[Role.AGREEMENT]])
    assert parse_message(again).event.digest == parse_message(envelope).event.digest
    assert correspond.receive(agreed.nodes["borealia"], again).new


def test_f1_an_old_version_does_not_come_back(agreed: World) -> None:
    old = export_manifest(agreed.nodes["aurelia"])
    signers = agreed.nodes["aurelia"].signers
    rotate(agreed, "aurelia")
    agreed.deliver()
    with pytest.raises(DigestMismatch):
        add_party(agreed.nodes["borealia"], old, digest=None, url=None)
    message = make_lineage(PartyId("aurelia"), PartyId("borealia"), [old], signers=[signers[Role.TRANSPORT]])
    taken = correspond.receive_any(agreed.nodes["borealia"], message)
    assert isinstance(taken, Manifest)
    assert taken.version == 2
    assert pinned(agreed, "borealia", "aurelia").version == 2


def test_f1_a_stripped_signature_is_refused(agreed: World) -> None:
    """Without that of the old key, or without that of the new one, the successor is none."""
    current = pinned(agreed, "borealia", "aurelia")
    rotate(agreed, "aurelia")
    document = parse_signed_document(export_manifest(agreed.nodes["aurelia"]))
    assert len(document.signatures) == 2
    for signature in document.signatures:
        with pytest.raises(VerificationError):
            verify_successor(current, replace(document, signatures=(signature,)), now=agreed.now)
    verify_successor(current, document, now=agreed.now)


def test_f1_another_payload_type_is_refused(attack: Attack) -> None:
    document = sign_document("application/vnd.comity.event+json", attack.payload(), [attack.key])
    with pytest.raises(MalformedMessage, match="not a manifest"):
        attack.send(format_signed_document(document))
    with pytest.raises(BadSignature):
        attack.send(format_signed_document(replace(document, payload_type=MANIFEST_TYPE)))


def test_f1_duplicate_and_non_canonical_json_is_refused(attack: Attack) -> None:
    payload = attack.payload()
    for bad in (
        payload.replace(b'"version":2', b'"version":2,"version":2'),
        payload.replace(b'"version":2', b'"version": 2'),
    ):
        with pytest.raises(MalformedManifest):
            attack.send(attack.sign(bad, attack.key))


def test_f2_one_in_the_middle_may_have_run_out(attack: Attack) -> None:
    """A partner that was away for long follows all the same: only the newest has to be in its time."""
    middle = attack.payload(issued_at=Instant(attack.world.now - 2), expires_at=Instant(attack.world.now - 1))
    last = attack.payload(version=3, previous=parse_manifest(middle).digest)
    taken = attack.send(attack.sign(middle, attack.key), attack.sign(last, attack.key))
    assert isinstance(taken, Manifest)
    assert taken.version == 3


def test_f2_no_version_is_skipped(attack: Attack) -> None:
    with pytest.raises(DigestMismatch):
        attack.send(attack.sign(attack.payload(version=3), attack.key))


def test_f2_another_manifest_of_the_same_version_is_a_fork(attack: Attack) -> None:
    attack.send(attack.sign(attack.payload(), attack.key))
    with pytest.raises(DigestMismatch, match="forged"):
        attack.send(attack.sign(attack.payload(name="Other"), attack.key))


def test_f2_the_new_keys_alone_do_not_make_a_successor(attack: Attack) -> None:
    own = attack.victim.signers[Role.MANIFEST]
    roles = {**attack.current.roles, Role.MANIFEST: RoleKeys(keys=(b"\x09" * 32,), threshold=1)}
    with pytest.raises(VerificationError):
        attack.send(attack.sign(attack.payload(roles=roles), own))
    with pytest.raises(VerificationError):
        attack.send(attack.sign(attack.payload(roles=roles), attack.key))


def test_a_lineage_is_for_one_partner_alone(attack: Attack) -> None:
    """Whoever has one, another partner say, cannot learn by it who else has pinned the party."""
    envelope = attack.sign(attack.payload(), attack.key)
    with pytest.raises(VerificationError, match="another node"):
        attack.send(envelope, audience="meridia")
    with pytest.raises(UnknownKey):
        attack.send(envelope, role=Role.AGREEMENT)
    message = make_lineage(
        PartyId("aurelia"), PartyId("borealia"), [attack.envelope], signers=[attack.victim.signers[Role.LOG]]
    )
    with pytest.raises(UnknownKey):
        correspond.receive_any(attack.victim, message)


def test_a_lineage_of_who_is_not_pinned_or_of_this_party_is_refused(attack: Attack) -> None:
    for party in ("tavria", "borealia"):
        message = make_lineage(
            PartyId(party), PartyId("borealia"), [attack.envelope], signers=[attack.node.signers[Role.TRANSPORT]]
        )
        with pytest.raises(VerificationError):
            correspond.receive_any(attack.victim, message)


def test_a_lineage_with_something_else_in_it_is_malformed(attack: Attack) -> None:
    signers = [attack.node.signers[Role.TRANSPORT]]
    good = parse_signed_document(
        make_lineage(attack.node.party, PartyId("borealia"), [attack.envelope], signers=signers)
    )
    assert parse_lineage(good).party == "aurelia"
    for bad in (
        b"{}",
        b"[]",
        good.payload.replace(b"comity-lineage/1", b"comity-lineage/2"),
        good.payload.replace(b'"manifests":[', b'"manifests":[1,'),
        good.payload.replace(b'"party"', b'"partx"'),
    ):
        with pytest.raises(MalformedMessage):
            parse_lineage(replace(good, payload=bad))


# --- a key in other hands ---------------------------------------------------------------------------------------------


def revoke(world: World, role: Role, since: Instant) -> Rotated:
    done = revoke_key(world.nodes["aurelia"], role, since=since, by=world.actor("aurelia"))
    assert isinstance(done, Rotated)
    return done


def test_a_revoked_key_signs_nothing_whatever_the_date(agreed: World) -> None:
    thief = agreed.nodes["aurelia"].signers[Role.AGREEMENT]
    agreed.act_on("aurelia", agreement_of(agreed), EventKind.SUSPEND)
    (waiting,) = messages_to(agreed, "aurelia", "borealia")
    agreed.tick()
    done = revoke(agreed, Role.AGREEMENT, agreed.now)
    assert [item.key for item in done.manifest.revoked] == [thief.public_key]
    agreed.deliver()
    assert pinned(agreed, "borealia", "aurelia") == done.manifest
    with pytest.raises(UnknownKey, match="is revoked since"):
        correspond.receive(agreed.nodes["borealia"], waiting)
    assert not list_due(agreed.nodes["aurelia"]), "what was honest came, signed again by the new key"


def test_credentials_go_with_the_transport_key_at_once(agreed: World) -> None:
    secret = create_credential(agreed.nodes["borealia"], PartyId("aurelia"))
    token = make_access(
        PartyId("aurelia"),
        PartyId("borealia"),
        now=agreed.now,
        nonce=b"n1",
        signers=[agreed.nodes["aurelia"].signers[Role.TRANSPORT]],
    )
    for shown in (secret, token):
        assert authenticate(agreed.nodes["borealia"], secret=shown) == "aurelia"
    revoke(agreed, Role.TRANSPORT, agreed.now)
    agreed.deliver()
    for shown in (secret, token):
        with pytest.raises(AuthenticationError):
            authenticate(agreed.nodes["borealia"], secret=shown)


def test_credentials_stay_where_another_key_is_revoked_or_the_transport_key_only_replaced(agreed: World) -> None:
    secret = create_credential(agreed.nodes["borealia"], PartyId("aurelia"))
    revoke(agreed, Role.LOG, agreed.now)
    rotate(agreed, "aurelia", Role.TRANSPORT)
    agreed.deliver()
    assert authenticate(agreed.nodes["borealia"], secret=secret) == "aurelia"


def test_an_agreement_signed_before_stays(agreed: World) -> None:
    revoke(agreed, Role.AGREEMENT, agreed.now)
    agreed.deliver()
    agreed.add("aurelia", make_object("b"))
    agreed.tick()
    assert object_id("report", "b") in agreed.read("borealia")


def test_a_revoked_key_never_comes_back(attack: Attack) -> None:
    revoke(attack.world, Role.LOG, attack.world.now)
    attack.world.deliver()
    current = pinned(attack.world, "borealia", "aurelia")
    rest = {
        "version": 3,
        "previous": current.digest,
        "roles": current.roles,
    }
    forgotten = sign_document(MANIFEST_TYPE, attack.payload(**rest), [attack.key])
    with pytest.raises(DigestMismatch, match="revoked"):
        verify_successor(current, forgotten, now=attack.world.now)
    roles = {**current.roles, Role.LOG: RoleKeys(keys=(current.revoked[0].key,), threshold=1)}
    with pytest.raises(MalformedManifest, match="revoked and listed"):
        attack.payload(**{**rest, "roles": roles, "revoked": current.revoked})


def test_a_revocation_goes_on_in_every_later_manifest(agreed: World) -> None:
    done = revoke(agreed, Role.LOG, agreed.now)
    assert rotate(agreed, "aurelia").manifest.revoked == done.manifest.revoked


# --- more hands than this node's --------------------------------------------------------------------------------------


def test_where_the_manifest_role_needs_others_the_node_says_so(attack: Attack) -> None:
    """One key here and a threshold of two: no successor can be made, and nothing was changed."""
    roles = {**attack.current.roles, Role.MANIFEST: RoleKeys(keys=(attack.key.public_key, b"\x07" * 32), threshold=2)}
    payload = attack.payload(roles=roles)
    with attack.node.store.write() as transaction:
        parties.put_party(
            transaction,
            parse_manifest(payload),
            envelope=attack.sign(payload, attack.key),
            url=None,
            now=attack.world.now,
        )
    by = attack.world.actor("aurelia")
    with pytest.raises(ThresholdNotMet, match="holders"):
        revoke_key(attack.node, Role.LOG, since=attack.world.now, by=by)
    assert len(read_all(attack.node)) == 2


# --- a role that came later -------------------------------------------------------------------------------------------


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Two nodes of before there were keys to witness by."""

    def create(folder: Path, passphrase: bytes | None, draw: Callable[[int], bytes]) -> dict[Role, Signer]:
        signers = create_keys(folder, passphrase, draw)
        del signers[Role.WITNESS]
        (folder / "witness.pem").unlink()
        return signers

    monkeypatch.setattr(founding, "create_keys", create)
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    yield world
    world.close()


def test_a_node_of_before_there_were_witnesses_gets_its_key_with_a_rotation(older: World) -> None:
    assert Role.WITNESS not in pinned(older, "aurelia", "aurelia").roles
    rotate(older, "aurelia", Role.LOG)
    assert Role.WITNESS not in pinned(older, "aurelia", "aurelia").roles
    done = rotate(older, "aurelia", Role.WITNESS)
    assert done.manifest.roles[Role.WITNESS].keys == (older.nodes["aurelia"].signers[Role.WITNESS].public_key,)
    older.deliver()
    assert pinned(older, "borealia", "aurelia").digest == done.manifest.digest
    older.nodes["aurelia"].close()
    assert set(older.open("aurelia").signers) == set(Role)


def test_tls_keys_stay_named_whatever_else_is_rotated_renewed_or_revoked(agreed: World) -> None:
    keys = (Digest("0a" * 32), Digest("0b" * 32))
    node = agreed.nodes["aurelia"]
    both(agreed, "aurelia", lambda by: name_tls_keys(node, keys, by=by))
    agreed.deliver()
    both(agreed, "aurelia", lambda by: renew_manifest(node, by=by))
    rotate(agreed, "aurelia")
    revoke_key(node, Role.LOG, since=node.clock(), by=agreed.actor("aurelia"))
    agreed.deliver()
    for name in ("aurelia", "borealia"):
        assert find_party(agreed.nodes[name], PartyId("aurelia")).manifest.tls == keys
    both(agreed, "aurelia", lambda by: name_tls_keys(node, (), by=by))
    agreed.deliver()
    assert find_party(agreed.nodes["borealia"], PartyId("aurelia")).manifest.tls == ()
