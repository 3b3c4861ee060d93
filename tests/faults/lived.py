# SPDX-License-Identifier: Apache-2.0
"""A node that has done much: it was given, passed on, deleted, purged, recalled, witnessed, classified and decided."""

import asyncio
import json
from pathlib import Path

from comity import peers
from comity.agreement.people import Role
from comity.classification.lists import parse_subject_list
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.letters.recall import Change
from comity.letters.request import Urgency
from comity.node import retention
from comity.node.accept import accept_objects, list_write_collections
from comity.node.classify import say, take_back
from comity.node.cosigning import make_request, read_own_head
from comity.node.lists import decide_subject, load_list
from comity.node.parties import add_party, create_credential, export_manifest
from comity.node.purge import Selection, purge_by_order
from comity.node.readers import add_reader
from comity.node.recall import recall
from comity.node.requests import send_request
from comity.node.rotation import rotate_keys
from comity.node.witness import add_checkpoint
from comity.signing import Role as KeyRole
from tests.chains import introduce, sign_onward
from tests.faults.acts import by_both
from tests.served import Served
from tests.unit.node.test_lists import make_list
from tests.worlds import World, make_object, object_id

__all__ = ["A", "B", "C", "live"]

A, B, C = PartyId("aurelia"), PartyId("borealia"), PartyId("meridia")
_REVIEWED = 'retention = { review_after = "P90D", maximum = "P300D", no_decision = "delete" }'


def live(folder: Path) -> Instant:
    """When it is in the end; the folders of the three nodes are in `folder`, closed, and that of B has the most."""
    world = World(folder)
    world.found(A, B, C)
    introduce(world, [(A, B), (B, C)])
    given = sign_onward(world, A, B, listed=[C], extra=_REVIEWED)
    passed = sign_onward(world, B, C, listed=[], extra=_REVIEWED)
    world.add(A, *(make_object(name) for name in ("x", "y", "z")))
    world.add(B, make_object("own"), make_object("other", tlp="amber"))
    for newer in (make_object("v"), make_object("y", day=3)):
        _pull(world, A, B)
        _pull(world, B, C)
        world.add(A, newer)
    _witness(world)
    _decide(world)
    _recall(world, given)
    _purge(world, passed)
    by_both(world, A, lambda by: rotate_keys(world.nodes[A], list(KeyRole), by=by))
    world.deliver()
    _pull(world, A, B)
    _pull(world, B, C)
    retention.delete(world.nodes[B], object_id("report", "v"), reason="asked for")
    _let_in(world)
    world.close()
    return world.now


def _pull(world: World, giver: PartyId, receiver: PartyId) -> None:
    world.tick()
    with Served.start(world.nodes[giver]) as served:
        add_party(world.nodes[receiver], export_manifest(world.nodes[giver]), digest=None, url=served.url)
        for pulled in asyncio.run(peers.pull(world.nodes[receiver], giver)):
            assert pulled.refused is None, pulled
    world.tick()


def _witness(world: World) -> None:
    head = read_own_head(world.nodes[A])
    assert head is not None
    assert add_checkpoint(world.nodes[B], A, make_request(world.nodes[A], head, old_size=0)).status == 200


def _decide(world: World) -> None:
    """Words said and taken back, a list that somebody left, and what was decided of that."""
    node, name = world.nodes[B], object_id("report", "own")
    say(node, name, {"handling": ["H2"], "regions": ["SY"]}, reason="read", by=world.actor(B))
    world.tick()
    take_back(node, name, {"handling": ["H2"]}, reason="not so", by=world.actor(B, Role.LIAISON))
    retention.keep(node, object_id("report", "y"), reason="needed")
    for version, listed in (("1", ["national:b", "national:c"]), ("2", ["national:c"])):
        world.tick()
        data = parse_subject_list(make_list(version, *listed))
        load_list(node, data, reason="new", by=world.actor(B))
    world.tick()
    decide_subject(node, "national:b", "stop", reason="looked at", by=world.actor(B, Role.LIAISON))


def _recall(world: World, given: str) -> None:
    by = world.actor(A, Role.LIAISON)
    recall(world.nodes[A], object_id("report", "x"), change=Change.WITHDRAW, versions=(), reason="wrong", by=by)
    world.deliver()
    world.tick()
    liaison = world.actor(B, Role.LIAISON)
    send_request(world.nodes[B], given, to=A, question="When?", urgency=Urgency.SOON, by=liaison)
    world.deliver()
    world.tick()


def _purge(world: World, passed: str) -> None:
    order = Selection(agreement=AgreementId(Digest(passed)), until=Instant(world.now - 8_000_000))
    by_both(world, B, lambda by: purge_by_order(world.nodes[B], order, reason="order 12", by=by))
    world.tick()


def _let_in(world: World) -> None:
    """Credentials, a reader of the log, and what a partner wrote."""
    create_credential(world.nodes[B], C)
    add_reader(world.nodes[B], "oversight")
    back = sign_onward(world, C, B, listed=[])
    (target,) = [one for one in list_write_collections(world.nodes[B], C) if one.terms.agreement_id == back]
    data = json.dumps({"objects": [make_object("written")]}).encode()
    accept_objects(world.nodes[B], data, giver=C, collection=target.id)
    world.tick()
