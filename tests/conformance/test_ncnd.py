# SPDX-License-Identifier: Apache-2.0
"""SILENT: an agreement whose existence is neither confirmed nor denied leaves no trace in any answer to those outside.

Whatever an outsider asks of Aurelia, it is asked in both worlds of `tests.conformance.ncnd_worlds`, and the answers
must be the same bytes as they came over the wire, from the status line to the last byte, without the Date line.
Borealia, who has another agreement with Aurelia, is outside too.

Not here: long talk of outsiders about an agreement whose id they learned (`test_ncnd_talk`).
"""

import json
import re
from collections.abc import Iterator
from functools import partial

import pytest

from comity.agreement.events import EventKind
from comity.ids import AgreementId, Instant, PartyId
from comity.node.outbox import list_due, list_waiting
from comity.node.standing import list_dossiers
from tests.conformance.ncnd_worlds import (
    BOREALIA,
    HIDDEN,
    MERIDIA,
    PARTIES,
    TAVRIA,
    Twins,
    make_messages,
    make_twins,
    of,
    read_hidden,
)
from tests.worlds import World

METHODS = ("GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS")
NOWHERE = "00000000-0000-4000-8000-000000000000"
NOT_KNOWN = ("nobody", "an unknown name", "a wrong password", "a token by another key", "an expired token")
KNOWN = ("tavria", "tavria by token", "borealia", "borealia by token")
OBJECTS = ("first", "second", "third", "for meridia alone", "red", "refers to what meridia gives", "given by meridia")


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    with make_twins(tmp_path_factory.mktemp("twins")) as made:
        yield made


# ---- that there is something to hide, and somebody it is not hidden from ---------------------------------------------


def test_one_world_has_the_hidden_agreements_and_the_other_does_not(twins: Twins) -> None:
    states = {name: read_hidden(twins, name).standing(now=twins.having.now).state for name in HIDDEN}
    assert states == HIDDEN
    assert {read_hidden(twins, name).versions[-1].existence for name in HIDDEN} == {"ncnd"}
    having, lacking = twins.count_entries()
    assert having > lacking + 20


def test_who_is_inside_is_answered_in_that_world_alone(twins: Twins) -> None:
    path = f"/taxii2/meridia/collections/{twins.collection('flowing', MERIDIA)}/objects/"
    having, lacking = (each.ask("GET", path, headers=twins.headers["meridia"]) for each in twins.served)
    assert having.startswith(b"HTTP/1.1 200 ")
    assert of("first").encode() in having
    assert lacking.startswith(b"HTTP/1.1 404 ")


def test_borealia_is_answered_with_objects(twins: Twins) -> None:
    answer = twins.ask("borealia", "GET", f"{twins.open}/objects/")
    given = {name for name in OBJECTS if of(name).encode() in answer}
    assert given == {"first", "second", "third"}


# ---- what can be asked -----------------------------------------------------------------------------------------------


def list_things(root: str, collection: str) -> list[str]:
    """Paths to everything that a collection could have."""
    base = f"/taxii2/{root}/collections/{collection}"
    return [
        base,
        f"{base}/",
        f"{base}/objects/",
        f"{base}/objects/?limit=1",
        f"{base}/objects/?limit=0",
        f"{base}/objects/?next=AAAA",
        f"{base}/objects/?added_after=x",
        f"{base}/manifest/",
        *(f"{base}/objects/{of(name)}/" for name in OBJECTS),
        f"{base}/objects/{of('first')}/versions/",
        f"{base}/objects/{of('given by meridia')}/versions/",
    ]


def list_paths(twins: Twins) -> list[str]:
    """Everything that somebody might try who has heard of the hidden agreements."""
    found = [
        "/",
        "/nothing",
        "/taxii2/",
        "/taxii2/?x=y",
        "/comity/exchange/",
        *(
            f"/taxii2/{party}{rest}"
            for party in (*PARTIES, "ghostia")
            for rest in (
                "/",
                "/collections/",
                "/collections",
                f"/status/{NOWHERE}/",
                f"/status/{twins.hidden['group']}/",
            )
        ),
    ]
    for name, agreement in twins.hidden.items():
        found += [
            f"/taxii2/{agreement}/",
            f"/taxii2/borealia/collections/{agreement}/",
            f"/comity/exchange/{agreement}",
        ]
        for party in (BOREALIA, MERIDIA, TAVRIA):
            collection = twins.collection(name, party)
            found += list_things(party, collection)[:4]
            found += list_things(BOREALIA, collection)
    return [*found, *list_things(MERIDIA, NOWHERE)]


