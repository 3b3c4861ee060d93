# SPDX-License-Identifier: Apache-2.0
"""Pure: the log leaf and its opening.

A leaf is what the log holds for ever: version, entry type, terms, recipient, that recipient's sequence number, a count,
a time, and a commitment. What was given is in the content, which the commitment binds and a 32-byte salt hides; salt
and content live apart from the leaf, so that they can be deleted while every proof still verifies. No id of an object,
no selector and no free text stands in a leaf.

    leaf     {"at":"…","commitment":"…","count":2,"format":"comity-leaf/1","recipient":"borealia","sequence":7,
              "terms":"…","type":"disclosure"}
    content  {"answer":"objects","channel":"main","epoch":3,"format":"comity-disclosure/3","grounds":"…","listing":"…"}
    listing  {"format":"comity-listing/1","objects":[{"digest":"…","id":"report--…","redacted":[],"version":"…"}]}

The content of a disclosure names its listing by SHA-256, so that what a thousand objects take is hashed and kept once
for all who were given those very objects. What it was decided by it names by a keyed hash (`release.grounds`). The
first format has its objects in itself, the second names no grounds.

Not here: the tree (`tlog.merkle`), the salt's randomness and the write (`node`).
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from comity.agreement.people import Approval, Role
from comity.canonical import Json, canonical_bytes, parse_signed_json, sha256_digest
from comity.errors import LogMismatch, MalformedError, MalformedJson
from comity.ids import (
    AgreementId,
    Digest,
    Instant,
    ObjectId,
    PartyId,
    PersonId,
    format_instant,
    parse_digest,
    parse_instant,
    parse_party_id,
)

__all__ = [
    "DISCLOSURE_FORMAT",
    "LISTING_FORMAT",
    "MAX_ENTRY_BYTES",
    "NOT_SHARED",
    "OF_NO_TERMS",
    "SALT_BYTES",
    "USUAL_CONTENT",
    "Answer",
    "CredentialChange",
    "DisclosedObject",
    "EntryType",
    "Leaf",
    "PeopleChange",
    "ReaderChange",
    "commit_content",
    "describe_approvals",
    "format_credential_content",
    "format_disclosure",
    "format_event_content",
    "format_leaf",
    "format_listing",
    "format_people_content",
    "format_purge",
    "format_reader_content",
    "format_review",
    "format_source_content",
    "parse_leaf",
    "verify_opening",
]

MAX_ENTRY_BYTES = 65_535
"""An entry bundle carries each entry behind a 16-bit length (C2SP tlog-tiles)."""

SALT_BYTES = 32

_FORMAT = "comity-leaf/1"
DISCLOSURE_FORMAT = "comity-disclosure/3"
LISTING_FORMAT = "comity-listing/1"
_DOMAIN = b"comity-commitment/1\n"
_LEAF = re.compile(
    r'\{"at":"([0-9T:.Z-]{20,30})","commitment":"([0-9a-f]{64})","count":(0|[1-9][0-9]{0,14}),"format":"comity-leaf/1",'
    r'"recipient":(?:null|"([a-z0-9.-]{1,63})"),"sequence":(null|0|[1-9][0-9]{0,14}),'
    r'"terms":(?:null|"([0-9a-f]{64})"),"type":"([a-z-]{1,32})"\}',
    re.ASCII,
)
"""A leaf as `format_leaf` writes it: what fits is canonical JSON, and is read without a reader of JSON."""
USUAL_CONTENT = re.compile(
    rb'\{"answer":"([a-z]{1,32})","channel":"([a-z0-9._-]{0,128})","epoch":(0|[1-9][0-9]{0,14}),'
    rb'"format":"comity-disclosure/(?:2|3)",(?:"grounds":"([0-9a-f]{64})",)?"listing":"([0-9a-f]{64})"\}'
)
"""A content as `format_disclosure` writes most: it names its listing."""
_FIELDS = frozenset({"format", "type", "terms", "recipient", "sequence", "count", "at", "commitment"})


class EntryType(StrEnum):
    """What an entry records."""

    DISCLOSURE = "disclosure"
    AGREEMENT_EVENT = "agreement-event"
    PEOPLE = "people"
    CREDENTIAL = "credential"
    REVIEW = "review"
    PURGE = "purge"
    ACKNOWLEDGEMENT = "acknowledgement"
    RECOVERY = "recovery"
    KEY_ROTATION = "key-rotation"
    LETTER = "letter"
    RECALL = "recall"
    CONSENT = "consent"
    SOURCE = "source"
    LOG_OPENING = "log-opening"
    LOG_HEADS = "log-heads"
    CLASSIFICATION = "classification"


NOT_SHARED = frozenset(
    {
        EntryType.REVIEW,
        EntryType.PURGE,
        EntryType.RECOVERY,
        EntryType.RECALL,
        EntryType.CONSENT,
        EntryType.CLASSIFICATION,
    }
)
"""What a party records of its own house: it concerns terms where something was received under them, else none."""


OF_NO_TERMS = frozenset(
    {
        EntryType.PEOPLE,
        EntryType.CREDENTIAL,
        EntryType.ACKNOWLEDGEMENT,
        EntryType.KEY_ROTATION,
        EntryType.SOURCE,
        EntryType.LOG_OPENING,
        EntryType.LOG_HEADS,
    }
)
"""What a party records of who may come in, by which keys, of what is known to have been given, and of its logs: of no
terms alone.
"""


class CredentialChange(StrEnum):
    """What was done with a credential of a partner."""

    CREATE = "create"
    REVOKE = "revoke"


class ReaderChange(StrEnum):
    """What was done with a permission to read the log."""

    ADD = "add-reader"
    REMOVE = "remove-reader"


class PeopleChange(StrEnum):
    """What was done with one of this party's persons."""

    ADD = "add"
    REMOVE = "remove"
    RENEW = "renew"
    INVITE = "invite"
    ENROL = "enrol"
    DROP = "drop"


