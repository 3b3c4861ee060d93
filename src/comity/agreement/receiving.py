# SPDX-License-Identifier: Apache-2.0
"""Pure: terms of receipt: what this party may do with what a source gives that signs no agreements.

    format = "comity-receipt-terms/1"
    title = "Open indicators of the North CERT"
    originator = "north-cert"                # the party id that stands for the source here
    types = ["indicator", "malware"]         # what is taken in
    tlp_ceiling = "green"                    # what is marked higher is not
    unmarked = "withhold"                    # or the TLP that an object without any counts as
    permitted_actions = "internally-visible-actions"
    onward_to = []                           # optional: who else may ever be given it; nobody unless listed
    prohibited_uses = ["targeting"]          # optional

    [[legal_bases]]                          # what this party cites for receiving it
    party = "borealia"
    kind = "national_law"
    reference = "Act on Information, s. 4"
    force = "decides"

    [retention]
    review_after = "P1Y"
    maximum = "P3Y"
    no_decision = "delete"

It is one party's own record: nobody else signs it, and nobody else is bound by it. What it does not say is not allowed.
"""

from dataclasses import dataclass

from comity.agreement.drafting import parse_toml, with_line
from comity.agreement.duties import Retention, read_retention
from comity.agreement.reader import Reader
from comity.agreement.terms import LegalBasis, read_bases
from comity.canonical import Json, canonical_bytes, parse_signed_json, sha256_digest
from comity.errors import MalformedJson, MalformedTerms
from comity.ids import Digest, PartyId
from comity.vocabulary import PERMITTED_ACTIONS, PROHIBITED_USES, TLP_LEVELS, TYPE

__all__ = ["RECEIPT_TERMS", "ReceiptTerms", "convert_receipt_terms", "parse_receipt_terms"]

RECEIPT_TERMS = "comity-receipt-terms/1"
_WITHHOLD = "withhold"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptTerms:
    """The record, by the SHA-256 of its canonical form; `unmarked` None: what has no TLP is not taken in."""

    hash: Digest
    title: str
    originator: PartyId
    types: frozenset[str]
    tlp_ceiling: str
    unmarked: str | None
    onward_to: frozenset[PartyId]
    permitted_actions: str
    prohibited_uses: frozenset[str]
    legal_bases: tuple[LegalBasis, ...]
    retention: Retention


def convert_receipt_terms(toml: bytes, *, party: PartyId) -> bytes:
    """The canonical document of a record of `party` written as TOML.

    Raises:
        MalformedTerms: what is wrong, with its line, and what is allowed there.
    """
    text, value = parse_toml(toml)
    try:
        document = canonical_bytes(value)
        parse_receipt_terms(document, party=party)
    except MalformedTerms as error:
        raise with_line(error, text) from error
    except MalformedJson as error:
        raise with_line(MalformedTerms(f"not terms of receipt: {error.detail}", where=error.where), text) from error
    return document


def parse_receipt_terms(document: bytes, *, party: PartyId) -> ReceiptTerms:
    """The record that `document` is.

    Raises:
        MalformedTerms: it is none of `party`, or says something that is not understood.
    """
    try:
        value: Json = parse_signed_json(document)
    except MalformedJson as error:
        raise MalformedTerms(f"not terms of receipt: {error.detail}", where=error.where) from error
    fields = Reader(value, "", MalformedTerms).open()
    fields.word("format", [RECEIPT_TERMS])
    originator = fields.party("originator")
    if originator == party:
        raise fields.refuse("originator", f"{party} is this party itself; name a party that stands for the source")
    unmarked = fields.word("unmarked", [*TLP_LEVELS, _WITHHOLD])
    retention = read_retention(fields)
    if retention is None:
        raise fields.refuse("retention", "is missing: say how long what comes is kept")
    terms = ReceiptTerms(
        hash=sha256_digest(document),
        title=fields.text("title"),
        originator=originator,
        types=fields.matching("types", TYPE, what="a STIX type, such as indicator", least=1),
        tlp_ceiling=fields.word("tlp_ceiling", TLP_LEVELS),
        unmarked=None if unmarked == _WITHHOLD else unmarked,
        onward_to=fields.parties("onward_to", None),
        permitted_actions=fields.word("permitted_actions", PERMITTED_ACTIONS),
        prohibited_uses=fields.words("prohibited_uses", PROHIBITED_USES),
        legal_bases=read_bases(fields, [party]),
        retention=retention,
    )
    if terms.unmarked is not None and TLP_LEVELS.index(terms.unmarked) > TLP_LEVELS.index(terms.tlp_ceiling):
        raise fields.refuse("unmarked", f"{terms.unmarked} is over the ceiling, {terms.tlp_ceiling}")
    fields.close()
    return terms
