# SPDX-License-Identifier: Apache-2.0
"""A message is what its sender signed about the document it carries, and nothing else is believed."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from comity.agreement.events import CARRIES_TERMS, STOPS, Event, EventKind, Position, Reservation
from comity.agreement.terms import TERMS_TYPE, LegalBasis, Terms
from comity.canonical import Json, canonical_bytes, sha256_digest
from comity.errors import (
    AuthenticationError,
    BadSignature,
    DigestMismatch,
    Expired,
    MalformedMessage,
    MalformedTerms,
    ThresholdNotMet,
    UnknownKey,
    VerificationError,
)
from comity.exchange import (
    ACCESS_TYPE,
    EVENT_TYPE,
    make_access,
    make_message,
    parse_message,
    verify_access,
    verify_message,
)
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.signing import (
    Manifest,
    SignedDocument,
    Signer,
    format_signed_document,
    parse_manifest,
    parse_signed_document,
    sign_document,
)
from tests.parties import AURELIA, BOREALIA, MANIFESTS, MERIDIA, SIGNERS, STRANGER, TRANSPORT, change_terms, make_terms
from tests.signers import EXPIRES, NOW, SeedSigner, make_payload

FIRST = make_terms()
OTHER = make_terms(title="Exchange on something else")
NONCE = bytes(range(16))
QUESTION = sha256_digest(b"a question")
BASIS = LegalBasis(
    party=BOREALIA,
    kind="mou",
    reference="MOU-2026-14",
    paragraph="2",
    force="contract",
    valid_from=NOW,
    valid_until=Instant(NOW + 1),
)
RESERVED = (Reservation(clause="channels.aurelia", ground="national_law", text="Under review.\nFor now."),)
POSITIONS = (Position.RECOGNISED, Position.NO_POSITION, Position.NOT_RECOGNISED)
SIGNING: dict[str, object] = {"positions": POSITIONS, "reservations": RESERVED}
PARTS: dict[EventKind, dict[str, object]] = {
    EventKind.PROPOSE: SIGNING,
    EventKind.COUNTER: SIGNING,
    EventKind.ACCEPT: SIGNING,
    EventKind.CONFIRM: {"positions": POSITIONS},
    EventKind.REJECT: {"text": "not now"},
    EventKind.WITHDRAW: {"text": "under review"},
    EventKind.CLARIFY: {"clause": "channels.aurelia.regions", "text": "All of IQ?\nOr a part of it?"},
    EventKind.ANSWER: {"text": "Yes.", "re": QUESTION},
    EventKind.SUSPEND: {"text": "a breach", "channel": "aurelia"},
    EventKind.RESUME: {"re": QUESTION},
    EventKind.TERMINATE: {},
    EventKind.LEAVE: {"text": "the mandate ended"},
    EventKind.ADMIT: {"joiner": MERIDIA, "manifest": MANIFESTS[MERIDIA].digest},
    EventKind.ACCEDE: {"manifest": MANIFESTS[BOREALIA].digest, "bases": (BASIS,), **SIGNING},
}
"""What each kind has besides the parts of every event, all of it where it is optional."""


def send(
    kind: EventKind = EventKind.PROPOSE,
    party: PartyId = BOREALIA,
    about: Terms = FIRST,
    *,
    signers: Sequence[Signer] | None = None,
    nonce: bytes = NONCE,
    document: bytes | None = None,
    **changes: Any,  # noqa: ANN401 (the fields of an event)
) -> bytes:
    """A message of `party`, right in every part that `changes` does not name."""
    said = make_event(kind, party, about, **changes)
    carried = (document or about.document) if kind in CARRIES_TERMS else None
    return make_message(said, signers=signers or SIGNERS[party], nonce=nonce, document=carried)


def make_event(kind: EventKind, party: PartyId, about: Terms = FIRST, **changes: Any) -> Event:  # noqa: ANN401
    """What `party` says, its digest left open."""
    parts: dict[str, Any] = {"agreement": about.agreement_id, "terms": about.hash, "at": NOW} | PARTS[kind]
    if kind is EventKind.ACCEDE:
        parts |= {"manifest": MANIFESTS[party].digest, "bases": (replace(BASIS, party=party),)}
    return Event(digest=Digest("0" * 64), kind=kind, party=party, **(parts | changes))


def forge(
    change: Mapping[str, Json],
    kind: EventKind = EventKind.PROPOSE,
    *,
    party: PartyId = BOREALIA,
    payload_type: str = EVENT_TYPE,
) -> bytes:
    """A message whose sender signed a payload with members set anew; None takes one out."""
    value: dict[str, Json] = json.loads(parse_signed_document(send(kind, party)).payload) | dict(change)
    payload = canonical_bytes({name: item for name, item in value.items() if item is not None})
    return format_signed_document(sign_document(payload_type, payload, SIGNERS[party]))


def verify(envelope: bytes, *, now: Instant = NOW) -> tuple[Event, Terms | None]:
    return verify_message(parse_message(envelope), MANIFESTS, now=now)


# --- messages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EventKind)
@pytest.mark.parametrize("party", [AURELIA, BOREALIA])
def test_a_message_says_what_was_said(kind: EventKind, party: PartyId) -> None:
    envelope = send(kind, party)
    event, terms = verify(envelope)
    assert event == replace(make_event(kind, party), digest=sha256_digest(parse_signed_document(envelope).payload))
    assert terms == (FIRST if kind in CARRIES_TERMS else None)


@pytest.mark.parametrize("kind", EventKind)
def test_what_is_optional_is_left_out(kind: EventKind) -> None:
    least: dict[str, Any] = {name: () for name in ("positions", "reservations") if name in PARTS[kind]}
    least |= {name: None for name in ("channel",) if name in PARTS[kind]}
    envelope = send(kind, **least)
    payload = json.loads(parse_signed_document(envelope).payload)
    assert payload.keys().isdisjoint({"positions", "reservations", "channel"})
    assert parse_message(envelope).event == replace(
        make_event(kind, BOREALIA, **least), digest=parse_message(envelope).event.digest
    )


def test_a_message_again_is_the_same_event_and_another_act_is_another() -> None:
    once = parse_message(send(EventKind.SUSPEND)).event
    assert parse_message(send(EventKind.SUSPEND)).event == once
    assert parse_message(send(EventKind.SUSPEND, nonce=bytes(16))).event.digest != once.digest


def test_a_signature_more_or_less_does_not_make_another_event() -> None:
    """A party's third officer signs too: one event still, or a repetition could pass as a second act."""
    third = SeedSigner("aurelia third officer")
    two, three = send(EventKind.SUSPEND, AURELIA), send(EventKind.SUSPEND, AURELIA, signers=[*SIGNERS[AURELIA], third])
    assert two != three
    assert verify(two) == verify(three)


