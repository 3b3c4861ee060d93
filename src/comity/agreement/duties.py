# SPDX-License-Identifier: Apache-2.0
"""Pure: what the parties of an agreement owe beyond what is given.

How long it may be kept, what outlives the agreement, which assurances stand, how fast to answer, what may be said.
Each field is kept by somebody: retention and survival by `node.retention`, assurances by `agreement.lifecycle`,
response times by the work that the node shows. `query_rules` bounds questions of hit and no hit; a node that answers
none keeps every bound.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from comity.agreement.duration import Duration
from comity.agreement.reader import Reader
from comity.ids import Digest, Instant, PartyId
from comity.vocabulary import ASSURANCES, DUTIES, EXISTENCE, LANGUAGE, QUERY_MODES, RESPONSES

__all__ = [
    "Assurance",
    "QueryRules",
    "Retention",
    "Survival",
    "Text",
    "read_assurances",
    "read_existence",
    "read_query_rules",
    "read_response_times",
    "read_retention",
    "read_survival",
    "read_texts",
]

_MAX_ASSURANCES = 64
_MAX_TEXTS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Assurance:
    """What one party has assured the others of, in a document that they know by its digest; it runs out."""

    kind: str
    given_by: PartyId
    document: Digest
    valid_until: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long the receiver may keep what it got: reviewed after `review_after`, deleted at `maximum` at the latest.

    What is not reviewed in time is deleted.
    """

    review_after: Duration
    maximum: Duration | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """What outlives the agreement: duties by name; and what becomes of the material it was given under.

    `delete_within` None: the material may be kept under the duties; else it is deleted that long after the end.
    """

    duties: frozenset[str]
    delete_within: Duration | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRules:
    """Questions of hit and no hit: whether they may be put, with how many identifiers at least, and how many a day."""

    mode: str
    min_identifiers: int
    quota_per_day: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The agreement in one language, by the digest of the file; `authentic` says that it binds beside the terms."""

    language: str
    digest: Digest
    authentic: bool


def read_assurances(fields: Reader, members: Collection[PartyId]) -> tuple[Assurance, ...]:
    """The assurances, in the order they are written; none where the field is absent."""
    if not fields.has("assurances"):
        return ()
    found = list[Assurance]()
    for item in fields.items("assurances", least=1, most=_MAX_ASSURANCES):
        inner = item.open()
        assurance = Assurance(
            kind=inner.word("kind", ASSURANCES),
            given_by=inner.party("given_by", members),
            document=inner.digest("document"),
            valid_until=inner.instant("valid_until"),
        )
        inner.close()
        found.append(assurance)
    return tuple(found)


def read_retention(fields: Reader) -> Retention | None:
    """The rule of retention; None where none was agreed."""
    if not fields.has("retention"):
        return None
    inner = fields.item("retention").open()
    retention = Retention(
        review_after=inner.duration("review_after"),
        maximum=inner.duration("maximum") if inner.has("maximum") else None,
    )
    inner.word("no_decision", ["delete"])
    inner.close()
    return retention


def read_survival(fields: Reader) -> Survival:
    """What outlives the agreement; where the field is absent, every duty does and the material may be kept."""
    if not fields.has("survival"):
        return Survival(duties=DUTIES, delete_within=None)
    inner = fields.item("survival").open()
    material = inner.word("material", ["keep", "delete"])
    within = inner.duration("within") if inner.has("within") else None
    if (material == "delete") != (within is not None):
        raise inner.refuse("within", "says how soon, exactly when material is 'delete'")
    survival = Survival(duties=inner.words("duties", DUTIES), delete_within=within)
    inner.close()
    return survival


def read_existence(fields: Reader) -> tuple[str, str | None]:
    """What may be said outside, and the agreed sentence; nothing said in the terms is neither confirm nor deny."""
    existence = fields.word("existence", EXISTENCE) if fields.has("existence") else "ncnd"
    line = fields.maybe_text("public_line")
    if line is not None and existence == "ncnd":
        raise fields.refuse("public_line", "an agreement that is neither confirmed nor denied has no public line")
    return existence, line


def read_response_times(fields: Reader) -> Mapping[str, Duration]:
    """How soon each kind of message is to be answered; only what is named has a time."""
    if not fields.has("response_times"):
        return {}
    inner = fields.item("response_times").open()
    times = {name: inner.duration(name) for name in sorted(RESPONSES) if inner.has(name)}
    inner.close()
    return times


def read_query_rules(fields: Reader) -> QueryRules | None:
    """The rules for questions of hit and no hit; None where none were agreed, and then none may be put."""
    if not fields.has("query_rules"):
        return None
    inner = fields.item("query_rules").open()
    rules = QueryRules(
        mode=inner.word("mode", QUERY_MODES),
        min_identifiers=inner.whole("min_identifiers", least=2, most=16),
        quota_per_day=inner.whole("quota_per_day", least=0, most=1_000_000),
    )
    inner.close()
    return rules


def read_texts(fields: Reader) -> tuple[Text, ...]:
    """The agreement in other languages, in the order they are written."""
    if not fields.has("texts"):
        return ()
    found = list[Text]()
    for item in fields.items("texts", least=1, most=_MAX_TEXTS):
        inner = item.open()
        language = inner.text("language")
        if LANGUAGE.fullmatch(language) is None:
            raise inner.refuse("language", "must be a language tag such as 'fr' or 'pt-BR' (RFC 5646)")
        found.append(Text(language=language, digest=inner.digest("digest"), authentic=inner.flag("authentic")))
        inner.close()
    if len({item.language for item in found}) < len(found):
        raise fields.refuse("texts", "a language is named twice")
    return tuple(found)
