# SPDX-License-Identifier: Apache-2.0
"""Pure: one party's own position on legal bases, and its judgement of terms by it.

    refused_frameworks = ["coalition-dawn"]
    [[recognised]]
    kind = "unsc_resolution"
    reference = "S/RES/9101"        # or "*" for every reference of that kind
    [[not_recognised]]              # the position that partners are told; what stands in neither has no position
    kind = "article_51"
    reference = "*"
    [[demanded_assurances]]
    kind = "no_torture"
    of = "meridia"                  # or "*" for every other party

The system records and applies the position; it never says that something is lawful. It is asked before this party
signs, and again whenever something would be given: a basis that has run out closes the gate by itself.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from comity.agreement.drafting import parse_toml, with_line
from comity.agreement.events import Position
from comity.agreement.lifecycle import Standing, is_valid
from comity.agreement.reader import Reader
from comity.agreement.terms import LegalBasis, Terms
from comity.agreement.transitions import State
from comity.errors import MalformedTerms
from comity.ids import Instant, PartyId
from comity.vocabulary import ASSURANCES, LEGAL_BASIS_KINDS

__all__ = [
    "Demand",
    "Policy",
    "Recognised",
    "Refusal",
    "find_lost_recognition",
    "judge",
    "parse_policy",
    "read_policy",
    "take_positions",
]

_MAX_RULES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """An assurance that the party wants from another, or (`of` None) from every other."""

    kind: str
    of: PartyId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a party recognises and what not: pairs of a kind of basis and a reference ("*": any).

    And the frameworks it stays out of, and the assurances it demands.
    """

    recognised: frozenset[tuple[str, str]]
    not_recognised: frozenset[tuple[str, str]]
    refused_frameworks: frozenset[str]
    demands: frozenset[Demand]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """At least one basis that the party cites for itself is recognised by it, and valid: these."""

    bases: tuple[LegalBasis, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The party's own policy says no: the clause, and a sentence for its legal officer.

    `told` is the sentence for other parties, where `reason` says what else stands in the policy.
    """

    clause: str
    reason: str
    told: str | None = None


def parse_policy(toml: bytes) -> Policy:
    """The policy in a file; an empty one recognises nothing.

    Raises:
        MalformedTerms: what is wrong, with its line.
    """
    text, value = parse_toml(toml)
    fields = Reader(value, "", MalformedTerms)
    try:
        return read_policy(fields)
    except MalformedTerms as error:
        raise with_line(error, text) from error


def read_policy(reader: Reader) -> Policy:
    """The policy in a table of fields, and nothing else in it."""
    fields = reader.open()
    policy = Policy(
        recognised=frozenset(_read_rule(rule) for rule in _items(fields, "recognised")),
        not_recognised=frozenset(_read_rule(rule) for rule in _items(fields, "not_recognised")),
        refused_frameworks=fields.texts("refused_frameworks"),
        demands=frozenset(_read_demand(rule) for rule in _items(fields, "demanded_assurances")),
    )
    if both := sorted(policy.recognised & policy.not_recognised):
        raise fields.refuse("not_recognised", f"{' '.join(both[0])} is also in recognised")
    fields.close()
    return policy


def judge(
    policy: Policy,
    terms: Terms,
    *,
    party: PartyId,
    now: Instant,
    joining: Collection[LegalBasis] = (),
    towards: PartyId | None = None,
) -> Recognised | Refusal:
    """What `policy` of `party` says of `terms` at `now`.

    A refused framework first, then the assurances it demands, then the bases cited for itself; `joining` are the bases
    that it cites as a joiner, beside the text. `towards` is a joiner that something would be given to: no text has an
    assurance of one.
    """
    if terms.framework is not None and terms.framework in policy.refused_frameworks:
        return Refusal(
            clause="framework",
            reason=f"{party} takes no part in the framework {terms.framework!r} (refused_frameworks in its policy)",
        )
    others = (terms.founders | ({towards} if towards is not None else frozenset())) - {party}
    if missing := _find_missing_assurance(policy, terms, party=party, others=others, now=now):
        return Refusal(clause="assurances", reason=missing)
    own = [basis for basis in (*terms.legal_bases, *joining) if basis.party == party]
    if not own:
        return Refusal(clause="legal_bases", reason=f"the terms cite no legal basis for {party}")
    known = [basis for basis in own if _take_position(policy, basis) is Position.RECOGNISED]
    valid = tuple(basis for basis in known if is_valid(basis, now))
    if valid:
        return Recognised(bases=valid)
    if known:
        return Refusal(
            clause="legal_bases",
            reason=f"every basis that {party} recognises here is outside its validity: {_list(known)}",
        )
    wanted = ", ".join(sorted(f"{kind} {reference}" for kind, reference in policy.recognised)) or "none"
    told = f"{party} recognises none of the bases cited for it ({_list(own)})"
    return Refusal(clause="legal_bases", reason=f"{told}; its policy recognises: {wanted}", told=told)


def find_lost_recognition(policy: Policy, standing: Standing, *, party: PartyId, now: Instant) -> Refusal | None:
    """Why the party's own policy no longer lets an agreement be in force that is; None where it does, or all know."""
    terms = standing.current
    if terms is None or standing.state is not State.IN_FORCE or party not in standing.members:
        return None
    if any(lapse.party == party for lapse in standing.lapses):
        return None
    judged = judge(policy, terms, party=party, now=now, joining=standing.joining_bases(party))
    return judged if isinstance(judged, Refusal) else None


def take_positions(policy: Policy, terms: Terms) -> tuple[Position, ...]:
    """The party's position on each legal basis of the text, whoever cites it, in their order."""
    return tuple(_take_position(policy, basis) for basis in terms.legal_bases)


def _items(fields: Reader, name: str) -> Iterator[Reader]:
    return fields.items(name, least=1, most=_MAX_RULES) if fields.has(name) else iter(())


def _read_rule(reader: Reader) -> tuple[str, str]:
    fields = reader.open()
    rule = (fields.word("kind", LEGAL_BASIS_KINDS), fields.text("reference"))
    fields.close()
    return rule


def _read_demand(reader: Reader) -> Demand:
    fields = reader.open()
    kind, of = fields.word("kind", ASSURANCES), fields.text("of")
    demand = Demand(kind=kind, of=None if of == "*" else fields.as_party("of", of))
    fields.close()
    return demand


def _take_position(policy: Policy, basis: LegalBasis) -> Position:
    """The position on that very reference before the one on every reference of the kind; of two alike, the refusal."""
    for reference in (basis.reference, "*"):
        if (basis.kind, reference) in policy.not_recognised:
            return Position.NOT_RECOGNISED
        if (basis.kind, reference) in policy.recognised:
            return Position.RECOGNISED
    return Position.NO_POSITION


def _find_missing_assurance(
    policy: Policy, terms: Terms, *, party: PartyId, others: Collection[PartyId], now: Instant
) -> str | None:
    """Which demanded assurance the text does not have from whom, or no longer."""
    for demand in sorted(policy.demands, key=lambda demand: (demand.kind, demand.of or "")):
        for other in sorted(others):
            if demand.of not in {None, other}:
                continue
            given = [each for each in terms.assurances if each.kind == demand.kind and each.given_by == other]
            if not any(now < each.valid_until for each in given):
                state = "which ran out" if given else "which the terms do not have"
                return f"{party} demands the assurance {demand.kind} of {other}, {state} (demanded_assurances)"
    return None


def _list(bases: list[LegalBasis]) -> str:
    return ", ".join(f"{basis.kind} {basis.reference}" for basis in bases)