def test_signed_by_one_party_in_the_name_of_another() -> None:
    with pytest.raises(UnknownKey):
        verify(send(EventKind.SUSPEND, AURELIA, signers=SIGNERS[BOREALIA]))
    with pytest.raises(UnknownKey):
        verify(send(EventKind.PROPOSE, AURELIA, signers=[STRANGER]))


def test_signed_by_too_few() -> None:
    with pytest.raises(ThresholdNotMet):
        verify(send(EventKind.SUSPEND, AURELIA, signers=SIGNERS[AURELIA][:1]))


def test_signed_by_a_key_of_another_role() -> None:
    with pytest.raises(UnknownKey):
        verify(send(EventKind.SUSPEND, signers=TRANSPORT[BOREALIA]))


def test_of_a_party_that_is_not_pinned() -> None:
    manifests = {AURELIA: MANIFESTS[AURELIA]}
    with pytest.raises(UnknownKey, match="borealia is not a party this node has pinned"):
        verify_message(parse_message(send()), manifests, now=NOW)


def test_after_the_manifest_has_expired() -> None:
    verify(send(), now=Instant(EXPIRES - 1))
    with pytest.raises(Expired):
        verify(send(), now=EXPIRES)


@pytest.mark.parametrize("kind", sorted(CARRIES_TERMS))
def test_over_another_document_than_it_names(kind: EventKind) -> None:
    with pytest.raises(DigestMismatch):
        verify(send(kind, document=OTHER.document))
    with pytest.raises(DigestMismatch):
        verify(send(kind, terms=OTHER.hash))
    with pytest.raises(DigestMismatch):
        verify(send(kind, agreement=OTHER.agreement_id))


def test_the_event_is_signed_but_the_document_is_not() -> None:
    """Signatures over other terms, put beside these: the sender never signed what it says it accepts."""
    other: Json = json.loads(parse_signed_document(send(EventKind.ACCEPT, about=OTHER)).payload)["signatures"]
    with pytest.raises(BadSignature):
        verify(forge({"signatures": other}, EventKind.ACCEPT))


