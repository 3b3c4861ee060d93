# SPDX-License-Identifier: Apache-2.0
"""A small world for tests: real nodes in real folders, a clock that is moved by hand, and objects made to measure."""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from comity.agreement.events import EventKind
from comity.agreement.people import Badge, Person, Role, format_badge
from comity.agreement.recognition import Refusal
from comity.canonical import Json
from comity.config import Address
from comity.ids import Instant, ObjectId, PartyId, PersonId, format_instant, parse_instant
from comity.node import agree, correspond, founding, ingest, people
from comity.node.clock import read_clock
from comity.node.founding import found_node
from comity.node.gate import list_open_collections
from comity.node.node import Node, open_node
from comity.node.outbox import list_due, settle
from comity.node.parties import add_party, export_manifest
from comity.node.people import Actor, Waiting
from comity.node.poll import Page, PollRequest, Selection, VersionChoice, poll
from comity.node.standing import list_dossiers
from comity.node.succession import is_succession, receive_succession
from comity.release.disclosure import Answer
from comity.signing import Manifest
from comity.stix.labels import CLASSIFICATION_EXTENSION, make_tags
from comity.stix.markings import TLP_IDS

__all__ = ["BASIS", "NAMES", "World", "badge_path", "make_object", "object_id", "tlp_id", "write_badge"]

NAMES = {"aurelia": "XA", "borealia": "XB", "meridia": "XM"}
"""Fictional parties; the codes are only letters here."""

BASIS = "S/RES/9101"
_START = parse_instant("2026-01-01T00:00:00Z")
_POLICY = f'[[recognised]]\nkind = "unsc_resolution"\nreference = "{BASIS}"\n'


