# SPDX-License-Identifier: Apache-2.0
"""The serving process as its operator runs it: a new certificate, a stop under load, slow clients, no secret in a log.

Every process is a real one, every byte goes over loopback.
"""

import contextlib
import json
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from comity.ids import PartyId
from comity.node.gate import list_open_collections
from comity.node.parties import create_credential
from tests.certificates import Authority
from tests.e2e.conftest import PATIENCE, Serving, comity, disclosed, entries, get, read_objects, rows, wait_until
from tests.ports import find_port
from tests.served import format_request
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

Serve = Callable[..., Serving]
FILLER = 300_000
OBJECTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Aurelia's node, not served yet, with a page for Borealia that no socket buffer holds."""

    folder: Path
    path: str
    secret: str
    authority: Authority

    def set(self, text: str) -> None:
        """Add to the settings."""
        with (self.folder / "node.toml").open("a", encoding="utf-8") as file:
            file.write(text)

    def encrypt(self) -> None:
        """Speak TLS from the next start on."""
        files = self.authority.issue("first")
        self.place("first")
        self.set(f'[tls]\ncertificate = "{self.folder}/now.pem"\nkey = "{self.folder}/now.key"\n')
        assert files.key.is_file()

    def place(self, name: str) -> None:
        """Put another certificate where the node looks, as a tool that renews certificates does."""
        for kind in ("pem", "key"):
            target = self.folder / f"now.{kind}"
            data = (self.authority.folder / f"{name}.{kind}").read_bytes()
            target.with_suffix(".new").touch(mode=0o600)
            target.with_suffix(".new").write_bytes(data)
            target.with_suffix(".new").replace(target)


@pytest.fixture
def ground(tmp_path: Path) -> Field:
    world = World(tmp_path / "world")
    world.folder.mkdir()
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    node = world.nodes["aurelia"]
    collection = list_open_collections(node, PartyId("borealia"))[0].id
    world.add("aurelia", *[make_object(f"r{n}", more={"description": "x" * FILLER}) for n in range(OBJECTS)])
    secret = create_credential(node, PartyId("borealia"))
    world.close()
    path = f"/taxii2/borealia/collections/{collection}/objects/"
    return Field(folder=node.folder, path=path, secret=secret, authority=Authority.found(tmp_path / "authority"))


def connect(url: str, *, buffer: int | None = None) -> socket.socket:
    connection = socket.socket()
    connection.settimeout(PATIENCE)
    if buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    host, _, port = url.partition("://")[2].partition(":")
    try:
        connection.connect((host, int(port)))
    except OSError:
        connection.close()
        raise
    return connection


def shake_hands(url: str, authority: Authority) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=authority.trusted)
    raw = connect(url)
    try:
        return context.wrap_socket(raw, server_hostname="127.0.0.1")
    except OSError:
        raw.close()
        raise


def name_of(connection: ssl.SSLSocket) -> str:
    certificate = connection.getpeercert()
    assert certificate is not None
    return str(certificate["subject"][0][0][1])


def ask(field: Field, path: str | None = None, *, close: bool = True) -> bytes:
    more = {"Connection": "close"} if close else {}
    return format_request("GET", path or field.path, headers={"Authorization": f"Bearer {field.secret}", **more})


def read_rest(connection: socket.socket, *, pause: float = 0) -> bytes:
    """Everything until the other side ends or drops the connection."""
    received = bytearray()
    with contextlib.suppress(OSError):
        while part := connection.recv(65_536):
            received += part
            time.sleep(pause)
    return bytes(received)


def is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return len(body) == int(length.partition(b":")[2])


def faults(server: Serving) -> str:
    return server.faults.read_text(encoding="utf-8")


# --- a new certificate ------------------------------------------------------------------------------------------------


def test_a_new_certificate_is_taken_without_dropping_anybody(ground: Field, serve: Serve) -> None:
    ground.encrypt()
    server = serve(ground.folder)
    assert server.url.startswith("https://")
    for name in ("second", "third"):
        ground.authority.issue(name)
    with shake_hands(server.url, ground.authority) as standing:
        standing.sendall(ask(ground, close=False))
        begun = standing.recv(1_024)  # under way: most of the answer is still on the other side
        ground.place("second")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reloaded: new connections get the certificate" in faults(server))
        with shake_hands(server.url, ground.authority) as other:
            assert name_of(other) == "second"
        assert name_of(standing) == "first"
        length = int(begun.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        rest = length - len(begun.partition(b"\r\n\r\n")[2])
        while rest:
            rest -= len(standing.recv(min(rest, 65_536)))
        standing.sendall(ask(ground, "/taxii2/"))
        assert read_rest(standing).startswith(b"HTTP/1.1 200 ")

    # The key of another certificate, then nothing at all: the second stays, and why is said.
    (ground.folder / "now.key").write_bytes((ground.authority.folder / "third.key").read_bytes())
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "do not go together" in faults(server))
    (ground.folder / "now.pem").unlink()
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "no certificate chain in PEM can be read there" in faults(server))
    assert faults(server).count("not reloaded, what was in use before stays in use") == 2
    with shake_hands(server.url, ground.authority) as after:
        assert name_of(after) == "second"
    ground.place("third")
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: faults(server).count("reloaded: new") == 2)
    with shake_hands(server.url, ground.authority) as last:
        assert name_of(last) == "third"
    assert server.end() == 0