def test_a_partners_signature_over_the_document_is_not_ones_own() -> None:
    theirs: Json = json.loads(parse_signed_document(send(EventKind.PROPOSE, AURELIA)).payload)["signatures"]
    with pytest.raises(UnknownKey):
        verify(forge({"signatures": theirs}, EventKind.ACCEPT))


def test_the_signature_over_an_event_does_not_sign_a_document() -> None:
    (signer,) = SIGNERS[BOREALIA]
    wrong = sign_document(EVENT_TYPE, FIRST.document, [signer]).signatures[0]
    given: Json = [{"keyid": wrong.keyid, "sig": base64.b64encode(wrong.sig).decode()}]
    with pytest.raises(BadSignature):
        verify(forge({"signatures": given}, EventKind.ACCEPT))


def test_a_party_cannot_sign_terms_it_is_not_in() -> None:
    with pytest.raises(VerificationError, match="meridia is not a party of the terms"):
        verify(send(EventKind.PROPOSE, MERIDIA))


def test_a_joiner_signs_a_text_that_it_is_not_in_by_its_own_manifest() -> None:
    event, terms = verify(send(EventKind.ACCEDE, MERIDIA))
    assert (event.party, terms) == (MERIDIA, FIRST)
    with pytest.raises(DigestMismatch, match="accedes by another manifest"):
        verify(send(EventKind.ACCEDE, MERIDIA, manifest=MANIFESTS[AURELIA].digest))
    with pytest.raises(UnknownKey):
        verify(send(EventKind.ACCEDE, MERIDIA, signers=SIGNERS[BOREALIA]))


@pytest.mark.parametrize("kind", sorted(STOPS - CARRIES_TERMS))
def test_a_stop_is_believed_after_the_manifest_has_expired(kind: EventKind) -> None:
    assert verify(send(kind), now=Instant(EXPIRES + 1))[0].kind is kind


def test_a_counter_proposal_signs_a_text_and_so_needs_a_manifest_that_holds() -> None:
    with pytest.raises(Expired):
        verify(send(EventKind.COUNTER), now=EXPIRES)


def test_a_document_that_is_no_agreement() -> None:
    document = change_terms(FIRST, retention={})
    named = sha256_digest(document)
    with pytest.raises(MalformedTerms, match="is missing"):
        verify(send(document=document, terms=named, agreement=AgreementId(named)))


def test_a_later_version_belongs_to_the_agreement_it_names() -> None:
    second = make_terms(replaces=FIRST)
    assert verify(send(about=second))[1] == second
    with pytest.raises(DigestMismatch):
        verify(send(about=second, agreement=AgreementId(second.hash)))


def test_an_altered_payload() -> None:
    signed = parse_signed_document(send(EventKind.SUSPEND, channel=None))
    payload = signed.payload.replace(b"suspend", b"resume").replace(b'"text":"a breach"', b'"re":"' + b"7" * 64 + b'"')
    assert payload != signed.payload
    moved = canonical_bytes(json.loads(payload))
    with pytest.raises(BadSignature):
        verify(format_signed_document(replace(signed, payload=moved)))


@pytest.mark.parametrize("payload_type", [TERMS_TYPE, ACCESS_TYPE, "application/json"])
def test_another_payload_type_is_no_message(payload_type: str) -> None:
    with pytest.raises(MalformedMessage, match="not a message between nodes"):
        parse_message(forge({}, payload_type=payload_type))


def test_relabelling_a_signed_payload_breaks_its_signature() -> None:
    """What was signed as something else does not verify as an event, whatever the envelope says."""
    signed = parse_signed_document(forge({}, payload_type="application/json"))
    relabelled = SignedDocument(payload_type=EVENT_TYPE, payload=signed.payload, signatures=signed.signatures)
    with pytest.raises(BadSignature):
        verify(format_signed_document(relabelled))


