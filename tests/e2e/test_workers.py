# SPDX-License-Identifier: Apache-2.0
"""Several processes that answer for one node: killed, stuck, limited, counted, told to reload and to stop, as one."""

import contextlib
import itertools
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from comity.node.heads import split_heads
from comity.release.receipt import parse_receipt
from comity.taxii.sends import GRACE_SECONDS
from comity.taxii.workers import MARGIN_SECONDS
from tests.certificates import Authority
from tests.e2e.conftest import PATIENCE, Serving, comity, get, start, wait_until
from tests.e2e.pollers import (
    FREE,
    Client,
    Ground,
    build_ground,
    bundle,
    command,
    count_sockets,
    find_workers,
    is_gone,
    polling,
    wait_for_workers,
)
from tests.e2e.test_drain import AT_MOST, begin, check_record, enter_everywhere, is_whole, wait_for_answers
from tests.e2e.test_kill import check_kept_head
from tests.e2e.test_operations import name_of, shake_hands
from tests.served import format_request
from tests.worlds import object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.alone]

Serve = Callable[..., Serving]
SETTINGS = f"{FREE}stop_seconds = 2\n"


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = build_ground(tmp_path / "world")
    yield ground
    ground.world.close()


def faults(server: Serving) -> str:
    return server.faults.read_text(encoding="utf-8")


# --- ends that nobody asked for ---------------------------------------------------------------------------------------


@pytest.mark.kill
def test_when_a_worker_is_killed_the_others_go_on_and_another_one_comes(ground: Ground, serve: Serve) -> None:
    ground.set(SETTINGS)
    server = serve(ground.folder, workers=2)
    first = find_workers(server.process.pid)
    with polling(server.url, ground.request("?limit=20"), count=8) as pollers:
        for round_ in range(4):
            wait_for_answers(pollers)
            victim = find_workers(server.process.pid)[round_ % 2]
            os.kill(victim, signal.SIGKILL)
            answers = [get(f"{server.url}{ground.path}", ground.secret, limit="2") for _ in range(10)]
            assert {answer.status_code for answer in answers} == {200}  # whoever comes in between finds somebody
            wait_until(lambda: is_gone(victim) and victim not in find_workers(server.process.pid))  # noqa: B023
            wait_for_workers(server, 2)  # the next one may be the only one that answers already
        wait_for_answers(pollers)
    assert all(poller.refused == 0 for poller in pollers)
    assert not set(first) & set(find_workers(server.process.pid))
    assert faults(server).count("ended (SIGKILL); another one is started") == 4
    assert server.end() == 0
    check_record(ground, pollers)


@pytest.mark.kill
def test_when_the_first_process_is_killed_the_workers_are_gone_and_it_starts_again(
    ground: Ground, serve: Serve
) -> None:
    ground.set(SETTINGS)
    pollers = []
    for _ in range(3):
        server = serve(ground.folder, workers=2)
        workers = find_workers(server.process.pid)
        with polling(server.url, ground.request("?limit=20"), count=4) as asking:
            wait_for_answers(asking)
            server.process.kill()
            killed = time.monotonic()
            wait_until(lambda: all(is_gone(worker) for worker in workers))  # noqa: B023 (asked at once)
            assert time.monotonic() - killed < AT_MOST
        pollers += asking
    server = serve(ground.folder, workers=2)
    assert get(f"{server.url}{ground.path}", ground.secret, limit="3").status_code == 200
    check_record(ground, pollers)


@pytest.mark.kill
def test_a_worker_that_is_stuck_is_ended_by_a_stop_and_its_answers_are_cut(ground: Ground, serve: Serve) -> None:
    ground.set(SETTINGS)
    server = serve(ground.folder, workers=2)
    stuck, other = find_workers(server.process.pid)
    with contextlib.ExitStack() as stack:
        clients = enter_everywhere(server, lambda: begin(server, ground), stack)
        os.kill(stuck, signal.SIGSTOP)
        started = time.monotonic()
        assert command(ground.folder, "agreement.suspend", id=ground.agreement).code == 0
        took = time.monotonic() - started
        assert GRACE_SECONDS < took < GRACE_SECONDS + MARGIN_SECONDS + AT_MOST
        queued = [client.count_queued() for client in clients]
        assert is_gone(stuck)
        assert not is_gone(other)
        for client, most in zip(clients, queued, strict=True):
            before = len(client.left)
            received = client.read_all()
            assert len(received) - before <= most
            assert not is_whole(received)
    assert "did not answer in time, and is ended: its answers under way are cut" in faults(server)
    wait_until(lambda: len(find_workers(server.process.pid)) == 2)
    assert command(ground.folder, "agreement.resume", id=ground.agreement).code == 0
    assert get(f"{server.url}{ground.path}", ground.secret, limit="3").status_code == 200
    assert server.end() == 0


