# SPDX-License-Identifier: Apache-2.0
"""Pure: a scenario, parsed: who there is, what they signed and hold, what happened when, and what must follow.

    format: comity-scenario/1
    title: The two statements
    story: Aurelia says that there is an agreement. Borealia asks which.
    parties: [aurelia, borealia]
    agreements: {pact: {…}}
    objects: {warning: {type: indicator, from: aurelia, …}}
    events:
      - {at: 2026-10-14T12:00:00Z, by: aurelia, kind: propose, agreement: pact}
    expectations:
      - {at: 2026-10-15T00:00:00Z, agreement: pact, state: proposed}

Every error names the line. The format: docs/spec/scenario.md. Not here: what really follows (`scenario.run`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from comity.agreement.reader import Reader
from comity.agreement.recognition import Policy, read_policy
from comity.agreement.terms import LegalBasis, Terms
from comity.errors import MalformedError, MalformedScenario
from comity.ids import Digest, Instant, PartyId, parse_party_id
from comity.scenario.document import Document, read_document
from comity.scenario.drafts import derive_digest, read_agreements
from comity.scenario.expectations import Expectation, Names, read_expectations
from comity.scenario.happenings import Happening, read_happenings
from comity.scenario.material import Item, read_items

__all__ = ["FORMAT", "Scenario", "parse_scenario"]

FORMAT = "comity-scenario/1"

_MAX_PARTIES = 32
_MAX_TIMES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A scenario. `policies` has every party; `agreements` every version by its name; `matrix` the times to draw."""

    title: str
    story: str
    manifests: Mapping[PartyId, Digest]
    policies: Mapping[PartyId, Policy]
    agreements: Mapping[str, Terms]
    items: tuple[Item, ...]
    happenings: tuple[Happening, ...]
    expectations: tuple[Expectation, ...]
    matrix: tuple[Instant, ...]


def parse_scenario(data: bytes) -> Scenario:
    """The scenario in a file.

    Raises:
        MalformedScenario: what is wrong and what is allowed there; `where` is the line.
    """
    document = read_document(data)
    try:
        return _read(Reader(document.value, "", MalformedScenario), document)
    except MalformedError as error:
        if not error.where.startswith("/"):
            raise
        line = document.find_line(error.where.rstrip("/"))
        raise MalformedScenario(f"line {line}: {error.detail}", where=f"line {line}") from error


def _read(reader: Reader, document: Document) -> Scenario:
    fields = reader.open()
    if fields.text("format") != FORMAT:
        raise fields.refuse("format", f"write format: {FORMAT}, the one this version knows")
    story = fields.maybe_prose("story")
    if story is None:
        raise fields.refuse("story", "is missing; say in a sentence or two what happens")
    manifests = _read_parties(fields)
    agreements = read_agreements(fields, manifests)
    items = read_items(fields, manifests)
    names = Names(parties=frozenset(manifests), agreements=agreements, objects=frozenset(item.name for item in items))
    happenings = read_happenings(fields, names, document)
    scenario = Scenario(
        title=fields.text("title"),
        story=" ".join(story.split()),
        manifests=manifests,
        policies=_read_policies(fields, manifests, _collect_bases(agreements, happenings)),
        agreements=agreements,
        items=items,
        happenings=happenings,
        expectations=read_expectations(fields, names, document),
        matrix=_read_matrix(fields),
    )
    fields.close()
    return scenario


def _read_parties(fields: Reader) -> dict[PartyId, Digest]:
    """Ids, or tables of `id` and `manifest`."""
    manifests: dict[PartyId, Digest] = {}
    for reader in fields.items("parties", least=2, most=_MAX_PARTIES):
        if isinstance(reader.value, str):
            party, manifest = _parse_party(reader), None
        else:
            inner = reader.open()
            party, manifest = inner.party("id"), inner.maybe_digest("manifest")
            inner.close()
        if party in manifests:
            raise fields.refuse("parties", f"{party} is named twice")
        manifests[party] = manifest or derive_digest("manifest", party)
    return manifests


def _parse_party(reader: Reader) -> PartyId:
    try:
        return parse_party_id(str(reader.value))
    except MalformedError as error:
        raise MalformedScenario(error.detail, where=reader.where) from error


def _collect_bases(agreements: Mapping[str, Terms], happenings: tuple[Happening, ...]) -> tuple[LegalBasis, ...]:
    """Every basis that anybody cites in the scenario, in a text or as a joiner."""
    in_texts = [basis for terms in agreements.values() for basis in terms.legal_bases]
    return (*in_texts, *(basis for happening in happenings for basis in happening.bases))


def _read_policies(
    fields: Reader, manifests: Mapping[PartyId, Digest], bases: tuple[LegalBasis, ...]
) -> dict[PartyId, Policy]:
    """Each party's policy. Where `recognised` is left out, the party recognises every basis that is cited for it.

    What it does not recognise goes before.
    """
    written = dict(fields.entries("policies", most=_MAX_PARTIES))
    if unknown := sorted(written.keys() - manifests.keys()):
        raise MalformedScenario(
            f"{unknown[0]!r} is not one of the parties: {', '.join(manifests)}", where=written[unknown[0]].where
        )
    policies: dict[PartyId, Policy] = {}
    for party in manifests:
        reader = written.get(party)
        value = {} if reader is None else reader.value
        where = "" if reader is None else reader.where
        policy = read_policy(Reader(value, where, MalformedScenario))
        if isinstance(value, dict) and "recognised" not in value:
            cited = {(basis.kind, basis.reference) for basis in bases if basis.party == party}
            refused = {
                rule for rule in cited if rule in policy.not_recognised or (rule[0], "*") in policy.not_recognised
            }
            policy = Policy(
                recognised=frozenset(cited - refused),
                not_recognised=policy.not_recognised,
                refused_frameworks=policy.refused_frameworks,
                demands=policy.demands,
            )
        policies[party] = policy
    return policies


def _read_matrix(fields: Reader) -> tuple[Instant, ...]:
    if not fields.has("matrix"):
        return ()
    value = fields.item("matrix").value
    if not isinstance(value, list) or not 0 < len(value) <= _MAX_TIMES:
        raise fields.refuse("matrix", f"must be a list of 1 to {_MAX_TIMES} times")
    return tuple(sorted({fields.as_instant("matrix", item) for item in value}))
