# SPDX-License-Identifier: Apache-2.0
"""Two served nodes over a rotation: polls go on, the partner follows, old keys are nobody's, the log verifies."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from comity.agreement.events import Event, EventKind
from comity.exchange import make_access, make_message
from comity.ids import AgreementId, Digest, PartyId
from comity.node.clock import read_clock
from comity.node.gate import list_open_collections
from comity.node.parties import create_credential
from comity.operations.reply import Exit
from comity.signing import Role, Signer
from comity.tlog.note import parse_note, verify_note
from tests.e2e.conftest import COMITY, PATIENCE, Serving, comity, environment, get, rows, wait_until
from tests.e2e.pollers import FREE, find_workers, polling
from tests.served import format_request
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

Serve = Callable[..., Serving]
SETTINGS = f"{FREE}stop_seconds = 2\n"
_UNDELIVERED = "SELECT COUNT(*) FROM outbox WHERE delivered_at IS NULL"
PASSPHRASE = "correct horse battery staple"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Aurelia gives to borealia; neither is served yet. `old` are the keys that aurelia began with."""

    aurelia: Path
    borealia: Path
    agreement: str
    path: str
    secret: str
    old: dict[Role, Signer]
    unsent: bytes

    def request(self) -> bytes:
        return format_request("GET", self.path, headers={"Authorization": f"Bearer {self.secret}"})


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    world = World(tmp_path / "world")
    world.folder.mkdir()
    world.found("aurelia", "borealia")
    agreement = world.sign_all(world.terms())
    world.deliver()
    world.add("aurelia", *[make_object(f"r{n}") for n in range(5)])
    node = world.nodes["aurelia"]
    collection = list_open_collections(node, PartyId("borealia"))[0].id
    secret = create_credential(node, PartyId("borealia"))
    old = dict(node.signers)
    world.close()
    with (world.folder / "aurelia" / "node.toml").open("a", encoding="utf-8") as settings:
        settings.write(SETTINGS)
    # What whoever has a copy of the old keys could say: aurelia itself never does.
    event = Event(
        digest=Digest("0" * 64),
        kind=EventKind.SUSPEND,
        agreement=AgreementId(agreement),
        terms=Digest(agreement),
        party=PartyId("aurelia"),
        at=read_clock(),
    )
    unsent = make_message(event, nonce=b"nonce", signers=[old[Role.AGREEMENT]])
    return Ground(
        aurelia=world.folder / "aurelia",
        borealia=world.folder / "borealia",
        agreement=agreement,
        path=f"/taxii2/borealia/collections/{collection}/objects/",
        secret=secret,
        old=old,
        unsent=unsent,
    )


def meet(ground: Ground, aurelia: Serving, borealia: Serving) -> None:
    """Tell each where the other is."""
    for folder, other in ((ground.aurelia, borealia), (ground.borealia, aurelia)):
        file = other.folder / "own.json"
        assert comity(other.folder, "party", "export", file).code == 0
        assert comity(folder, "party", "add", file, "--url", other.url).code == 0


def version_at(folder: Path, party: str) -> int:
    listed = comity(folder, "party", "list", "--json").result["parties"]
    return int(next(item["version"] for item in listed if item["party"] == party))


