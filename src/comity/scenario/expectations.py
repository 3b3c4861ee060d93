# SPDX-License-Identifier: Apache-2.0
"""Pure: what a scenario says must follow, at which time.

    {at: …, agreement: pact, state: in force, says: agreed by all, owes: {}}           the life cycle
    {at: …, from: aurelia, to: borealia, gets: [warning]}                              exactly this leaves
    {at: …, from: aurelia, to: borealia, decisions: {photo: "withhold: person_classes", note: "redact: description"}}

A decision is written as the matrix shows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from comity.agreement.reader import Reader
from comity.agreement.terms import Terms
from comity.agreement.transitions import State
from comity.errors import MalformedScenario
from comity.ids import Instant, PartyId
from comity.release.clauses import CLAUSES
from comity.release.verdict import Verdict
from comity.scenario.document import Document

__all__ = ["CLAUSE_WORDS", "Expectation", "ExpectedFlow", "ExpectedStanding", "Names", "format_verdict"]

_MAX_EXPECTATIONS = 500
_MAX_DECISIONS = 200

CLAUSE_WORDS = frozenset(
    {
        "assurances",
        "framework",
        "history",
        "legal_bases",
        "parties",
        "reservations",
        "sanitise",
        "status",
        *(clause.name for clause in CLAUSES),
    }
)
"""Every clause that can withhold: those of the table, of the gate, of history and of redaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a scenario can name."""

    parties: frozenset[PartyId]
    agreements: Mapping[str, Terms]
    objects: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedStanding:
    """Where an agreement stands at `at`, as each of `seen_by` sees it (empty: everybody bound by it).

    `owes` is party → what it could do next, nobody else owing anything; None asks nothing.
    """

    line: int
    at: Instant
    agreement: str
    state: State | None
    says: str | None
    owes: Mapping[PartyId, str] | None
    seen_by: tuple[PartyId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedFlow:
    """What `giver` gives `receiver` at `at`: under any agreement, or one, or one channel of it.

    `decisions` is object → (what is expected, as the matrix writes it; its line); `gets` exactly what leaves, None asks
    nothing.
    """

    line: int
    at: Instant
    giver: PartyId
    receiver: PartyId
    under: str | None
    channel: str | None
    decisions: Mapping[str, tuple[str, int]]
    gets: frozenset[str] | None


Expectation = ExpectedStanding | ExpectedFlow


def format_verdict(verdict: Verdict) -> str:
    """A verdict as scenarios and matrices write it: "release", "redact: a, b" or "withhold: clause"."""
    if verdict.decision == "redact":
        return f"redact: {', '.join(verdict.redacted)}"
    return verdict.decision if verdict.clause is None else f"{verdict.decision}: {verdict.clause}"


def read_expectations(fields: Reader, names: Names, document: Document) -> tuple[Expectation, ...]:
    """The expectations, in the order written; there is at least one."""
    return tuple(
        _read(reader, names, document) for reader in fields.items("expectations", least=1, most=_MAX_EXPECTATIONS)
    )


def _read(reader: Reader, names: Names, document: Document) -> Expectation:
    fields = reader.open()
    line = document.find_line(reader.where)
    found = _read_flow(fields, names, document, line) if fields.has("from") else _read_standing(fields, names, line)
    fields.close()
    return found


def _read_standing(fields: Reader, names: Names, line: int) -> ExpectedStanding:
    states = [state.value for state in State]
    expected = ExpectedStanding(
        line=line,
        at=fields.instant("at"),
        agreement=fields.word("agreement", names.agreements),
        state=State(fields.word("state", states)) if fields.has("state") else None,
        says=fields.maybe_text("says"),
        owes=_read_owed(fields, names) if fields.has("owes") else None,
        seen_by=tuple(sorted(fields.parties("seen_by", names.parties))),
    )
    if expected.state is None and expected.says is None and expected.owes is None:
        raise fields.refuse("state", "is missing; expect a state, says or owes of an agreement")
    return expected


def _read_owed(fields: Reader, names: Names) -> dict[PartyId, str]:
    owed: dict[PartyId, str] = {}
    for party, reader in fields.entries("owes", most=len(names.parties)):
        if party not in names.parties or not isinstance(reader.value, str):
            raise fields.refuse("owes", f"says of parties ({', '.join(sorted(names.parties))}) what they could do next")
        owed[PartyId(party)] = reader.value
    return owed


def _read_flow(fields: Reader, names: Names, document: Document, line: int) -> ExpectedFlow:
    decisions = {
        name: (_read_decision(name, reader), document.find_line(reader.where))
        for name, reader in fields.entries("decisions", most=_MAX_DECISIONS)
    }
    if unknown := sorted(decisions.keys() - names.objects):
        raise fields.refuse("decisions", f"{unknown[0]!r} is no object of the scenario: {_list(names.objects)}")
    expected = ExpectedFlow(
        line=line,
        at=fields.instant("at"),
        giver=fields.party("from", names.parties),
        receiver=fields.party("to", names.parties),
        under=fields.word("under", names.agreements) if fields.has("under") else None,
        channel=_read_channel(fields, names),
        decisions=decisions,
        gets=_read_gets(fields, names) if fields.has("gets") else None,
    )
    if not decisions and expected.gets is None:
        raise fields.refuse("decisions", "is missing; expect decisions, or what the receiver gets")
    return expected


def _read_channel(fields: Reader, names: Names) -> str | None:
    if not fields.has("channel"):
        return None
    under = fields.word("under", names.agreements)
    return fields.word("channel", [channel.id for channel in names.agreements[under].channels])


def _read_gets(fields: Reader, names: Names) -> frozenset[str]:
    found = fields.texts("gets")
    if unknown := sorted(found - names.objects):
        raise fields.refuse("gets", f"{unknown[0]!r} is no object of the scenario: {_list(names.objects)}")
    return found


def _read_decision(name: str, reader: Reader) -> str:
    word, _, rest = str(reader.value).partition(":")
    words = sorted({part.strip() for part in rest.split(",")} - {""})
    match word:
        case "release" if not rest:
            return word
        case "redact" if words:
            return f"redact: {', '.join(words)}"
        case "withhold" if len(words) == 1 and words[0] in CLAUSE_WORDS:
            return f"withhold: {words[0]}"
    raise MalformedScenario(
        f'{name}: write release, "redact: property, …" or "withhold: clause" with one of {_list(CLAUSE_WORDS)}',
        where=reader.where,
    )


def _list(words: frozenset[str]) -> str:
    return ", ".join(sorted(words))
