# SPDX-License-Identifier: Apache-2.0
"""Nothing leaves before the COMMIT that puts it on record, whatever the disk says (LOG-FIRST).

At the moment in which bytes are handed over, a second connection to the store, as another process would have, must
already see them in the log. A COMMIT that fails is tried in both of its forms: it was not done, and it was done but the
answer was lost. A failure of every other statement of a poll is tried too.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import pytest

from comity import peers
from comity.agreement.events import EventKind
from comity.canonical import sha256_digest
from comity.config import Address
from comity.errors import ComityError, CorruptionError, UnavailableError
from comity.exchange import parse_message
from comity.ids import Digest, PartyId
from comity.node import agree, correspond
from comity.node.gate import list_open_collections
from comity.node.journal import verify_folder
from comity.node.node import Node
from comity.node.outbox import list_due
from comity.node.parties import add_party, authenticate, create_credential, export_manifest
from comity.taxii.listen import TaxiiServer
from comity.taxii.server import TaxiiApp
from tests.worlds import World, make_object, object_id

Failure = Exception
CONTENT = ("objects/", "objects/{id}/", "manifest/", "objects/{id}/versions/")
NAMES = ("a", "b", "c")
KINDS: dict[str, Failure] = {
    "full": apsw.FullError("the disk is full"),
    "io": apsw.IOError("the disk failed"),
    "damaged": apsw.CorruptError("the file is damaged"),
    "busy": apsw.BusyError("somebody writes"),
    "unforeseen": ZeroDivisionError("nobody thought of this"),
}


class Watched:
    """A store's connection. `fail` is raised by the next COMMIT, before it is `done` or after; or by a statement."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.commits = 0
        self.statements = 0
        self.fail: Failure | None = None
        self.done = False
        self.fail_at: int | None = None

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> apsw.Cursor:
        if sql == "ROLLBACK":
            return self._connection.execute(sql)
        if sql == "COMMIT":
            return self._commit()
        self._count()
        return self._connection.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> apsw.Cursor:  # noqa: ANN401 (the driver's own)
        self._count()
        return self._connection.executemany(sql, parameters)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (the driver's own)
        return getattr(self._connection, name)

    def _count(self) -> None:
        self.statements += 1
        if self.statements == self.fail_at:
            raise apsw.FullError("no room for this statement")

    def _commit(self) -> apsw.Cursor:
        if self.fail is not None and not self.done:
            raise self._take()
        cursor = self._connection.execute("COMMIT")
        self.commits += 1
        if self.fail is not None:
            raise self._take()
        return cursor

    def _take(self) -> Failure:
        failure, self.fail = self.fail, None
        assert failure is not None
        return failure


def watch(node: Node) -> Watched:
    watched = Watched(node.store._connection)
    node.store._connection = watched  # type: ignore[assignment] # it does what a connection does
    return watched


def read_logged(folder: Path) -> list[dict[str, Any]]:
    """The content of every entry but those that name logs, as another process sees it at this moment."""
    return [content for content in read_all(folder) if not content["format"].startswith("comity-log-")]


def read_all(folder: Path) -> list[dict[str, Any]]:
    connection = apsw.Connection(f"file:{folder / 'store.db'}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | 0x40)
    try:
        return [
            json.loads(content) | json.loads(listing or b"{}")
            for content, listing in connection.execute(
                "SELECT content, data FROM log_opening LEFT JOIN log_listing ON id = listing ORDER BY position"
            )
        ]
    finally:
        connection.close()


def count_logged(world: World) -> int:
    """The entries but those that name logs; all of them verified with everything that stands beside them."""
    folder = world.nodes["aurelia"].folder
    assert verify_folder(folder).size == len(read_all(folder))
    return len(read_logged(folder))


# --- answers ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Answer:
    """What went out for one request; `logged` is what was on record when the first of it did."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    logged: list[dict[str, Any]] | None = None
    commits: int = 0

    def names(self) -> set[str]:
        """The ids of objects that are anywhere in it."""
        return {name for name in (object_id("report", name) for name in NAMES) if name.encode() in self.body}

    def is_empty(self) -> bool:
        """Whether it tells nothing of any object."""
        return not self.names() and not any(name.startswith(b"x-taxii-date-added") for name in self.headers)


@dataclass(slots=True)
class Field:
    """A served node with three objects for its partner."""

    world: World
    app: TaxiiApp
    watched: Watched
    secret: str
    base: str

    def path(self, resource: str) -> str:
        return self.base + resource.format(id=object_id("report", "a"))

    def ask(self, path: str, *, method: str = "GET") -> Answer:
        """The answer, with the record looked at from outside at each piece of it."""
        answer = Answer()
        folder, before = self.world.nodes["aurelia"].folder, self.watched.commits

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            if answer.logged is None:
                answer.logged, answer.commits = read_logged(folder), self.watched.commits - before
            answer.status = message.get("status", answer.status)
            answer.headers |= dict(message.get("headers", []))
            answer.body += message.get("body", b"")

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(b"authorization", f"Bearer {self.secret}".encode())],
            "client": ("127.0.0.1", 1),
        }
        asyncio.run(self.app(scope, receive, send))
        return answer


@pytest.fixture
def ground(world: World) -> Field:
    world.sign_all(world.terms())
    world.add("aurelia", *[make_object(name) for name in NAMES])
    node = world.nodes["aurelia"]
    collection = list_open_collections(node, PartyId("borealia"))[0].id
    secret = create_credential(node, PartyId("borealia"))
    authenticate(node, secret=secret)  # the first use on a day is noted, by a commit of its own
    app = TaxiiApp(node, abort=lambda _: None, received=lambda: None)
    return Field(world, app, watch(node), secret, f"/taxii2/borealia/collections/{collection}/")


def check_on_record(answer: Answer, resource: str) -> None:
    """All that the answer gives was on record, in one entry, before the first of it was handed over."""
    assert answer.logged is not None
    entry = answer.logged[-1]
    listed = {item["id"]: item for item in entry["objects"]}
    value = json.loads(answer.body)
    if resource.endswith("versions/"):
        assert value["versions"] == [listed[object_id("report", "a")]["version"]]
        return
    assert answer.names() == listed.keys()
    for item in value["objects"]:
        assert listed[item["id"]]["version"] == item.get("modified", item.get("version"))
    if resource == "manifest/":
        assert {item["digest"] for item in listed.values()} == {None}
    else:
        start = answer.body.index(b'"objects":[') + len(b'"objects":[')
        decoder, text = json.JSONDecoder(), answer.body.decode()
        while text[start] != "]":
            item, end = decoder.raw_decode(text, start)
            assert listed[item["id"]]["digest"] == sha256_digest(text[start:end].encode())
            start = end + (text[end] == ",")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("resource", CONTENT)
def test_what_is_given_is_on_record_for_everyone_before_its_first_byte(
    ground: Field, resource: str, method: str
) -> None:
    size = count_logged(ground.world)
    for number in (1, 2):
        answer = ground.ask(ground.path(resource), method=method)
        assert (answer.status, answer.commits) == (200, 1)
        assert answer.logged is not None
        assert len(answer.logged) == size + number
        check_on_record(answer, resource)
    assert count_logged(ground.world) == size + 2


@pytest.mark.parametrize("resource", ["/taxii2/", "/taxii2/borealia/", "/taxii2/borealia/collections/", ""])
def test_what_is_not_put_on_record_tells_of_no_object(ground: Field, resource: str) -> None:
    size = count_logged(ground.world)
    answer = ground.ask(resource or ground.base)
    assert (answer.status, answer.commits, count_logged(ground.world)) == (200, 0, size)
    assert answer.is_empty()


def test_an_empty_page_needs_no_entry(ground: Field) -> None:
    size = count_logged(ground.world)
    answer = ground.ask(f"{ground.base}objects/{object_id('report', 'nothing')}/")
    assert (answer.status, count_logged(ground.world)) == (404, size)
    assert answer.is_empty()


@pytest.mark.parametrize("done", [False, True], ids=["not done", "done but not told"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("resource", CONTENT)
def test_a_commit_that_fails_lets_nothing_go(ground: Field, resource: str, kind: str, *, done: bool) -> None:
    size = count_logged(ground.world)
    ground.watched.fail, ground.watched.done = KINDS[kind], done
    answer = ground.ask(ground.path(resource))
    assert ground.watched.fail is None
    assert answer.status == (500 if kind == "unforeseen" else 503)
    assert answer.is_empty()
    assert count_logged(ground.world) == size + done
    # What was done is not undone, what was not is not remembered, and the next answer is as good as any.
    again = ground.ask(ground.path(resource))
    assert again.status == 200
    check_on_record(again, resource)
    assert count_logged(ground.world) == size + done + 1


@pytest.mark.parametrize("resource", CONTENT)
def test_a_failure_of_any_statement_lets_nothing_go(ground: Field, resource: str) -> None:
    size = count_logged(ground.world)
    number = 0
    while True:
        number += 1
        ground.watched.statements, ground.watched.fail_at = 0, number
        answer = ground.ask(ground.path(resource))
        if ground.watched.statements < number:
            break
        assert answer.status == 503
        assert answer.is_empty()
        assert answer.commits == 0
    assert number > 15
    assert answer.status == 200
    check_on_record(answer, resource)
    assert count_logged(ground.world) == size + 1


@pytest.mark.parametrize("done", [False, True], ids=["not done", "done but not told"])
def test_a_node_whose_commit_failed_opens_again(ground: Field, *, done: bool) -> None:
    """The checkpoint outside the store was not written: it is behind or level, never ahead."""
    ground.watched.fail, ground.watched.done = KINDS["io"], done
    assert ground.ask(ground.path("objects/")).status == 503
    size = count_logged(ground.world)
    ground.world.nodes["aurelia"].close()
    ground.world.open("aurelia")
    assert len(ground.world.poll("borealia").items) == len(NAMES)
    assert count_logged(ground.world) == size + 1


# --- messages ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Arrived:
    """A message as it reached the partner, and the events on the sender's record at that moment."""

    event: Digest
    logged: set[str]


class Post:
    """Borealia's node behind a listening socket; each message that comes is noted before the node is given it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.arrived: list[Arrived] = []
        self.then: Callable[[], None] | None = None
        """What happens, once, between the arrival of a message and anybody's next step."""
        self.server = TaxiiServer(world.nodes["borealia"], Address(host="127.0.0.1", port=0))
        self._app = self.server.app
        self.waits = self._app.waits
        self.server.app = self  # type: ignore[assignment] # an ASGI application too

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 (ASGI's own)
        body = bytearray()

        async def noting() -> Any:  # noqa: ANN401 (ASGI's own)
            message = await receive()
            body.extend(message.get("body", b""))
            if body and not message.get("more_body"):
                self._note(bytes(body))
            return message

        await self._app(scope, noting, send)

    def _note(self, envelope: bytes) -> None:
        event = parse_message(envelope).event.digest
        self.arrived.append(Arrived(event, read_events(self.world.nodes["aurelia"].folder)))
        if self.then is not None:
            then, self.then = self.then, None
            then()

    def deliver(self) -> int:
        """How many messages of Aurelia's were acknowledged in one try."""

        async def run() -> int:
            async with self._listening():
                return await peers.deliver(self.world.nodes["aurelia"])

        self.world.tick(400_000_000)
        return asyncio.run(run())

    @asynccontextmanager
    async def _listening(self) -> Any:  # noqa: ANN401 (a context manager's own)
        bound = await self.server.start()
        try:
            manifest = export_manifest(self.world.nodes["borealia"])
            url = f"http://{bound.host}:{bound.port}"
            add_party(self.world.nodes["aurelia"], manifest, digest=None, url=url)
            yield
        finally:
            await self.server.stop()


def read_events(folder: Path) -> set[str]:
    return {content["event"] for content in read_logged(folder) if "event" in content}


@pytest.fixture
def post(world: World) -> Post:
    return Post(world)


def act(world: World, kind: EventKind, agreement: str) -> Digest:
    """The event of an act of Aurelia's."""
    fields = {"clause": "purposes", "text": "Which?"} if kind is EventKind.CLARIFY else {}
    return world.act("aurelia", agreement, kind, **fields).event.digest


def test_a_message_is_on_record_before_it_leaves(world: World, post: Post) -> None:
    recorded = world.propose("aurelia", world.terms())
    assert isinstance(recorded, agree.Recorded)
    agreement = recorded.event.agreement
    assert post.deliver() == 1
    sent = [recorded.event.digest]
    world.act("borealia", agreement, EventKind.ACCEPT)
    for message in list_due(world.nodes["borealia"]):
        correspond.receive(world.nodes["aurelia"], message.envelope)
    (confirmation,) = list_due(world.nodes["aurelia"])
    sent.append(parse_message(confirmation.envelope).event.digest)
    assert post.deliver() == 1
    for kind in (EventKind.CLARIFY, EventKind.SUSPEND, EventKind.RESUME, EventKind.TERMINATE):
        sent.append(act(world, kind, agreement))
        assert post.deliver() == 1
    assert [item.event for item in post.arrived] == sent
    assert all(item.event in item.logged for item in post.arrived)


@pytest.mark.parametrize("done", [False, True], ids=["not done", "done but not told"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_act_whose_commit_fails_sends_only_what_is_on_record(
    world: World, post: Post, kind: str, *, done: bool
) -> None:
    agreement = world.sign_all(world.terms())
    before = read_events(world.nodes["aurelia"].folder)
    watched = watch(world.nodes["aurelia"])
    watched.fail, watched.done = KINDS[kind], done
    with pytest.raises((UnavailableError, CorruptionError, ZeroDivisionError)):
        act(world, EventKind.SUSPEND, agreement)
    recorded = read_events(world.nodes["aurelia"].folder) - before
    assert len(recorded) == done
    assert post.deliver() == done
    assert {item.event for item in post.arrived} == recorded
    assert all(item.event in item.logged for item in post.arrived)
    assert recorded <= read_events(world.nodes["borealia"].folder)
    count_logged(world)
    # What the operator does next: the same again. Done once, it says so; not done, it is done now.
    if done:
        with pytest.raises(ComityError, match="already"):
            act(world, EventKind.SUSPEND, agreement)
    else:
        act(world, EventKind.SUSPEND, agreement)
    assert not list_open_collections(world.nodes["aurelia"], PartyId("borealia"))


@pytest.mark.parametrize("done", [False, True], ids=["not done", "done but not told"])
@pytest.mark.parametrize("who", ["aurelia", "borealia"])
def test_a_message_whose_receipt_is_lost_comes_again_and_counts_once(
    world: World, post: Post, who: str, *, done: bool
) -> None:
    """The partner cannot commit what came, or this node cannot note that it came."""
    agreement = world.sign_all(world.terms())
    event = act(world, EventKind.SUSPEND, agreement)
    watched = watch(world.nodes[who])

    def fail() -> None:
        watched.fail, watched.done = KINDS["io"], done

    post.then = fail
    if who == "aurelia":
        with pytest.raises(UnavailableError):
            post.deliver()
    else:
        assert post.deliver() == 0
    post.deliver()
    assert {item.event for item in post.arrived} == {event}
    assert len(post.arrived) == (1 if (who, done) == ("aurelia", True) else 2)
    logged = [content.get("event") for content in read_logged(world.nodes["borealia"].folder)]
    assert logged.count(event) == 1
    assert not list_due(world.nodes["aurelia"])
    verify_folder(world.nodes["borealia"].folder)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What goes wrong on purpose here is written to the log; it is not shown."""
    yield
    caplog.clear()