class Answer(StrEnum):
    """Which TAXII resource was given (TAXII 2.1 §5.3, §5.4, §5.6, §5.8)."""

    OBJECTS = "objects"
    OBJECT = "object"
    MANIFEST = "manifest"
    VERSIONS = "versions"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosedObject:
    """One object of a disclosure; `redacted` names what was removed.

    `digest` is that of the bytes that left, None where only id and version left (manifest, versions).
    """

    id: ObjectId
    version: str
    digest: Digest | None
    redacted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One entry of the log. `sequence` counts the disclosures to `recipient` from 1; both None for other types.

    `terms` is None where the type is one of this party's own house, and no terms are concerned: always for people.
    """

    type: EntryType
    terms: Digest | None
    recipient: PartyId | None
    sequence: int | None
    count: int
    at: Instant
    commitment: Digest


def commit_content(salt: bytes, content: bytes) -> Digest:
    """The commitment: SHA-256 over a domain line, the salt and the content."""
    return Digest(hashlib.sha256(_DOMAIN + salt + content).hexdigest())


def format_disclosure(*, answer: Answer, channel: str, epoch: int, grounds: Digest, listing: Digest) -> bytes:
    """The content of a disclosure, canonical.

    `listing` is the digest of what `format_listing` gives, `grounds` the tag of what it was decided by, `epoch` the
    agreement's count of events when it was.
    """
    return (
        f'{{"answer":"{answer}","channel":{_quote_channel(channel)},"epoch":{epoch},"format":"{DISCLOSURE_FORMAT}",'
        f'"grounds":"{grounds}","listing":"{listing}"}}'
    ).encode()


@lru_cache(maxsize=1_024)
def _quote_channel(channel: str) -> str:
    return canonical_bytes(channel).decode()


def format_listing(objects: Iterable[tuple[ObjectId, str, Digest | None, Sequence[str]]]) -> bytes:
    """The objects of a disclosure, in order, canonical: id, version, digest, redacted.

    The digest is that of the bytes that left, None where only id and version left (manifest, versions). Ids, versions
    and digests hold nothing that JSON would escape: each was parsed when it came in.
    """
    listed = [
        f'{{"digest":"{digest}","id":"{item}","redacted":[],"version":"{version}"}}'
        if digest is not None and not redacted
        else _format_listed(item, version, digest, redacted=redacted)
        for item, version, digest, redacted in objects
    ]
    return f'{{"format":"{LISTING_FORMAT}","objects":[{",".join(listed)}]}}'.encode()


def _format_listed(item: ObjectId, version: str, digest: Digest | None, *, redacted: Sequence[str]) -> str:
    listed: Json = {"id": item, "version": version, "digest": digest, "redacted": list[Json](redacted)}
    return canonical_bytes(listed).decode()


def format_event_content(
    *, event: Digest, kind: str, party: PartyId, agreement: str, approvals: Sequence[Approval] = ()
) -> bytes:
    """The content of an agreement-event entry, canonical; the signed event itself is kept by the store.

    `approvals` are those of this party's own people; an event of another party has none here, nor the member.
    """
    content: dict[str, Json] = {
        "format": "comity-event-record/1",
        "event": event,
        "kind": kind,
        "party": party,
        "agreement": agreement,
    }
    if approvals:
        content["approvals"] = describe_approvals(approvals)
    return canonical_bytes(content)


def format_credential_content(
    change: CredentialChange, *, party: PartyId, credential: str, expires_at: Instant | None
) -> bytes:
    """The content of a credential entry, canonical: whose it is, its name and its end; nothing of the secret."""
    return canonical_bytes(
        {
            "format": "comity-credential-record/1",
            "change": change.value,
            "party": party,
            "credential": credential,
            "expires_at": None if expires_at is None else format_instant(expires_at),
        }
    )


def format_source_content(
    name: str, *, url: str, collection: str, record: Digest | None, approvals: Sequence[Approval]
) -> bytes:
    """The content of a source entry, canonical: from where what is taken in, under which record; null: no more."""
    return canonical_bytes(
        {
            "format": "comity-source/1",
            "source": name,
            "url": url,
            "collection": collection,
            "record": record,
            "approvals": describe_approvals(approvals),
        }
    )


def format_reader_content(change: ReaderChange, *, reader: str, permission: str, expires_at: Instant) -> bytes:
    """The content of a credential entry about a reader of the log, canonical; nothing of the secret."""
    return canonical_bytes(
        {
            "format": "comity-reader-record/1",
            "change": change.value,
            "reader": reader,
            "permission": permission,
            "expires_at": format_instant(expires_at),
        }
    )


def format_people_content(
    change: PeopleChange, *, person: PersonId, name: str, roles: Iterable[Role], factor: str | None = None
) -> bytes:
    """The content of a people entry, canonical; `factor` is what to sign in by (`node.passkeys`, `node.accounts`)."""
    return canonical_bytes(
        {
            "format": "comity-people-record/1",
            "change": change.value,
            "person": person,
            "name": name,
            "roles": list[Json](sorted(role.value for role in roles)),
            **({} if factor is None else {"factor": factor}),
        }
    )


def format_review(
    *, agreement: AgreementId, item: ObjectId | None, versions: Sequence[Digest], reason: str, by: str | None
) -> bytes:
    """The content of a review, canonical: `by` looked at an agreement, or at an object received under it.

    `versions` are the digests of the versions of `item` that were decided to be kept; both are absent for an agreement.
    """
    return canonical_bytes(
        {
            "format": "comity-review/1",
            "agreement": agreement,
            "object": item,
            "versions": list[Json](versions),
            "reason": reason,
            "by": by,
        }
    )


def format_purge(
    item: DisclosedObject,
    *,
    originator: PartyId,
    agreement: AgreementId | None,
    clause: str | None,
    due: Instant | None,
    reason: str | None,
    by: str | None,
) -> bytes:
    """The content of a purge, canonical: what was deleted, by which clause since when it was due, or by whom and why.

    `clause` and `due` are there for a rule, `reason` and perhaps `by` for a person.
    """
    return canonical_bytes(
        {
            "format": "comity-purge/1",
            "id": item.id,
            "version": item.version,
            "digest": item.digest,
            "originator": originator,
            "agreement": agreement,
            "clause": clause,
            "due": None if due is None else format_instant(due),
            "reason": reason,
            "by": by,
        }
    )


def format_leaf(leaf: Leaf) -> bytes:
    """The canonical bytes of a leaf, at most MAX_ENTRY_BYTES by construction.

    No member holds anything that JSON would escape: they are digests, an id, numbers, a time and a word of ours.
    """
    sequence = "null" if leaf.sequence is None else leaf.sequence
    return (
        f'{{"at":"{format_instant(leaf.at)}","commitment":"{leaf.commitment}","count":{leaf.count},"format":"{_FORMAT}",'
        f'"recipient":{_quote(leaf.recipient)},"sequence":{sequence},"terms":{_quote(leaf.terms)},"type":"{leaf.type}"}}'
    ).encode()


def parse_leaf(data: bytes) -> Leaf:
    """The leaf in canonical bytes.

    Raises:
        MalformedJson: not canonical, an unknown or missing field, or a value of the wrong kind.
    """
    if (written := _LEAF.fullmatch(data.decode("latin-1"))) is not None:
        at, commitment, count, recipient, number, terms, kind = written.groups()
        sequence = None if number == "null" else int(number)
        return _build_leaf(kind, terms, recipient, sequence=sequence, count=int(count), at=at, commitment=commitment)
    value = parse_signed_json(data)
    if not isinstance(value, dict) or value.keys() != _FIELDS or value["format"] != _FORMAT:
        raise MalformedJson(f"not a log leaf of the format {_FORMAT}")
    match value:
        case {
            "type": str(kind),
            "terms": (str() | None) as terms,
            "recipient": (str() | None) as recipient,
            "sequence": (int() | None) as sequence,
            "count": int(count),
            "at": str(at),
            "commitment": str(commitment),
        } if not (isinstance(sequence, bool) or isinstance(count, bool)):
            return _build_leaf(kind, terms, recipient, sequence=sequence, count=count, at=at, commitment=commitment)
        case _:
            raise MalformedJson("a field of the log leaf has a value of the wrong kind")


def verify_opening(leaf: Leaf, *, salt: bytes, content: bytes, listing: bytes = b"") -> bytes:
    """The content, once it is the one that the leaf commits to, and `listing` is the one that the content names.

    Raises:
        LogMismatch: salt, content or listing is not the one the leaf was made with.
    """
    if not hmac.compare_digest(commit_content(salt, content), leaf.commitment):
        raise LogMismatch("salt and content do not open the commitment of the leaf")
    named = _find_listing(content) if leaf.type is EntryType.DISCLOSURE else None
    if (named or "") != (_digest_listing(listing) if listing else ""):
        raise LogMismatch("the listing is not the one that the content names")
    return content


@lru_cache(maxsize=8)
def _digest_listing(listing: bytes) -> Digest:
    """The same listing stands behind many entries."""
    return sha256_digest(listing)


def _find_listing(content: bytes) -> str | None:
    """The digest of the listing that the content of a disclosure names; the first format has its objects in itself."""
    if (written := USUAL_CONTENT.fullmatch(content)) is not None:
        return written[5].decode()
    try:
        said = parse_signed_json(content)
    except MalformedJson:
        return None
    listing = said.get("listing") if isinstance(said, dict) else None
    return listing if isinstance(listing, str) else None


# A log names the same few again and again.
_parse_terms = lru_cache(maxsize=1_024)(parse_digest)
_parse_recipient = lru_cache(maxsize=1_024)(parse_party_id)
_parse_at = lru_cache(maxsize=64)(parse_instant)


def _build_leaf(
    kind: str,
    terms: str | None,
    recipient: str | None,
    *,
    sequence: int | None,
    count: int,
    at: str,
    commitment: str,
) -> Leaf:
    try:
        leaf = Leaf(
            type=EntryType(kind),
            terms=None if terms is None else _parse_terms(terms),
            recipient=None if recipient is None else _parse_recipient(recipient),
            sequence=sequence,
            count=count,
            at=_parse_at(at),
            commitment=parse_digest(commitment),
        )
    except ValueError as error:
        raise MalformedJson(f"{kind!r} is not an entry type this version knows") from error
    except MalformedError as error:
        raise MalformedJson(f"a field of the log leaf is wrong: {error.detail}") from error
    if leaf.type not in NOT_SHARED and (leaf.terms is None) != (leaf.type in OF_NO_TERMS):
        raise MalformedJson(f"an entry of type {kind} names {'no terms' if terms is None else 'terms'}")
    return leaf


def describe_approvals(approvals: Sequence[Approval]) -> list[Json]:
    """Who said yes, as it stands in the content of an entry."""
    return [
        {"person": item.person, "role": item.role.value, "reason": item.reason, "at": format_instant(item.at)}
        for item in approvals
    ]


def _quote(word: str | None) -> str:
    return "null" if word is None else f'"{word}"'
