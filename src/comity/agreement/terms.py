# SPDX-License-Identifier: Apache-2.0
"""Pure: the signed document of an agreement, parsed, never guessed.

    document  RFC 8785 JSON; its SHA-256 is the terms hash, and that is what every party signs
    gate      parties, bases, validity, purposes, duties: depend on agreement, clock and request
    channels  each with a giver, receivers and a scope, which depends on an object's label only

Every field and value is from a closed list. What is not understood is refused, never signed and then half kept.

Not here: TOML (`agreement.drafting`), whether a basis is recognised (`agreement.recognition`), what was signed by whom
(`agreement.lifecycle`), the fields of a channel (`agreement.channels`) and of duties (`agreement.duties`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from comity.agreement.channels import CHANNEL_CLAUSES, Channel, Scope, read_channels
from comity.agreement.duration import Duration
from comity.agreement.duties import (
    Assurance,
    QueryRules,
    Retention,
    Survival,
    Text,
    read_assurances,
    read_existence,
    read_query_rules,
    read_response_times,
    read_retention,
    read_survival,
    read_texts,
)
from comity.agreement.reader import Reader
from comity.canonical import parse_signed_json, sha256_digest
from comity.errors import MalformedJson, MalformedRequest, MalformedTerms
from comity.ids import AgreementId, Digest, Instant, PartyId, parse_instant
from comity.vocabulary import (
    ACCESSION,
    FORCES,
    FORMS,
    LEGAL_BASIS_KINDS,
    PERMITTED_ACTIONS,
    PROHIBITED_USES,
    PURPOSES,
)

__all__ = [
    "FORMAT",
    "MAX_DOCUMENT_BYTES",
    "TERMS_TYPE",
    "Channel",
    "LegalBasis",
    "Scope",
    "Structure",
    "Terms",
    "TermsParty",
    "clause_names",
    "parse_terms",
    "read_bases",
]

FORMAT = "comity-terms/1"
TERMS_TYPE = "application/vnd.comity.terms+json"

_GATE_CLAUSES = (
    "form",
    "structure",
    "framework",
    "excluded_frameworks",
    "parties",
    "legal_bases",
    "validity",
    "purposes",
    "permitted_actions",
    "prohibited_uses",
    "assurances",
    "retention",
    "survival",
    "existence",
    "public_line",
    "response_times",
    "query_rules",
    "texts",
)

MAX_DOCUMENT_BYTES = 256 * 1024
"""With every character escaped once more, it still fits into a message (`exchange`)."""
_MAX_PARTIES = 32
_MAX_BASES = 256
_MAX_REVIEWS = 64
_TWO = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsParty:
    """A party as the text names it, by its manifest; `oversight` is the body that may look into what it does here."""

    id: PartyId
    manifest: Digest
    oversight: str | None


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
class Structure:
    """Whether it is a group, whose members can leave while it goes on, and who of the founders admits a joiner."""

    group: bool
    accession: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One version of an agreement's text; `document` is what was signed and `hash` its SHA-256.

    `reservable` names the clauses on which a party may make a reservation when it signs.
    """

    hash: Digest
    document: bytes
    title: str
    version: int
    agreement: AgreementId | None
    supersedes: Digest | None
    form: str
    structure: Structure
    framework: str | None
    excluded_frameworks: frozenset[str]
    parties: tuple[TermsParty, ...]
    legal_bases: tuple[LegalBasis, ...]
    valid_from: Instant
    valid_until: Instant | None
    reviews: tuple[Instant, ...]
    purposes: frozenset[str]
    permitted_actions: str
    prohibited_uses: frozenset[str]
    assurances: tuple[Assurance, ...]
    retention: Retention | None
    survival: Survival
    existence: str
    public_line: str | None
    response_times: Mapping[str, Duration]
    query_rules: QueryRules | None
    reservable: frozenset[str]
    texts: tuple[Text, ...]
    channels: tuple[Channel, ...]

    @property
    def agreement_id(self) -> AgreementId:
        """The id that all versions share: the terms hash of the first."""
        return self.agreement if self.agreement is not None else AgreementId(self.hash)

    @property
    def founders(self) -> frozenset[PartyId]:
        """The parties that the text itself names."""
        return frozenset(party.id for party in self.parties)

    def channel(self, name: str) -> Channel | None:
        """The channel of that id, if there is one."""
        return next((channel for channel in self.channels if channel.id == name), None)


def clause_names(terms: Terms) -> tuple[str, ...]:
    """What a clarification may name: the clauses of the gate, each channel, and each clause of each channel."""
    return _name_clauses(terms.channels)