@pytest.mark.parametrize(
    ("kind", "change", "where"),
    [
        (EventKind.SUSPEND, {"format": "comity-event/2"}, "/format"),
        (EventKind.SUSPEND, {"kind": "expel"}, "/kind"),
        (EventKind.SUSPEND, {"colour": "green"}, "/colour"),
        (EventKind.SUSPEND, {"agreement": "7"}, "/agreement"),
        (EventKind.SUSPEND, {"party": "Bore Alia"}, "/party"),
        (EventKind.SUSPEND, {"at": "yesterday"}, "/at"),
        (EventKind.SUSPEND, {"at": None}, "/at"),
        (EventKind.SUSPEND, {"nonce": None}, "/nonce"),
        (EventKind.SUSPEND, {"nonce": "XY"}, "/nonce"),
        (EventKind.SUSPEND, {"nonce": "0" * 65}, "/nonce"),
        (EventKind.SUSPEND, {"text": "a" * 4001}, "/text"),
        (EventKind.SUSPEND, {"text": "\u202ehcaerb"}, "/text"),
        (EventKind.SUSPEND, {"text": ""}, "/text"),
        (EventKind.SUSPEND, {"re": QUESTION}, "/re"),
        (EventKind.SUSPEND, {"clause": "validity"}, "/clause"),
        (EventKind.SUSPEND, {"document": FIRST.document.decode()}, "/document"),
        (EventKind.SUSPEND, {"signatures": []}, "/signatures"),
        (EventKind.SUSPEND, {"channel": "Main"}, "/channel"),
        (EventKind.SUSPEND, {"joiner": "meridia"}, "/joiner"),
        (EventKind.SUSPEND, {"manifest": QUESTION}, "/manifest"),
        (EventKind.SUSPEND, {"positions": ["recognised"]}, "/positions"),
        (EventKind.SUSPEND, {"reservations": [{"clause": "purposes", "ground": "national_law"}]}, "/reservations"),
        (EventKind.RESUME, {"channel": "aurelia"}, "/channel"),
        (EventKind.RESUME, {"re": None}, "/re"),
        (EventKind.CONFIRM, {"document": FIRST.document.decode()}, "/document"),
        (EventKind.CONFIRM, {"reservations": [{"clause": "purposes", "ground": "national_law"}]}, "/reservations"),
        (EventKind.CONFIRM, {"positions": ["lawful"]}, "/positions"),
        (EventKind.CONFIRM, {"positions": []}, "/positions"),
        (EventKind.CONFIRM, {"positions": ["recognised"] * 257}, "/positions"),
        (EventKind.ADMIT, {"joiner": None}, "/joiner"),
        (EventKind.ADMIT, {"manifest": None}, "/manifest"),
        (EventKind.ADMIT, {"manifest": "7"}, "/manifest"),
        (EventKind.ACCEDE, {"manifest": None}, "/manifest"),
        (EventKind.ACCEDE, {"legal_bases": None}, "/legal_bases"),
        (EventKind.ACCEDE, {"legal_bases": []}, "/legal_bases"),
        (EventKind.ACCEDE, {"document": None}, "/document"),
        (EventKind.COUNTER, {"document": None}, "/document"),
        (EventKind.PROPOSE, {"reservations": [{"clause": "purposes"}]}, "/reservations/0/ground"),
        (EventKind.PROPOSE, {"reservations": [{"clause": "purposes", "ground": "mood"}]}, "/reservations/0/ground"),
        (EventKind.PROPOSE, {"reservations": []}, "/reservations"),
        (EventKind.LEAVE, {"re": QUESTION}, "/re"),
        (EventKind.ANSWER, {"re": None}, "/re"),
        (EventKind.ANSWER, {"text": None}, "/text"),
        (EventKind.CLARIFY, {"clause": None}, "/clause"),
        (EventKind.CLARIFY, {"text": None}, "/text"),
        (EventKind.PROPOSE, {"document": None}, "/document"),
        (EventKind.ACCEPT, {"document": None}, "/document"),
        (EventKind.ACCEPT, {"signatures": None}, "/signatures"),
        (EventKind.ACCEPT, {"signatures": []}, "/signatures"),
        (EventKind.ACCEPT, {"signatures": [{"keyid": "a", "sig": "AA=="}] * 33}, "/signatures"),
        (EventKind.ACCEPT, {"signatures": [{"keyid": "a"}]}, "/signatures/0/sig"),
        (EventKind.ACCEPT, {"signatures": [{"keyid": "a", "sig": "AA==", "alg": "none"}]}, "/signatures/0/alg"),
        (EventKind.ACCEPT, {"signatures": [{"keyid": "a", "sig": "AB=="}]}, "/signatures/0/sig"),
        (EventKind.ACCEPT, {"signatures": [{"keyid": "a", "sig": "no base64"}]}, "/signatures/0/sig"),
    ],
)
def test_a_message_of_another_shape_is_malformed(kind: EventKind, change: dict[str, Json], where: str) -> None:
    with pytest.raises(MalformedMessage) as refused:
        parse_message(forge(change, kind))
    assert refused.value.where == where


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"kind": "suspend"}', b'{"a":1,"a":1}', b"\xff"])
def test_a_payload_that_is_no_event_is_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_message(format_signed_document(sign_document(EVENT_TYPE, payload, SIGNERS[BOREALIA])))


