# SPDX-License-Identifier: Apache-2.0
"""Questions that wait are answered when something is there, a gate closes or time is over, and hold up nothing."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.exchange import make_access
from comity.ids import PartyId
from comity.node import agree
from comity.node.gate import list_open_collections
from comity.node.parties import add_party, export_manifest, issue_credential, list_credentials, revoke_credential
from comity.node.rotation import revoke_key
from comity.signing import Role
from tests.served import UNLIMITED, Served, bearer, format_request, without_date
from tests.worlds import World, make_object

BOREALIA = PartyId("borealia")
AT_ONCE = 10.0
"""Seconds, on a machine that has other work; a question that waits takes twice as long, or more."""

NOWHERE = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Aurelia's node served to borealia."""

    world: World
    served: Served
    agreement: str
    path: str
    secret: str
    pool: ThreadPoolExecutor

    def ask(self, seconds: int | str = 20, *, path: str | None = None, secret: str | None = None) -> bytes:
        """The whole answer to a question that would wait."""
        headers = {**bearer(secret or self.secret), "Prefer": f"wait={seconds}"}
        return self.served.ask("GET", path or self.path, headers=headers)

    def begin(self, seconds: int = 20, *, secret: str | None = None) -> Future[bytes]:
        """A question that waits by now."""
        before = self.count()
        asked = self.pool.submit(self.ask, seconds, secret=secret)
        self.until(lambda: self.count() == before + 1)
        return asked

    def count(self) -> int:
        """How many questions wait."""
        return self.served.call(lambda: len(self.served.server.app.waits))

    def until(self, holds: Callable[[], bool], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.01)

    def add(self, name: str, **how: tuple[str, ...]) -> None:
        self.served.call(lambda: self.world.add("aurelia", make_object(name, **how)))  # type: ignore[arg-type]


LIMITS = replace(UNLIMITED, waits_per_party=3, wait_seconds=30)


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Waiting]:
    world = World(tmp_path)
    world.found("aurelia", "borealia", "meridia")
    agreement = world.sign_all(world.terms())
    world.sign_all(world.terms(receivers=("meridia",)))
    node = world.nodes["aurelia"]
    node.settings = replace(node.settings, limits=LIMITS)
    secret, _ = issue_credential(node, BOREALIA, days=1)
    (collection,) = list_open_collections(node, BOREALIA)
    with ThreadPoolExecutor(8) as pool, Served.start(node) as served:
        yield Waiting(
            world=world,
            served=served,
            agreement=agreement,
            path=f"/taxii2/borealia/collections/{collection.id}/objects/",
            secret=secret,
            pool=pool,
        )
    world.close()


def make_token(world: World) -> str:
    """What borealia shows itself by at aurelia's node, for a minute."""
    signers = [world.nodes["borealia"].signers[Role.TRANSPORT]]
    return make_access(BOREALIA, PartyId("aurelia"), now=world.now, nonce=bytes(16), signers=signers)


def applied(answer: bytes) -> bool:
    return b"\r\npreference-applied: wait=" in answer.lower()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_what_is_there_is_answered_at_once(waiting: Waiting) -> None:
    waiting.add("a")
    began = time.monotonic()
    answer = waiting.ask()
    assert time.monotonic() - began < AT_ONCE
    assert b'"objects":[' in answer
    assert applied(answer)


def test_an_answer_waits_until_something_is_released(waiting: Waiting) -> None:
    asked = waiting.begin()
    time.sleep(0.2)
    assert not asked.done()
    waiting.add("a")
    assert b'"objects":[' in asked.result(AT_ONCE)
    assert waiting.count() == 0


def test_what_is_released_to_others_alone_ends_no_wait(waiting: Waiting) -> None:
    ended, began = list[float](), time.monotonic()
    asked = waiting.begin(3)
    asked.add_done_callback(lambda _: ended.append(time.monotonic()))
    for number in range(5):
        waiting.add(f"n{number}", subjects=("national:other",))
        time.sleep(0.1)
    assert asked.result(60).endswith(b"\r\n\r\n{}")
    waiting.until(lambda: bool(ended))
    assert ended[0] - began > 2.9


def test_when_the_time_is_over_the_answer_is_that_of_a_poll(waiting: Waiting) -> None:
    began = time.monotonic()
    answer = waiting.ask(1)
    assert 0.9 < time.monotonic() - began < AT_ONCE
    assert (status(answer), applied(answer), answer.endswith(b"\r\n\r\n{}")) == (200, True, True)
    assert without_date(answer).replace(b"preference-applied: wait=1\r\n", b"") == without_date(waiting.ask(0))


def test_a_wait_is_bounded_whatever_is_asked_for(waiting: Waiting) -> None:
    asked = waiting.pool.submit(waiting.ask, 999_999_999)
    waiting.until(lambda: waiting.count() == 1)
    (place,) = waiting.served.call(lambda: list(waiting.served.server.app.waits._places))
    assert place.seconds == LIMITS.wait_seconds
    waiting.add("a")
    assert b"wait=30\r\n" in asked.result(AT_ONCE)


def test_a_suspension_ends_the_wait_at_once_and_waits_for_nothing(waiting: Waiting) -> None:
    asked, world = waiting.begin(), waiting.world
    began = time.monotonic()
    suspended = waiting.served.call(
        lambda: agree.act_on(world.nodes["aurelia"], waiting.agreement, EventKind.SUSPEND, by=world.actor("aurelia"))
    )
    waiting.served.run(waiting.served.server.drain(suspended.event.agreement))  # type: ignore[union-attr]
    assert time.monotonic() - began < AT_ONCE
    assert without_date(asked.result(AT_ONCE)) == without_date(waiting.ask(0))
    assert status(waiting.ask(20)) == 404