def _name_clauses(channels: Collection[Channel]) -> tuple[str, ...]:
    names = list(_GATE_CLAUSES)
    for channel in channels:
        names.append(f"channels.{channel.id}")
        names.extend(f"channels.{channel.id}.{field}" for field in CHANNEL_CLAUSES)
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
    parties = _read_parties(fields)
    founders = {party.id for party in parties}
    version, agreement, supersedes = _read_lineage(fields)
    structure = _read_structure(fields, len(founders))
    valid_from, valid_until, reviews = _read_validity(fields)
    existence, public_line = read_existence(fields)
    excluded = fields.texts("excluded_frameworks")
    channels = read_channels(fields, founders, group=structure.group, excluded_frameworks=excluded)
    terms = Terms(
        hash=sha256_digest(document),
        document=document,
        title=fields.text("title"),
        version=version,
        agreement=agreement,
        supersedes=supersedes,
        form=fields.word("form", FORMS),
        structure=structure,
        framework=fields.maybe_text("framework"),
        excluded_frameworks=excluded,
        parties=parties,
        legal_bases=read_bases(fields, founders),
        valid_from=valid_from,
        valid_until=valid_until,
        reviews=reviews,
        purposes=fields.words("purposes", PURPOSES, least=1),
        permitted_actions=fields.word("permitted_actions", PERMITTED_ACTIONS),
        prohibited_uses=fields.words("prohibited_uses", PROHIBITED_USES),
        assurances=read_assurances(fields, founders),
        retention=read_retention(fields),
        survival=read_survival(fields),
        existence=existence,
        public_line=public_line,
        response_times=read_response_times(fields),
        query_rules=read_query_rules(fields),
        reservable=_read_reservable(fields, channels),
        texts=read_texts(fields),
        channels=channels,
    )
    if terms.framework is not None and terms.framework in terms.excluded_frameworks:
        raise fields.refuse("framework", f"{terms.framework!r} is also in excluded_frameworks")
    fields.close()
    return terms


def _read_parties(fields: Reader) -> tuple[TermsParty, ...]:
    parties = tuple(_read_party(item) for item in fields.items("parties", least=2, most=_MAX_PARTIES))
    if len({party.id for party in parties}) < len(parties):
        raise fields.refuse("parties", "a party is named twice")
    return parties


def _read_party(reader: Reader) -> TermsParty:
    fields = reader.open()
    party = TermsParty(
        id=fields.party("id"), manifest=fields.digest("manifest"), oversight=fields.maybe_text("oversight")
    )
    fields.close()
    return party


def _read_lineage(fields: Reader) -> tuple[int, AgreementId | None, Digest | None]:
    version = fields.whole("version", least=1, most=1_000_000)
    agreement, supersedes = fields.maybe_digest("agreement"), fields.maybe_digest("supersedes")
    if (version == 1) != (agreement is None and supersedes is None) or (agreement is None) != (supersedes is None):
        raise fields.refuse(
            "version", "version 1 stands alone; every later one names `agreement` and the hash it `supersedes`"
        )
    return version, None if agreement is None else AgreementId(agreement), supersedes


def _read_structure(fields: Reader, parties: int) -> Structure:
    """Two parties are bilateral and more are a group, unless the text says that two are the founders of one."""
    if not fields.has("structure"):
        return Structure(group=parties > _TWO, accession="closed")
    inner = fields.item("structure").open()
    kind = inner.word("kind", ["bilateral", "group"])
    if kind == "bilateral" and parties > _TWO:
        raise inner.refuse("kind", f"{parties} parties are a group")
    accession = inner.word("accession", ACCESSION) if inner.has("accession") else "closed"
    if kind == "bilateral" and accession != "closed":
        raise inner.refuse("accession", "only a group can be joined")
    inner.close()
    return Structure(group=kind == "group", accession=accession)


def read_bases(fields: Reader, members: Collection[PartyId]) -> tuple[LegalBasis, ...]:
    """The legal bases of `members`, at least one, in the order they are written."""
    return tuple(_read_basis(item, members) for item in fields.items("legal_bases", least=1, most=_MAX_BASES))


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


def _read_validity(fields: Reader) -> tuple[Instant, Instant | None, tuple[Instant, ...]]:
    validity = fields.item("validity").open()
    first, last = validity.instant("from"), validity.maybe_instant("until")
    _check_order(validity, first, last, name="until")
    dates = validity.texts("reviews")
    if len(dates) > _MAX_REVIEWS:
        raise validity.refuse("reviews", f"has over {_MAX_REVIEWS} dates")
    try:
        reviews = tuple(sorted(parse_instant(date) for date in dates))
    except MalformedRequest as error:
        raise validity.refuse("reviews", error.detail) from error
    validity.close()
    return first, last, reviews


def _read_reservable(fields: Reader, channels: Collection[Channel]) -> frozenset[str]:
    """Absent means that the text is signed as it stands."""
    names = _name_clauses(channels)
    found = fields.texts("reservations")
    if unknown := sorted(found - set(names)):
        raise fields.refuse("reservations", f"{unknown[0][:64]!r} is not a clause of this text")
    return found


def _check_order(fields: Reader, first: Instant | None, last: Instant | None, *, name: str) -> None:
    if first is not None and last is not None and last <= first:
        raise fields.refuse(name, "is not after the beginning")