@pytest.mark.parametrize("workers", [1, 2])
def test_polls_go_on_while_keys_are_rotated_and_the_partner_follows(ground: Ground, serve: Serve, workers: int) -> None:
    aurelia, borealia = serve(ground.aurelia, workers), serve(ground.borealia)
    meet(ground, aurelia, borealia)
    with polling(aurelia.url, ground.request(), count=3) as pollers:
        wait_until(lambda: all(poller.answers for poller in pollers))
        for turn, roles in enumerate(([], ["log"], ["agreement", "transport"]), start=2):
            done = comity(ground.aurelia, "party", "rotate", *roles, "--json").result
            assert done["version"] == turn
            wait_until(lambda: rows(ground.aurelia, _UNDELIVERED) == [(0,)])
            seen = [len(poller.answers) for poller in pollers]
            wait_until(lambda: all(len(p.answers) > n + 3 for p, n in zip(pollers, seen, strict=True)))  # noqa: B023
    assert not any(poller.refused for poller in pollers)
    assert all(answer.status == 200 for poller in pollers for answer in poller.answers)
    assert version_at(ground.borealia, "aurelia") == 4
    # The giver's own new transport key lets it in at the partner; what the partner follows or pulls verifies as before.
    assert comity(ground.borealia, "pull", "aurelia", "--json").code == 0
    came = "SELECT COUNT(*) FROM object WHERE id = ?"
    assert rows(ground.borealia, came, object_id("report", "r1")) == [(1,)]
    for folder in (ground.aurelia, ground.borealia):
        assert comity(folder, "log", "verify").code == 0
    first = rows(ground.aurelia, "SELECT digest FROM manifest WHERE party = 'aurelia' AND version = 1")[0][0]
    assert comity(ground.aurelia, "log", "verify", "--digest", first).code == 0
    # Offline, with nothing but a checkpoint and the key of its time.
    heads = rows(ground.aurelia, "SELECT checkpoint FROM log_head WHERE log = 0 ORDER BY size")
    verify_note(parse_note(heads[0][0]), "comity/aurelia", ground.old[Role.LOG].public_key)
    with pytest.raises(Exception, match="key"):
        verify_note(parse_note(heads[-1][0]), "comity/aurelia", ground.old[Role.LOG].public_key)


def test_a_revoked_key_is_nobodys_at_once(ground: Ground, serve: Serve) -> None:
    aurelia, borealia = serve(ground.aurelia), serve(ground.borealia)
    meet(ground, aurelia, borealia)
    token = make_access(
        PartyId("aurelia"),
        PartyId("borealia"),
        now=read_clock(),
        nonce=b"nonce",
        signers=[ground.old[Role.TRANSPORT]],
    )
    assert get(f"{borealia.url}/taxii2/", token).status_code == 200
    for role in ("agreement", "transport"):
        done = comity(ground.aurelia, "party", "revoke-key", role, "--since", "2026-01-01T00:00:00Z", "--json").result
        assert done["roles"] == [role]
    wait_until(lambda: rows(ground.aurelia, _UNDELIVERED) == [(0,)])
    outsider = get(f"{borealia.url}/taxii2/", "nobody")
    refused = get(f"{borealia.url}/taxii2/", token)
    assert (refused.status_code, refused.content) == (outsider.status_code, outsider.content)
    forged = post(borealia, ground.unsent)
    absent = post(borealia, b"{}")
    assert forged.status_code == absent.status_code == 404
    assert forged.content == absent.content
    assert comity(ground.borealia, "agreement", "status", ground.agreement, "--json").result["state"] == "in force"
    suspended = comity(ground.aurelia, "agreement", "suspend", ground.agreement, "--json").result
    assert suspended["kind"] == "suspend"
    wait_until(lambda: rows(ground.aurelia, _UNDELIVERED) == [(0,)])
    assert comity(ground.borealia, "agreement", "status", ground.agreement, "--json").result["state"] == "suspended"


def test_an_outsider_with_a_manifest_learns_nothing(ground: Ground, serve: Serve) -> None:
    """Whoever hands on a party's message, or makes one of its own, gets the answer that any path gives."""
    aurelia, borealia = serve(ground.aurelia), serve(ground.borealia)
    meet(ground, aurelia, borealia)
    borealia.end()
    assert comity(ground.aurelia, "party", "rotate", "--json").result["waiting"] != []
    message = rows(ground.aurelia, "SELECT envelope FROM outbox ORDER BY position LIMIT 1")[0][0]
    handed_on, junk = post(aurelia, message), post(aurelia, b"junk")
    assert handed_on.status_code == 404
    assert handed_on.content == junk.content


def post(server: Serving, body: bytes) -> httpx.Response:
    return httpx.post(f"{server.url}/comity/exchange/", content=body, timeout=PATIENCE, trust_env=False)


# --- keys at rest -----------------------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str | Path, **more: str) -> "subprocess.CompletedProcess[bytes]":
    command: list[str | Path] = [*COMITY, "--node", folder, *arguments]
    return subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE, env=environment() | more)