def test_a_policy_that_recognises_nothing_any_more_ends_the_wait(waiting: Waiting) -> None:
    asked = waiting.begin()
    (waiting.world.nodes["aurelia"].folder / "recognition.toml").write_text("")
    assert status(asked.result(AT_ONCE)) == 404


def test_what_runs_out_by_the_clock_ends_the_wait(waiting: Waiting) -> None:
    asked = waiting.begin()
    waiting.served.call(lambda: waiting.world.tick(20 * 365 * 86_400 * 1_000_000))
    assert status(asked.result(AT_ONCE)) == 404


def test_who_waits_with_a_credential_that_is_revoked_gets_nothing_any_more(waiting: Waiting) -> None:
    asked, node = waiting.begin(), waiting.world.nodes["aurelia"]

    def revoke() -> None:
        (held,) = list_credentials(node)
        revoke_credential(node, held.id)
        waiting.world.add("aurelia", make_object("a"))

    waiting.served.call(revoke)
    answer = asked.result(AT_ONCE)
    assert without_date(answer) == without_date(waiting.ask(0))
    assert status(answer) == 404


def test_who_waits_with_a_token_by_a_key_that_is_revoked_gets_nothing_any_more(waiting: Waiting) -> None:
    world, node = waiting.world, waiting.world.nodes["aurelia"]
    asked = waiting.begin(secret=make_token(world))
    revoke = partial(revoke_key, world.nodes["borealia"], Role.TRANSPORT, since=world.now)
    world.both("borealia", lambda by: revoke(by=by))  # type: ignore[arg-type,return-value]
    manifest = export_manifest(world.nodes["borealia"])

    def pin() -> None:
        add_party(node, manifest, digest=None, url=None)
        world.add("aurelia", make_object("a"))

    waiting.served.call(pin)
    assert status(asked.result(AT_ONCE)) == 404


def test_a_token_may_run_out_while_it_waits(waiting: Waiting) -> None:
    asked = waiting.begin(secret=make_token(waiting.world))

    def pass_by() -> None:
        waiting.world.tick(600 * 1_000_000)
        waiting.world.add("aurelia", make_object("a"))

    waiting.served.call(pass_by)
    assert b'"objects":[' in asked.result(AT_ONCE)


def test_an_outsider_learns_nothing_by_waiting(waiting: Waiting) -> None:
    """What is not there, what is another's and what is asked by nobody: the same bytes, and none of them waits."""
    (others,) = waiting.served.call(lambda: list_open_collections(waiting.served.node, PartyId("meridia")))
    paths = [waiting.path.replace(waiting.path.split("/")[4], name) for name in (NOWHERE, others.id)]
    times, answers = list[float](), set[bytes]()
    for path, secret in [
        *((path, waiting.secret) for path in paths),
        *((path, "x" * 64) for path in [*paths, waiting.path]),
    ]:
        began = time.monotonic()
        answers.add(without_date(waiting.ask(20, path=path, secret=secret)))
        times.append(time.monotonic() - began)
    assert len(answers) == 1
    assert max(times) < AT_ONCE


def test_one_party_has_so_many_waits_and_the_next_is_answered_at_once(waiting: Waiting) -> None:
    asked = [waiting.begin() for _ in range(LIMITS.waits_per_party)]
    began = time.monotonic()
    over = waiting.ask()
    assert time.monotonic() - began < AT_ONCE
    assert (status(over), applied(over)) == (200, False)
    waiting.add("a")
    assert all(b'"objects":[' in each.result(AT_ONCE) for each in asked)
    assert applied(waiting.ask())


def test_who_hangs_up_has_no_place_any_more(waiting: Waiting) -> None:
    with waiting.served.open() as connection:
        headers = {**bearer(waiting.secret), "Prefer": "wait=20"}
        connection.sendall(format_request("GET", waiting.path, headers=headers))
        waiting.until(lambda: waiting.count() == 1)
    waiting.until(lambda: waiting.count() == 0)
    disclosed = waiting.served.call(
        lambda: waiting.world.nodes["aurelia"].store.row("SELECT COUNT(*) FROM recipient_sequence")
    )
    assert disclosed == (0,)


def test_what_stops_serving_lets_nobody_wait(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    node = world.nodes["aurelia"]
    secret, _ = issue_credential(node, BOREALIA, days=1)
    (collection,) = list_open_collections(node, BOREALIA)
    path = f"/taxii2/borealia/collections/{collection.id}/objects/"
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        served = stack.enter_context(Served.start(node))
        asked = pool.submit(served.ask, "GET", path, headers={**bearer(secret), "Prefer": "wait=60"})
        while served.call(lambda: len(served.server.app.waits)) == 0:
            time.sleep(0.01)
        began = time.monotonic()
        stack.close()
        assert time.monotonic() - began < 2 * AT_ONCE
        assert status(asked.result(AT_ONCE)) == 200
    world.close()


def test_only_a_get_of_objects_waits(waiting: Waiting) -> None:
    headers = {**bearer(waiting.secret), "Prefer": "wait=20"}
    began = time.monotonic()
    for method, path in (("HEAD", waiting.path), ("GET", waiting.path.replace("objects/", "manifest/"))):
        assert not applied(waiting.served.ask(method, path, headers=headers))
    assert time.monotonic() - began < AT_ONCE


def test_what_only_waited_is_no_slow_request(waiting: Waiting) -> None:
    waiting.ask(3)
    text = waiting.served.call(waiting.served.server._metrics.format).decode()
    (seconds,) = [
        float(line.split()[1])
        for line in text.splitlines()
        if line.startswith('comity_request_seconds_sum{resource="objects"')
    ]
    assert seconds < 2
