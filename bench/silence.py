# SPDX-License-Identifier: Apache-2.0
"""Whether the time of an answer tells an outsider what is there.

    .venv/bin/python bench/silence.py                    2,000 pairs for each asker
    .venv/bin/python bench/silence.py --pairs 20000

It founds nodes in a temporary folder, serves one over HTTP on the loopback interface, and asks in pairs, in random
order, one connection for each line: once for what is there, once for what is not and is spelt as long. The answers are
the same bytes; the times are compared by the Mann-Whitney test. For each asker it prints

    there, not there   the median times, in microseconds
    shift              the median of the differences within the pairs, in microseconds
    P(slower)          how often what is there takes longer than what is not: 0.5 where time tells nothing
    z                  how many standard errors that is from 0.5: beyond 4 or so it is no accident
    requests           how many requests an outsider would have to make to see such a shift at z = 4

An outsider on the same machine sees the most that can be seen: a network adds noise of its own, many times as large.
A suspended party may learn that its own collection was one: it signed the agreement. The last line is a control, where
the work does differ: a measurement that sees nothing there sees nothing anywhere.
"""

import argparse
import math
import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the worlds of the tests: small, and made as nodes are made

from comity.agreement.events import EventKind
from comity.ids import AgreementId, PartyId
from comity.node.parties import create_credential
from comity.node.standing import collection_id
from tests.served import Served, basic, format_request
from tests.worlds import World, make_object, object_id

NOWHERE = "00000000-0000-4000-8000-000000000000"
HELD, NOT_HELD = object_id("report", "held"), object_id("report", "nobody has it")
OBJECTS, WARM_UP, CLEAR = 200, 100, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Who asks, and the two paths."""

    name: str
    headers: dict[str, str]
    there: str
    nowhere: str


def main() -> None:
    """Found, serve, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=2_000)
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        questions = fill(world)
        print(f"{'asker and what is asked':<52} there  not there  shift  P(slower)      z  requests")
        with closing(world), Served.start(world.nodes["aurelia"]) as served:
            for question in questions:
                print(measure(served, question, pairs=pairs))


def fill(world: World) -> list[Question]:
    """A node with one agreement that is in force and one that is suspended; what outsiders ask of it."""
    world.found("aurelia", "borealia", "meridia", "tavria")
    world.add("aurelia", make_object("held"), *(make_object(f"r{number}") for number in range(OBJECTS)))
    roots = dict[str, str]()
    for party in ("borealia", "tavria"):
        agreement = AgreementId(world.sign_all(world.terms(receivers=(party,), title=f"With {party}")))
        found = collection_id(agreement, "main", giver=PartyId("aurelia"), recipient=PartyId(party))
        roots[party] = f"/taxii2/{party}/collections/{found}/"
        world.read(party)
    world.act("aurelia", agreement, EventKind.SUSPEND)
    secrets = {
        party: create_credential(world.nodes["aurelia"], PartyId(party)) for party in ("borealia", "meridia", "tavria")
    }
    open_, closed = roots["borealia"], roots["tavria"]

    def question(name: str, headers: dict[str, str], there: str, nowhere: str) -> Question:
        return Question(name=name, headers=headers, there=there, nowhere=nowhere)

    nobody = "/taxii2/borealix/collections/" + NOWHERE + "/"
    wrong = basic("borealia", secrets["borealia"][::-1])
    tavria = basic("tavria", secrets["tavria"])
    return [
        question("nobody: a collection", {}, f"{open_}objects/", f"{nobody}objects/"),
        question("a wrong password: a collection", wrong, f"{open_}objects/", f"{nobody}objects/"),
        question("a wrong password: an object", wrong, f"{open_}objects/{HELD}/", f"{open_}objects/{NOT_HELD}/"),
        question(
            "another party: a collection", basic("meridia", secrets["meridia"]), f"{open_}objects/", f"{nobody}objects/"
        ),
        question(
            "a suspended party: its collection",
            tavria,
            f"{closed}objects/",
            f"/taxii2/tavria/collections/{NOWHERE}/objects/",
        ),
        question("a suspended party: an object", tavria, f"{closed}objects/{HELD}/", f"{closed}objects/{NOT_HELD}/"),
        question(
            "control: one who is inside, an object",
            basic("b", secrets["borealia"]),
            f"{open_}objects/{HELD}/",
            f"{open_}objects/{NOT_HELD}/",
        ),
    ]


def measure(served: Served, question: Question, *, pairs: int) -> str:
    """One line of the table."""
    times: dict[str, list[float]] = {question.there: [], question.nowhere: []}
    draw = random.Random(1)  # noqa: S311 (the order only has to be without a pattern)
    with served.open() as connection:
        for _ in range(pairs + WARM_UP):
            for path in draw.sample(sorted(times), 2):
                times[path].append(ask(connection, path, question.headers))
    there, nowhere = times[question.there][WARM_UP:], times[question.nowhere][WARM_UP:]
    chance, z = compare(there, nowhere)
    shift = statistics.median(one - other for one, other in zip(there, nowhere, strict=True))
    needed = f"{2 * pairs * (CLEAR / z) ** 2:,.0f}" if abs(z) > 1 else "cannot be seen"
    middles = f"{statistics.median(there):>6.0f} {statistics.median(nowhere):>10.0f}"
    return f"{question.name:<51} {middles} {shift:>6.1f} {chance:>10.3f} {z:>6.1f}  {needed}"


def ask(connection: socket.socket, path: str, headers: dict[str, str]) -> float:
    """Microseconds from the request to the last byte of the answer."""
    request = format_request("GET", path, headers=headers)
    started = time.perf_counter_ns()
    connection.sendall(request)
    received = b""
    while not _is_whole(received):
        received += connection.recv(1 << 16)
    return (time.perf_counter_ns() - started) / 1_000


def compare(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """The Mann-Whitney test: the chance that a value of `one` is above one of `other`, and its z."""
    ranked = sorted([(value, 1) for value in one] + [(value, 0) for value in other])
    rank_sum = sum(rank for rank, (_, mine) in enumerate(ranked, start=1) if mine)
    n, m = len(one), len(other)
    above = rank_sum - n * (n + 1) / 2
    return above / (n * m), (above - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)


def _is_whole(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    (length,) = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return len(body) >= int(length)


if __name__ == "__main__":
    main()