def test_a_bad_certificate_is_told_at_the_start(ground: Field) -> None:
    ground.encrypt()
    (ground.folder / "now.key").chmod(0o644)
    ended = comity(ground.folder, "serve", "--listen", "127.0.0.1:0", "--json")
    assert ended.code == 1
    assert ended.error["code"] == "config"
    assert f"run: chmod 600 {ground.folder}/now.key" in ended.error["message"]


def test_the_signal_does_nothing_without_anything_to_reload(ground: Field, serve: Serve) -> None:
    server = serve(ground.folder)
    server.process.send_signal(signal.SIGHUP)
    assert get(f"{server.url}/taxii2/", ground.secret).status_code == 200
    assert server.end() == 0
    assert faults(server) == ""


def test_nodes_talk_through_tls_to_whom_their_authority_vouches_for(tmp_path: Path, serve: Serve) -> None:
    world = World(tmp_path / "world")
    world.folder.mkdir()
    world.found("aurelia", "borealia")
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("held"))
    folders = {name: node.folder for name, node in world.nodes.items()}
    world.close()
    authority = Authority.found(tmp_path / "authority")
    for name, folder in folders.items():
        files = authority.issue(name)
        settings = folder / "node.toml"
        tls = f'[tls]\ncertificate = "{files.certificate}"\nkey = "{files.key}"\n'
        trusted = f'authorities = "{authority.trusted}"\n'
        settings.write_text(settings.read_text(encoding="utf-8") + trusted + tls, encoding="utf-8")
    servers = {name: serve(folder) for name, folder in folders.items()}
    for name, partner in (("aurelia", "borealia"), ("borealia", "aurelia")):
        manifest = tmp_path / f"{partner}.json"
        comity(folders[partner], "party", "export", manifest)
        assert comity(folders[name], "party", "add", manifest, "--url", servers[partner].url).code == 0
    pulled = comity(folders["borealia"], "pull", "aurelia", "--json")
    assert pulled.code == 0, pulled.err
    # By this command or by its own following, whichever was first.
    wait_until(lambda: rows(folders["borealia"], "SELECT id FROM object") == [(object_id("report", "held"),)])
    suspended = comity(folders["aurelia"], "agreement", "suspend", agreement, "--json").result
    assert suspended["state"] == "suspended"
    wait_until(
        lambda: comity(folders["borealia"], "agreement", "status", agreement, "--json").result["state"] == "suspended"
    )

    stranger = Authority.found(tmp_path / "stranger", name="Another Authority")
    authority.trusted.write_bytes(stranger.trusted.read_bytes())
    refused = comity(folders["borealia"], "pull", "aurelia", "--json")
    assert refused.code in {6, 8}
    resumed = comity(folders["aurelia"], "agreement", "resume", agreement, "--json").result
    assert [item["party"] for item in resumed["waiting"]] == ["borealia"]
    authority.trusted.write_text("nothing", encoding="utf-8")
    told = comity(folders["aurelia"], "pull", "borealia", "--json")
    assert told.code != 0


# --- a stop -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def stop_seconds() -> int:
    """So long that no answer is cut which is read."""
    return 60


@pytest.fixture(params=[("plain", 1), ("tls", 1), ("plain", 2), ("tls", 2)], ids=lambda param: f"{param[0]}-{param[1]}")
def served(request: pytest.FixtureRequest, ground: Field, serve: Serve, stop_seconds: int) -> Serving:
    """The node by one process or by two workers."""
    ground.set(f"[limits]\nstop_seconds = {stop_seconds}\n")
    if request.param[0] == "tls":
        ground.encrypt()
    return serve(ground.folder, workers=request.param[1])


def enter(server: Serving, ground: Field) -> socket.socket:
    """A connection, through TLS where the server speaks it."""
    return shake_hands(server.url, ground.authority) if server.url.startswith("https") else connect(server.url)


def begin_slowly(server: Serving, ground: Field) -> socket.socket:
    """A connection on which a page was asked for and hardly anything of it can have left the server."""
    raw = connect(server.url, buffer=4_096)
    if server.url.startswith("https"):
        raw = ssl.create_default_context(cafile=ground.authority.trusted).wrap_socket(raw, server_hostname="127.0.0.1")
    raw.sendall(ask(ground))
    assert raw.recv(512).startswith(b"HTTP/1.1 200 ")
    return raw