@pytest.mark.parametrize("given", ["option", "variable", "systemd"])
def test_encrypted_keys_are_opened_and_the_passphrase_is_nowhere(ground: Ground, tmp_path: Path, given: str) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    file = secrets / "comity-key-passphrase"
    file.touch(mode=0o600)
    file.write_text(f"{PASSPHRASE}\n", encoding="utf-8")
    assert run(ground.aurelia, "party", "protect-keys", "--new-passphrase-file", file).returncode == 0
    options: list[str | Path] = ["--key-passphrase-file", file] if given == "option" else []
    more = {"COMITY_KEY_PASSPHRASE_FILE": str(file)} if given == "variable" else {}
    more |= {"CREDENTIALS_DIRECTORY": str(secrets)} if given == "systemd" else {}
    faults = tmp_path / "faults"
    command: list[str | Path] = [*COMITY, "--node", ground.aurelia, *options]
    command += ["serve", "--listen", "127.0.0.1:0", "--workers", "2", "--json"]
    with faults.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment() | more,
        )
    server = Serving(process, ground.aurelia, faults)
    try:
        server.wait_ready()
        rotated = run(ground.aurelia, "--as", ground.aurelia / "badges" / "liaison.badge", "party", "rotate")
        assert rotated.returncode == Exit.WAITING, rotated.stderr
        rotated = run(ground.aurelia, "--as", ground.aurelia / "badges" / "legal.badge", "party", "rotate")
        assert rotated.returncode == 0, rotated.stderr
        assert get(f"{server.url}{ground.path}", ground.secret).status_code == 200
        for pid in (process.pid, *find_workers(process.pid)):
            for part in ("cmdline", "environ"):
                assert PASSPHRASE.encode() not in Path(f"/proc/{pid}/{part}").read_bytes()
            limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
            assert re.search(r"^Max core file size +1 +1 ", limits, re.MULTILINE), "a core could be dumped"
    finally:
        server.end()
    log = faults.read_text(encoding="utf-8")
    assert PASSPHRASE not in log
    text = b"".join(path.read_bytes() for path in (ground.aurelia / "keys").iterdir())
    assert text.count(b"ENCRYPTED") == 2 * len(Role)
    wrong = run(ground.aurelia, "party", "list")
    assert b"--key-passphrase-file" in wrong.stderr
    file.write_text("another one that is long\n", encoding="utf-8")
    wrong = run(ground.aurelia, "party", "list", COMITY_KEY_PASSPHRASE_FILE=str(file))
    assert b"not opened by the passphrase" in wrong.stderr
    assert b"Traceback" not in wrong.stderr
    file.chmod(0o644)
    wrong = run(ground.aurelia, "party", "list", COMITY_KEY_PASSPHRASE_FILE=str(file))
    assert b"chmod 600" in wrong.stderr


def test_plain_keys_are_said_loudly(ground: Ground, tmp_path: Path) -> None:
    command: list[str | Path] = [*COMITY, "--node", ground.aurelia, "serve", "--listen", "127.0.0.1:0"]
    with (tmp_path / "faults").open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment())
    assert process.stdout is not None
    assert b"serving aurelia" in process.stdout.readline()
    assert Serving(process, ground.aurelia, tmp_path / "faults").end() == 0
    assert b"NOT ENCRYPTED" in (tmp_path / "faults").read_bytes()


def test_a_node_is_made_with_encrypted_keys(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.touch(mode=0o600)
    file.write_text(PASSPHRASE, encoding="utf-8")
    folder = tmp_path / "node"
    made: list[str | Path] = [
        *COMITY,
        "--key-passphrase-file",
        file,
        "init",
        folder,
        "--party",
        "aurelia",
        "--name",
        "Aurelia",
    ]
    done = subprocess.run([*made, "--protect"], capture_output=True, check=False, timeout=PATIENCE, env=environment())
    assert done.returncode == 0, done.stderr
    assert b"NOT ENCRYPTED" not in done.stdout
    assert run(folder, "party", "rotate", COMITY_KEY_PASSPHRASE_FILE=str(file)).returncode == 0
    assert run(folder, "party", "unprotect-keys", COMITY_KEY_PASSPHRASE_FILE=str(file)).returncode == 0
    assert run(folder, "party", "renew").returncode == 0
    file.write_text("short", encoding="utf-8")
    short = run(folder, "party", "protect-keys", "--new-passphrase-file", file)
    assert b"at least 12" in short.stderr