@pytest.mark.kill
def test_a_worker_that_is_stuck_in_its_turn_to_write_holds_up_no_stop(ground: Ground, serve: Serve) -> None:
    ground.set(SETTINGS)
    server = serve(ground.folder, workers=2)
    with polling(server.url, ground.request("?limit=1"), count=8) as pollers:
        wait_for_answers(pollers)
        stuck, other = find_workers(server.process.pid)
        stop_in_its_turn(stuck)
        assert command(ground.folder, "agreement.suspend", id=ground.agreement).code == 0
        assert is_gone(stuck)
        assert not is_gone(other)
        wait_until(lambda: len(find_workers(server.process.pid)) == 2)
        assert command(ground.folder, "agreement.resume", id=ground.agreement).code == 0
        wait_for_answers(pollers)
    assert faults(server).count("keeps others from writing, and is ended") == 1
    assert server.end() == 0
    check_record(ground, pollers)


def stop_in_its_turn(pid: int) -> None:
    """Stop a process while it has a lock of `store.turns`, which the kernel tells."""
    deadline = time.monotonic() + PATIENCE
    while True:
        assert time.monotonic() < deadline, "it never has a turn"
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "T")
        opened = [path.read_text(encoding="ascii") for path in Path(f"/proc/{pid}/fdinfo").iterdir()]
        if any("OFDLCK" in text for text in opened):
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.003)


def test_a_store_that_workers_have_open_belongs_to_nobody_else(ground: Ground, serve: Serve) -> None:
    serve(ground.folder, workers=2)
    second = comity(ground.folder, "serve", "--listen", "127.0.0.1:0", "--workers", "2", "--json")
    assert second.error["code"] == "store-busy"


def test_workers_that_cannot_start_are_told_as_one_error(ground: Ground) -> None:
    settings = ground.folder / "node.toml"
    settings.write_text('access_log = "nowhere/access.log"\n' + settings.read_text(encoding="utf-8"), encoding="utf-8")
    ended = comity(ground.folder, "serve", "--listen", "127.0.0.1:0", "--workers", "2", "--json")
    assert ended.code == 1
    assert "the access log" in ended.err
    assert "cannot be opened" in ended.err
    assert comity(ground.folder, "log", "list", "--json").code == 0  # nobody has the store


# --- as one -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_party_has_one_limit_however_many_workers(ground: Ground, serve: Serve, workers: int) -> None:
    ground.set("[limits]\nrequests_per_second = 1\n")
    server = serve(ground.folder, workers=workers)
    with contextlib.ExitStack() as stack:
        clients = enter_everywhere(server, lambda: Client(server.url), stack)
        started, given = time.monotonic(), Counter[int]()
        for client in itertools.islice(itertools.cycle(clients), 2_000):
            given[client.ask(ground.request("?limit=1")).status] += 1
            if given[429] == 20:
                break
        seconds = time.monotonic() - started
    assert given.keys() == {200, 429}
    # Ten at once, and one a second. With a limit for each worker it would be as many times both.
    assert 10 <= given[200] <= 10 + seconds + 1


@pytest.mark.parametrize("workers", [1, 2])
def test_outsiders_have_one_limit_and_the_same_bytes_everywhere(ground: Ground, serve: Serve, workers: int) -> None:
    secret = ground.folder / "proxy.secret"
    secret.touch(mode=0o600)
    secret.write_text("f" * 64, encoding="ascii")
    ground.set(
        '[proxy]\naddress = "127.0.0.1"\nsecret = "proxy.secret"\n[limits]\nunknown_per_minute = 7\n'
        "connections_per_address = 500\n"
    )
    server = serve(ground.folder, workers=workers)
    known = comity(ground.folder, "credential", "create", "borealia", "--json").result["credential"]
    with contextlib.ExitStack() as stack:
        clients = enter_everywhere(server, lambda: Client(server.url), stack)

        def ask(number: int, secret: str) -> tuple[int, bytes]:
            client = clients[number % len(clients)]
            answer = client.ask(format_request("GET", ground.path, headers={"Authorization": f"Bearer {secret}"}))
            return answer.status, answer.body

        (nothing,) = {ask(number, "f" * 64) for number in range(6)}
        assert nothing[0] == 404
        assert ask(0, known)[0] == 200  # once, at one of the workers
        assert {ask(number, f"{number:064}") for number in range(60)} == {nothing}
        # The right credential is not looked at anywhere, unless it was good within the last hour, here or elsewhere.
        # Whatever the limit lets through again meanwhile goes to a wrong one just before.
        for number in range(2 * len(clients)):
            assert (ask(number, f"{number:064}"), ask(number, ground.secret)) == (nothing, nothing)
        assert {ask(number, known)[0] for number in range(2 * len(clients))} == {200}