# --- access tokens ------------------------------------------------------------------------------------------------


def ask(party: PartyId = BOREALIA, audience: PartyId = AURELIA, *, signers: Sequence[Signer] | None = None) -> str:
    return make_access(party, audience, now=NOW, nonce=NONCE, signers=signers or TRANSPORT[party])


def check(
    token: str,
    *,
    audience: PartyId = AURELIA,
    now: Instant = NOW,
    manifests: Mapping[PartyId, Manifest] = MANIFESTS,
) -> PartyId:
    return verify_access(token, manifests, audience=audience, now=now)


def test_a_token_shows_who_asks() -> None:
    token = ask()
    assert check(token) == BOREALIA
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


SECOND = 1_000_000


@pytest.mark.parametrize("after", [-30 * SECOND, 0, 60 * SECOND, 90 * SECOND])
def test_a_token_lives_a_minute_and_clocks_may_differ_by_half_of_one(after: int) -> None:
    assert check(ask(), now=Instant(NOW + after)) == BOREALIA


@pytest.mark.parametrize("after", [-30 * SECOND - 1, 90 * SECOND + 1, 3600 * SECOND])
def test_a_stale_token(after: int) -> None:
    with pytest.raises(AuthenticationError, match="too old, or from the future"):
        check(ask(), now=Instant(NOW + after))


def test_a_token_for_another_audience() -> None:
    with pytest.raises(AuthenticationError, match="made for another node"):
        check(ask(audience=MERIDIA))


def test_a_token_of_a_party_that_is_not_pinned() -> None:
    with pytest.raises(AuthenticationError, match="not pinned"):
        check(ask(), manifests={AURELIA: MANIFESTS[AURELIA]})


@pytest.mark.parametrize("signers", [[STRANGER], TRANSPORT[MERIDIA], SIGNERS[BOREALIA]])
def test_a_token_signed_by_another_key_or_role(signers: Sequence[Signer]) -> None:
    with pytest.raises(AuthenticationError):
        check(ask(signers=signers))


def test_a_token_of_an_expired_manifest() -> None:
    short = parse_manifest(make_payload("borealia", expires_at=NOW))
    with pytest.raises(AuthenticationError, match="expired"):
        check(ask(), manifests={BOREALIA: short})


@pytest.mark.parametrize("kind", [EventKind.SUSPEND, EventKind.PROPOSE])
def test_a_message_is_no_token(kind: EventKind) -> None:
    token = base64.urlsafe_b64encode(send(kind)).decode()
    with pytest.raises(AuthenticationError):
        check(token)


def test_what_was_signed_as_something_else_is_no_token() -> None:
    signed = parse_signed_document(base64.urlsafe_b64decode(ask() + "=="))
    other = sign_document(EVENT_TYPE, signed.payload, TRANSPORT[BOREALIA])
    for document in (other, replace(other, payload_type=ACCESS_TYPE)):
        token = base64.urlsafe_b64encode(format_signed_document(document)).decode().rstrip("=")
        with pytest.raises(AuthenticationError):
            check(token)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "comity-access/2"},
        {"scope": "all"},
        {"nonce": None},
        {"nonce": "not hexadecimal"},
        {"audience": None},
        {"at": "2026-12-01"},
        {"party": "meridia"},
    ],
)
def test_a_token_of_another_shape(change: dict[str, Json]) -> None:
    value = json.loads(parse_signed_document(base64.urlsafe_b64decode(ask() + "==")).payload) | change
    payload = canonical_bytes({name: item for name, item in value.items() if item is not None})
    document = sign_document(ACCESS_TYPE, payload, TRANSPORT[BOREALIA])
    with pytest.raises(AuthenticationError):
        check(base64.urlsafe_b64encode(format_signed_document(document)).decode().rstrip("="))


@pytest.mark.parametrize("token", ["", "a", "é", "====", "e30", "a" * 8193, "\ud800"])
def test_what_is_no_token_at_all(token: str) -> None:
    with pytest.raises(AuthenticationError):
        check(token)


def test_every_role_has_its_own_key() -> None:
    """The fixture would prove nothing about roles if one key served two."""
    for manifest in MANIFESTS.values():
        keys = [key for of in manifest.roles.values() for key in of.keys]
        assert len(set(keys)) == len(keys)
