# SPDX-License-Identifier: Apache-2.0
"""Two worlds with the same keys, secrets, clocks, random draws and open business, and one thing that one of them lacks.

In one of them Aurelia and Meridia also have agreements that say nothing of their existence, which means `ncnd`:
proposed, in clarification, in force with objects in both directions, suspended, and a group to which too few have
admitted another member.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from comity.agreement.events import CARRIES_TERMS, TALK, Event, EventKind
from comity.agreement.terms import Terms
from comity.agreement.transitions import State
from comity.exchange import make_access, make_message
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.node import agree, receive
from comity.node.follow import plan_pull
from comity.node.journal import list_entries
from comity.node.parties import add_party, create_credential, export_manifest
from comity.node.standing import Dossier, collection_id, find_agreement
from comity.signing import Role
from tests.served import Served, basic, bearer, without_date
from tests.worlds import World, make_object, object_id

__all__ = [
    "AURELIA",
    "BOREALIA",
    "HIDDEN",
    "MERIDIA",
    "PARTIES",
    "TAVRIA",
    "Twins",
    "copy_world",
    "fill",
    "make_messages",
    "make_twins",
    "of",
    "read_hidden",
    "sign",
]

AURELIA, BOREALIA, MERIDIA, TAVRIA = (PartyId(name) for name in ("aurelia", "borealia", "meridia", "tavria"))
PARTIES = (AURELIA, BOREALIA, MERIDIA, TAVRIA)
HIDDEN: Mapping[str, State] = {
    "proposed": State.PROPOSED,
    "negotiated": State.IN_CLARIFICATION,
    "flowing": State.IN_FORCE,
    "returning": State.IN_FORCE,
    "suspended": State.SUSPENDED,
    "group": State.IN_FORCE,
}
"""What Aurelia and Meridia have in one of the two worlds, and where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    """Aurelia's node served in both worlds; what each asker sends is the same in both."""

    having: World
    lacking: World
    served: tuple[Served, Served]
    headers: Mapping[str, Mapping[str, str]]
    hidden: Mapping[str, AgreementId]
    shared: AgreementId

    def ask(
        self, who: str, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The answer to `who`, which must be the same in both worlds."""
        length = {"Content-Length": str(len(body))} if body else {}
        sent = {**self.headers[who], **(headers or {}), **length}
        having, lacking = (without_date(each.ask(method, path, headers=sent, body=body)) for each in self.served)
        assert having == lacking, f"{who}: {method} {path}"
        return having

    def collection(self, name: str, party: PartyId) -> str:
        """The id that a collection of Aurelia's for `party` has, or would have, under a hidden agreement."""
        return collection_id(self.hidden[name], "main", giver=AURELIA, recipient=party)

    @property
    def open(self) -> str:
        """The path to the collection that Borealia has of Aurelia."""
        return f"/taxii2/borealia/collections/{collection_id(self.shared, 'main', giver=AURELIA, recipient=BOREALIA)}"

    def count_entries(self) -> list[int]:
        """How long the log of Aurelia is in each world."""
        return [len(each.call(partial(list_entries, each.node, start=0, limit=10_000))) for each in self.served]


# ---- the two worlds --------------------------------------------------------------------------------------------------


def copy_world(made: World, folder: Path) -> World:
    """The same nodes in another folder. What they draw is always the same, however much is drawn."""
    shutil.copytree(made.folder, folder)
    world = World(folder, manifests=dict(made.manifests), badges=dict(made.badges))
    for name in PARTIES:
        world.open(name).draw = bytes
    return world


class Hidden:
    """The business of Aurelia and Meridia that nobody else may learn of, step by step."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.agreements = dict[str, AgreementId]()

    def begin(self) -> None:
        """Before Aurelia has anything with Borealia."""
        self._sign("flowing")
        self._sign("returning", giver="meridia", receivers=("aurelia",))
        self._propose("proposed")
        self.world.read("meridia")

    def go_on(self) -> None:
        """While Borealia reads: objects go both ways, and what one proposes the other asks about."""
        world = self.world
        world.add("meridia", make_object("given by meridia"), make_object("more of meridia", refs=[of("third")]))
        pull_from_meridia(world)
        negotiated = self._propose("negotiated")
        world.act("meridia", negotiated, EventKind.CLARIFY, clause="purposes", text="Which?")
        world.deliver()
        self._sign("suspended")
        world.read("meridia")

    def finish(self) -> None:
        """Afterwards: a suspension, a group for which one founder has admitted Tavria, and more objects."""
        world = self.world
        world.act("meridia", self.agreements["suspended"], EventKind.SUSPEND)
        self._sign("group", extra='structure = {kind = "group", accession = "unanimous"}', receivers=("meridia",))
        world.admit("aurelia", self.agreements["group"], "tavria")
        world.deliver()
        world.read("meridia")

    def _propose(self, name: str) -> AgreementId:
        recorded = self.world.propose("meridia", self.world.terms(receivers=("meridia",), title=f"Hidden {name}"))
        assert isinstance(recorded, agree.Recorded)
        self.world.deliver()
        self.agreements[name] = recorded.event.agreement
        return recorded.event.agreement

    def _sign(
        self, name: str, *, giver: str = "aurelia", receivers: tuple[str, ...] = ("meridia",), extra: str = ""
    ) -> None:
        toml = self.world.terms(giver=giver, receivers=receivers, extra=extra, title=f"Hidden {name}")
        if name == "group":
            toml = toml.replace(b'receivers = ["meridia"]', b'receivers = ["members"]')
        self.agreements[name] = AgreementId(self.world.sign_all(toml, proposer=giver))


def play(world: World, hidden: Hidden | None) -> AgreementId:
    """The id of Borealia's agreement, after the script: the same in both worlds but for what is hidden.

    Time moves between the steps only, by as much in each world.
    """
    world.add("aurelia", make_object("first"), make_object("red", tlp="red"), make_object("third", refs=[of("first")]))
    if hidden:
        hidden.begin()
    world.tick()
    shared = AgreementId(world.sign_all(world.terms(title="Open business")))
    assert of("first") in world.read("borealia")
    if hidden:
        hidden.go_on()
    # What it refers to is held in one world only: it must be withheld in both.
    world.add("aurelia", make_object("refers to what meridia gives", refs=[of("given by meridia")]))
    world.add("aurelia", make_object("second", kind="indicator"), make_object("first", day=2))
    world.tick(3)
    world.read("borealia")
    world.act("borealia", shared, EventKind.CLARIFY, clause="purposes", text="Why?")
    world.deliver()
    if hidden:
        hidden.finish()
    world.add("aurelia", *(make_object(f"late {number}") for number in range(4)))
    world.tick()
    return shared


def pull_from_meridia(world: World) -> None:
    """What a pull over the network brings Aurelia, without the network."""
    page = world.poll("aurelia", giver="meridia", every=True)
    assert [item.id for item in page.items] == [of("given by meridia")]
    (target,) = plan_pull(world.nodes["aurelia"], MERIDIA)
    received = receive.Received(
        giver=target.giver,
        terms=target.terms,
        channel=target.channel,
        collection=target.collection,
        added_after=page.items[-1].at,
    )
    data = b'{"objects":[' + b",".join(item.data for item in page.items) + b"]}"
    assert receive.receive_page(world.nodes["aurelia"], data, received).added == (of("given by meridia"),)


def of(name: str) -> str:
    return object_id("indicator" if name == "second" else "report", name)


def make_headers(world: World, secrets: Mapping[PartyId, str]) -> dict[str, Mapping[str, str]]:
    """What each asker sends with every request."""

    def token(party: PartyId, *, late: int = 0, role: Role = Role.TRANSPORT) -> Mapping[str, str]:
        signers = [world.nodes[party].signers[role]]
        return bearer(make_access(party, AURELIA, now=Instant(world.now + late), nonce=bytes(16), signers=signers))

    return {
        "nobody": {},
        "an unknown name": basic("ghostia", "0" * 64),
        "a wrong password": basic("meridia", secrets[MERIDIA][:-1]),
        "a token by another key": token(MERIDIA, role=Role.AGREEMENT),
        "an expired token": token(MERIDIA, late=-3_600_000_000),
        "tavria": basic("tavria", secrets[TAVRIA]),
        "tavria by token": token(TAVRIA),
        "borealia": basic("borealia", secrets[BOREALIA]),
        "borealia by token": token(BOREALIA),
        "meridia": basic("meridia", secrets[MERIDIA]),
    }


@contextmanager
def make_twins(folder: Path) -> Iterator[Twins]:
    """Both worlds, and Aurelia's node served in each."""
    made = World(folder / "made")
    made.found(*PARTIES)
    secrets = {party: create_credential(made.nodes["aurelia"], party) for party in (BOREALIA, MERIDIA, TAVRIA)}
    meridia = made.nodes["meridia"]
    add_party(made.nodes["aurelia"], export_manifest(meridia), digest=None, url="http://127.0.0.1:9")
    made.close()
    having, lacking = copy_world(made, folder / "having"), copy_world(made, folder / "lacking")
    hidden = Hidden(having)
    with closing(having), closing(lacking):
        shared = play(having, hidden)
        assert (play(lacking, None), lacking.now) == (shared, having.now)
        headers = make_headers(having, secrets)
        with Served.start(having.nodes["aurelia"]) as one, Served.start(lacking.nodes["aurelia"]) as other:
            yield Twins(
                having=having,
                lacking=lacking,
                served=(one, other),
                headers=headers,
                hidden=hidden.agreements,
                shared=shared,
            )


def read_hidden(twins: Twins, name: str) -> Dossier:
    """What Aurelia has on record of a hidden agreement, in the world that has it."""

    def read() -> Dossier:
        with twins.served[0].node.store.read() as transaction:
            return find_agreement(twins.served[0].node, transaction, twins.hidden[name])

    return twins.served[0].call(read)


def make_messages(world: World, party: PartyId, dossier: Dossier) -> dict[str, bytes]:
    """A well-signed message of every kind by `party` on an agreement that it is not in, as if it had read all of it."""
    terms = dossier.versions[-1]
    return {kind.value: sign(world, party, fill(world, party, kind, dossier), terms) for kind in EventKind}


def fill(world: World, party: PartyId, kind: EventKind, dossier: Dossier) -> Event:
    """The event with what its kind needs."""
    names_member = kind in {EventKind.ADMIT, EventKind.ACCEDE}
    basis = replace(next(iter(dossier.versions[-1].legal_bases)), party=party)
    return Event(
        digest=Digest("0" * 64),
        kind=kind,
        agreement=dossier.id,
        terms=dossier.versions[-1].hash,
        party=party,
        at=world.now,
        clause="purposes" if kind is EventKind.CLARIFY else None,
        text="Well?" if kind in TALK else None,
        re=dossier.events[-1].digest if kind in {EventKind.ANSWER, EventKind.RESUME} else None,
        joiner=party if kind is EventKind.ADMIT else None,
        manifest=world.manifests[party].digest if names_member else None,
        bases=(basis,) if kind is EventKind.ACCEDE else (),
    )


def sign(world: World, party: PartyId, event: Event, terms: Terms) -> bytes:
    """The message that says it."""
    return make_message(
        event,
        nonce=bytes(16),
        signers=[world.nodes[party].signers[Role.AGREEMENT]],
        document=terms.document if event.kind in CARRIES_TERMS else None,
    )
