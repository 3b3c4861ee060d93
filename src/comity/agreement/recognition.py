# SPDX-License-Identifier: Apache-2.0
"""Pure: one party's own position on legal bases, and its judgement of terms by it.

    refused_frameworks = ["coalition-dawn"]
    [[recognised]]
    kind = "unsc_resolution"
    reference = "S/RES/9101"        # or "*" for every reference of that kind

The system records and applies the position; it never says that something is lawful. It is asked before this party
signs, and again whenever something would be given: a basis that has run out closes the gate by itself.
"""

from dataclasses import dataclass

from comity.agreement.drafting import parse_toml, with_line
from comity.agreement.reader import Reader
from comity.agreement.terms import LegalBasis, Terms
from comity.errors import MalformedTerms
from comity.ids import Instant, PartyId
from comity.vocabulary import LEGAL_BASIS_KINDS

__all__ = ["Policy", "Recognised", "Refusal", "judge", "parse_policy"]

_MAX_RULES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a party recognises: pairs of a kind of basis and a reference ("*": any); and frameworks it stays out of."""

    recognised: frozenset[tuple[str, str]]
    refused_frameworks: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """At least one basis that the party cites for itself is recognised by it, and valid: these."""

    bases: tuple[LegalBasis, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The party's own policy says no: the clause, and a sentence for its legal officer."""

    clause: str
    reason: str


def parse_policy(toml: bytes) -> Policy:
    """The policy in a file; an empty one recognises nothing.

    Raises:
        MalformedTerms: what is wrong, with its line.
    """
    text, value = parse_toml(toml)
    fields = Reader(value, "", MalformedTerms)
    try:
        fields.open()
        rules = fields.items("recognised", least=1, most=_MAX_RULES) if fields.has("recognised") else iter(())
        policy = Policy(
            recognised=frozenset(_read_rule(rule) for rule in rules),
            refused_frameworks=fields.texts("refused_frameworks"),
        )
        fields.close()
    except MalformedTerms as error:
        raise with_line(error, text) from error
    return policy


def judge(policy: Policy, terms: Terms, *, party: PartyId, now: Instant) -> Recognised | Refusal:
    """What `policy` of `party` says of `terms` at `now`: a refused framework first, then the bases cited for itself."""
    if terms.framework is not None and terms.framework in policy.refused_frameworks:
        return Refusal(
            clause="framework",
            reason=f"{party} takes no part in the framework {terms.framework!r} (refused_frameworks in its policy)",
        )
    own = [basis for basis in terms.legal_bases if basis.party == party]
    if not own:
        return Refusal(clause="legal_bases", reason=f"the terms cite no legal basis for {party}")
    known = [basis for basis in own if _is_recognised(policy, basis)]
    valid = tuple(basis for basis in known if _is_valid(basis, now))
    if valid:
        return Recognised(bases=valid)
    if known:
        return Refusal(
            clause="legal_bases",
            reason=f"every basis that {party} recognises here is outside its validity: {_list(known)}",
        )
    wanted = ", ".join(sorted(f"{kind} {reference}" for kind, reference in policy.recognised)) or "none"
    return Refusal(
        clause="legal_bases",
        reason=f"{party} recognises none of the bases cited for it ({_list(own)}); its policy recognises: {wanted}",
    )


def _read_rule(reader: Reader) -> tuple[str, str]:
    fields = reader.open()
    rule = (fields.word("kind", LEGAL_BASIS_KINDS), fields.text("reference"))
    fields.close()
    return rule


def _is_recognised(policy: Policy, basis: LegalBasis) -> bool:
    return not policy.recognised.isdisjoint({(basis.kind, basis.reference), (basis.kind, "*")})


def _is_valid(basis: LegalBasis, now: Instant) -> bool:
    begun = basis.valid_from is None or basis.valid_from <= now
    return begun and (basis.valid_until is None or now < basis.valid_until)


def _list(bases: list[LegalBasis]) -> str:
    return ", ".join(f"{basis.kind} {basis.reference}" for basis in bases)
