# SPDX-License-Identifier: Apache-2.0
"""The log of a relationship over HTTP: for its recipient and for readers; for everybody else nothing is there."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from comity.ids import PartyId
from comity.node.follow import make_token
from comity.node.journal import list_relationships, read_checkpoint
from comity.node.parties import create_credential
from comity.node.readers import add_reader
from comity.release.disclosure import EntryType, parse_leaf, verify_opening
from comity.release.logs import LogOpening, NamedHead, parse_heads, parse_opening
from comity.signing import Role
from comity.tlog.merkle import leaf_hash, root_hash, verify_consistency
from comity.tlog.note import parse_checkpoint, parse_note, verify_note
from comity.tlog.origin import find_token
from comity.tlog.proof import parse_hashes
from comity.tlog.tiles import parse_bundle
from tests.served import Served, basic, bearer, without_date
from tests.worlds import World, make_object

SIZES = {"borealia": 5, "meridia": 2}


@dataclass
class Ground:
    """Aurelia, served; what each party and an overseer show; and the token of each log."""

    world: World
    served: Served
    shown: dict[str, dict[str, str]]
    tokens: dict[str, str]

    def ask(self, who: str | None, path: str, *, method: str = "GET") -> bytes:
        headers = {} if who is None else self.shown[who]
        return without_date(self.served.ask(method, path, headers=headers))

    def read(self, who: str, of: str, name: str) -> bytes:
        head, _, body = self.ask(who, f"/comity/log/aurelia/{self.tokens[of]}/{name}").partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        return body


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    world = World(tmp_path_factory.mktemp("logs"))
    world.found("aurelia", *SIZES)
    world.add("aurelia", make_object("a"))
    node = world.nodes["aurelia"]
    for name, size in SIZES.items():
        world.sign_all(world.terms(receivers=(name,), title=f"Terms for {name}"))
        for _ in range(size):
            world.poll(name)
    shown = {name: basic(name, create_credential(node, PartyId(name))) for name in SIZES}
    shown["oversight"] = basic("oversight", add_reader(node, "oversight")[0])
    shown["by token"] = bearer(make_token(world.nodes["borealia"], PartyId("aurelia")))
    tokens = {str(each.recipient): find_token(each.origin) or "" for each in list_relationships(node)}
    with Served.start(node) as served:
        yield Ground(world, served, shown, tokens)
    world.close()


@pytest.mark.parametrize(
    ("who", "of"),
    [("borealia", "borealia"), ("by token", "borealia"), ("oversight", "borealia"), ("oversight", "meridia")],
)
def test_the_whole_log_is_verified_by_who_may_read_it(ground: Ground, who: str, of: str) -> None:
    size, origin = SIZES[of], f"comity/aurelia/{ground.tokens[of]}"
    key = ground.served.node.signers[Role.LOG].public_key
    note = parse_note(ground.read(who, of, "checkpoint"))
    checkpoint = parse_checkpoint(verify_note(note, origin, key))
    assert (checkpoint.origin, checkpoint.size) == (origin, size)
    tile = ground.read(who, of, f"tile/0/000.p/{size}")
    assert root_hash(lambda *_: tile, size) == checkpoint.root
    leaves = parse_bundle(ground.read(who, of, f"tile/entries/000.p/{size}"))
    assert b"".join(map(leaf_hash, leaves)) == tile
    assert [parse_leaf(leaf).recipient for leaf in leaves] == [of] * size


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("name", ["checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1", ""])
def test_to_others_it_is_a_path_that_names_nothing(ground: Ground, name: str, method: str) -> None:
    own, other = ground.tokens["borealia"], ground.tokens["meridia"]
    places = [f"/comity/log/aurelia/{other}/", "/comity/log/aurelia/", f"/comity/log/meridia/{own}/"]
    places += [f"/comity/log/aurelia/{'0' * 16}/", f"/comity/log/aurelia/{own.upper()}/", f"/comity/log/{own}/"]
    for who in ("borealia", "by token"):
        absent = ground.ask(who, "/nothing/at/all", method=method)
        assert [ground.ask(who, place + name, method=method) for place in places] == [absent] * len(places)
    absent = ground.ask(None, "/nothing/at/all", method=method)
    for place in (*places, f"/comity/log/aurelia/{own}/"):
        assert ground.ask(None, place + name, method=method) == absent


def test_a_part_that_is_not_there_yet_is_none(ground: Ground) -> None:
    absent = ground.ask("borealia", "/nothing/at/all")
    for name in ("tile/0/000", "tile/0/000.p/6", "tile/entries/000.p/6", "tile/0/001.p/1", "checkpoint/"):
        assert ground.ask("borealia", f"/comity/log/aurelia/{ground.tokens['borealia']}/{name}") == absent


def test_proofs_that_it_only_grew_are_for_its_recipient(ground: Ground) -> None:
    token, key = ground.tokens["borealia"], ground.served.node.signers[Role.LOG].public_key
    path = f"/comity/consistency/{token}/3/5"
    body = ground.ask("borealia", path).partition(b"\r\n\r\n")[2]
    tile = ground.read("borealia", "borealia", "tile/0/000.p/5")
    roots = [root_hash(lambda *_, size=size: tile[: 32 * size], size) for size in (3, 5)]
    assert verify_consistency(3, 5, parse_hashes(body), *roots) == roots[1]
    checkpoint = parse_note(ground.read("borealia", "borealia", "checkpoint"))
    assert parse_checkpoint(verify_note(checkpoint, f"comity/aurelia/{token}", key)).root == roots[1]
    absent = ground.ask(None, "/nothing/at/all")
    for who in ("meridia", None, "oversight"):
        assert ground.ask(who, path) == absent
    for wrong in (f"{token}/3/6", "3/5", f"{ground.tokens['meridia']}/1/2", f"{'0' * 16}/1/2", f"{token}/0/5"):
        assert ground.ask("borealia", f"/comity/consistency/{wrong}") == absent


def test_an_overseer_sees_that_no_log_is_missing(ground: Ground) -> None:
    """What opens the entries that name logs opens the commitments in the leaves of the house's log."""
    absent = ground.ask(None, "/nothing/at/all")
    place = "/comity/log/aurelia/names/"
    head, _, body = ground.ask("oversight", f"{place}0").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    note = ground.served.call(lambda: read_checkpoint(ground.served.node))
    house = parse_checkpoint(parse_note(note).text)
    bundle = ground.ask("oversight", f"/comity/log/aurelia/tile/entries/000.p/{house.size}").partition(b"\r\n\r\n")[2]
    leaves = [parse_leaf(leaf) for leaf in parse_bundle(bundle)]
    opened, named = list[LogOpening](), dict[str, NamedHead]()
    said = [json.loads(line) for line in body.splitlines()]
    for item in said:
        leaf, content = leaves[item["index"]], item["content"].encode()
        verify_opening(leaf, salt=bytes.fromhex(item["salt"]), content=content)
        opening = parse_opening(leaf, content)
        opened += [] if opening is None else [opening]
        named |= {head.origin: head for head in parse_heads(leaf, content)}
    kinds = {EntryType.LOG_OPENING, EntryType.LOG_HEADS}
    assert [item["index"] for item in said] == [index for index, leaf in enumerate(leaves) if leaf.type in kinds]
    assert {each.recipient: each.origin for each in opened} == {
        of: f"comity/aurelia/{token}" for of, token in ground.tokens.items()
    }
    for of, token in ground.tokens.items():
        tile = ground.read("oversight", of, f"tile/0/000.p/{SIZES[of]}")
        last = named[f"comity/aurelia/{token}"]
        assert root_hash(lambda *_, tile=tile: tile, last.size) == last.root
    for who, name in (("borealia", "0"), (None, "0"), ("oversight", "1"), ("oversight", "00"), ("oversight", "")):
        assert ground.ask(who, place + name) == absent
    assert ground.ask("oversight", f"/comity/log/aurelia/{ground.tokens['borealia']}/names/0") == absent
