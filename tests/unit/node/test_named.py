# SPDX-License-Identifier: Apache-2.0
"""What an own object names of another party's is found however it is written, and refers to it."""

import json

import pytest

from comity.canonical import Json
from comity.ids import AgreementId
from comity.node.named import refer_to_named
from comity.node.retention import delete
from comity.node.standing import list_dossiers
from comity.stix.objects import parse_bundle
from comity.store.objects import Holding
from tests.regressions.groups import pull
from tests.worlds import World, make_object, object_id

OTHER = object_id("identity", "other")
OWN = object_id("identity", "own")
UNKNOWN = object_id("identity", "unknown")


def find(world: World, said: bytes) -> set[str]:
    """What an own object refers to, in which this stands."""
    data = json.dumps(make_object("one", kind="tool") | {"x_said": "HERE"}).encode().replace(b"HERE", said)
    parsed = parse_bundle(b'{"objects":[' + data + b"]}")
    node = world.nodes["borealia"]
    holding = Holding(originator=node.party, received_under=None, added_at=node.clock())
    with node.store.read() as transaction:
        ((item, _),) = refer_to_named(transaction, parsed, holding).good
    return set(item.references)


@pytest.fixture
def told(world: World) -> World:
    """Borealia holds one of its own, and one that Aurelia gave."""
    agreement = world.sign_all(world.terms(types=("identity", "extension-definition")))
    world.add("aurelia", make_object("other", kind="identity"))
    assert pull(world, "borealia", giver="aurelia", agreement=AgreementId(agreement)).added == (OTHER,)
    world.add("borealia", make_object("own", kind="identity"))
    return world


@pytest.mark.parametrize(
    "said",
    [
        OTHER.encode(),
        f"({OTHER})".encode(),
        OTHER.upper().encode(),
        OTHER.replace("-", "\\u002d").encode(),
        OTHER.replace("d", "\\u0064").encode(),
        f"{'a' * 100} {OTHER}{OTHER}".encode(),
        f"report-of-{OTHER}.json".encode(),
        f"these:\\n{OTHER}\\n".encode(),
        f"these:\\t{OTHER}".encode(),
        f"these:\\u000a{OTHER}".encode(),
        f"C:\\\\{OTHER}".encode(),
    ],
)
def test_what_is_named_is_found_however_it_is_written(told: World, said: bytes) -> None:
    assert find(told, said) == {OTHER}


@pytest.mark.parametrize("said", [OWN.encode(), UNKNOWN.encode(), OTHER[10:].encode(), b"--", b"other"])
def test_what_is_ones_own_or_not_known_is_no_reference(told: World, said: bytes) -> None:
    assert find(told, said) == set()


def test_what_was_deleted_is_named_still(told: World) -> None:
    for name in (OTHER, OWN):
        delete(told.nodes["borealia"], name, reason="wrong")
    assert find(told, OTHER.encode()) == {OTHER}
    assert find(told, OWN.encode()) == set()


def test_of_which_form_an_object_is_makes_no_reference(told: World) -> None:
    """Where a marking or an extension stands in its place it is read there; elsewhere it says nothing of anybody."""
    form: dict[str, Json] = {
        "created_by_ref": OTHER,
        "name": "harbours",
        "schema": "https://aurelia.example/harbours",
        "version": "1.0",
        "extension_types": ["property-extension"],
    }
    told.add("aurelia", make_object("form", kind="extension-definition", more=form))
    node = told.nodes["borealia"]
    with node.store.read() as transaction:
        (dossier,) = list_dossiers(node, transaction)
    name = object_id("extension-definition", "form")
    assert pull(told, "borealia", giver="aurelia", agreement=dossier.id).added == (name,)
    assert find(told, name.encode()) == set()