@pytest.mark.parametrize("who", [*NOT_KNOWN, *KNOWN])
def test_every_path_has_the_same_answer(twins: Twins, who: str) -> None:
    for path in list_paths(twins):
        answer = twins.ask(who, "GET", path)
        if who in NOT_KNOWN:
            assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 401 ")), path


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("who", ["nobody", "tavria", "borealia"])
def test_every_method_has_the_same_answer(twins: Twins, who: str, method: str) -> None:
    flowing, group = twins.collection("flowing", MERIDIA), twins.collection("group", TAVRIA)
    for path in (
        *list_things(MERIDIA, flowing)[:4],
        *list_things(TAVRIA, group)[:4],
        "/taxii2/",
        f"/taxii2/{who}/collections/",
        f"{twins.open}/objects/",
    ):
        for headers in ({}, {"Accept": "text/html"}, {"Range": "bytes=0-0"}, {"If-None-Match": "*"}):
            twins.ask(who, method, path, headers=headers)


@pytest.mark.parametrize("resource", ["objects/", "manifest/", f"objects/{of('first')}/versions/"])
@pytest.mark.parametrize("query", ["", "match[version]=all", "match[type]=report", "added_after=2026-01-01T00:00:00Z"])
@pytest.mark.parametrize("limit", [1, 2, 1_000])
def test_every_page_and_cursor_of_another_partner_is_the_same(
    twins: Twins, resource: str, query: str, limit: int
) -> None:
    path, pages = f"{twins.open}/{resource}?limit={limit}&{query}", 1
    answer = twins.ask("borealia", "GET", path)
    assert b"x-taxii-date-added-last: 20" in answer
    while cursor := re.search(rb'"next": ?"([^"]+)"', answer):
        answer = twins.ask("borealia", "GET", f"{path}&next={cursor[1].decode()}")
        assert answer.startswith(b"HTTP/1.1 200 ")
        pages += 1
    assert pages > 1 or limit > 1 or "versions" in resource


# ---- what can be said ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("party", [BOREALIA, TAVRIA])
def test_a_message_on_an_agreement_of_others_has_the_answer_of_any_path(
    twins: Twins, party: PartyId, name: str
) -> None:
    expected, before = twins.ask("nobody", "POST", "/nothing/at/all"), twins.count_entries()
    assert expected.startswith(b"HTTP/1.1 404 ")
    for kind, body in make_messages(twins.lacking, party, read_hidden(twins, name)).items():
        for who in ("nobody", party):
            assert twins.ask(who, "POST", "/comity/exchange/", body=body) == expected, kind
    assert twins.count_entries() == before


def test_rubbish_has_the_answer_of_any_path(twins: Twins) -> None:
    expected, hidden = twins.ask("nobody", "POST", "/nothing/at/all"), twins.hidden["flowing"]
    (good, *_) = make_messages(twins.lacking, BOREALIA, read_hidden(twins, "flowing")).values()
    for body in (
        b"",
        b"\x00\xff",
        b"{}",
        hidden.encode(),
        json.dumps({"agreement": hidden}).encode(),
        good[:-20],
        good.replace(b'"payload":"ey', b'"payload":"eY'),
        good.partition(b'"signatures"')[0] + b'"signatures":[]}',
        b"x" * (2 * 1024 * 1024 + 1),
    ):
        assert twins.ask("nobody", "POST", "/comity/exchange/", body=body) == expected


def test_a_message_of_a_partner_on_its_own_agreement_is_taken_in_both_worlds(twins: Twins) -> None:
    """Without this, silence could be a server that takes nothing."""
    ask = f"What of {twins.shared[:8]}?"
    for world in (twins.having, twins.lacking):
        world.act("borealia", twins.shared, EventKind.CLARIFY, clause="purposes", text=ask)
    having, lacking = (
        [message.envelope for message in list_due(world.nodes["borealia"])] for world in (twins.having, twins.lacking)
    )
    assert having == lacking
    assert having
    for body in having:
        assert twins.ask("nobody", "POST", "/comity/exchange/", body=body).startswith(b"HTTP/1.1 202 ")


# ---- what the others are told unasked --------------------------------------------------------------------------------


@pytest.mark.parametrize("party", [BOREALIA, TAVRIA])
def test_the_others_hold_the_same_and_nothing_waits_for_them(twins: Twins, party: PartyId) -> None:
    def read(world: World) -> list[tuple[AgreementId, int, tuple[bytes, ...], tuple[Instant, ...]]]:
        node = world.nodes[party]
        with node.store.read() as transaction:
            return [
                (each.id, each.epoch, each.envelopes, each.recorded_at) for each in list_dossiers(node, transaction)
            ]

    held = read(twins.having)
    assert held == read(twins.lacking)
    assert [agreement for agreement, *_ in held] == ([twins.shared] if party == BOREALIA else [])
    for served in twins.served:
        waiting = served.call(partial(list_waiting, served.node))
        assert party not in {each.party for each in waiting}
