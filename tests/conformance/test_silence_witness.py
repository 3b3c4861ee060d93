# SPDX-License-Identifier: Apache-2.0
"""SILENT, for the witness: whoever is not the party of the log gets the answer of a path that is not there."""

from collections.abc import Iterator, Mapping
from contextlib import closing

import pytest

from comity.exchange import make_access
from comity.ids import PartyId
from comity.node.cosigning import OwnHead, make_request, read_own_head
from comity.node.parties import create_credential
from comity.node.witness import list_witnessed
from comity.signing import Role
from comity.taxii.server import WITNESS_PATH
from tests.served import Served, basic, bearer, without_date
from tests.worlds import World

METHODS = ("GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS", "PATCH")
PATHS = (
    WITNESS_PATH,
    f"{WITNESS_PATH}/",
    "/comity/witness",
    "/comity/witness/",
    "/comity/witness/checkpoint",
    "/comity/witness/sign-subtree",
)


class Outside:
    """Aurelia's node, served; borealia, meridia and ghostia have logs, and aurelia has not pinned ghostia."""

    def __init__(self, world: World, served: Served, headers: Mapping[str, Mapping[str, str]]) -> None:
        self.world, self.served, self.headers = world, served, headers

    def ask(self, who: str, path: str, *, method: str = "POST", body: bytes = b"") -> bytes:
        headers = {**self.headers[who], "Content-Length": str(len(body))}
        return without_date(self.served.ask(method, path, headers=headers, body=body))

    def head_of(self, name: str) -> bytes:
        """What the node of `name` would ask a witness that has seen nothing of it."""
        node = self.world.nodes[name]
        head = read_own_head(node)
        assert head is not None
        return make_request(node, OwnHead(size=head.size, note=head.note), old_size=0)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    world = World(tmp_path_factory.mktemp("inside"))
    world.found("aurelia", "borealia", "meridia")
    strangers = World(tmp_path_factory.mktemp("strangers"))
    strangers.found("ghostia")
    node = world.nodes["aurelia"]
    secret = create_credential(node, PartyId("borealia"))
    world.nodes["ghostia"] = strangers.nodes["ghostia"]

    def token(name: str, role: Role = Role.TRANSPORT) -> dict[str, str]:
        signer = world.nodes[name].signers[role]
        made = make_access(PartyId(name), PartyId("aurelia"), now=world.now, nonce=bytes(16), signers=[signer])
        return bearer(made)

    headers = {
        "nobody": {},
        "nonsense": {"Authorization": "\xff nonsense"},
        "ghostia": token("ghostia"),
        "a wrong key": token("borealia", Role.WITNESS),
        "borealia": basic("borealia", secret),
        "borealia by token": token("borealia"),
        "meridia": token("meridia"),
    }
    with closing(world), Served.start(node) as served:
        yield Outside(world, served, headers)


@pytest.mark.parametrize("who", ["nobody", "nonsense", "ghostia", "a wrong key"])
def test_an_outsider_cannot_tell_that_there_is_a_witness(outside: Outside, who: str) -> None:
    bodies = (b"", b"nonsense", *(outside.head_of(name) for name in ("aurelia", "borealia", "meridia", "ghostia")))
    for method in METHODS:
        expected = outside.ask(who, "/nothing/at/all", method=method)
        for path in PATHS:
            assert {outside.ask(who, path, method=method, body=body) for body in bodies} == {expected}
    assert outside.served.call(lambda: list_witnessed(outside.served.node.store)) == []


@pytest.mark.parametrize("who", ["borealia", "borealia by token", "meridia"])
def test_a_partner_cannot_tell_whose_other_logs_are_witnessed(outside: Outside, who: str) -> None:
    """Meridia is pinned and known here, ghostia is not: who has the heads of both learns nothing by showing them."""
    nothing = outside.ask(who, "/nothing/at/all", body=b"x")
    own = who.split(maxsplit=1)[0]
    for other in {"aurelia", "borealia", "meridia", "ghostia"} - {own}:
        assert outside.ask(who, WITNESS_PATH, body=outside.head_of(other)) == nothing


def test_a_partner_is_answered_for_its_own_log(outside: Outside) -> None:
    """The answers compared above are no accident: with the same head the party itself is given a cosignature."""
    for who in ("borealia", "borealia by token", "meridia"):
        answer = outside.ask(who, WITNESS_PATH, body=outside.head_of(who.split()[0]))
        assert answer.startswith(b"HTTP/1.1 409" if who == "borealia by token" else b"HTTP/1.1 200")
    assert outside.ask("borealia", WITNESS_PATH, body=b"nonsense").startswith(b"HTTP/1.1 400")
