# SPDX-License-Identifier: Apache-2.0
"""The serving process, and the commands that go through it: real processes on the loopback interface."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from comity.cli.control import SOCKET_NAME
from tests.ports import find_port
from tests.unit.cli.conftest import CREATED, LOCATION, REPORT, WORDS, Done, Party, Server, make_object, write_bundle
from tests.unit.cli.test_commands import documented, propose
from tests.unit.cli.test_help import HEAVY, run_and_list_modules

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

Serve = Callable[..., Server]


def wait_until(check: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def serve_both(serve: Serve, aurelia: Party, borealia: Party) -> Server:
    """Both nodes, each knowing where the other is; the serving process of the first."""
    first, second = serve(aurelia), serve(borealia)
    aurelia.pin(borealia, second.url)
    borealia.pin(aurelia, first.url)
    return first


def knows(party: Party, agreement: str) -> bool:
    return party.do("agreement", "status", agreement).code == 0


def in_force(party: Party, agreement: str) -> bool:
    return bool(party.ask("agreement", "status", agreement)["state"] == "in force")


def agree(aurelia: Party, borealia: Party, terms: Path) -> str:
    """The agreement, signed by both and in force."""
    agreement = str(aurelia.ask("agreement", "propose", terms)["agreement"])
    wait_until(lambda: knows(borealia, agreement))
    borealia.ask("agreement", "accept", agreement[:10])
    wait_until(lambda: in_force(aurelia, agreement) and in_force(borealia, agreement))
    return agreement


def test_ready_is_one_line_and_a_signal_ends_it_well(aurelia: Party, serve: Serve) -> None:
    server = serve(aurelia, "--json")
    ready = json.loads(server.line)
    assert ready.keys() == documented("serve")
    assert ready["taxii"] == f"{ready['url']}/taxii2/"
    assert (aurelia.folder / SOCKET_NAME).is_socket()
    started = time.monotonic()
    assert server.stop(signal.SIGTERM) == 0
    assert time.monotonic() - started < 60
    assert server.faults == ""
    assert not (aurelia.folder / SOCKET_NAME).exists()


def test_ready_is_said_for_people_and_an_interrupt_ends_it_well(aurelia: Party, serve: Serve) -> None:
    server = serve(aurelia, "--listen", "127.0.0.1:0")
    assert server.line.startswith("serving aurelia on http://127.0.0.1:")
    assert server.line.endswith("/taxii2/)\n")
    assert server.stop(signal.SIGINT) == 0


def test_a_console_is_served_beside_and_said(aurelia: Party, serve: Serve) -> None:
    with (aurelia.folder / "node.toml").open("a") as file:
        file.write('\n[console]\nlisten = "127.0.0.1:0"\n')
    server = serve(aurelia, "--json")
    ready = json.loads(server.line)
    console = httpx.get(ready["console"], trust_env=False, timeout=60)
    assert (console.status_code, console.headers["location"]) == (303, "/sign-in?next=%2F")
    assert httpx.get(f"{ready['url']}/", trust_env=False, timeout=60).status_code == 404
    assert server.stop(signal.SIGTERM) == 0
    assert server.faults == ""
    with pytest.raises(httpx.ConnectError):
        httpx.get(ready["console"], trust_env=False, timeout=60)


def test_without_one_no_console_is_served(aurelia: Party, serve: Serve) -> None:
    assert json.loads(serve(aurelia, "--json").line)["console"] is None


def test_a_command_says_the_same_through_the_serving_process(
    aurelia: Party, terms: Path, bundle: Path, serve: Serve
) -> None:
    agreement = propose(aurelia, terms)
    aurelia.ask("object", "add", bundle, *WORDS)
    # What is asked of a file without these words is another act, which is on record once.
    aurelia.ask("object", "add", bundle)
    commands: list[tuple[str, ...]] = [
        ("party", "list"),
        ("party", "export"),
        ("agreement", "list"),
        ("agreement", "show", agreement),
        ("agreement", "accept", agreement),
        ("agreement", "show", "ffffffff"),
        ("agreement", "clarify", agreement, "--clause", "x", "--text", "?"),
        ("object", "show", REPORT),
        ("object", "add", str(bundle)),
        ("explain", REPORT, "--to", "borealia"),
        ("explain", REPORT, "--to", "nobody"),
        ("log", "list"),
        ("log", "show", "0"),
        ("log", "show", "77"),
        ("log", "verify"),
        ("log", "checkpoint"),
    ]

    def say_all() -> list[Done]:
        return [aurelia.do(*command, *form) for command in commands for form in ((), ("--json",))]

    alone = say_all()
    serve(aurelia)
    assert say_all() == alone


def assert_receipts_fit(giver: Party, receiver: Party) -> None:
    """Giver and receiver each write the receipt out, and an auditor verifies both."""
    folder = giver.folder.parent
    (entry,) = [item for item in giver.ask("log", "list")["entries"] if item["type"] == "disclosure"]
    own = giver.do("log", "receipt", str(entry["entry"]), "--out", str(folder / "own.json"))
    kept = receiver.do("log", "receipt", "1", "--from", giver.id, "--out", str(folder / "kept.json"))
    assert (own.code, kept.code) == (0, 0)
    assert f"receipt written to {folder / 'own.json'}" in own.out
    for name in ("own.json", "kept.json"):
        verified = giver.ask("verify", str(folder / name), "--manifest", str(giver.manifest))
        assert verified.keys() == documented("verify", node="")
        assert (verified["giver"], verified["recipient"], verified["sequence"]) == (giver.id, receiver.id, 1)
    assert giver.ask("log", "receipt", str(entry["entry"])).keys() == documented("log receipt")
    assert receiver.ask("log", "refused") == {"refused": []}
    assert receiver.ask("log", "refused").keys() < documented("log refused")
    assert giver.do("log", "receipt", "0").code == 5
    assert receiver.do("log", "receipt", "2", "--from", giver.id).code == 5
    assert receiver.do("log", "refused", "1").code == 5


def test_two_nodes_agree_give_and_stop(
    aurelia: Party, borealia: Party, terms: Path, bundle: Path, serve: Serve
) -> None:
    serve_both(serve, aurelia, borealia)
    agreement = agree(aurelia, borealia, terms)
    aurelia.ask("object", "add", bundle, *WORDS)
    pulled = borealia.ask("pull", "aurelia")
    assert pulled.keys() == documented("pull")
    (channel,) = pulled["channels"]
    assert (len(channel["added"]), channel["bad"], channel["withheld"]) == (2, [], False)
    assert (channel["missing"], channel["refused"]) == (0, None)
    assert_receipts_fit(aurelia, borealia)
    shown = borealia.ask("object", "show", REPORT)
    assert (shown["originator"], shown["received_under"]) == ("aurelia", agreement)
    assert shown["label"]["audience"] == ["borealia"]
    status = aurelia.ask("agreement", "status", agreement)
    assert [(give["open"], give["reason"]) for give in status["gives"]] == [(True, None)]

    suspended = aurelia.ask("agreement", "suspend", agreement, "--reason", "Review.")
    assert (suspended["state"], suspended["waiting"]) == ("suspended", [])
    assert borealia.do("pull", "aurelia").code == 6
    assert borealia.do("agreement", "resume", agreement).code == 6
    told = borealia.ask("agreement", "status", agreement)
    assert [(lock["party"], lock["reason"]) for lock in told["suspensions"]] == [("aurelia", "Review.")]
    assert aurelia.ask("agreement", "status", agreement)["gives"][0]["open"] is False
    assert aurelia.ask("agreement", "resume", agreement)["state"] == "in force"
    assert borealia.ask("pull", "aurelia")["channels"][0]["added"] == []
    assert aurelia.ask("agreement", "terminate", agreement)["state"] == "terminated"
    kinds = [entry["kind"] for entry in aurelia.ask("log", "list")["entries"] if entry["type"] == "agreement-event"]
    assert kinds == ["propose", "accept", "confirm", "confirm", "suspend", "resume", "terminate"]
    for party in (aurelia, borealia):
        assert party.ask("log", "verify")["size"] >= 5


def test_what_is_recognised_no_more_is_suspended_when_the_node_serves_again(
    aurelia: Party, borealia: Party, terms: Path, serve: Serve
) -> None:
    first = serve_both(serve, aurelia, borealia)
    agreement = agree(aurelia, borealia, terms)
    first.stop()
    (aurelia.folder / "recognition.toml").write_text("", encoding="utf-8")
    server = serve(aurelia)
    wait_until(lambda: borealia.ask("agreement", "status", agreement)["state"] == "suspended")
    (lock,) = borealia.ask("agreement", "status", agreement)["suspensions"]
    assert (lock["party"], lock["reason"].split(":")[0]) == ("aurelia", "suspended by itself")
    assert server.stop() == 0
    assert server.faults == ""


def test_a_policy_that_cannot_be_read_keeps_no_node_from_serving(
    aurelia: Party, borealia: Party, terms: Path, serve: Serve
) -> None:
    first = serve_both(serve, aurelia, borealia)
    agreement = agree(aurelia, borealia, terms)
    first.stop()
    (aurelia.folder / "recognition.toml").write_text("not a policy", encoding="utf-8")
    server = serve(aurelia)
    assert aurelia.ask("agreement", "suspend", agreement)["state"] == "suspended"
    assert server.stop() == 0
    assert "what time brings could not be done" in server.faults
    assert "Traceback" not in server.faults


def test_one_agreement_in_force_does_not_open_another(
    aurelia: Party, borealia: Party, terms: Path, serve: Serve
) -> None:
    serve_both(serve, aurelia, borealia)
    agree(aurelia, borealia, terms)
    terms.write_text(terms.read_text(encoding="utf-8").replace("Grey", "Blue"), encoding="utf-8")
    (give,) = aurelia.ask("agreement", "status", propose(aurelia, terms))["gives"]
    assert (give["channel"], give["open"]) == ("main", False)


def open_slowly(url: str, secret: str) -> tuple[socket.socket, int]:
    """A TAXII client that has asked for everything and read only the head of the answer; the length of its body."""
    headers = {"Authorization": f"Bearer {secret}"}
    listed = httpx.get(f"{url}/taxii2/borealia/collections/", headers=headers, trust_env=False, timeout=60).json()
    path = f"/taxii2/borealia/collections/{listed['collections'][0]['id']}/objects/"
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.settimeout(120)
    host, _, port = url.removeprefix("http://").partition(":")
    reader.connect((host, int(port)))
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {secret}\r\n\r\n".encode())
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        head += reader.recv(1)
    (length,) = re.findall(rb"content-length: (\d+)", bytes(head).lower())
    return reader, int(length)


def test_when_suspend_returns_nothing_leaves_any_more(
    aurelia: Party, borealia: Party, terms: Path, tmp_path: Path, serve: Serve
) -> None:
    serve_both(serve, aurelia, borealia)
    agreement = agree(aurelia, borealia, terms)
    names = [f"report--4b2e5f2e-8f0e-4a52-9d0c-{number:012}" for number in range(15)]
    reports = [make_object(name, name="x" * 1_000_000, published=CREATED, object_refs=[LOCATION]) for name in names]
    aurelia.ask("object", "add", write_bundle(tmp_path / "l.json", [make_object(LOCATION, country="IQ")]), *WORDS)
    aurelia.ask("object", "add", write_bundle(tmp_path / "big.json", reports), *WORDS)
    secret = aurelia.ask("credential", "create", "borealia")["credential"]
    url = next(item["url"] for item in borealia.ask("party", "list")["parties"] if item["party"] == "aurelia")
    reader, length = open_slowly(url, secret)
    assert length > 14_000_000
    assert aurelia.ask("agreement", "suspend", agreement)["state"] == "suspended"
    received = 0
    with reader, contextlib.suppress(ConnectionResetError):
        while part := reader.recv(1 << 20):
            received += len(part)
    # The rest was cut: what came was already in the operating system's hands.
    assert received < length


def test_what_could_not_be_delivered_is_delivered_when_the_partner_is_there(
    aurelia: Party, borealia: Party, terms: Path, serve: Serve
) -> None:
    serve(aurelia)
    port = find_port()
    aurelia.pin(borealia, f"http://127.0.0.1:{port}")
    result = aurelia.ask("agreement", "propose", terms)
    assert [item["party"] for item in result["waiting"]] == ["borealia"]
    assert str(port) in result["waiting"][0]["problem"]
    serve(borealia, "--json", "--listen", f"127.0.0.1:{port}")
    wait_until(lambda: knows(borealia, result["agreement"]))
    wait_until(lambda: aurelia.ask("agreement", "status", result["agreement"])["waiting"] == [])


def test_a_partner_that_takes_the_call_and_says_nothing_does_not_hold_up_the_answer(
    aurelia: Party, borealia: Party, terms: Path, serve: Serve
) -> None:
    serve(aurelia)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        aurelia.pin(borealia, f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        result = aurelia.ask("agreement", "propose", terms)
        assert time.monotonic() - started < 25  # whoever says nothing for 30 seconds has not answered
        assert [item["party"] for item in result["waiting"]] == ["borealia"]


def test_a_partner_that_is_not_there_is_unreachable(aurelia: Party, borealia: Party, terms: Path, serve: Serve) -> None:
    serve_both(serve, aurelia, borealia)
    agree(aurelia, borealia, terms)
    aurelia.pin(borealia)
    borealia.pin(aurelia, "http://127.0.0.1:9")
    done = borealia.do("pull", "aurelia", "--json")
    assert (done.code, done.error["code"]) == (8, "peer-unreachable")


def test_a_credential_opens_the_collections_of_its_party(
    aurelia: Party, borealia: Party, terms: Path, bundle: Path, serve: Serve
) -> None:
    serve_both(serve, aurelia, borealia)
    agree(aurelia, borealia, terms)
    aurelia.ask("object", "add", bundle, *WORDS)
    secret = aurelia.ask("credential", "create", "borealia")["credential"]
    base = next(item["url"] for item in borealia.ask("party", "list")["parties"] if item["party"] == "aurelia")
    headers = {"Authorization": f"Bearer {secret}", "Accept": "application/taxii+json;version=2.1"}
    answer = httpx.get(f"{base}/taxii2/borealia/collections/", headers=headers, trust_env=False, timeout=60)
    assert [item["can_read"] for item in answer.json()["collections"]] == [True]


# --- who owns the store -----------------------------------------------------------------------------------------------


def start(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`comity serve`, expected to fail at once."""
    command = [sys.executable, "-m", "comity.cli", "--node", str(folder), "serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_second_serving_process_does_not_start(aurelia: Party, serve: Serve) -> None:
    serve(aurelia)
    done = start(aurelia.folder, "--listen", "127.0.0.1:0", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert json.loads(done.stderr)["error"]["code"] == "store-busy"
    assert aurelia.do("agreement", "list").code == 0


def test_an_address_that_is_taken_is_named_and_the_store_is_free_again(aurelia: Party) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = start(aurelia.folder, "--listen", address)
    assert (done.returncode, done.stdout) == (1, "")
    assert address in done.stderr
    assert "--listen" in done.stderr
    assert not (aurelia.folder / SOCKET_NAME).exists()
    assert "Traceback" not in done.stderr
    assert aurelia.do("agreement", "list").code == 0


def test_an_address_that_is_none_is_a_usage_error(aurelia: Party) -> None:
    assert start(aurelia.folder, "--listen", "nowhere").returncode == 2


@pytest.mark.kill
def test_a_socket_left_by_a_killed_process_does_not_matter(aurelia: Party, terms: Path, serve: Serve) -> None:
    server = serve(aurelia)
    agreement = propose(aurelia, terms)
    server.stop(signal.SIGKILL)
    assert (aurelia.folder / SOCKET_NAME).is_socket()
    assert aurelia.ask("agreement", "status", agreement)["state"] == "proposed"
    serve(aurelia)
    assert aurelia.ask("agreement", "status", agreement)["state"] == "proposed"


@pytest.mark.alone
def test_commands_at_the_same_time_wait_for_one_another(aurelia: Party, terms: Path) -> None:
    command = [sys.executable, "-m", "comity.cli", "--node", str(aurelia.folder), "party", "list", "--json"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    answers = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 6
    assert len(set(answers)) == 1


def test_a_command_that_goes_through_the_serving_process_loads_nothing_heavy(
    aurelia: Party, terms: Path, serve: Serve
) -> None:
    agreement = propose(aurelia, terms)
    serve(aurelia)
    for command in (["agreement", "status", agreement], ["agreement", "suspend", "--help"], ["log", "list", "--json"]):
        text, modules = run_and_list_modules(["--node", str(aurelia.folder), *command])
        assert text
        assert modules & HEAVY == set()


def test_a_closed_pipe_is_no_bug(aurelia: Party, bundle: Path) -> None:
    aurelia.ask("object", "add", bundle)
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "comity.cli", "--node", str(aurelia.folder), "object", "show", REPORT]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    os.close(writing)
    assert done.returncode == 1
    assert done.stderr == ""
