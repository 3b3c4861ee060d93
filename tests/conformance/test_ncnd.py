# SPDX-License-Identifier: Apache-2.0
"""SILENT: an agreement whose existence is neither confirmed nor denied leaves no trace in any answer to those outside.

Two worlds with the same keys, secrets, clocks, random draws and open business. In one of them Aurelia and Meridia also
have agreements that say nothing of their existence, which means `ncnd`: proposed, in clarification, in force with
objects in both directions, suspended, and a group to which too few have admitted another member. Whatever an outsider
asks of Aurelia, it is asked in both worlds, and the answers must be the same bytes as they came over the wire, from the
status line to the last byte, without the Date line. Borealia, who has another agreement with Aurelia, is outside too.

Not here: whoever holds a hidden agreement's id and signs a next version of it that names itself (THREATMODEL.md).
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from comity.agreement.events import CARRIES_TERMS, TALK, Event, EventKind
from comity.agreement.terms import Terms
from comity.agreement.transitions import State
from comity.exchange import make_access, make_message
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.node import agree, ingest
from comity.node.follow import plan_pull
from comity.node.journal import list_entries
from comity.node.outbox import list_due, list_waiting
from comity.node.parties import add_party, create_credential, export_manifest
from comity.node.standing import Dossier, collection_id, find_agreement, list_dossiers
from comity.signing import Role
from tests.served import Served, basic, bearer, without_date
from tests.worlds import World, make_object, object_id

METHODS = ("GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS")
NOWHERE = "00000000-0000-4000-8000-000000000000"
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

NOT_KNOWN = ("nobody", "an unknown name", "a wrong password", "a token by another key", "an expired token")
KNOWN = ("tavria", "tavria by token", "borealia", "borealia by token")
OBJECTS = ("first", "second", "third", "for meridia alone", "red", "refers to what meridia gives", "given by meridia")


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
    received = ingest.Received(
        giver=target.giver,
        terms=target.terms,
        channel=target.channel,
        collection=target.collection,
        added_after=page.items[-1].at,
    )
    data = b'{"objects":[' + b",".join(item.data for item in page.items) + b"]}"
    assert ingest.receive_page(world.nodes["aurelia"], data, received).added == (of("given by meridia"),)


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


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    folder = tmp_path_factory.mktemp("twins")
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
    def read() -> Dossier:
        with twins.served[0].node.store.read() as transaction:
            return find_agreement(twins.served[0].node, transaction, twins.hidden[name])

    return twins.served[0].call(read)


# ---- that there is something to hide, and somebody it is not hidden from ---------------------------------------------


def test_one_world_has_the_hidden_agreements_and_the_other_does_not(twins: Twins) -> None:
    states = {name: read_hidden(twins, name).standing(now=twins.having.now).state for name in HIDDEN}
    assert states == HIDDEN
    assert {read_hidden(twins, name).versions[-1].existence for name in HIDDEN} == {"ncnd"}
    having, lacking = twins.count_entries()
    assert having > lacking + 20


def test_who_is_inside_is_answered_in_that_world_alone(twins: Twins) -> None:
    path = f"/taxii2/meridia/collections/{twins.collection('flowing', MERIDIA)}/objects/"
    having, lacking = (each.ask("GET", path, headers=twins.headers["meridia"]) for each in twins.served)
    assert having.startswith(b"HTTP/1.1 200 ")
    assert of("first").encode() in having
    assert lacking.startswith(b"HTTP/1.1 404 ")


def test_borealia_is_answered_with_objects(twins: Twins) -> None:
    answer = twins.ask("borealia", "GET", f"{twins.open}/objects/")
    given = {name for name in OBJECTS if of(name).encode() in answer}
    assert given == {"first", "second", "third"}


# ---- what can be asked -----------------------------------------------------------------------------------------------


def list_things(root: str, collection: str) -> list[str]:
    """Paths to everything that a collection could have."""
    base = f"/taxii2/{root}/collections/{collection}"
    return [
        base,
        f"{base}/",
        f"{base}/objects/",
        f"{base}/objects/?limit=1",
        f"{base}/objects/?limit=0",
        f"{base}/objects/?next=AAAA",
        f"{base}/objects/?added_after=x",
        f"{base}/manifest/",
        *(f"{base}/objects/{of(name)}/" for name in OBJECTS),
        f"{base}/objects/{of('first')}/versions/",
        f"{base}/objects/{of('given by meridia')}/versions/",
    ]


def list_paths(twins: Twins) -> list[str]:
    """Everything that somebody might try who has heard of the hidden agreements."""
    found = [
        "/",
        "/nothing",
        "/taxii2/",
        "/taxii2/?x=y",
        "/comity/exchange/",
        *(
            f"/taxii2/{party}{rest}"
            for party in (*PARTIES, "ghostia")
            for rest in (
                "/",
                "/collections/",
                "/collections",
                f"/status/{NOWHERE}/",
                f"/status/{twins.hidden['group']}/",
            )
        ),
    ]
    for name, agreement in twins.hidden.items():
        found += [
            f"/taxii2/{agreement}/",
            f"/taxii2/borealia/collections/{agreement}/",
            f"/comity/exchange/{agreement}",
        ]
        for party in (BOREALIA, MERIDIA, TAVRIA):
            collection = twins.collection(name, party)
            found += list_things(party, collection)[:4]
            found += list_things(BOREALIA, collection)
    return [*found, *list_things(MERIDIA, NOWHERE)]


@pytest.mark.parametrize("who", [*NOT_KNOWN, *KNOWN])
def test_every_path_has_the_same_answer(twins: Twins, who: str) -> None:
    for path in list_paths(twins):
        answer = twins.ask(who, "GET", path)
        if who in NOT_KNOWN:
            assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 401 ")), path


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("who", ["nobody", "tavria", "borealia"])
def test_every_method_has_the_same_answer(twins: Twins, who: str, method: str) -> None:
    flowing, group = twins.collection("flowing", MERIDIA), twins.collection("group", TAVRIA)
    for path in (
        *list_things(MERIDIA, flowing)[:4],
        *list_things(TAVRIA, group)[:4],
        "/taxii2/",
        f"/taxii2/{who}/collections/",
        f"{twins.open}/objects/",
    ):
        for headers in ({}, {"Accept": "text/html"}, {"Range": "bytes=0-0"}, {"If-None-Match": "*"}):
            twins.ask(who, method, path, headers=headers)


@pytest.mark.parametrize("resource", ["objects/", "manifest/", f"objects/{of('first')}/versions/"])
@pytest.mark.parametrize("query", ["", "match[version]=all", "match[type]=report", "added_after=2026-01-01T00:00:00Z"])
@pytest.mark.parametrize("limit", [1, 2, 1_000])
def test_every_page_and_cursor_of_another_partner_is_the_same(
    twins: Twins, resource: str, query: str, limit: int
) -> None:
    path, pages = f"{twins.open}/{resource}?limit={limit}&{query}", 1
    answer = twins.ask("borealia", "GET", path)
    assert b"x-taxii-date-added-last: 20" in answer
    while cursor := re.search(rb'"next": ?"([^"]+)"', answer):
        answer = twins.ask("borealia", "GET", f"{path}&next={cursor[1].decode()}")
        assert answer.startswith(b"HTTP/1.1 200 ")
        pages += 1
    assert pages > 1 or limit > 1 or "versions" in resource


# ---- what can be said ------------------------------------------------------------------------------------------------


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
    return make_message(
        event,
        nonce=bytes(16),
        signers=[world.nodes[party].signers[Role.AGREEMENT]],
        document=terms.document if event.kind in CARRIES_TERMS else None,
    )


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("party", [BOREALIA, TAVRIA])
def test_a_message_on_an_agreement_of_others_has_the_answer_of_any_path(
    twins: Twins, party: PartyId, name: str
) -> None:
    expected, before = twins.ask("nobody", "POST", "/nothing/at/all"), twins.count_entries()
    assert expected.startswith(b"HTTP/1.1 404 ")
    for kind, body in make_messages(twins.lacking, party, read_hidden(twins, name)).items():
        for who in ("nobody", party):
            assert twins.ask(who, "POST", "/comity/exchange/", body=body) == expected, kind
    assert twins.count_entries() == before


def test_rubbish_has_the_answer_of_any_path(twins: Twins) -> None:
    expected, hidden = twins.ask("nobody", "POST", "/nothing/at/all"), twins.hidden["flowing"]
    (good, *_) = make_messages(twins.lacking, BOREALIA, read_hidden(twins, "flowing")).values()
    for body in (
        b"",
        b"\x00\xff",
        b"{}",
        hidden.encode(),
        json.dumps({"agreement": hidden}).encode(),
        good[:-20],
        good.replace(b'"payload":"ey', b'"payload":"eY'),
        good.partition(b'"signatures"')[0] + b'"signatures":[]}',
        b"x" * (2 * 1024 * 1024 + 1),
    ):
        assert twins.ask("nobody", "POST", "/comity/exchange/", body=body) == expected


def test_a_message_of_a_partner_on_its_own_agreement_is_taken_in_both_worlds(twins: Twins) -> None:
    """Without this, silence could be a server that takes nothing."""
    ask = f"What of {twins.shared[:8]}?"
    for world in (twins.having, twins.lacking):
        world.act("borealia", twins.shared, EventKind.CLARIFY, clause="purposes", text=ask)
    having, lacking = (
        [message.envelope for message in list_due(world.nodes["borealia"])] for world in (twins.having, twins.lacking)
    )
    assert having == lacking
    assert having
    for body in having:
        assert twins.ask("nobody", "POST", "/comity/exchange/", body=body).startswith(b"HTTP/1.1 202 ")


# ---- what the others are told unasked --------------------------------------------------------------------------------


@pytest.mark.parametrize("party", [BOREALIA, TAVRIA])
def test_the_others_hold_the_same_and_nothing_waits_for_them(twins: Twins, party: PartyId) -> None:
    def read(world: World) -> list[tuple[AgreementId, int, tuple[bytes, ...], tuple[Instant, ...]]]:
        node = world.nodes[party]
        with node.store.read() as transaction:
            return [
                (each.id, each.epoch, each.envelopes, each.recorded_at) for each in list_dossiers(node, transaction)
            ]

    held = read(twins.having)
    assert held == read(twins.lacking)
    assert [agreement for agreement, *_ in held] == ([twins.shared] if party == BOREALIA else [])
    for served in twins.served:
        waiting = served.call(partial(list_waiting, served.node))
        assert party not in {each.party for each in waiting}