@dataclass
class World:
    """Nodes by party id. Time moves only when a test moves it; every act in between happens at the same instant."""

    folder: Path
    nodes: dict[str, Node] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    badges: dict[tuple[str, Role], Badge] = field(default_factory=dict)
    now: Instant = _START

    def found(self, *names: str, at: Instant | None = None) -> None:
        """Make a node for each name with two people, pin all of them everywhere, and let each recognise BASIS.

        Where a test names days of the calendar it says `at` which time: else it is today, and the test fails some day.
        """
        for name in names:
            folder = self.folder / name
            with patch.object(founding, "read_clock", read_clock if at is None else lambda: at):
                self.manifests[name] = found_node(
                    folder, party=PartyId(name), name=name.title(), state=None, listen=Address(host="127.0.0.1", port=0)
                )
            (folder / "recognition.toml").write_text(_POLICY)
            self.open(name)
            for role in (Role.LIAISON, Role.LEGAL):
                self.badges[name, role] = self.register(name, f"{name}-{role}", role)
                write_badge(folder, role, self.badges[name, role])
        for name, node in self.nodes.items():
            for other, manifest in self.manifests.items():
                if other != name:
                    add_party(node, export_manifest(self.nodes[other]), digest=manifest.digest, url=None)

    def open(self, name: str) -> Node:
        """Open the node of `name` with this world's clock."""
        node = open_node(self.folder / name)
        node.clock = lambda: self.now
        self.nodes[name] = node
        # A manifest is issued by the system's clock; the world's clock starts where its nodes were made.
        self.now = Instant(max(self.now, self.manifests[name].issued_at))
        return node

    def register(self, name: str, person: str, *roles: Role) -> Badge:
        """The badge of a new person at the node of `name`."""
        added = Person(id=PersonId(person), name=person.title(), roles=frozenset(roles))
        return people.add_person(self.nodes[name], added)

    def actor(self, name: str, role: Role = Role.LEGAL) -> Actor:
        """The person of `name` with this role: each party has one who is legal and one who is liaison."""
        return Actor(person=people.identify(self.nodes[name], self.badges[name, role]))

    def both(self, name: str, act: Callable[[Actor], agree.Recorded | Waiting | Refusal]) -> agree.Recorded | Refusal:
        """What becomes of an act when the liaison of `name` does it and then, where it takes two, the legal officer."""
        done = act(self.actor(name, Role.LIAISON))
        if isinstance(done, Waiting):
            done = act(self.actor(name, Role.LEGAL))
        assert not isinstance(done, Waiting), done
        return done

    def propose(self, name: str, toml: bytes) -> agree.Recorded | Refusal:
        """A proposal by as many people as it takes."""
        return self.both(name, lambda by: agree.propose(self.nodes[name], toml, by=by))

    def act_on(self, name: str, prefix: str, kind: EventKind, **fields: Any) -> agree.Recorded | Refusal:  # noqa: ANN401
        """An act by as many people as it takes."""
        return self.both(name, lambda by: agree.act_on(self.nodes[name], prefix, kind, by=by, **fields))

    def admit(self, name: str, agreement: str, joiner: str) -> agree.Recorded:
        """The admission of `joiner` by `name`."""
        admitted = self.both(name, lambda by: agree.admit(self.nodes[name], agreement, PartyId(joiner), by=by))
        assert isinstance(admitted, agree.Recorded), admitted
        return admitted

    def accede(self, name: str, agreement: str) -> agree.Recorded:
        """The accession of `name`, which cites BASIS."""
        bases = (
            f'[[legal_bases]]\nparty = "{name}"\nkind = "unsc_resolution"\nreference = "{BASIS}"\nforce = "decides"\n'
        )
        joined = self.both(name, lambda by: agree.accede(self.nodes[name], agreement, bases.encode(), by=by))
        assert isinstance(joined, agree.Recorded), joined
        return joined

    def close(self) -> None:
        """Close every node."""
        for node in self.nodes.values():
            node.close()

    def tick(self, microseconds: int = 1_000_000) -> None:
        """Let time pass."""
        self.now = Instant(self.now + microseconds)

    def terms(  # the fields a test may want to vary, with a small agreement as default
        self,
        *,
        giver: str = "aurelia",
        receivers: Sequence[str] = ("borealia",),
        subjects: Iterable[str] = ("national:ashfall",),
        regions: Iterable[str] = ("IQ", "SY"),
        types: Iterable[str] = ("indicator", "report", "identity"),
        tlp: str = "amber",
        version: int = 1,
        agreement: str | None = None,
        supersedes: str | None = None,
        extra: str = "",
        until: str = "2036-01-01T00:00:00Z",
        title: str = "Exchange on Ashfall",
        channel_extra: str = "",
        history: str = "all",
    ) -> bytes:
        """Terms between `giver` and `receivers` as TOML."""
        parties = [giver, *receivers]
        lines = [
            'format = "comity-terms/1"',
            f"title = {json.dumps(title)}",
            f"version = {version}",
            'form = "exchange_of_letters"',
            'purposes = ["exchange"]',
            'permitted_actions = "internally-visible-actions"',
            'prohibited_uses = ["targeting"]',
            *([f'agreement = "{agreement}"'] if agreement else []),
            *([f'supersedes = "{supersedes}"'] if supersedes else []),
            *([extra] if extra else []),
            "[validity]",
            'from = "2020-01-01T00:00:00Z"',
            f'until = "{until}"',
        ]
        for party in parties:
            lines += ["[[parties]]", f'id = "{party}"', f'manifest = "{self.manifests[party].digest}"']
        for party in parties:
            lines += [
                "[[legal_bases]]",
                f'party = "{party}"',
                'kind = "unsc_resolution"',
                f'reference = "{BASIS}"',
                'force = "decides"',
            ]
        lines += [
            "[[channels]]",
            'id = "main"',
            f'giver = "{giver}"',
            f"receivers = {json.dumps(list(receivers))}",
            f"types = {json.dumps(sorted(types))}",
            f'tlp_ceiling = "{tlp}"',
            f"subjects = {json.dumps(sorted(subjects))}",
            f"regions = {json.dumps(sorted(regions))}",
            'onward = "none"',
            f'history = "{history}"',
            *([channel_extra] if channel_extra else []),
        ]
        return "\n".join(lines).encode()

    def sign_all(self, toml: bytes, *, proposer: str = "aurelia") -> str:
        """The id of the agreement that `proposer` proposed and every other party accepted, all messages delivered."""
        recorded = self.propose(proposer, toml)
        assert isinstance(recorded, agree.Recorded), recorded
        self.deliver()
        for party in recorded.standing.latest.parties:
            if party.id != proposer:
                accepted = self.act_on(party.id, recorded.event.terms, EventKind.ACCEPT)
                assert isinstance(accepted, agree.Recorded), accepted
        self.deliver()
        return recorded.event.agreement

    def act(self, name: str, agreement: str, kind: EventKind, **fields: Any) -> agree.Recorded:  # noqa: ANN401
        """An act of `name` that its own policy does not refuse."""
        recorded = self.act_on(name, agreement, kind, **fields)
        assert isinstance(recorded, agree.Recorded), recorded
        return recorded

    def resume_all(self, name: str) -> None:
        """All that `name` holds suspended, resumed by its people, as after a recovery."""
        node = self.nodes[name]
        with node.store.read() as transaction:
            held = [
                dossier.id
                for dossier in list_dossiers(node, transaction)
                if name in {lock.party for lock in dossier.standing(now=node.clock()).locks}
            ]
        for agreement in held:
            self.act(name, agreement, EventKind.RESUME)

    def poll(
        self, recipient: str, *, giver: str = "aurelia", after: int = 0, limit: int = 1_000, every: bool = False
    ) -> Page:
        """One page of the first collection that `giver` offers `recipient`, as TAXII would ask for it."""
        node = self.nodes[giver]
        collection = list_open_collections(node, PartyId(recipient))[0]
        return poll(
            node,
            PollRequest(
                recipient=PartyId(recipient),
                collection=collection.id,
                answer=Answer.OBJECTS,
                selection=Selection(after=Instant(after), versions=VersionChoice(every=every)),
                limit=limit,
            ),
        )

    def read(self, recipient: str, *, giver: str = "aurelia") -> dict[str, bytes]:
        """The bytes of every object that `giver` gives `recipient` now, by id."""
        return {item.id: item.data for item in self.poll(recipient, giver=giver).items}

    def deliver(self) -> int:
        """Hand every message over, and those that follow from them, as the network would."""
        count = 0
        while due := [(node, message) for node in self.nodes.values() for message in list_due(node)]:
            for node, message in due:
                receive = receive_succession if is_succession(message.envelope) else correspond.receive_any
                receive(self.nodes[message.party], message.envelope)
                settle(node, message, problem=None)
                count += 1
        return count

    def add(self, name: str, *objects: dict[str, Json]) -> ingest.Intake:
        """Take objects in at the node of `name`."""
        data = json.dumps({"type": "bundle", "id": f"bundle--{_uuid(name)}", "objects": list(objects)}).encode()
        return ingest.add_objects(self.nodes[name], data, tags=make_tags())