def test_connections_that_come_one_by_one_are_spread_over_the_workers(ground: Ground, serve: Serve) -> None:
    """So many that chance alone, where the one with fewer does not get to run in time, leaves nobody with so few."""
    ground.set(f"{FREE}connections_per_address = 500\n")
    server = serve(ground.folder, workers=2)
    workers = find_workers(server.process.pid)
    before = [count_sockets(worker) for worker in workers]
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(Client(server.url)).ask(ground.request("?limit=1"))
        taken = [count_sockets(worker) - count for worker, count in zip(workers, before, strict=True)]
    assert sum(taken) == 100
    assert min(taken) >= 30


@pytest.mark.parametrize("workers", [1, 2])
def test_connections_are_counted_together(ground: Ground, serve: Serve, workers: int) -> None:
    port = ground.give_admin()
    ground.set("[limits]\nconnections = 9\n")
    server = serve(ground.folder, workers=workers)

    def count() -> float:
        return read_figure(port, "comity_open_connections")

    def open_twelve(stack: contextlib.ExitStack) -> list[int]:
        clients = [stack.enter_context(Client(server.url)) for _ in range(12)]
        wait_until(lambda: count() == 12)
        statuses = list[int]()
        for client in clients:
            client.send(ground.request("?limit=1"))
            statuses.append(int(client.socket.recv(1_000)[9:12]))
            left = 12 - statuses.count(503)
            wait_until(lambda left=left: count() == left)  # type: ignore[misc]
        return statuses

    with contextlib.ExitStack() as stack:
        # Who is one too many is told so and its connection closed, until there are fewer than nine.
        assert open_twelve(stack) == [503] * 4 + [200] * 8
    wait_until(lambda: count() == 0)
    with contextlib.ExitStack() as stack:
        few = [stack.enter_context(Client(server.url)) for _ in range(7)]
        assert {client.ask(ground.request("?limit=1")).status for client in few} == {200}
        if workers > 1:
            kill_worker(server, 0)
    wait_until(lambda: count() == 0)
    with contextlib.ExitStack() as stack:  # those of the worker that was killed are not counted for ever
        few = [stack.enter_context(Client(server.url)) for _ in range(7)]
        assert {client.ask(ground.request("?limit=1")).status for client in few} == {200}


def kill_worker(server: Serving, number: int) -> None:
    """Return once another one is there."""
    victim = find_workers(server.process.pid)[number]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in find_workers(server.process.pid) and len(find_workers(server.process.pid)) == 2)


def read_figure(port: int, name: str) -> float:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=PATIENCE).text
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(line.rpartition(" ")[2])


@pytest.mark.parametrize("workers", [1, 2])
def test_figures_are_those_of_the_node(ground: Ground, serve: Serve, workers: int) -> None:
    port = ground.give_admin()
    server = serve(ground.folder, workers=workers)
    ready = httpx.get(f"http://127.0.0.1:{port}/ready", trust_env=False, timeout=PATIENCE)
    assert ready.json() == {"status": "ready"}
    with contextlib.ExitStack() as stack:
        clients = enter_everywhere(server, lambda: Client(server.url), stack)
        for number in range(30):
            assert clients[number % len(clients)].ask(ground.request("?limit=3")).status == 200
        # An answer is counted once it has left, and a worker that is busy says what it counted when it is asked again.
        wait_until(lambda: read_figure(port, 'comity_request_seconds_count{resource="objects"}') == 30)
        assert read_figure(port, 'comity_polls_total{party="borealia"}') == 30
        assert read_figure(port, 'comity_objects_released_total{party="borealia",resource="objects"}') == 90
        assert read_figure(port, 'comity_request_seconds_count{resource="objects"}') == 30
        assert read_figure(port, 'comity_request_seconds_bucket{le="+Inf",resource="objects"}') == 30
        assert read_figure(port, "comity_open_connections") == len(clients)
        if workers > 1:  # nothing that was told once is taken back
            kill_worker(server, 1)
            assert read_figure(port, 'comity_polls_total{party="borealia"}') == 30
    wait_until(lambda: read_figure(port, "comity_open_connections") == 0)
    assert get(f"{server.url}{ground.path}", ground.secret, limit="3").status_code == 200
    wait_until(lambda: read_figure(port, 'comity_polls_total{party="borealia"}') == 31)
    assert server.end() == 0


