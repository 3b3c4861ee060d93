# SPDX-License-Identifier: Apache-2.0
"""SILENT over real HTTP: one node served with a secret agreement and, from a copy made before it, without."""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from comity.agreement.drafting import convert_terms
from comity.agreement.events import CARRIES_TERMS, Event, EventKind
from comity.agreement.terms import Terms, parse_terms
from comity.exchange import make_message
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.node.node import Node
from comity.node.parties import create_credential
from comity.node.receive import Received, receive_page
from comity.node.standing import collection_id
from comity.signing import Role
from comity.taxii.wire import format_envelope
from tests.e2e.conftest import PATIENCE, serving
from tests.served import basic
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

A, B, C, D = "aurelia", "borealia", "meridia", "ghostia"
NOWHERE = "00000000-0000-4000-8000-000000000000"


def agree_openly(world: World) -> str:
    """The agreement with the partner, under which everything it may have has got its release time."""
    agreement = world.sign_all(world.terms())
    world.add(A, make_object("a"), make_object("b"), make_object("withheld", tlp="red"))
    assert len(world.poll(B).items) == 2
    return agreement


def agree_secretly(world: World) -> tuple[str, Terms]:
    """An agreement by which objects go both ways, another one that is only talked about, and the text of the first."""
    text = world.terms(receivers=(C,), title="What nobody knows")
    agreement = world.sign_all(text)
    assert len(world.poll(C).items) == 2
    back = world.terms(giver=C, receivers=(A,), title="The way back")
    terms = parse_terms(convert_terms(back))
    world.sign_all(back, proposer=C)
    world.add(C, make_object("from afar"))
    page = world.poll(A, giver=C)
    received = Received(
        giver=PartyId(C), terms=page.terms, channel=terms.channels[0], collection=NOWHERE, added_after=page.items[-1].at
    )
    receive_page(
        world.nodes[A], b"".join(format_envelope(b",".join(item.data for item in page.items), cursor=None)), received
    )
    world.propose(C, world.terms(giver=C, receivers=(A,), title="Not signed"))
    world.deliver()
    world.act(C, agreement, EventKind.SUSPEND)
    world.deliver()
    return agreement, parse_terms(convert_terms(text))


def claim(world: World, agreement: str, party: str) -> Terms:
    toml = world.terms(
        giver=party, receivers=(A,), version=2, agreement=agreement, supersedes=agreement, title="Claimed"
    )
    return parse_terms(convert_terms(toml))


def say(node: Node, kind: EventKind, terms: Terms, *, clause: str | None = None, text: str | None = None) -> bytes:
    """A message that `node` signs, whatever its own record says."""
    event = Event(
        digest=Digest("0" * 64),
        kind=kind,
        agreement=terms.agreement_id,
        terms=terms.hash,
        party=node.party,
        at=Instant(time.time_ns() // 1_000),
        clause=clause,
        text=text,
    )
    document = terms.document if kind in CARRIES_TERMS else None
    return make_message(event, nonce=b"probe", signers=[node.signers[Role.AGREEMENT]], document=document)


def list_paths(agreements: Mapping[str, str]) -> list[str]:
    paths = ["/", "/taxii2/", "/comity/exchange/"]
    for root in (A, B, C, D):
        paths += [f"/taxii2/{root}/", f"/taxii2/{root}/collections/"]
        names = [
            collection_id(AgreementId(agreement), "main", giver=PartyId(A), recipient=PartyId(party))
            for party, agreement in agreements.items()
        ]
        for name in (*names, NOWHERE):
            base = f"/taxii2/{root}/collections/{name}"
            paths += [f"{base}/", f"{base}/objects/", f"{base}/objects/?limit=1", f"{base}/manifest/"]
            paths += [f"{base}/objects/{object_id('report', each)}/" for each in ("a", "from afar", "withheld")]
    return paths


@contextmanager
def both(folders: list[Path]) -> Iterator[list[httpx.Client]]:
    with (
        serving(folders[0]) as one,
        serving(folders[1]) as other,
        httpx.Client(base_url=one.url, trust_env=False, timeout=PATIENCE) as left,
        httpx.Client(base_url=other.url, trust_env=False, timeout=PATIENCE) as right,
    ):
        yield [left, right]


def ask(
    client: httpx.Client, method: str, path: str, *, headers: Mapping[str, str], body: bytes = b""
) -> tuple[object, ...]:
    """Everything but the date, which is that of the moment."""
    answer = client.request(method, path, headers=dict(headers), content=body)
    kept = [(name, value) for name, value in answer.headers.raw if name.lower() != b"date"]
    return answer.status_code, kept, answer.content


def test_nobody_outside_can_tell_two_nodes_apart(tmp_path: Path) -> None:
    world = World(tmp_path / "with")
    world.found(A, B, C, D)
    agreements = {B: agree_openly(world)}
    secrets = {name: create_credential(world.nodes[A], PartyId(name)) for name in (B, D)}
    world.nodes[A].close()
    shutil.copytree(world.folder / A, tmp_path / "without" / A)
    world.open(A)
    agreements[C], secret = agree_secretly(world)
    world.nodes[A].close()
    probes = [
        message
        for party in (D, B)
        for terms in [claim(world, agreements[C], party)]
        for node in [world.nodes[party]]
        for message in (
            say(node, EventKind.CLARIFY, secret, clause="purposes", text="Is it there?"),
            say(node, EventKind.SUSPEND, secret),
            say(node, EventKind.COUNTER, terms),
            say(node, EventKind.CLARIFY, terms, clause="purposes", text="Is it there?"),
        )
    ]
    askers = {"nobody": {}, "the stranger": basic(D, secrets[D]), "the partner": basic(B, secrets[B])}
    statuses = set[object]()
    with both([world.folder / A, tmp_path / "without" / A]) as (one, other):
        for who, headers in askers.items():
            for path in list_paths(agreements):
                answer = ask(one, "GET", path, headers=headers)
                assert answer == ask(other, "GET", path, headers=headers), (who, path)
                statuses.add((who, answer[0]))
        for number, message in enumerate(probes):
            answer = ask(one, "POST", "/comity/exchange/", headers={}, body=message)
            assert answer == ask(other, "POST", "/comity/exchange/", headers={}, body=message), number
            statuses.add(("a message", answer[0]))
    for name in (B, C, D):
        world.nodes[name].close()
    assert {("the partner", 200), ("the stranger", 200), ("nobody", 404)} <= statuses
    assert {("a message", 202), ("a message", 404)} <= statuses