def write_badge(folder: Path, role: Role, badge: Badge) -> None:
    """Put the badge where the tests of the program find it: in the folder of the node, so that copies have it too."""
    path = badge_path(folder, role)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(format_badge(badge))
    path.chmod(0o600)


def badge_path(folder: Path, role: Role) -> Path:
    """Where the badge of the person with this role lies."""
    return folder / "badges" / f"{role}.badge"


def object_id(kind: str, name: str) -> ObjectId:
    """A STIX id that is always the same for the same name."""
    return ObjectId(f"{kind}--{_uuid(name)}")


def tlp_id(level: str) -> str:
    """The id of the predefined TLP 2.0 marking."""
    return next(marking for marking, name in TLP_IDS.items() if name == level and _is_tlp2(marking))


def make_object(  # the few properties that decide
    name: str,
    *,
    kind: str = "report",
    tlp: str | None = "green",
    subjects: Iterable[str] = ("national:ashfall",),
    regions: Iterable[str] = ("IQ",),
    refs: Iterable[str] = (),
    day: int = 1,
    more: dict[str, Json] | None = None,
) -> dict[str, Json]:
    """A STIX 2.1 object of version `day`, classified, that refers to `refs`."""
    modified = format_instant(Instant(parse_instant("2025-01-01T00:00:00Z") + day * 86_400_000_000))
    value: dict[str, Json] = {
        "type": kind,
        "spec_version": "2.1",
        "id": object_id(kind, name),
        "created": "2025-01-01T00:00:00.000000Z",
        "modified": modified,
        "name": name,
        "extensions": {
            CLASSIFICATION_EXTENSION: {
                "extension_type": "property-extension",
                "subjects": list[Json](sorted(subjects)),
                "regions": list[Json](sorted(regions)),
            }
        },
    }
    if tlp is not None:
        value["object_marking_refs"] = [tlp_id(tlp)]
    if kind == "report":
        value |= {"published": "2025-01-01T00:00:00Z", "report_types": ["threat-report"]}
        value["object_refs"] = list[Json](sorted(refs)) or [object_id("report", name)]
    elif refs:
        value["x_related_refs"] = list[Json](sorted(refs))
    if kind == "indicator":
        value |= {"pattern": "[ipv4-addr:value = '192.0.2.1']", "pattern_type": "stix", "valid_from": modified}
    if kind == "identity":
        value["identity_class"] = "organization"
    return value | (more or {})


def _uuid(name: str) -> str:
    return str(uuid.UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4))


def _is_tlp2(marking: str) -> bool:
    return marking.split("--")[1][:8] in {"94868c89", "bab4a63c", "55d920b0", "939a9414", "e828b379"}
