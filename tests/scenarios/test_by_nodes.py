# SPDX-License-Identifier: Apache-2.0
"""What a scenario says is what nodes do: real nodes with keys, stores, logs and messages carry it out, step by step.

Left out are scenarios in which messages are held up or a node keeps to no rule: an honest node does neither.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from comity.agreement.drafting import convert_terms
from comity.agreement.events import EventKind
from comity.agreement.people import Role
from comity.agreement.recognition import Policy, Refusal
from comity.agreement.terms import LegalBasis, Terms, parse_terms
from comity.canonical import Json, sha256_digest
from comity.errors import ComityError
from comity.ids import AgreementId, Instant, ObjectId, PartyId, format_instant
from comity.node import agree, ingest, receive, upkeep
from comity.node.explain import Verdict, explain
from comity.node.gate import list_open_collections
from comity.node.necessity import decide_necessity, list_undecided
from comity.node.poll import Page, PollRequest, Selection, poll
from comity.node.standing import Collection, read_dossier
from comity.release.disclosure import Answer
from comity.release.verdict import rank_verdict
from comity.scenario.expectations import Expectation, ExpectedFlow, ExpectedStanding, format_verdict
from comity.scenario.happenings import Happening, Short
from comity.scenario.material import Item
from comity.scenario.parse import Scenario, parse_scenario
from comity.stix.labels import make_tags
from tests.worlds import World

pytestmark = pytest.mark.slow

FILES = sorted(Path(__file__).parent.glob("*.yaml"))
SCENARIOS = {path.stem: parse_scenario(path.read_bytes()) for path in FILES}
HONEST = [
    name
    for name, scenario in SCENARIOS.items()
    if not any(happening.unchecked or happening.arrives > happening.at for happening in scenario.happenings)
]


class Played:
    """A scenario on its way through real nodes; what the scenario names is found by its name."""

    def __init__(self, scenario: Scenario, world: World) -> None:
        self.scenario = scenario
        self.world = world
        self.terms: dict[str, Terms] = {}
        self.events: dict[str, str] = {}
        self.ids = {item.name: item.object.id for item in scenario.items}
        world.found(*scenario.manifests)
        for node in world.nodes.values():
            node._last = Instant(0)  # they were founded today, and the scenario plays at its own time
        for party, policy in scenario.policies.items():
            (world.folder / party / "recognition.toml").write_text(write_policy(policy))
        real_ids: dict[str, str] = {}
        for name, terms in scenario.agreements.items():
            self.terms[name] = parse_terms(convert_terms(self.write_terms(terms, real_ids)))
            real_ids[terms.hash] = self.terms[name].hash

    def write_terms(self, terms: Terms, real_ids: dict[str, str]) -> bytes:
        """The text of the scenario as TOML, by the manifests of the real nodes."""
        value = json.loads(terms.document)
        for party in value["parties"]:
            party["manifest"] = self.world.manifests[party["id"]].digest
        for field in ("agreement", "supersedes"):
            if field in value:
                value[field] = real_ids[value[field]]
        return "\n".join(f"{name} = {to_toml(item)}" for name, item in value.items()).encode()

    # --- what happens -------------------------------------------------------------------------------------------------

    def play(self, *, until: Instant, after: Instant | None) -> None:
        """Everything later than `after` and not later than `until`, in the order of the scenario."""
        steps: list[tuple[Instant, Callable[[], None]]] = [
            *((at, partial(self.add, items)) for at, items in self.list_bundles()),
            *((at, partial(self.happen, *step)) for at, step in self.list_happenings()),
        ]
        for at, step in sorted(steps, key=lambda entry: entry[0]):
            if at <= until and (after is None or at > after):
                self.world.now = at
                self.keep_up()
                step()
                self.keep_up()
        self.world.now = until
        self.keep_up()

    def list_bundles(self) -> Iterator[tuple[Instant, list[Item]]]:
        bundles: dict[tuple[Instant, PartyId], list[Item]] = {}
        for item in self.scenario.items:
            bundles.setdefault((item.added, item.originator), []).append(item)
        yield from ((at, items) for (at, _), items in bundles.items())

    def list_happenings(self) -> Iterator[tuple[Instant, tuple[Happening, PartyId]]]:
        for happening in self.scenario.happenings:
            founders = [] if happening.agreement is None else self.terms[happening.agreement].parties
            for party in happening.parties or [party.id for party in founders]:
                yield happening.at, (happening, party)

    def keep_up(self) -> None:
        self.world.deliver()
        while any(upkeep.keep_up(node) for node in self.world.nodes.values()):
            self.world.deliver()

    def add(self, items: list[Item]) -> None:
        node = self.world.nodes[items[0].originator]
        intake = ingest.add_objects(node, make_bundle(items), tags=make_tags())
        assert intake.bad == ()
        # A scenario is of what terms admit: its people have decided on what they must decide on.
        for waiting in list_undecided(node):
            for role in (Role.LIAISON, Role.LEGAL):
                decide_necessity(node, waiting.id, reason="needed", by=self.world.actor(node.party, role))

    def happen(self, happening: Happening, party: PartyId) -> None:
        done = self.act_or_refuse(happening, party)
        refused = done.clause if isinstance(done, Refusal) else None
        assert refused == happening.refused, f"line {happening.line}: {done}"
        if happening.name is not None and isinstance(done, agree.Recorded):
            self.events[happening.name] = done.event.digest

    def act_or_refuse(self, happening: Happening, party: PartyId) -> agree.Recorded | Refusal | None:
        try:
            return self.act(happening, party)
        except ComityError as error:
            return Refusal(clause=error.code, reason=error.detail)

    def act(self, happening: Happening, party: PartyId) -> agree.Recorded | Refusal | None:
        node = self.world.nodes[party]
        if happening.agreement is None:
            self.pull(party, PartyId(happening.giver or ""))
            return None
        terms = self.terms[happening.agreement]
        kind = self.find_kind(happening, party, terms)
        about_version = kind in {EventKind.ACCEPT, EventKind.REJECT, EventKind.WITHDRAW, EventKind.CLARIFY}
        prefix = terms.hash if about_version else terms.agreement_id
        if kind in {EventKind.PROPOSE, EventKind.COUNTER}:
            toml = "\n".join(f"{name} = {to_toml(item)}" for name, item in json.loads(terms.document).items())
            return self.world.both(
                party, lambda by: agree.propose(node, toml.encode(), reservations=happening.reservations, by=by)
            )
        if kind is EventKind.ADMIT:
            joiner = PartyId(happening.joiner or "")
            return self.world.both(party, lambda by: agree.admit(node, prefix, joiner, by=by))
        if kind is EventKind.ACCEDE:
            bases = write_bases(happening.bases)
            return self.world.both(
                party, lambda by: agree.accede(node, prefix, bases, reservations=happening.reservations, by=by)
            )
        return self.world.act_on(
            party,
            prefix,
            kind,
            clause=happening.clause,
            channel=happening.channel,
            text=happening.text,
            re=None if happening.re is None else self.events[happening.re],
            reservations=happening.reservations,
        )

    def find_kind(self, happening: Happening, party: PartyId, terms: Terms) -> EventKind:
        if isinstance(happening.kind, EventKind):
            return happening.kind
        assert happening.kind is Short.SIGN
        node = self.world.nodes[party]
        with node.store.read() as transaction:
            dossier = read_dossier(node, transaction, terms.agreement_id)
        known = dossier is not None and terms.hash in {version.hash for version in dossier.versions}
        return EventKind.ACCEPT if known else EventKind.PROPOSE

    def pull(self, receiver: PartyId, giver: PartyId) -> None:
        for collection, page in self.poll(giver, receiver):
            if page.items:
                received = receive.Received(
                    giver=giver,
                    terms=collection.terms.hash,
                    channel=collection.channel,
                    collection=collection.id,
                    added_after=None,
                )
                data = b'{"objects":[' + b",".join(item.data for item in page.items) + b"]}"
                assert receive.receive_page(self.world.nodes[receiver], data, received).bad == ()

    def poll(self, giver: PartyId, receiver: PartyId) -> Iterator[tuple[Collection, Page]]:
        node = self.world.nodes[giver]
        for collection in list_open_collections(node, receiver):
            request = PollRequest(
                recipient=receiver,
                collection=collection.id,
                answer=Answer.OBJECTS,
                selection=Selection(after=Instant(0)),
            )
            yield collection, poll(node, request)

    # --- what follows -------------------------------------------------------------------------------------------------

    def check(self, expected: Expectation) -> None:
        match expected:
            case ExpectedStanding():
                self.check_standing(expected)
            case ExpectedFlow():
                self.check_flow(expected)

    def check_standing(self, expected: ExpectedStanding) -> None:
        versions = [
            terms for terms in self.terms.values() if terms.agreement_id == self.terms[expected.agreement].agreement_id
        ]
        for party in expected.seen_by or frozenset[PartyId]().union(*(terms.founders for terms in versions)):
            node = self.world.nodes[party]
            with node.store.read() as transaction:
                dossier = read_dossier(node, transaction, versions[0].agreement_id)
            standing = None if dossier is None else dossier.standing(now=self.world.now)
            if expected.state is not None:
                assert ("draft" if standing is None else standing.state) == expected.state, f"line {expected.line}"
            if expected.says is not None:
                assert standing is not None
                assert expected.says in standing.sentence, f"line {expected.line}"

    def check_flow(self, expected: ExpectedFlow) -> None:
        newest = {item.object.id: item.name for item in sorted(self.scenario.items, key=lambda item: item.added)}
        for name, (wanted, line) in expected.decisions.items():
            if newest[self.ids[name]] == name or not self.is_updated(name):
                assert format_verdict(self.find_verdict(expected, self.ids[name])) == wanted, f"line {line}"
        if expected.gets is not None:
            under = None if expected.under is None else self.terms[expected.under].agreement_id
            given = {
                item.id
                for collection, page in self.poll(expected.giver, expected.receiver)
                if under in {None, collection.dossier.id} and expected.channel in {None, collection.channel.id}
                for item in page.items
            }
            assert given == {self.ids[name] for name in expected.gets}, f"line {expected.line}"

    def is_updated(self, name: str) -> bool:
        later = [item for item in self.scenario.items if item.object.id == self.ids[name] and item.name != name]
        return any(item.added <= self.world.now for item in later)

    def find_verdict(self, expected: ExpectedFlow, name: ObjectId) -> Verdict:
        explained = explain(self.world.nodes[expected.giver], name, to=expected.receiver)
        if expected.under is None:
            return explained.verdict
        agreement = AgreementId(self.terms[expected.under].agreement_id)
        readings = [
            reading
            for reading in explained.readings
            if reading.agreement == agreement and expected.channel in {None, reading.channel}
        ]
        nothing = Verdict(decision="withhold", clause="status")
        ranked = min(readings, key=lambda one: rank_verdict(one.verdict, gated=one.gate is not None), default=None)
        return nothing if ranked is None else ranked.verdict


@pytest.mark.parametrize("name", HONEST)
def test_nodes_do_what_the_scenario_says(name: str, tmp_path: Path) -> None:
    scenario, world = SCENARIOS[name], World(tmp_path)
    with closing(world):
        played = Played(scenario, world)
        before: Instant | None = None
        for expected in sorted(scenario.expectations, key=lambda expected: expected.at):
            played.play(until=expected.at, after=before)
            played.check(expected)
            before = expected.at


def test_most_scenarios_are_played() -> None:
    assert len(HONEST) >= 20


# --- as files ---------------------------------------------------------------------------------------------------------


def to_toml(value: Json) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(name)} = {to_toml(item)}" for name, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(to_toml, value)) + "]"
        case _:
            return json.dumps(value)


def write_policy(policy: Policy) -> str:
    lines = [f"refused_frameworks = {to_toml([*sorted(policy.refused_frameworks)])}"]
    for name, rules in (("recognised", policy.recognised), ("not_recognised", policy.not_recognised)):
        for kind, reference in sorted(rules):
            lines += [f"[[{name}]]", f"kind = {to_toml(kind)}", f"reference = {to_toml(reference)}"]
    for demand in policy.demands:
        lines += ["[[demanded_assurances]]", f"kind = {to_toml(demand.kind)}", f"of = {to_toml(demand.of or '*')}"]
    return "\n".join(lines)


def write_bases(bases: tuple[LegalBasis, ...]) -> bytes:
    lines = list[str]()
    for basis in bases:
        said = {"party": basis.party, "kind": basis.kind, "reference": basis.reference, "force": basis.force}
        said |= {"paragraph": basis.paragraph} if basis.paragraph else {}
        said |= {"valid_until": format_instant(basis.valid_until)} if basis.valid_until else {}
        lines += ["[[legal_bases]]", *(f"{name} = {to_toml(item)}" for name, item in said.items())]
    return "\n".join(lines).encode()


def make_bundle(items: list[Item]) -> bytes:
    digest = sha256_digest(items[0].object.data)
    name = f"bundle--{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
    objects = b",".join(item.object.data for item in items)
    return b'{"type":"bundle","id":"' + name.encode() + b'","objects":[' + objects + b"]}"
