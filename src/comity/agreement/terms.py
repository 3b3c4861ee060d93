# SPDX-License-Identifier: Apache-2.0
"""Pure: the signed document of an agreement, parsed, never guessed.

    document  RFC 8785 JSON; its SHA-256 is the terms hash, and that is what every party signs
    gate      parties, bases, validity, purposes: depend on agreement, clock and request
    channels  each with a giver, receivers and a scope, which depends on an object's label only

Every field and value is from a closed list. A field that this version does not enforce is unknown to it: terms that
promise more than the node can keep are refused, never signed and then half kept.

Not here: TOML (`agreement.drafting`), whether a basis is recognised (`agreement.recognition`), what was signed by whom
(`agreement.lifecycle`).
"""

from collections.abc import Collection
from dataclasses import dataclass

from comity.agreement.reader import Reader
from comity.canonical import parse_signed_json, sha256_digest
from comity.errors import MalformedJson, MalformedTerms
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.vocabulary import (
    FORCES,
    FORMS,
    HANDLING,
    KINDS,
    LEGAL_BASIS_KINDS,
    MARKINGS,
    ONWARD,
    PERMITTED_ACTIONS,
    PERSON_CLASSES,
    PROHIBITED_USES,
    PURPOSES,
    REGIONS,
    STIX_TYPES,
    SUBJECT,
    TLP_LEVELS,
    TYPE,
)

__all__ = [
    "FORMAT",
    "MAX_DOCUMENT_BYTES",
    "TERMS_TYPE",
    "Channel",
    "LegalBasis",
    "Scope",
    "Terms",
    "TermsParty",
    "clause_names",
    "parse_terms",
]

FORMAT = "comity-terms/1"
TERMS_TYPE = "application/vnd.comity.terms+json"

_USUAL_PERSONS = frozenset({"suspect", "convicted", "reasonable_grounds", "associate"})
"""The classes a channel admits unless it names others; victims, witnesses, missing persons and minors must be named."""

_SCOPE_FIELDS = (
    "types",
    "tlp_ceiling",
    "markings",
    "subjects",
    "regions",
    "kinds",
    "person_classes",
    "special_categories",
    "handling",
)
_CHANNEL_FIELDS = ("giver", "receivers", "onward", "releasable_to")
_GATE_CLAUSES = (
    "form",
    "framework",
    "excluded_frameworks",
    "parties",
    "legal_bases",
    "validity",
    "purposes",
    "permitted_actions",
    "prohibited_uses",
)
_NOT_YET = frozenset(
    {
        "assurances",
        "existence",
        "public_line",
        "query_rules",
        "reservations",
        "response_times",
        "retention",
        "structure",
        "survival",
        "texts",
    }
)
"""Fields of agreements that no node keeps yet (docs/spec/agreement-document.md)."""
_NOT_YET_IN_CHANNEL = frozenset({"attribution", "history", "originators", "sanitise", "special_categories"})

