# SPDX-License-Identifier: Apache-2.0
"""SILENT: for an outsider, "does not exist" and "not for you" are the same bytes, whatever is asked and however.

Every answer is compared as it came over the wire, from the status line to the last byte, without its Date line.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.exchange import make_access
from comity.ids import AgreementId, Instant, PartyId, format_instant
from comity.node import agree
from comity.node.journal import list_entries, read_checkpoint
from comity.node.outbox import list_due
from comity.node.parties import create_credential
from comity.node.readers import add_reader, remove_reader
from comity.node.standing import collection_id
from comity.node.succession import publish_succession
from comity.release.recovery import Recovery, Succession
from comity.signing import Role
from comity.store.sqlite import SqliteStore, SqliteTransaction
from comity.store.transaction import SqlValue
from comity.tlog.origin import first_origin, house_origin
from tests.served import Served, basic, bearer, without_date
from tests.worlds import BASIS, World, make_object, object_id

METHODS = ("GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS", "PATCH")
NOWHERE = "00000000-0000-4000-8000-000000000000"
OTHER_BASIS = "S/RES/9202"
HELD, NOT_HELD = object_id("report", "held"), object_id("report", "nobody has it")
HOUR = 3_600_000_000

UNKNOWN = (
    "nobody",
    "nonsense",
    "an empty password",
    "a wrong password",
    "a wrong token",
    "an expired token",
    "a token of tomorrow",
    "a token for another node",
    "a token by an unknown key",
    "a token by a key of another role",
    "a token cut short",
    "a reader of the log who was removed",
)
CLOSED = (
    "proposed",
    "suspended-by-the-giver",
    "suspended-by-the-receiver",
    "basis-not-recognised",
    "terminated",
    "expired",
    "rejected",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Aurelia's node served; Borealia is inside, everyone else is not."""

    world: World
    served: Served
    agreements: Mapping[str, AgreementId]
    headers: Mapping[str, Mapping[str, str]]

    def collection(self, party: str) -> str:
        """The id of the collection that the party was, or would be, offered."""
        return collection_id(self.agreements[party], "main", giver=PartyId("aurelia"), recipient=PartyId(party))

    def ask(
        self, who: str, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The answer that `who` gets, without its Date."""
        length = {"Content-Length": str(len(body))} if body else {}
        answer = self.served.ask(method, path, headers={**self.headers[who], **(headers or {}), **length}, body=body)
        return without_date(answer)

    def nothing(self, method: str) -> bytes:
        """What nobody gets for a path that names nothing."""
        return self.ask("nobody", method, "/nothing/at/all")


def close_all(world: World) -> dict[str, AgreementId]:
    """An agreement for each way not to be in force, all of them once released under where that was possible."""
    agreements = dict[str, AgreementId]()
    for name in ("borealia", *CLOSED):
        other = name == "basis-not-recognised"
        until = format_instant(Instant(world.now + HOUR)) if name == "expired" else "2036-01-01T00:00:00Z"
        toml = world.terms(receivers=(name,), title=f"Terms for {name}", until=until)
        toml = toml.replace(BASIS.encode(), OTHER_BASIS.encode()) if other else toml
        if name in {"proposed", "rejected"}:
            agreements[name] = AgreementId(propose(world, toml))
            continue
        agreements[name] = AgreementId(world.sign_all(toml))
        assert HELD in world.read(name)
    world.act("rejected", agreements["rejected"], EventKind.REJECT)
    world.act("aurelia", agreements["suspended-by-the-giver"], EventKind.SUSPEND)
    world.act("suspended-by-the-receiver", agreements["suspended-by-the-receiver"], EventKind.SUSPEND)
    world.act("terminated", agreements["terminated"], EventKind.TERMINATE)
    world.deliver()
    world.tick(2 * HOUR)
    recognise(world, "aurelia", BASIS)
    return agreements


def propose(world: World, toml: bytes) -> str:
    recorded = world.propose("aurelia", toml)
    assert isinstance(recorded, agree.Recorded)
    world.deliver()
    return recorded.event.agreement


def recognise(world: World, name: str, *references: str) -> None:
    """Let the node of `name` recognise these resolutions and nothing else."""
    lines = [f'[[recognised]]\nkind = "unsc_resolution"\nreference = "{reference}"\n' for reference in references]
    (world.folder / name / "recognition.toml").write_text("\n".join(lines))


def token(world: World, party: str, *, audience: str = "aurelia", late: int = 0, role: Role = Role.TRANSPORT) -> str:
    node = world.nodes[party]
    return make_access(
        PartyId(party),
        PartyId(audience),
        now=Instant(world.now + late),
        nonce=bytes(16),
        signers=[node.signers[role]],
    )


def make_headers(world: World, strangers: World) -> dict[str, Mapping[str, str]]:
    """What each asker sends with every request."""
    aurelia = world.nodes["aurelia"]
    add_reader(aurelia, "oversight")
    secret, removed = add_reader(aurelia, "oversight")
    remove_reader(aurelia, removed.id)
    secrets = {
        name: create_credential(world.nodes["aurelia"], PartyId(name)) for name in ("borealia", "meridia", *CLOSED)
    }
    good = token(world, "borealia")
    return {
        "nobody": {},
        "nonsense": {"Authorization": "\xff\xfe nonsense"},
        "an empty password": basic("borealia", ""),
        "a wrong password": basic("borealia", secrets["borealia"][:-1]),
        "a wrong token": bearer("0" * 64),
        "an expired token": bearer(token(world, "borealia", late=-HOUR)),
        "a token of tomorrow": bearer(token(world, "borealia", late=24 * HOUR)),
        "a token for another node": bearer(token(world, "borealia", audience="meridia")),
        "a token by an unknown key": bearer(token(strangers, "borealia", late=world.now - strangers.now)),
        "a token by a key of another role": bearer(token(world, "borealia", role=Role.AGREEMENT)),
        "a token cut short": bearer(good[:-7]),
        "a reader of the log who was removed": basic("oversight", secret),
        "borealia": basic("borealia", secrets["borealia"]),
        "borealia by token": bearer(good),
        "meridia": basic("meridia", secrets["meridia"]),
        "meridia by token": bearer(token(world, "meridia")),
        **{name: basic(name, secrets[name]) for name in CLOSED},
    }


def found_strangers(folder: Path) -> World:
    """A world in which others call themselves Aurelia and Borealia."""
    world = World(folder)
    world.found("aurelia", "borealia", "ghostia")
    return world


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    world = World(tmp_path_factory.mktemp("inside"))
    strangers = found_strangers(tmp_path_factory.mktemp("strangers"))
    world.found("aurelia", "borealia", "meridia", *CLOSED)
    for name in ("aurelia", "basis-not-recognised"):
        recognise(world, name, BASIS, OTHER_BASIS)
    world.add("aurelia", make_object("held"), make_object("withheld", tlp="red"))
    agreements = close_all(world)
    headers = make_headers(world, strangers)
    with closing(world), closing(strangers), Served.start(world.nodes["aurelia"]) as served:
        yield Outside(world=world, served=served, agreements=agreements, headers=headers)


def list_things(root: str, collection: str) -> list[str]:
    """Paths to everything a collection could have, with some of the queries that a known party may send."""
    base = f"/taxii2/{root}/collections/{collection}"
    return [
        base,
        f"{base}/",
        f"{base}/objects/",
        f"{base}/objects",
        f"{base}/objects/?limit=1&match[type]=report",
        f"{base}/objects/{HELD}/",
        f"{base}/objects/{NOT_HELD}/",
        f"{base}/objects/{object_id('report', 'withheld')}/",
        f"{base}/objects/nonsense/",
        f"{base}/manifest/",
        f"{base}/objects/{HELD}/versions/",
        f"{base}/objects/{NOT_HELD}/versions/",
    ]


GARBAGE = (
    "/",
    "/nothing",
    "/favicon.ico",
    "/taxii2//",
    "/taxii2/nothing/nothing/",
    "/taxii2/%2e%2e/taxii2/",
    "/taxii2/aurelia/",
    "/taxii2/aurelia/collections/",
    "/taxii2/ghostia/",
    "/comity/",
    "/comity/exchange/",
    "/comity/exchange",
    f"/taxii2/borealia/status/{NOWHERE}/",
    "/comity/log/",
    "/comity/log/aurelia",
    "/comity/log/aurelia/checkpoint",
    "/comity/log/aurelia/tile/0/000.p/1",
    "/comity/log/aurelia/tile/entries/000.p/1",
    "/comity/log/ghostia/checkpoint",
)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("who", [*UNKNOWN, "meridia", "meridia by token"])
def test_an_outsider_gets_the_same_bytes_for_everything(outside: Outside, who: str, method: str) -> None:
    base = f"/taxii2/borealia/collections/{outside.collection('borealia')}"
    paths = [
        *list_things("borealia", outside.collection("borealia")),
        *list_things("borealia", NOWHERE),
        *list_things("ghostia", NOWHERE),
        *GARBAGE,
        "/taxii2/borealia/",
        "/taxii2/borealia/collections/",
        f"{base}/objects/?limit=0",
        f"{base}/objects/?next=nonsense",
        f"{base}/objects/?match[type]=!",
    ]
    expected = outside.nothing(method)
    assert {path for path in paths if outside.ask(who, method, path) != expected} == set()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("who", ["meridia", *CLOSED])
def test_a_known_party_gets_the_same_bytes_for_what_is_not_open_to_it(outside: Outside, who: str, method: str) -> None:
    paths = [
        *(list_things(who, outside.collection(who)) if who in CLOSED else []),
        *list_things(who, NOWHERE),
        *list_things(who, outside.collection("borealia")),
        *list_things("borealia", outside.collection("borealia")),
        *GARBAGE,
        "/taxii2/borealia/",
    ]
    expected = outside.nothing(method)
    assert {path for path in paths if outside.ask(who, method, path) != expected} == set()


@pytest.mark.parametrize("who", CLOSED)
@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1&limit=1", "added_after=x", "next=AAAA", "match[id]=x", "match[version]=x", "%ff=%ff"]
)
def test_a_bad_query_tells_nothing_of_a_closed_collection(outside: Outside, who: str, query: str) -> None:
    for resource in ("objects/", "manifest/", f"objects/{HELD}/", f"objects/{HELD}/versions/"):
        closed, random = (
            outside.ask(who, "GET", f"/taxii2/{who}/collections/{collection}/{resource}?{query}")
            for collection in (outside.collection(who), NOWHERE)
        )
        assert closed == random


@pytest.mark.parametrize("who", CLOSED)
def test_accept_tells_nothing_of_a_closed_collection(outside: Outside, who: str) -> None:
    for resource in ("", "objects/", f"objects/{HELD}/"):
        closed, random = (
            outside.ask(
                who, "GET", f"/taxii2/{who}/collections/{collection}/{resource}", headers={"Accept": "text/html"}
            )
            for collection in (outside.collection(who), NOWHERE)
        )
        assert closed == random


@pytest.mark.parametrize("who", CLOSED)
def test_a_closed_collection_is_not_listed(outside: Outside, who: str) -> None:
    listed = outside.ask(who, "GET", f"/taxii2/{who}/collections/")
    assert listed == outside.ask("meridia", "GET", "/taxii2/meridia/collections/")
    assert listed.endswith(b"\r\n\r\n{}")


def test_the_answer_is_the_same_for_every_method(outside: Outside) -> None:
    expected = outside.nothing("GET")
    assert expected.startswith(b"HTTP/1.1 404 ")
    for method in METHODS:
        body = b"" if method == "HEAD" else expected.partition(b"\r\n\r\n")[2]
        assert outside.nothing(method) == expected.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "text/html"},
        {"Accept": "application/taxii+json;version=2.1"},
        {"Range": "bytes=0-0"},
        {"If-None-Match": "*"},
        {"X-HTTP-Method-Override": "GET"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Origin": "https://node.example", "Access-Control-Request-Method": "GET"},
        {"Cookie": "a=b"},
    ],
)
def test_no_header_changes_the_answer(outside: Outside, headers: dict[str, str]) -> None:
    path = f"/taxii2/borealia/collections/{outside.collection('borealia')}/objects/"
    for who in ("nobody", "a wrong token", "meridia"):
        assert outside.ask(who, "GET", path, headers=headers) == outside.nothing("GET")


def test_discovery_is_the_one_exception_and_the_same_for_everyone_not_known(outside: Outside) -> None:
    for method in ("GET", "HEAD"):
        expected = outside.ask("nobody", method, "/taxii2/")
        assert expected.startswith(b"HTTP/1.1 401 ")
        answers = {
            outside.ask(who, method, path, headers=headers)
            for who in UNKNOWN
            for path in ("/taxii2/", "/taxii2", "/taxii2/?x=y")
            for headers in ({}, {"Accept": "text/html"})
        }
        assert answers == {expected}
    for method in set(METHODS) - {"GET", "HEAD"}:
        assert {outside.ask(who, method, "/taxii2/") for who in UNKNOWN} == {outside.nothing(method)}


def test_who_is_inside_is_answered(outside: Outside) -> None:
    """Without this, silence could be a server that answers nobody."""
    base = f"/taxii2/borealia/collections/{outside.collection('borealia')}"
    for who in ("borealia", "borealia by token"):
        for path in ("/taxii2/", "/taxii2/borealia/", base, f"{base}/objects/", f"{base}/objects/{HELD}/"):
            assert outside.ask(who, "GET", path).startswith(b"HTTP/1.1 200 "), path
        assert HELD.encode() in outside.ask(who, "GET", f"{base}/objects/")
    for who in ("meridia", *CLOSED):
        assert outside.ask(who, "GET", f"/taxii2/{who}/").startswith(b"HTTP/1.1 200 ")


# ---- messages of nodes -----------------------------------------------------------------------------------------------


def list_messages(outside: Outside, folder: Path) -> dict[str, bytes]:
    """What an outsider may post, by what it is."""
    world = outside.world
    (good,) = make_events(world, "borealia", outside.agreements["borealia"])
    with closing(found_strangers(folder)) as strangers:
        theirs = strangers.terms(giver="borealia", receivers=("aurelia",))
        unknown_key = propose_alone(strangers, "borealia", theirs)
        unknown_party = propose_alone(strangers, "ghostia", strangers.terms(giver="ghostia", receivers=("aurelia",)))
        other_logs = [say_succession(strangers, party) for party in ("borealia", "ghostia")]
    among_others = world.terms(giver="borealia", receivers=("meridia",), title="Not with Aurelia")
    return {
        "nothing": b"",
        "garbage": b"\x00\xff garbage",
        "an empty object": b"{}",
        "a message cut short": good[:-20],
        "a message changed": good.replace(b'"payload":"ey', b'"payload":"eY'),
        "a message with no signature": good.partition(b'"signatures"')[0] + b'"signatures":[]}',
        "an unknown key": unknown_key,
        "an unknown party": unknown_party,
        "another log, by an unknown key": other_logs[0],
        "another log, of an unknown party": other_logs[1],
        "another log, changed": say_succession(world, "borealia").replace(b'"payload":"ey', b'"payload":"eY'),
        "an agreement of others": propose_alone(world, "borealia", among_others),
        "too much": b"x" * (2 * 1024 * 1024 + 1),
    }


def make_events(world: World, party: str, agreement: str) -> list[bytes]:
    """The messages of a question that `party` asks, taken out of its outbox."""
    world.act(party, agreement, EventKind.CLARIFY, clause="purposes", text="Why?")
    return take_outbox(world, party)


def take_outbox(world: World, party: str) -> list[bytes]:
    node = world.nodes[party]
    return [message.envelope for message in list_due(node) if message.party == "aurelia"]


def say_succession(world: World, party: str) -> bytes:
    """The statement of `party` that its log goes on under another name."""
    node = world.nodes[party]
    known = read_checkpoint(node)
    recovery = Recovery(origin=house_origin(node.party, bytes(8)), previous=first_origin(node.party), known=known)
    with node.act() as act:
        said = Succession(party=node.party, recovery=recovery, position=1, at=act.now)
        return publish_succession(node, act, said, ended={})[0]


def propose_alone(world: World, party: str, toml: bytes) -> bytes:
    """The proposal of `party` as it would travel."""
    before = {message.envelope for message in list_due(world.nodes[party])}
    assert isinstance(world.propose(party, toml), agree.Recorded)
    return next(message.envelope for message in list_due(world.nodes[party]) if message.envelope not in before)


def test_a_message_that_is_not_a_partners_gets_the_answer_of_any_path(outside: Outside, tmp_path: Path) -> None:
    messages = list_messages(outside, tmp_path)
    expected = outside.nothing("POST")
    size = outside.served.call(lambda: len(list_entries(outside.served.node, start=0, limit=10_000)))
    for path in ("/comity/exchange/", "/comity/exchange"):
        for what, body in messages.items():
            for who in ("nobody", "meridia"):
                assert outside.ask(who, "POST", path, body=body) == expected, what
    assert outside.ask("nobody", "POST", "/comity/exchange//", body=take_outbox(outside.world, "borealia")[0]) == (
        expected
    )
    assert outside.served.call(lambda: len(list_entries(outside.served.node, start=0, limit=10_000))) == size
    (question, *_) = take_outbox(outside.world, "borealia")
    assert outside.ask("nobody", "POST", "/comity/exchange/", body=question).startswith(b"HTTP/1.1 202 ")


# ---- the same path through the code ----------------------------------------------------------------------------------


def test_held_and_not_held_take_the_same_path(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    def hear(kind: type, name: str) -> None:
        real = getattr(kind, name)

        def heard(self: object, sql: str, parameters: Sequence[SqlValue] = ()) -> object:
            asked.append(sql)
            return real(self, sql, parameters)

        monkeypatch.setattr(kind, name, heard)

    for name in ("rows", "row", "iterate", "run", "insert"):
        hear(SqliteTransaction, name)
    hear(SqliteStore, "row")

    def statements(who: str, root: str, name: str) -> list[str]:
        asked.clear()
        outside.ask(who, "GET", f"/taxii2/{root}/collections/{outside.collection(root)}/objects/{name}/")
        return list(asked)

    for who, root in [("nobody", "borealia"), ("meridia", "borealia"), *((name, name) for name in CLOSED)]:
        # The first use of a credential in a day is noted, which is a change; what the node remembers after the second
        # is then the same for both.
        for _ in range(2):
            statements(who, root, NOT_HELD)
        held = statements(who, root, HELD)
        assert held == statements(who, root, NOT_HELD)
        assert (held == []) is (who == "nobody")
        # Whether some assessment has run out is looked up whatever is asked.
        asked_of = [sql for sql in held if "FROM assessment" not in sql]
        assert not [sql for sql in asked_of if "release" in sql or "object" in sql]


@pytest.mark.slow
@pytest.mark.parametrize("who", ["meridia", "a wrong token", "suspended-by-the-giver"])
def test_held_and_not_held_take_about_the_same_time(outside: Outside, who: str) -> None:
    root = who if who in CLOSED else "borealia"
    base = f"/taxii2/{root}/collections/{outside.collection(root)}/objects"
    taken: dict[str, list[float]] = {HELD: [], NOT_HELD: []}
    for _ in range(30):
        for name, times in taken.items():
            started = time.perf_counter()
            outside.ask(who, "GET", f"{base}/{name}/")
            times.append(time.perf_counter() - started)
    # The quickest of each: what a leak takes longer it takes always, and what the machine does besides it does not.
    held, not_held = (min(times) for times in taken.values())
    assert max(held, not_held) / min(held, not_held) < 3