def is_refused(url: str) -> bool:
    """Whether no new connection is taken."""
    # One that comes while the listener closes is reset.
    with contextlib.suppress(ConnectionRefusedError, ConnectionResetError), connect(url):
        return False
    return True


def test_an_answer_under_way_is_finished_before_the_end(served: Serving, ground: Field) -> None:
    with begin_slowly(served, ground) as reader:
        served.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(served.url))
        received = read_rest(reader)
    assert received.endswith(b"]}")
    assert len(received) > OBJECTS * FILLER
    assert served.process.wait(PATIENCE) == 0
    assert faults(served) == ""


@pytest.mark.parametrize("stop_seconds", [6])  # unlike what it is when nothing is said
def test_a_reader_that_does_not_read_is_cut_at_the_deadline(served: Serving, ground: Field) -> None:
    with begin_slowly(served, ground) as reader:
        started = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(PATIENCE) == 0
        assert 5.8 < time.monotonic() - started < 40
        assert not read_rest(reader).endswith(b"]}")
    (line,) = faults(served).splitlines()
    assert "1 connections were cut: their answers took longer than stop_seconds" in line


def test_idle_connections_hold_up_no_stop(served: Serving, ground: Field) -> None:
    with httpx.Client(base_url=served.url, verify=False, timeout=PATIENCE) as client:
        assert client.get("/taxii2/").status_code == 401
        with connect(served.url) as silent:
            time.sleep(0.2)
            started = time.monotonic()
            served.process.send_signal(signal.SIGTERM)
            assert served.process.wait(PATIENCE) == 0
            # A connection that never said anything is no answer under way, and is cut with the rest.
            assert time.monotonic() - started < 40
            assert silent.recv(1) == b""


def test_a_stop_under_load_tears_no_answer(served: Serving, ground: Field) -> None:
    """Clients that never stop asking: each answer that began is whole, and what was given is on record."""
    answers, lock = list[bytes](), threading.Lock()

    def ask_on() -> None:
        with contextlib.suppress(OSError):
            while True:
                with enter(served, ground) as raw:
                    raw.sendall(ask(ground, f"{ground.path}?limit=3"))
                    got = read_rest(raw)
                with lock:
                    answers.append(got)

    clients = [threading.Thread(target=ask_on) for _ in range(4)]
    for client in clients:
        client.start()
    wait_until(lambda: len(answers) > 8)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(PATIENCE) == 0
    for client in clients:
        client.join(PATIENCE)
    begun = [answer for answer in answers if answer]
    assert all(is_whole(answer) for answer in begun)
    given = {item for answer in begun for item in read_objects(answer.partition(b"\r\n\r\n")[2])}
    assert given <= disclosed(ground.folder, "borealia")
    count = sum(entry.leaf["type"] == "disclosure" for entry in entries(ground.folder))
    assert count >= len(begun)


# --- slow and many clients --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_slow_clients_are_cut_and_partners_are_served_meanwhile(ground: Field, serve: Serve, workers: int) -> None:
    ground.set("[limits]\nhead_seconds = 1\nbody_seconds = 1\nconnections = 40\n")
    server = serve(ground.folder, workers=workers)
    body = format_request("POST", "/comity/exchange/", headers={"Content-Length": "1000000"})
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(server.url)) for _ in range(30)]
        for number, connection in enumerate(slow):
            connection.sendall((b"GET /taxii2/ HTTP/1.1\r\nX-", body + b"x", b"\r\n")[number % 3])
        assert get(f"{server.url}/taxii2/", ground.secret).status_code == 200
        started = time.monotonic()
        assert [read_rest(connection) for connection in slow] == [b""] * 30
        assert time.monotonic() - started < 9  # less than the time that there is when nothing is said
    assert get(f"{server.url}/taxii2/", ground.secret).status_code == 200
    assert server.end() == 0
    assert faults(server) == ""


def test_nobody_can_fill_the_log_of_the_process(ground: Field, serve: Serve) -> None:
    ground.set("[limits]\nconnections = 3\n")
    server = serve(ground.folder)
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(connect(server.url)) for _ in range(6)]
        for connection in many:
            connection.sendall(format_request("GET", "/", headers={"Connection": "close"}))
        assert any(read_rest(connection).startswith(b"HTTP/1.1 503 ") for connection in many)
    for broken in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", b"\0"):
        with connect(server.url) as connection:
            connection.sendall(broken)
            connection.shutdown(socket.SHUT_WR)
            read_rest(connection)
    assert server.end() == 0
    assert faults(server) == ""