MAX_DOCUMENT_BYTES = 256 * 1024
"""With every character escaped once more, it still fits into a message (`exchange`)."""
_MAX_PARTIES = 32
_MAX_CHANNELS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsParty:
    """A party as the text names it: its id and the digest of the manifest its signatures are held against."""

    id: PartyId
    manifest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalBasis:
    """What one party cites for itself; whether another recognises it is that other's own judgement."""

    party: PartyId
    kind: str
    reference: str
    paragraph: str | None
    force: str
    valid_from: Instant | None
    valid_until: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The terms that an object's label is held against; `kinds` None sets no limit. Read by `release.clauses`.

    `framework` is the one that the agreement itself belongs to.
    """

    types: frozenset[str]
    tlp_ceiling: str
    markings: frozenset[str]
    originators: frozenset[PartyId]
    subjects: frozenset[str]
    regions: frozenset[str]
    kinds: frozenset[str] | None
    person_classes: frozenset[str]
    special_categories: frozenset[str]
    handling: frozenset[str]
    framework: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A severable part: who gives to whom, what, and whether the receivers may pass it on."""

    id: str
    giver: PartyId
    receivers: tuple[PartyId, ...]
    scope: Scope
    onward: str
    releasable_to: frozenset[PartyId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One version of an agreement's text; `document` is what was signed and `hash` its SHA-256."""

    hash: Digest
    document: bytes
    title: str
    version: int
    agreement: AgreementId | None
    supersedes: Digest | None
    form: str
    framework: str | None
    excluded_frameworks: frozenset[str]
    parties: tuple[TermsParty, ...]
    legal_bases: tuple[LegalBasis, ...]
    valid_from: Instant
    valid_until: Instant | None
    purposes: frozenset[str]
    permitted_actions: str
    prohibited_uses: frozenset[str]
    channels: tuple[Channel, ...]

    @property
    def agreement_id(self) -> AgreementId:
        """The id that all versions share: the terms hash of the first."""
        return self.agreement if self.agreement is not None else AgreementId(self.hash)


def clause_names(terms: Terms) -> tuple[str, ...]:
    """What a clarification may name: the clauses of the gate, each channel, and each clause of each channel."""
    names = list(_GATE_CLAUSES)
    for channel in terms.channels:
        names.append(f"channels.{channel.id}")
        names.extend(f"channels.{channel.id}.{field}" for field in (*_SCOPE_FIELDS, *_CHANNEL_FIELDS))
    return tuple(names)


def parse_terms(document: bytes) -> Terms:
    """The terms in a canonical document.

    Raises:
        MalformedTerms: not canonical, or a field or value that is missing, unknown or out of bounds; `where` is its
            JSON pointer.
    """
    if len(document) > MAX_DOCUMENT_BYTES:
        raise MalformedTerms(f"the document has {len(document)} bytes where at most {MAX_DOCUMENT_BYTES} are taken")
    try:
        value = parse_signed_json(document)
    except MalformedJson as error:
        raise MalformedTerms(f"not an agreement document: {error.detail}", where=error.where) from error
    return _read_terms(Reader(value, "", MalformedTerms), document)


def _read_terms(reader: Reader, document: bytes) -> Terms:
    fields = reader.open()
    if fields.text("format") != FORMAT:
        raise fields.refuse("format", f"write format = {FORMAT!r}, the one this version knows")
    parties = tuple(_read_party(item) for item in fields.items("parties", least=2, most=_MAX_PARTIES))
    members = {party.id for party in parties}
    if len(members) < len(parties):
        raise fields.refuse("parties", "a party is named twice")
    version = fields.whole("version", least=1, most=1_000_000)
    agreement, supersedes = fields.maybe_digest("agreement"), fields.maybe_digest("supersedes")
    if (version == 1) != (agreement is None and supersedes is None) or (agreement is None) != (supersedes is None):
        raise fields.refuse(
            "version", "version 1 stands alone; every later one names `agreement` and the hash it `supersedes`"
        )
    bases = tuple(_read_basis(item, members) for item in fields.items("legal_bases", least=1, most=256))
    valid_from, valid_until = _read_validity(fields)
    terms = Terms(
        hash=sha256_digest(document),
        document=document,
        title=fields.text("title"),
        version=version,
        agreement=None if agreement is None else AgreementId(agreement),
        supersedes=supersedes,
        form=fields.word("form", FORMS),
        framework=fields.maybe_text("framework"),
        excluded_frameworks=fields.texts("excluded_frameworks"),
        parties=parties,
        legal_bases=bases,
        valid_from=valid_from,
        valid_until=valid_until,
        purposes=fields.words("purposes", PURPOSES, least=1),
        permitted_actions=fields.word("permitted_actions", PERMITTED_ACTIONS),
        prohibited_uses=fields.words("prohibited_uses", PROHIBITED_USES),
        channels=_read_channels(fields, members),
    )
    if terms.framework is not None and terms.framework in terms.excluded_frameworks:
        raise fields.refuse("framework", f"{terms.framework!r} is also in excluded_frameworks")
    fields.close(not_yet=_NOT_YET)
    return terms


def _read_party(reader: Reader) -> TermsParty:
    fields = reader.open()
    party = TermsParty(id=fields.party("id"), manifest=fields.digest("manifest"))
    fields.close()
    return party


def _read_basis(reader: Reader, members: Collection[PartyId]) -> LegalBasis:
    fields = reader.open()
    basis = LegalBasis(
        party=fields.party("party", members),
        kind=fields.word("kind", LEGAL_BASIS_KINDS),
        reference=fields.text("reference"),
        paragraph=fields.maybe_text("paragraph"),
        force=fields.word("force", FORCES),
        valid_from=fields.maybe_instant("valid_from"),
        valid_until=fields.maybe_instant("valid_until"),
    )
    _check_order(fields, basis.valid_from, basis.valid_until, name="valid_until")
    fields.close()
    return basis


def _read_validity(fields: Reader) -> tuple[Instant, Instant | None]:
    validity = fields.item("validity").open()
    first, last = validity.instant("from"), validity.maybe_instant("until")
    _check_order(validity, first, last, name="until")
    validity.close()
    return first, last


def _check_order(fields: Reader, first: Instant | None, last: Instant | None, *, name: str) -> None:
    if first is not None and last is not None and last <= first:
        raise fields.refuse(name, "is not after the beginning")


def _read_channels(fields: Reader, members: Collection[PartyId]) -> tuple[Channel, ...]:
    framework = fields.maybe_text("framework")
    channels = tuple(
        _read_channel(item, members, framework) for item in fields.items("channels", least=1, most=_MAX_CHANNELS)
    )
    if len({channel.id for channel in channels}) < len(channels):
        raise fields.refuse("channels", "two channels have the same id")
    return channels


def _read_channel(reader: Reader, members: Collection[PartyId], framework: str | None) -> Channel:
    fields = reader.open()
    giver = fields.party("giver", members)
    receivers = tuple(sorted(fields.parties("receivers", members, least=1)))
    if giver in receivers:
        raise fields.refuse("receivers", f"{giver} is the giver and cannot receive in its own channel")
    onward = fields.word("onward", ONWARD)
    releasable = fields.parties("releasable_to", None)
    if (onward == "listed") != bool(releasable):
        raise fields.refuse("releasable_to", "names parties exactly when onward is 'listed'")
    channel = Channel(
        id=fields.label("id"),
        giver=giver,
        receivers=receivers,
        scope=_read_scope(fields, giver, framework),
        onward=onward,
        releasable_to=releasable,
    )
    fields.close(not_yet=_NOT_YET_IN_CHANNEL)
    return channel


def _read_scope(fields: Reader, giver: PartyId, framework: str | None) -> Scope:
    return Scope(
        types=_read_types(fields),
        tlp_ceiling=fields.word("tlp_ceiling", TLP_LEVELS),
        markings=fields.words("markings", MARKINGS),
        originators=frozenset({giver}),
        subjects=fields.matching("subjects", SUBJECT, what="scheme:id with unsc, stix or national", least=1),
        regions=fields.words("regions", REGIONS, least=1),
        kinds=fields.words("kinds", KINDS, least=1) if fields.has("kinds") else None,
        person_classes=(
            fields.words("person_classes", PERSON_CLASSES) if fields.has("person_classes") else _USUAL_PERSONS
        ),
        # Naming one needs an approver, which this version cannot record: no terms admit any.
        special_categories=frozenset(),
        handling=fields.words("handling", HANDLING),
        framework=framework,
    )


def _read_types(fields: Reader) -> frozenset[str]:
    """STIX 2.1 types, and types of one's own, which begin with "x-" (STIX 2.1 §11.2): a misspelt type is refused."""
    types = fields.matching("types", TYPE, what="a STIX type", least=1)
    if unknown := sorted(name for name in types if name not in STIX_TYPES and not name.startswith("x-")):
        raise fields.refuse("types", f"{unknown[0][:64]!r} is no type of STIX 2.1; a type of your own begins with 'x-'")
    return types
