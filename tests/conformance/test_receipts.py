# SPDX-License-Identifier: Apache-2.0
"""Receipts over HTTP: for the party that something was disclosed to, and for nobody else."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.ids import AgreementId, PartyId
from comity.node.parties import create_credential
from comity.node.standing import collection_id
from comity.release.receipt import VerifiedReceipt, find_handling, parse_receipt, verify_receipt
from comity.tlog.merkle import verify_consistency
from comity.tlog.origin import find_token
from comity.tlog.proof import parse_hashes
from tests.served import Served, basic, without_date
from tests.worlds import World, make_object, object_id

Ask = Callable[..., bytes]
ASKED = {"Comity-Receipt": "?1"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Aurelia gives to borealia and to meridia, in an agreement each."""
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    made.add("aurelia", make_object("a"), make_object("b"))
    for name in ("borealia", "meridia"):
        made.sign_all(made.terms(receivers=(name,), title=f"Terms for {name}"))
    yield made
    made.close()


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    with Served.start(world.nodes["aurelia"]) as running:
        yield running


@pytest.fixture
def ask(world: World, served: Served) -> Ask:
    """The answer to a request by a party, or by nobody, without its Date."""
    node, names = world.nodes["aurelia"], ("borealia", "meridia")
    secrets = served.call(lambda: {name: create_credential(node, PartyId(name)) for name in names})

    def send(who: str | None, path: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> bytes:
        known = {} if who is None else basic(who, secrets[who])
        return without_date(served.ask(method, path, headers={**known, **(headers or {})}))

    return send


def find_agreement(world: World, party: str) -> AgreementId:
    row = world.nodes[party].store.row("SELECT id FROM agreement")
    assert row is not None
    return AgreementId(row[0])


def page_path(world: World, party: str) -> str:
    name = collection_id(find_agreement(world, party), "main", giver=PartyId("aurelia"), recipient=PartyId(party))
    return f"/taxii2/{party}/collections/{name}/objects/"


def find_number(answer: bytes) -> int | None:
    match = re.search(rb"\r\ncomity-receipt: (\d+)\r\n", answer.lower())
    return None if match is None else int(match[1])


def body(answer: bytes) -> bytes:
    head, _, data = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    return data


def verify(world: World, answer: bytes) -> VerifiedReceipt:
    receipt = parse_receipt(body(answer))
    verified = verify_receipt(receipt, manifests=list(world.manifests.values()))
    assert receipt.terms is not None
    assert find_handling(verified, receipt.terms).audience == {verified.recipient}
    return verified


def test_a_page_tells_its_number_to_who_asks_and_its_receipt_shows_what_was_on_it(world: World, ask: Ask) -> None:
    path = page_path(world, "borealia")
    assert find_number(ask("borealia", path)) is None
    assert find_number(ask("borealia", path, headers={"Comity-Receipt": "1"})) is None
    number = find_number(ask("borealia", path, headers=ASKED))
    assert number == 3
    for sequence in (1, 2, 3):
        verified = verify(world, ask("borealia", f"/comity/receipts/{sequence}"))
        assert (verified.giver, verified.recipient, verified.sequence) == ("aurelia", "borealia", sequence)
        assert {item.id for item in verified.objects} == {object_id("report", "a"), object_id("report", "b")}


def test_a_page_that_is_remembered_has_a_number_of_its_own(world: World, ask: Ask) -> None:
    path = page_path(world, "borealia")
    answers = [ask("borealia", path, headers=ASKED) for _ in range(3)]
    assert [find_number(answer) for answer in answers] == [1, 2, 3]
    assert len({body(answer) for answer in answers}) == 1


def test_a_page_with_nothing_on_it_has_no_number(world: World, ask: Ask) -> None:
    answer = ask("borealia", page_path(world, "borealia") + "?match[type]=indicator", headers=ASKED)
    assert body(answer) == b"{}"
    assert find_number(answer) is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_who_it_was_not_made_for_cannot_tell_it_from_what_is_not_there(world: World, ask: Ask, method: str) -> None:
    for _ in range(3):
        ask("borealia", page_path(world, "borealia"))
    absent = ask(None, "/nothing/at/all", method=method)
    for path in ("/comity/receipts/3", "/comity/receipts/3/", "/comity/consistency/1/2"):
        for who in (None, "meridia"):
            assert ask(who, path, method=method) == absent, (who, path)
    wrong = ["4", "0", "03", "-1", "3x", "", "9" * 18, "9" * 40, "3/more"]
    for path in [f"/comity/receipts/{name}" for name in wrong]:
        assert ask("borealia", path, method=method) == ask("borealia", "/nothing/at/all", method=method) == absent


def test_a_receipt_is_given_whatever_became_of_the_agreement(world: World, served: Served, ask: Ask) -> None:
    ask("borealia", page_path(world, "borealia"))
    before = verify(world, ask("borealia", "/comity/receipts/1"))
    ask("borealia", page_path(world, "borealia"))
    agreement = find_agreement(world, "borealia")
    served.call(lambda: world.act("aurelia", agreement, EventKind.TERMINATE))
    after = verify(world, ask("borealia", "/comity/receipts/1"))
    assert after.size > before.size
    assert after.objects == before.objects
    token = find_token(parse_receipt(body(ask("borealia", "/comity/receipts/1"))).checkpoint.origin)
    proof = parse_hashes(body(ask("borealia", f"/comity/consistency/{token}/{before.size}/{after.size}")))
    assert verify_consistency(before.size, after.size, proof, before.root, after.root) == after.root


@pytest.mark.parametrize("sizes", ["0/1", "2/1", "1/999", "999/999"])
def test_sizes_that_are_not_there_have_no_proof(world: World, ask: Ask, sizes: str) -> None:
    ask("borealia", page_path(world, "borealia"))
    assert ask("borealia", f"/comity/consistency/{sizes}") == ask(None, "/nothing/at/all")


@pytest.mark.parametrize("body", [b"", b"{}", b"nonsense", b'{"payload":"","payloadType":"","signatures":[]}'])
def test_what_is_no_acknowledgement_gets_the_answer_of_any_path(served: Served, ask: Ask, body: bytes) -> None:
    absent = ask(None, "/nothing/at/all", method="POST")
    length = {"Content-Length": str(len(body))}
    assert without_date(served.ask("POST", "/comity/acknowledgements/", headers=length, body=body)) == absent
    assert ask("borealia", "/comity/acknowledgements/") == ask(None, "/nothing/at/all")