def test_a_party_that_asks_too_much_is_told_and_others_are_not_held_up(ground: Field, serve: Serve) -> None:
    ground.set("[limits]\nrequests_per_second = 1\n")
    server = serve(ground.folder)
    answers = [get(f"{server.url}/taxii2/", ground.secret)]
    while answers[-1].status_code == 200 and len(answers) < 500:
        answers.append(get(f"{server.url}/taxii2/", ground.secret))
    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert get(f"{server.url}/taxii2/", "wrong").status_code == 401


# --- credentials and logs ---------------------------------------------------------------------------------------------


def test_a_revoked_credential_is_a_outsiders_at_the_next_request(ground: Field, serve: Serve) -> None:
    server = serve(ground.folder)
    new = comity(ground.folder, "credential", "create", "borealia", "--days", "30", "--json").result
    root, days = f"{server.url}/taxii2/borealia/", {time.strftime("%Y-%m-%d", time.gmtime())}
    assert [get(root, secret).status_code for secret in (ground.secret, new["credential"])] == [200, 200]
    listed = comity(ground.folder, "credential", "list", "borealia", "--json").result["credentials"]
    (old,) = [item for item in listed if item["id"] != new["id"]]
    days.add(time.strftime("%Y-%m-%d", time.gmtime()))
    assert len(listed) == 2
    assert {item["last_used"] for item in listed} <= days
    revoked = comity(ground.folder, "credential", "revoke", old["id"][:5], "--json").result
    assert (revoked["id"], revoked["good"]) == (old["id"], False)
    assert [get(root, secret).status_code for secret in (ground.secret, new["credential"])] == [404, 200]
    assert get(root, ground.secret).content == get(root, "nonsense").content
    key = httpx.get(root, headers={"X-API-Key": new["credential"]}, timeout=PATIENCE)
    assert key.status_code == 200
    for shown in (comity(ground.folder, "log", "list"), comity(ground.folder, "credential", "list")):
        assert shown.code == 0
        assert new["credential"] not in shown.out


def test_no_line_of_any_log_holds_a_secret(ground: Field, serve: Serve) -> None:
    settings = ground.folder / "node.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + 'access_log = "stderr"\n', encoding="utf-8")
    ground.encrypt()
    server = serve(ground.folder)
    secret = ground.secret
    wanted = object_id("report", "r0")
    with httpx.Client(base_url=server.url, verify=False, timeout=PATIENCE) as client:
        client.get(f"{ground.path}{wanted}/", headers={"Authorization": f"Bearer {secret}"})
        client.get("/taxii2/", auth=(secret, "wrong"))
        client.get(f"/{secret}/?key={secret}", headers={"X-API-Key": secret})
        client.post("/comity/exchange/", content=secret.encode() * 10)
        client.get(f"/taxii2/{secret}/", headers={"Authorization": secret, "Accept": secret})
    for broken in (
        f"{secret} HTTP/1.1\r\n\r\n",
        f"GET / HTTP/9.{secret}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{secret}\r\n\r\n",
    ):
        with shake_hands(server.url, ground.authority) as connection:
            connection.sendall(broken.encode())
            read_rest(connection)
    with connect(server.url) as connection:
        connection.sendall(secret.encode())
    (ground.folder / "recognition.toml").write_text(f'nonsense = "{secret}"\n', encoding="utf-8")
    with httpx.Client(base_url=server.url, verify=False, timeout=PATIENCE) as client:
        client.get(ground.path, headers={"Authorization": f"Bearer {secret}"})
    assert server.end() == 0
    text = faults(server)
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert [(line["resource"], line["status"]) for line in lines][:3] == [
        ("object", 200),
        ("discovery", 401),
        ("none", 404),
    ]
    for word in (secret, secret[:16], wanted, "PRIVATE KEY"):
        assert word not in text


def test_health_stands_on_an_address_of_its_own(ground: Field, serve: Serve) -> None:
    port = find_port()
    settings = ground.folder / "node.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + f'admin = "127.0.0.1:{port}"\n', encoding="utf-8")
    server = serve(ground.folder)
    admin = f"http://127.0.0.1:{port}"
    assert get(f"{admin}/ready", None).json() == {"status": "ready"}
    get(f"{server.url}{ground.path}", ground.secret)
    given = 'comity_objects_released_total{party="borealia",resource="objects"} 20.0'
    wait_until(lambda: given in get(f"{admin}/metrics", None).text)
    assert get(f"{server.url}/metrics", ground.secret).status_code == 404
    assert server.end() == 0


@pytest.fixture(autouse=True)
def open_files() -> Iterator[None]:
    """No test leaves a connection behind."""
    before = count_open()
    yield
    assert count_open() <= before + 8


def count_open() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
