# SPDX-License-Identifier: Apache-2.0
"""Messages to a serving node that are altered, repeated, out of order, of strangers, or no messages at all."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from comity.agreement.events import Event, EventKind
from comity.exchange import make_message
from comity.ids import AgreementId, Digest, PartyId
from comity.node import agree
from comity.node.journal import verify_folder
from comity.node.outbox import list_due, settle
from comity.signing import Role, Signer
from tests.e2e.conftest import PATIENCE, Serving, comity, count, serving
from tests.e2e.test_bad_input import flipped, signed_type
from tests.worlds import World, make_object

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """Aurelia's node, served, and Borealia's, from which messages come; they have an agreement in force."""

    world: World
    server: Serving
    agreement: str

    def post(self, envelope: bytes) -> httpx.Response:
        return httpx.post(f"{self.server.url}/comity/exchange/", content=envelope, timeout=PATIENCE, trust_env=False)

    def write(self, kind: EventKind, agreement: str = "", **fields: str) -> bytes:
        """The message of an act of Borealia, which is on record there and not delivered."""
        self.world.tick()
        self.world.act("borealia", agreement or self.agreement, kind, **fields)
        return self.take()

    def forge(self, kind: EventKind, party: str, signer: Signer, *, re: Digest | None = None) -> bytes:
        """A message in the name of `party` that `signer` signed, past every check of a node."""
        said = Event(
            digest=Digest("0" * 64),
            kind=kind,
            agreement=AgreementId(self.agreement),
            terms=Digest(self.agreement),
            party=PartyId(party),
            at=self.world.now,
            re=re,
        )
        return make_message(said, nonce=b"nonce", signers=[signer])

    def take(self) -> bytes:
        """The newest message that waits at Borealia, taken out of the hands of the post."""
        waiting = list_due(self.world.nodes["borealia"])
        for message in waiting:
            settle(self.world.nodes["borealia"], message, problem=None)
        return waiting[-1].envelope

    def state(self, agreement: str = "") -> str:
        done = comity(self.server.folder, "agreement", "status", agreement or self.agreement, "--json")
        return str(done.result["state"])

    @contextmanager
    def grows_by(self, events: int, *, terms: int = 0) -> Iterator[None]:
        """That many events, each in the log once, and nothing else; the log verifies."""
        before = count(self.server.folder)
        yield
        after = count(self.server.folder)
        assert (after.events - before.events, after.entries - before.entries) == (events, events)
        assert after.terms - before.terms == terms
        assert (after.objects, after.parties) == (before.objects, before.parties)
        assert verify_folder(self.server.folder).size == after.entries


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.add("aurelia", make_object("a"))
    agreement = world.sign_all(world.terms())
    folder = world.nodes["aurelia"].folder
    world.nodes["aurelia"].close()
    with serving(folder) as server:
        yield Line(world, server, agreement)
        assert b"Traceback" not in server.faults.read_bytes()
    assert comity(folder, "log", "verify").code == 0
    world.close()


def check_silent(line: Line, *answers: httpx.Response) -> None:
    """Each has the bytes of the answer to anything that is not there."""
    nothing = httpx.get(f"{line.server.url}/nowhere", timeout=PATIENCE, trust_env=False)
    assert nothing.status_code == 404
    for answer in answers:
        assert (answer.status_code, answer.content) == (404, nothing.content)
        assert sorted(answer.headers.keys()) == sorted(nothing.headers.keys())


def test_a_message_sent_twice_counts_once(line: Line) -> None:
    suspend = line.write(EventKind.SUSPEND)
    with line.grows_by(1):
        assert [line.post(suspend).status_code for _ in range(3)] == [202, 202, 202]
    assert line.state() == "suspended"
    resume = line.write(EventKind.RESUME)
    with line.grows_by(1):
        assert line.post(resume).status_code == 202
        # The old suspension once more, as whoever recorded it would send it: it stays lifted.
        assert line.post(suspend).status_code == 202
    assert line.state() == "in force"


def test_a_resumption_may_come_before_its_suspension(line: Line) -> None:
    suspend = line.write(EventKind.SUSPEND)
    resume = line.write(EventKind.RESUME)
    with line.grows_by(1):
        assert line.post(resume).status_code == 202
    assert line.state() == "in force"
    with line.grows_by(1):
        assert line.post(suspend).status_code == 202
    assert line.state() == "in force"
    again = line.write(EventKind.SUSPEND)
    with line.grows_by(1):
        assert line.post(again).status_code == 202
        assert line.post(resume).status_code == 202
    assert line.state() == "suspended"


def test_a_resumption_of_what_another_suspended_lifts_nothing(line: Line) -> None:
    suspended = comity(line.server.folder, "agreement", "suspend", line.agreement, "--json").result["event"]
    signer = line.world.nodes["borealia"].signers[Role.AGREEMENT]
    line.post(line.forge(EventKind.RESUME, "borealia", signer, re=Digest(suspended)))
    assert line.state() == "suspended"


def test_an_event_on_an_agreement_not_yet_known_can_come_again_later(line: Line) -> None:
    line.world.tick()
    recorded = line.world.propose("borealia", line.world.terms(title="Another"))
    assert isinstance(recorded, agree.Recorded)
    proposal = line.take()
    question = line.write(EventKind.CLARIFY, recorded.event.agreement, clause="purposes", text="Which?")
    with line.grows_by(0):
        check_silent(line, line.post(question))
    with line.grows_by(2, terms=1):
        assert [line.post(proposal).status_code, line.post(question).status_code] == [202, 202]
    assert line.state(recorded.event.agreement) == "in clarification"


def test_an_altered_message_is_no_message(line: Line) -> None:
    message = line.write(EventKind.SUSPEND, text="Consultations.")
    altered = [
        flipped(message, "payload", b"Consultations"),
        flipped(message, "payload", line.agreement.encode()),
        flipped(message, "sig"),
        signed_type(message),
        message[:-2],
        message.replace(b'"payload"', b'"payload":"","payload"', 1),
    ]
    with line.grows_by(0):
        check_silent(line, *[line.post(data) for data in altered])
    assert line.state() == "in force"
    with line.grows_by(1):
        assert line.post(message).status_code == 202


def test_a_message_of_a_stranger_or_in_anothers_name_is_no_message(line: Line, tmp_path: Path) -> None:
    strangers = World(tmp_path / "strangers")
    strangers.found("meridia")
    stranger, partner = strangers.nodes["meridia"], line.world.nodes["borealia"]
    cases = [
        ("meridia", stranger.signers[Role.AGREEMENT]),
        ("borealia", stranger.signers[Role.AGREEMENT]),
        ("aurelia", partner.signers[Role.AGREEMENT]),
        ("borealia", partner.signers[Role.TRANSPORT]),
        ("borealia", partner.signers[Role.LOG]),
    ]
    made = [line.forge(EventKind.TERMINATE, party, signer) for party, signer in cases]
    with line.grows_by(0):
        check_silent(line, *[line.post(data) for data in made])
    assert line.state() == "in force"
    strangers.close()


NO_MESSAGES = {
    "nothing": b"",
    "cut short": b"{",
    "a list": b"[]",
    "null": b"null",
    "no text": b"\xff\xfe",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep and cut short": b'{"payload":' * 100_000,
    "a key twice": b'{"payload":"","payload":"","payloadType":"","signatures":[]}',
    "unsigned": json.dumps({"payload": "e30=", "payloadType": "x", "signatures": []}).encode(),
    "over the bound": b" " * (2 * MEBIBYTE + 1),
}


def test_what_is_no_message_at_all_gets_the_answer_of_nothing(line: Line) -> None:
    with line.grows_by(0):
        answers = {name: line.post(data) for name, data in NO_MESSAGES.items()}
    assert {name for name, answer in answers.items() if answer.status_code != 404} == set()
    check_silent(line, *answers.values())


def read_peak(server: Serving) -> int:
    """The most memory that the process ever had, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return next(int(row.split()[1]) * 1024 for row in status.splitlines() if row.startswith("VmHWM:"))


def read_used(server: Serving) -> float:
    """The seconds of processor time that the process has taken."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_hundred_megabytes_are_not_read(line: Line) -> None:
    host, _, port = line.server.url.removeprefix("http://").partition(":")
    before, used = read_peak(line.server), read_used(line.server)
    sent, answer = 0, b""
    with line.grows_by(0), socket.create_connection((host, int(port)), timeout=PATIENCE) as sender:
        head = f"POST /comity/exchange/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: {100 * MEBIBYTE}\r\n\r\n"
        sender.sendall(head.encode())
        try:
            while sent < 100 * MEBIBYTE:
                sent += sender.send(b" " * MEBIBYTE)
            answer = sender.recv(65_536)
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert not answer or answer.startswith(b"HTTP/1.1 404 ")
    assert read_used(line.server) - used < 5
    assert read_peak(line.server) - before < 32 * MEBIBYTE
    assert line.state() == "in force"