def test_a_new_certificate_and_access_log_reach_every_worker(ground: Ground, serve: Serve, tmp_path: Path) -> None:
    authority = Authority.found(tmp_path / "authority")
    for name in ("first", "second"):
        authority.issue(name)

    def place(name: str) -> None:
        for kind in ("pem", "key"):
            (ground.folder / f"new.{kind}").touch(mode=0o600)
            (ground.folder / f"new.{kind}").write_bytes((authority.folder / f"{name}.{kind}").read_bytes())
            (ground.folder / f"new.{kind}").replace(ground.folder / f"now.{kind}")

    place("first")
    settings = ground.folder / "node.toml"
    settings.write_text('access_log = "access.log"\n' + settings.read_text(encoding="utf-8"), encoding="utf-8")
    ground.set('[tls]\ncertificate = "now.pem"\nkey = "now.key"\n[limits]\nconnections_per_address = 500\n')
    server = serve(ground.folder, workers=2)

    def names() -> set[str]:
        workers = find_workers(server.process.pid)
        before = {worker: count_sockets(worker) for worker in workers}
        found = set[str]()
        with contextlib.ExitStack() as stack:
            while any(count_sockets(worker) <= before[worker] for worker in workers):
                connection = stack.enter_context(shake_hands(server.url, authority))
                found.add(name_of(connection))
                connection.sendall(ground.request("?limit=1"))
                assert connection.recv(100)
                time.sleep(0.02)
        return found

    assert names() == {"first"}
    old = (ground.folder / "access.log").rename(ground.folder / "access.log.1")
    place("second")
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "reloaded: new connections get the certificate" in faults(server))
    lines = old.read_bytes()
    assert names() == {"second"}
    assert old.read_bytes() == lines
    wait_until(lambda: (ground.folder / "access.log").read_text(encoding="utf-8").endswith("\n"))
    fresh = (ground.folder / "access.log").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["resource"] for line in fresh} == {"objects"}
    (ground.folder / "now.key").write_bytes((authority.folder / "first.key").read_bytes())
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "not reloaded, what was in use before stays in use" in faults(server))
    assert names() == {"second"}
    assert server.end() == 0


# --- what one process writes and others have in memory ----------------------------------------------------------------


def test_what_was_deleted_is_given_by_no_worker_from_memory(ground: Ground, serve: Serve) -> None:
    ground.set(SETTINGS)
    server = serve(ground.folder, workers=2)
    with contextlib.ExitStack() as stack:
        clients = enter_everywhere(server, lambda: Client(server.url), stack)
        name = object_id("report", "small 7")
        for client in clients:  # every worker has the page in memory
            for _ in range(2):
                assert name.encode() in client.ask(ground.request("?limit=40")).body
        reply = command(ground.folder, "retention.delete", id=name, reason="A test.")
        assert reply.code == 0, reply.error
        assert reply.result is not None
        assert reply.result["gone"] is True
        for client in clients:
            answer = client.ask(ground.request("?limit=40"))
            assert answer.status == 200
            assert name.encode() not in answer.body
        assert command(ground.folder, "object.add", data=bundle("added")).code == 0
        for client in clients:
            assert object_id("report", "added").encode() in client.ask(ground.request()).body


@pytest.mark.kill
def test_a_worker_that_does_not_forget_is_ended_before_a_deletion_returns(ground: Ground, serve: Serve) -> None:
    ground.set(SETTINGS)
    server = serve(ground.folder, workers=2)
    stuck, _ = find_workers(server.process.pid)
    os.kill(stuck, signal.SIGSTOP)
    reply = command(ground.folder, "retention.delete", id=object_id("report", "small 7"), reason="A test.")
    assert reply.code == 0, reply.error
    assert is_gone(stuck)


def test_a_policy_that_changes_holds_in_every_worker_at_the_next_poll(ground: Ground, serve: Serve) -> None:
    ground.set(SETTINGS)
    server = serve(ground.folder, workers=2)
    policy = ground.folder / "recognition.toml"
    before = policy.read_text(encoding="utf-8")
    # By now the first process has looked at the policy, and will again in half a minute: it would suspend for good.
    assert command(ground.folder, "agreement.list").code == 0
    with contextlib.ExitStack() as stack:
        clients = enter_everywhere(server, lambda: Client(server.url), stack)
        for text, status in ((before, 200), ("", 404), (before, 200)):
            policy.write_text(text, encoding="utf-8")
            assert {client.ask(ground.request("?limit=1")).status for client in clients} == {status}


