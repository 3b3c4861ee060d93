# SPDX-License-Identifier: Apache-2.0
"""Witnesses in processes of their own: several logs, forks, kills, and the log of a node."""

import http.client
import json
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from comity.errors import ThresholdNotMet
from comity.node.parties import export_manifest
from comity.tlog.cosignature import verify_cosignature
from comity.tlog.note import Note, VerifierKey, format_vkey, parse_checkpoint, parse_note, parse_vkey
from comity.tlog.policy import parse_trust_policy, verify_quorum
from comity.tlog.witness import parse_cosignatures
from tests.e2e.conftest import COMITY, PATIENCE, Ended, Serving, comity, environment, get, rows, wait_until
from tests.e2e.pollers import find_owners, find_workers
from tests.e2e.program import run_program
from tests.witnesses import History
from tests.worlds import World

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

NAME = "witness.north.example"
LOGS = [History(100, origin=f"log{number}.example", key_name=f"log {number}") for number in range(4)]


def run(*arguments: str | Path) -> Ended:
    """`comity ARGUMENTS --json`, without a node."""
    done = run_program([*arguments, "--json"], given=b"", env=environment(), seconds=PATIENCE)
    return Ended(code=done.code, out=done.out.decode(), err=done.err.decode())


class Standing:
    """A stand-alone witness: its folder, and the process that serves it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = parse_vkey(str(run("witness", "init", folder, "--name", NAME).result["key"]))
        self.serving: Serving | None = None

    def start(self) -> "Standing":
        faults = self.folder.with_name("north.faults")
        with faults.open("ab") as file:
            process = subprocess.Popen(
                [*COMITY, "witness", "serve", self.folder, "--listen", "127.0.0.1:0", "--json"],
                stdout=subprocess.PIPE,
                stderr=file,
                env=environment(),
            )
        self.serving = Serving(process, self.folder, faults)
        self.serving.wait_ready()
        return self

    @property
    def url(self) -> str:
        assert self.serving is not None
        return self.serving.url

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.serving is not None
        return self.serving.end(number)

    def add(self, key: VerifierKey) -> None:
        assert run("witness", "add-log", self.folder, format_vkey(key)).code == 0

    def ask(self, body: bytes, *, path: str = "/add-checkpoint", method: str = "POST") -> httpx.Response:
        return httpx.request(method, f"{self.url}{path}", content=body, timeout=PATIENCE, trust_env=False)


@pytest.fixture
def north(tmp_path: Path) -> Iterator[Standing]:
    witness = Standing(tmp_path / "north")
    for log in LOGS:
        witness.add(log.key)
    witness.start()
    yield witness
    witness.end(signal.SIGKILL)


def verify(witness: Standing, log: History, size: int, answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text
    text = parse_note(log.checkpoint(size)).text
    assert (
        verify_cosignature(Note(text=text, signatures=parse_cosignatures(answer.content)), witness.key) > 1_700_000_000
    )


def test_several_logs_are_cosigned_each_by_its_own_history(north: Standing) -> None:
    for place, log in enumerate(LOGS):
        verify(north, log, 10 + place, north.ask(log.request(0, 10 + place)))
    for place, log in enumerate(LOGS):
        verify(north, log, 90, north.ask(log.request(10 + place, 90)))
        answer = north.ask(log.request(10 + place, 95))
        assert (answer.status_code, answer.content) == (409, b"90\n")
        assert answer.headers["content-type"] == "text/x.tlog.size"
    stranger = History(10, origin="nobody.example")
    assert north.ask(stranger.request(0, 10)).status_code == 404
    assert north.ask(History(100, origin="log0.example", key_name="x").request(90, 95)).status_code == 403
    shown = run("witness", "show", north.folder).result
    assert [(item["origin"], item["size"]) for item in shown["witnessed"]] == [(log.origin, 90) for log in LOGS]
    assert shown["evidence"] == []


def test_a_log_is_added_while_the_witness_serves(north: Standing) -> None:
    late = History(20, origin="late.example", key_name="late")
    assert north.ask(late.request(0, 20)).status_code == 404
    north.add(late.key)
    verify(north, late, 20, north.ask(late.request(0, 20)))
    again = run("witness", "add-log", north.folder, format_vkey(late.key))
    assert again.error["code"] == "conflict"
    wrong = run("witness", "add-log", north.folder, format_vkey(north.key))
    assert wrong.error["code"] == "malformed-note"


def test_what_is_no_request_gets_the_status_that_says_so(north: Standing) -> None:
    assert north.ask(b"nonsense").status_code == 400
    assert north.ask(LOGS[0].request(0, 10).replace(b"old 0", b"old 11")).status_code == 400
    assert north.ask(b"x" * 200_000).status_code == 413
    assert north.ask(b"", method="GET").status_code == 405
    assert north.ask(b"", path="/").status_code == 404
    assert north.ask(b"", path="/sign-subtree").status_code == 404


def test_a_killed_witness_goes_on_where_it_was(north: Standing) -> None:
    """Every cosignature that anybody has seen is of a head that the witness still knows after SIGKILL."""
    log, fork = LOGS[0], History(100, origin="log0.example", key_name="log 0", branch="fork", common=5)
    size = 0
    for step in (7, 20, 33):
        verify(north, log, step, north.ask(log.request(size, step)))
        size = step
        north.end(signal.SIGKILL)
        north.start()
        answer = north.ask(fork.request(0, 99))
        assert (answer.status_code, answer.content) == (409, b"%d\n" % step)


def test_of_many_racing_requests_one_is_cosigned(north: Standing) -> None:
    log = LOGS[0]
    verify(north, log, 9, north.ask(log.request(0, 9)))
    found: dict[int, httpx.Response] = {}

    def ask(size: int) -> None:
        found[size] = north.ask(log.request(9, size))

    threads = [threading.Thread(target=ask, args=(size,)) for size in range(10, 26)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [size for size, answer in found.items() if answer.status_code == 200]
    assert len(won) == 1
    assert {answer.content for size, answer in found.items() if size != won[0]} == {b"%d\n" % won[0]}


def test_a_fork_leaves_a_file_that_proves_it_to_anybody(north: Standing, tmp_path: Path) -> None:
    fork = History(100, origin="log1.example", key_name="log 1", branch="fork", common=5)
    log = LOGS[1]
    verify(north, log, 11, north.ask(log.request(0, 11)))
    assert north.ask(fork.request(11, 11)).status_code == 409
    assert north.ask(fork.request(11, 30)).status_code == 422
    assert north.ask(log.request(11, 40, proof=[bytes(32)])).status_code == 422
    evidence = run("witness", "show", north.folder).result["evidence"]
    assert [item["proved"] for item in evidence] == [True, True, False]
    verdicts = []
    for place, item in enumerate(evidence):
        file = shutil.copyfile(item["file"], tmp_path / f"{place}.json")
        done = run("witness", "verify-evidence", file, "--log", format_vkey(log.key))
        verdicts.append((done.code, done.result["verdict"]))
        other = run("witness", "verify-evidence", file, "--log", format_vkey(LOGS[0].key))
        assert (other.code, other.error["code"]) == (7, "unknown-key")
    assert verdicts == [(0, "proved"), (0, "proved"), (1, "accused")]
    assert "log1.example signed two histories" in (tmp_path / "north.faults").read_text()
    # One byte of a checkpoint in it, and it shows nothing.
    text = (tmp_path / "0.json").read_text()
    (tmp_path / "0.json").write_text(text.replace("\\n11\\n", "\\n12\\n", 1))
    assert run("witness", "verify-evidence", tmp_path / "0.json", "--log", format_vkey(log.key)).code == 7


def test_a_witness_without_its_store_does_not_begin_anew(north: Standing) -> None:
    north.end()
    (north.folder / "store.db").unlink()
    done = run("witness", "serve", north.folder)
    assert (done.code, done.error["code"]) == (5, "not-found")
    assert run("witness", "init", north.folder, "--name", NAME).error["code"] == "conflict"


# --- the log of a node ------------------------------------------------------------------------------------------------


@pytest.fixture
def node(tmp_path: Path, north: Standing) -> Path:
    """The folder of a node, the one witness of which is north."""
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    manifest = tmp_path / "aurelia.json"
    manifest.write_bytes(export_manifest(world.nodes["aurelia"]))
    world.close()
    folder = tmp_path / "aurelia"
    name_witness(folder, north)
    assert run("witness", "add-log", north.folder, log_key(folder)).code == 0
    return folder


def name_witness(folder: Path, north: Standing) -> None:
    settings = folder / "node.toml"
    kept = settings.read_text().split("[[witness]]")[0]
    settings.write_text(f'{kept}\n[[witness]]\nkey = "{format_vkey(north.key)}"\nurl = "{north.url}"\n')


def log_key(folder: Path) -> str:
    """As `comity witness list` tells it to who runs a witness."""
    return str(comity(folder, "witness", "list", "--json").result["log"])


def cosigned_size(folder: Path) -> int:
    return int(comity(folder, "witness", "list", "--json").result["witnesses"][0]["size"])


def test_the_head_of_a_node_is_cosigned_as_it_grows(
    node: Path, north: Standing, serve: Callable[[Path], Serving]
) -> None:
    serve(node)
    size = int(comity(node, "log", "checkpoint", "--json").result["size"])
    wait_until(lambda: cosigned_size(node) == size)
    ((agreement,),) = rows(node, "SELECT id FROM agreement")
    assert comity(node, "agreement", "suspend", str(agreement), "--json").code == 0
    wait_until(lambda: cosigned_size(node) == size + 1)
    (head,) = run("witness", "show", north.folder).result["witnessed"]
    assert (head["origin"], head["size"]) == ("comity/aurelia", size + 1)


def test_a_node_put_back_does_not_start_and_its_second_history_is_proved(
    node: Path, north: Standing, tmp_path: Path, serve: Callable[[Path], Serving]
) -> None:
    """With its own older head beside the older store nothing at home shows that it is old: the witness does."""
    copy = shutil.copytree(node, tmp_path / "copy")
    server = serve(node)
    ((agreement,),) = rows(node, "SELECT id FROM agreement")
    assert comity(node, "agreement", "suspend", str(agreement), "--json").code == 0
    size = int(comity(node, "log", "checkpoint", "--json").result["size"])
    wait_until(lambda: cosigned_size(node) == size)
    assert server.end() == 0
    shutil.rmtree(node)
    shutil.copytree(copy, node)
    refused = refuse_to_serve(node)
    assert refused["code"] == "rolled-back"
    assert f"a head over {size} entries, and this node has {size - 1}" in str(refused["message"])
    assert "any command that acts here" in str(refused["message"])
    assert "put the newest store back if there is one, else restore the newest backup" in str(refused["message"])
    # An operator who goes on all the same makes another history, and the witness can prove it.
    assert comity(node, "agreement", "suspend", str(agreement), "--json").code == 0
    assert refuse_to_serve(node)["code"] == "rolled-back"
    (evidence,) = run("witness", "show", north.folder).result["evidence"]
    shown = run("witness", "verify-evidence", evidence["file"], "--manifest", tmp_path / "aurelia.json")
    assert (shown.code, shown.result["verdict"], shown.result["first_size"]) == (0, "proved", size)
    # Without the witness nothing holds it back; and a witness that is away holds nobody back.
    north.end()
    assert serve(node).end() == 0


def test_partners_witness_each_other(tmp_path: Path, serve: Callable[..., Serving]) -> None:
    """Two nodes, one of them answered by two processes; neither log grows by what is cosigned."""
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    manifests = {name: tmp_path / f"{name}.manifest" for name in world.nodes}
    for name, file in manifests.items():
        file.write_bytes(export_manifest(world.nodes[name]))
    world.close()
    others = {"aurelia": "borealia", "borealia": "aurelia"}
    for name, other in others.items():
        with (tmp_path / name / "node.toml").open("a") as settings:
            settings.write(f'\n[[witness]]\nparty = "{other}"\n')
    serving = {name: serve(tmp_path / name, workers=2 if name == "aurelia" else 1) for name in others}
    for name, other in others.items():
        done = comity(tmp_path / name, "party", "add", manifests[other], "--url", serving[other].url, "--json")
        assert done.code == 0, done.err
    sizes = {name: int(comity(tmp_path / name, "log", "checkpoint", "--json").result["size"]) for name in others}
    for name in others:
        wait_until(lambda name=name: cosigned_size(tmp_path / name) == sizes[name])  # type: ignore[misc]
    for name, other in others.items():
        listed = comity(tmp_path / name, "witness", "list", "--json").result
        assert listed["size"] == sizes[name]
        assert [(head["origin"], head["size"]) for head in listed["witnessed"]] == [(f"comity/{other}", sizes[other])]
        assert listed["witnesses"][0]["problem"] is None


def refuse_to_serve(folder: Path) -> dict[str, object]:
    command: list[str | Path] = [*COMITY, "--node", folder, "serve", "--listen", "127.0.0.1:0", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment())
    assert done.returncode == 7
    return dict(json.loads(done.stderr.splitlines()[-1])["error"])


def test_a_recovery_asks_the_witnesses_what_was_lost(
    node: Path, north: Standing, tmp_path: Path, serve: Callable[[Path], Serving]
) -> None:
    """Nothing that was kept elsewhere says how much is gone: the witness does, or people say that nobody was heard."""
    server = serve(node)
    made = comity(node, "backup", tmp_path / "backup", "--with-keys", "--json")
    assert made.code == 0, made.err
    ((agreement,),) = rows(node, "SELECT id FROM agreement")
    for act in ("suspend", "resume"):
        assert comity(node, "agreement", act, str(agreement), "--json").code == 0
    size = int(comity(node, "log", "checkpoint", "--json").result["size"])
    wait_until(lambda: cosigned_size(node) == size)
    badges = shutil.copytree(node / "badges", tmp_path / "badges")
    server.end(signal.SIGKILL)
    shutil.rmtree(node)
    assert comity(node, "restore", tmp_path / "backup", node).code == 0
    shutil.copytree(badges, node / "badges")

    north.end()
    alone = comity(node, "recover", "--reason", "disk lost", "--json")
    assert (alone.code, alone.error["code"]) == (8, "peer-unreachable")
    assert "--without-witnesses" in alone.error["message"]
    assert not (node / "head").exists()
    copy = shutil.copytree(node, tmp_path / "copy")

    # North is back, at another address.
    north.start()
    name_witness(node, north)
    done = comity(node, "recover", "--reason", "disk lost", "--json")
    assert done.code == 0, done.err
    assert done.result["lost"] == size - made.result["size"]
    assert [(each["name"], each["size"]) for each in done.result["witnesses"]] == [(north.key.name, size)]
    entry = comity(node, "log", "show", str(done.result["entry"]), "--json").result["content"]
    assert [each["size"] for each in entry["witnesses"]] == [size]
    assert comity(node, "log", "verify").code == 0

    # Without it, by two people who say so: it is on record that it was not heard.
    north.end()
    for option in ([], ["--without-witnesses"]):
        done = comity(copy, "recover", "--reason", "disk lost, north is gone", *option, "--json")
        assert done.code == (0 if option else 8), done
    assert done.result["lost"] == 0
    entry = comity(copy, "log", "show", str(done.result["entry"]), "--json").result["content"]
    ((name, seen, problem),) = [(each["name"], each["size"], each["problem"]) for each in entry["witnesses"]]
    assert (name, seen) == (north.key.name, None)
    assert "did not answer" in problem
    assert "aurelia-legal" in {each["person"] for each in entry["approvals"]}


def test_every_worker_gives_readers_the_cosigned_checkpoint(
    node: Path, north: Standing, serve: Callable[..., Serving]
) -> None:
    """A reader believes a head by the log's key and the quorum of its own policy, whichever process it comes to."""
    server = serve(node, workers=2)
    added = comity(node, "log", "reader", "add", "oversight", "--json")
    assert added.code == 0, added.err
    key, size = log_key(node), int(comity(node, "log", "checkpoint", "--json").result["size"])
    wait_until(lambda: cosigned_size(node) == size)
    policy = parse_trust_policy(f"log {key}\nwitness north {format_vkey(north.key)}\nquorum north\n".encode())
    headers = {"authorization": f"Bearer {added.result['secret']}"}
    path, port = "/comity/log/aurelia/checkpoint", int(server.url.rpartition(":")[2])
    workers = find_workers(server.process.pid)
    assert len(workers) == 2
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE) for _ in range(24)]
    try:
        answers = list[tuple[int, bytes]]()
        for connection in connections:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answers.append((answer.status, answer.read()))
        local = [connection.sock.getsockname()[1] for connection in connections if connection.sock is not None]
        assert find_owners(workers, local, port) == set(workers)
    finally:
        for connection in connections:
            connection.close()
    assert {status for status, _ in answers} == {200}
    for _, body in answers:
        quorum = verify_quorum(parse_note(body), policy)
        assert (quorum.checkpoint.size, quorum.log.name) == (size, "comity/aurelia")
        assert quorum.timestamps["north"] > 1_700_000_000
    # Nobody else gets it, from either.
    strangers = [get(f"{server.url}{path}", secret) for secret in (None, "0" * 64) for _ in range(6)]
    assert {answer.status_code for answer in strangers} <= {401, 404}
    # A head that nobody has cosigned yet is shown as it is, and not an older one in its place.
    north.end()
    ((agreement,),) = rows(node, "SELECT id FROM agreement")
    assert comity(node, "agreement", "suspend", str(agreement)).code == 0
    head = parse_note(get(f"{server.url}{path}", str(added.result["secret"])).content)
    assert parse_checkpoint(head.text).size == size + 1
    assert [line.name for line in head.signatures] == ["comity/aurelia"]
    with pytest.raises(ThresholdNotMet):
        verify_quorum(head, policy)
