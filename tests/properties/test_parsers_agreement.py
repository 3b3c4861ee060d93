# SPDX-License-Identifier: Apache-2.0
"""Any bytes are terms, a policy, a message or a token, or the one kind of error a parser may raise."""

import json
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from comity.agreement.drafting import convert_terms
from comity.agreement.events import Event, EventKind, Position, Reservation
from comity.agreement.recognition import parse_policy
from comity.agreement.terms import parse_terms
from comity.canonical import Json, canonical_bytes
from comity.errors import AuthenticationError, MalformedError, MalformedMessage, MalformedTerms, VerificationError
from comity.exchange import (
    EVENT_TYPE,
    make_access,
    make_message,
    parse_message,
    verify_access,
    verify_message,
)
from comity.ids import Digest
from comity.signing import format_signed_document, parse_signed_document, sign_document
from tests.parties import AURELIA, BOREALIA, MANIFESTS, SIGNERS, TRANSPORT, make_terms, write_terms
from tests.signers import NOW
from tests.strategies import json_values
from tests.vectors.terms.duties import DUTIES

TERMS = make_terms()
TOML = write_terms()
GOOD = [TERMS.document, *(document.encode() for _, document, where in DUTIES.values() if not where)]
POLICY = (
    b'refused_frameworks = ["coalition-dawn"]\n[[recognised]]\nkind = "treaty"\nreference = "*"\n'
    b'[[not_recognised]]\nkind = "mou"\nreference = "*"\n[[demanded_assurances]]\nkind = "no_torture"\nof = "*"\n'
)
MESSAGE = make_message(
    Event(
        digest=Digest("0" * 64),
        kind=EventKind.ACCEPT,
        agreement=TERMS.agreement_id,
        terms=TERMS.hash,
        party=BOREALIA,
        at=NOW,
        positions=(Position.RECOGNISED, Position.NO_POSITION),
        reservations=(Reservation(clause="purposes", ground="national_law", text="Under review."),),
    ),
    nonce=bytes(16),
    signers=SIGNERS[BOREALIA],
    document=TERMS.document,
)
TOKEN = make_access(BOREALIA, AURELIA, now=NOW, nonce=bytes(16), signers=TRANSPORT[BOREALIA])


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """The good bytes with a piece taken out and another put in."""
    start = draw(st.integers(0, len(good)))
    end = draw(st.integers(start, min(len(good), start + 40)))
    piece = draw(st.binary(max_size=8) | st.sampled_from([b'"', b"[[", b"\n", b"null", b"1.5", b"{}", b"\\u202e"]))
    return good[:start] + piece + good[end:]


@st.composite
def altered(draw: st.DrawFn, good: bytes) -> bytes:
    """The good JSON with some value anywhere in it replaced, or a member or element added or taken away; canonical."""
    value: Json = json.loads(good)
    at = value
    while isinstance(at, dict | list) and at:
        keys: list[str | int] = [*at] if isinstance(at, dict) else [*range(len(at))]
        key = draw(st.sampled_from(keys))
        inner = at[key]  # type: ignore[index]
        if isinstance(inner, dict | list) and inner and draw(st.booleans()):
            at = inner
            continue
        change = draw(st.sampled_from(("replace", "remove", "add")))
        if change == "remove":
            del at[key]  # type: ignore[arg-type]
        elif change == "replace":
            at[key] = draw(json_values())  # type: ignore[index]
        elif isinstance(at, list):
            at.append(draw(json_values()))
        else:
            at[draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))] = draw(json_values())
        break
    return canonical_bytes(value)


@settings(max_examples=300)
@given(st.binary(max_size=200) | st.sampled_from(GOOD).flatmap(damaged) | st.sampled_from(GOOD).flatmap(altered))
def test_any_bytes_are_terms_or_malformed(data: bytes) -> None:
    with suppress(MalformedTerms):
        terms = parse_terms(data)
        assert terms.document == data == canonical_bytes(json.loads(data))
        assert parse_terms(data) == terms


@settings(max_examples=300)
@given(
    st.binary(max_size=200) | damaged(TOML) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_bytes_are_converted_or_malformed_and_conversion_gives_terms(data: bytes) -> None:
    with suppress(MalformedTerms):
        document = convert_terms(data)
        assert parse_terms(document).document == document


@settings(max_examples=200)
@given(st.binary(max_size=200) | damaged(POLICY))
def test_any_bytes_are_a_policy_or_malformed(data: bytes) -> None:
    with suppress(MalformedTerms):
        assert parse_policy(data) == parse_policy(data)


@settings(max_examples=200)
@given(altered(parse_signed_document(MESSAGE).payload))
def test_a_payload_that_its_sender_altered_and_signed_is_an_event_or_malformed(payload: bytes) -> None:
    """Whatever is read of it, only the sender's own key can have said, and a document only as the event names it."""
    envelope = format_signed_document(sign_document(EVENT_TYPE, payload, SIGNERS[BOREALIA]))
    try:
        message = parse_message(envelope)
    except MalformedMessage:
        return
    with suppress(VerificationError, MalformedTerms):
        event, terms = verify_message(message, MANIFESTS, now=NOW)
        assert event.party == BOREALIA
        assert (terms is None) == (message.document is None)
        assert terms is None or (terms.hash, terms.agreement_id) == (event.terms, event.agreement)


@settings(max_examples=200)
@given(st.binary(max_size=200) | damaged(MESSAGE))
def test_any_bytes_are_a_message_or_malformed_and_a_damaged_one_says_nothing_else(data: bytes) -> None:
    try:
        event, _ = verify_message(parse_message(data), MANIFESTS, now=NOW)
    except (MalformedMessage, MalformedTerms, VerificationError):
        return
    assert event == parse_message(MESSAGE).event


@settings(max_examples=200)
@given(altered(parse_signed_document(MESSAGE).payload))
def test_a_payload_altered_on_the_way_is_refused(payload: bytes) -> None:
    good = parse_signed_document(MESSAGE)
    if payload == good.payload:
        return
    signatures = good.signatures
    envelope = format_signed_document(type(good)(payload_type=EVENT_TYPE, payload=payload, signatures=signatures))
    try:
        verify_message(parse_message(envelope), MANIFESTS, now=NOW)
    except (MalformedError, VerificationError):
        return
    raise AssertionError("an altered payload was believed")


@settings(max_examples=200)
@given(st.text(max_size=80) | damaged(TOKEN.encode()).map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_any_text_is_a_token_of_its_maker_or_not_authenticated(token: str) -> None:
    with suppress(AuthenticationError):
        assert verify_access(token, MANIFESTS, audience=AURELIA, now=NOW) == BOREALIA