def test_a_revoked_credential_is_an_outsiders_in_every_worker(ground: Ground, serve: Serve) -> None:
    ground.set(SETTINGS)
    server = serve(ground.folder, workers=2)
    with contextlib.ExitStack() as stack:
        clients = enter_everywhere(server, lambda: Client(server.url), stack)
        assert {client.ask(ground.request("?limit=1")).status for client in clients} == {200}
        (only,) = comity(ground.folder, "credential", "list", "borealia", "--json").result["credentials"]
        assert comity(ground.folder, "credential", "revoke", only["id"], "--json").code == 0
        assert {client.ask(ground.request("?limit=1")).status for client in clients} == {404}


def test_the_head_outside_the_store_never_goes_back(ground: Ground, serve: Serve) -> None:
    ground.set(SETTINGS)
    server = serve(ground.folder, workers=3)
    kept = list[dict[str, int]]()
    with polling(server.url, ground.request("?limit=2"), ground.request("?limit=3"), count=12) as pollers:
        soonest, latest = time.monotonic() + 4, time.monotonic() + PATIENCE
        while time.monotonic() < soonest or (not grew_often(kept) and time.monotonic() < latest):
            kept.append(read_kept(ground.folder))
    for origin in {origin for each in kept for origin in each}:
        sizes = [each[origin] for each in kept if origin in each]
        assert sizes == sorted(sizes)
        assert len(set(sizes)) > 30 or origin == "comity/aurelia"
    assert server.end() == 0
    check_kept_head(ground.folder)
    # There is one log beside that of the house.
    assert sum(read_kept(ground.folder).values()) == check_record(ground, pollers).size


def grew_often(kept: list[dict[str, int]]) -> bool:
    """Whether the log of the partner was seen at enough sizes for any of them to be out of order."""
    return len({size for each in kept for origin, size in each.items() if origin != "comity/aurelia"}) > 30


def read_kept(folder: Path) -> dict[str, int]:
    """The size of each log whose head is kept outside the store, by its origin."""
    notes = [note.decode().split("\n") for note in split_heads((folder / "head").read_bytes())]
    return {note[0]: int(note[1]) for note in notes}


# --- told to stop -----------------------------------------------------------------------------------------------------


def test_a_signal_to_all_processes_lets_answers_under_way_end(ground: Ground, serve: Serve) -> None:
    ground.set(f"{FREE}stop_seconds = 60\n")
    server = serve(ground.folder, workers=2)
    workers = find_workers(server.process.pid)
    with contextlib.ExitStack() as stack:
        clients = enter_everywhere(server, lambda: begin(server, ground), stack)
        for pid in (*workers, server.process.pid):  # as a terminal or a service manager does
            os.kill(pid, signal.SIGTERM)
        time.sleep(0.3)
        assert [is_whole(client.read_all()) for client in clients] == [True] * len(clients)
    assert server.process.wait(PATIENCE) == 0
    assert all(is_gone(worker) for worker in workers)
    assert faults(server) == ""


def test_workers_end_with_a_first_process_that_stops_before_they_are_ready(ground: Ground) -> None:
    server = start(ground.folder, workers=2)
    try:
        wait_until(lambda: len(find_workers(server.process.pid)) == 2)
        workers = find_workers(server.process.pid)
        server.process.kill()
        wait_until(lambda: all(is_gone(worker) for worker in workers))
    finally:
        server.end(signal.SIGKILL)


def test_every_worker_gives_the_receipt_for_what_any_of_them_disclosed(ground: Ground, serve: Serve) -> None:
    ground.set(SETTINGS)
    server = serve(ground.folder, workers=2)
    auth, numbers, receipts = ("borealia", ground.secret), list[int](), Counter[int]()
    for _ in range(12):  # a connection each: whoever takes it answers
        page = httpx.get(f"{server.url}{ground.path}", auth=auth, headers={"Comity-Receipt": "?1"}, timeout=PATIENCE)
        numbers.append(int(page.headers["comity-receipt"]))
    assert numbers == list(range(numbers[0], numbers[0] + 12))
    for number in [*numbers, *reversed(numbers)]:
        answer = httpx.get(f"{server.url}/comity/receipts/{number}", auth=auth, timeout=PATIENCE)
        assert json.loads(parse_receipt(answer.content).leaf_data)["sequence"] == number
        receipts[number] += 1
    assert set(receipts.values()) == {2}
    none = httpx.get(f"{server.url}/comity/receipts/{numbers[-1] + 1}", auth=auth, timeout=PATIENCE)
    assert none.status_code == 404
    assert server.end() == 0
