# SPDX-License-Identifier: Apache-2.0
"""Credentials: they run out, two work side by side, a revoked one is an outsider's at once, and no secret is kept."""

import json
from importlib import resources
from pathlib import Path

import apsw
import pytest

from comity.errors import AuthenticationError, ConflictError, MalformedRequest, NotFoundError, StoreFull
from comity.ids import Digest, Instant, PartyId, format_instant
from comity.node import parties
from comity.node.journal import list_entries
from comity.node.node import Node
from comity.node.parties import authenticate, create_credential, list_credentials, revoke_credential
from comity.release.disclosure import EntryType
from comity.store import migration
from comity.store import parties as stored
from comity.store.sqlite import SqliteStore
from comity.taxii.wire import parse_secret
from tests.served import basic
from tests.worlds import World

BOREALIA = PartyId("borealia")
DAY = 86_400_000_000


@pytest.fixture
def node(world: World) -> Node:
    return world.nodes["aurelia"]


def is_let_in(node: Node, secret: str) -> bool:
    try:
        return authenticate(node, secret=secret) == BOREALIA
    except AuthenticationError:
        return False


def test_a_credential_is_good_until_its_end_and_no_longer(world: World, node: Node) -> None:
    year, week = create_credential(node, BOREALIA), create_credential(node, BOREALIA, days=7)
    world.tick(7 * DAY - 1)
    assert is_let_in(node, week)
    world.tick(1)
    assert not is_let_in(node, week)
    assert is_let_in(node, year)
    world.tick(358 * DAY - 1)
    assert is_let_in(node, year)
    world.tick(1)
    assert not is_let_in(node, year)


@pytest.mark.parametrize("days", [0, -1, 3_651])
def test_no_credential_is_for_ever(node: Node, days: int) -> None:
    with pytest.raises(MalformedRequest, match="good for 1 to 3650 days"):
        create_credential(node, BOREALIA, days=days)
    assert list_credentials(node) == []


def test_two_work_side_by_side_until_one_is_revoked(node: Node) -> None:
    old, new = create_credential(node, BOREALIA), create_credential(node, BOREALIA)
    assert is_let_in(node, old)
    assert is_let_in(node, new)
    first, _ = sorted(list_credentials(node), key=lambda item: item.created_at)
    revoked = revoke_credential(node, first.id[:6].upper())
    assert revoked.id == first.id
    assert [is_let_in(node, secret) for secret in (old, new)].count(True) == 1


def test_a_revoked_one_is_gone_at_once_and_for_ever(node: Node) -> None:
    secret = create_credential(node, BOREALIA)
    (item,) = list_credentials(node)
    assert is_let_in(node, secret)
    revoke_credential(node, item.id)
    assert not is_let_in(node, secret)
    with pytest.raises(NotFoundError, match="to revoke"):
        revoke_credential(node, item.id)
    with pytest.raises(apsw.ConstraintError, match="stays so"), node.store.write() as transaction:
        transaction.run("UPDATE credential SET revoked_at = NULL")
    with pytest.raises(apsw.ConstraintError, match="not deleted"), node.store.write() as transaction:
        transaction.run("DELETE FROM credential")
    with pytest.raises(apsw.ConstraintError, match="does not change"), node.store.write() as transaction:
        transaction.run("UPDATE credential SET expires_at = NULL")


def test_what_cannot_name_one_revokes_none(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MalformedRequest, match="at least 4"):
        revoke_credential(node, "abc")
    with pytest.raises(NotFoundError):
        revoke_credential(node, "abcd")
    draw = node.draw
    node.draw = lambda count: b"\xab\xcd" + draw(count - 2) if count == 6 else draw(count)
    create_credential(node, BOREALIA)
    create_credential(node, BOREALIA)
    with pytest.raises(MalformedRequest, match="fits 2 credentials"):
        revoke_credential(node, "abcd")
    assert all(item.revoked_at is None for item in list_credentials(node))


def test_only_so_many_are_good_at_once(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parties, "_MAX_CREDENTIALS", 2)
    create_credential(node, BOREALIA)
    create_credential(node, BOREALIA)
    with pytest.raises(ConflictError, match="2 credentials that are good"):
        create_credential(node, BOREALIA)
    revoke_credential(node, list_credentials(node)[0].id)
    create_credential(node, BOREALIA)


def test_no_secret_is_kept_anywhere(world: World, node: Node) -> None:
    secret = create_credential(node, BOREALIA)
    authenticate(node, secret=secret)
    kept = b"".join(path.read_bytes() for path in node.folder.rglob("*") if path.is_file())
    assert secret.encode() not in kept
    assert bytes.fromhex(secret) not in kept


def test_the_day_of_the_last_use_is_noted_once_a_day(world: World, node: Node) -> None:
    secret = create_credential(node, BOREALIA)
    assert list_credentials(node)[0].used_day is None
    authenticate(node, secret=secret)
    day = list_credentials(node)[0].used_day
    assert day == world.now // DAY
    before = node.store._connection.total_changes()
    authenticate(node, secret=secret)
    assert node.store._connection.total_changes() == before
    world.tick(DAY)
    authenticate(node, secret=secret)
    assert list_credentials(node)[0].used_day == day + 1
    world.tick(400 * DAY)
    assert not is_let_in(node, secret)
    assert list_credentials(node)[0].used_day == day + 1


def test_a_disk_without_room_turns_no_partner_away(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = create_credential(node, BOREALIA)

    def full() -> None:
        raise StoreFull("no room")

    monkeypatch.setattr(node.store, "write", full)
    assert is_let_in(node, secret)


def test_making_and_revoking_are_on_record_without_the_secret(world: World, node: Node) -> None:
    create_credential(node, BOREALIA, days=30)
    (item,) = list_credentials(node)
    revoke_credential(node, item.id)
    entries = [entry for entry in list_entries(node, start=0, limit=99) if entry.leaf.type is EntryType.CREDENTIAL]
    assert item.expires_at is not None
    assert [entry.content for entry in entries] == [
        {
            "format": "comity-credential-record/1",
            "change": change,
            "party": "borealia",
            "credential": item.id,
            "expires_at": format_instant(item.expires_at),
        }
        for change in ("create", "revoke")
    ]
    assert all(entry.leaf.terms is None and entry.leaf.recipient is None for entry in entries)
    assert b"borealia" not in json.dumps([entry.leaf.commitment for entry in entries]).encode()


def test_an_older_store_keeps_its_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = migration._load
    folder = resources.files("comity.store") / "migrations"
    mine = (folder / "0007_credentials.sql").read_text(encoding="utf-8")
    older = load()[: load().index(mine)]
    monkeypatch.setattr(migration, "_load", lambda: older)
    store = SqliteStore.open(tmp_path / "store.db")
    with store.write() as transaction:
        transaction.run("INSERT INTO credential VALUES (?, 'borealia', 5)", ("ab" * 32,))
    store.close()
    monkeypatch.setattr(migration, "_load", load)
    store = SqliteStore.open(tmp_path / "store.db")
    with store.read() as transaction:
        (item,) = stored.list_credentials(transaction)
        found = stored.find_credential(transaction, Digest("ab" * 32))
    assert found == item
    assert (item.id, item.party, item.created_at, item.expires_at) == ("ab" * 6, "borealia", 5, None)
    assert item.is_good(Instant(2**60))
    store.close()


@pytest.mark.parametrize(
    ("authorization", "api_key", "secret"),
    [
        ("Bearer abc", None, "abc"),
        ("bEaReR   abc ", None, "abc"),
        ("TOKEN abc", None, "abc"),
        (basic("anybody", "abc")["Authorization"], None, "abc"),
        (basic("", "abc")["Authorization"].replace("Basic", "bASIC"), None, "abc"),
        (None, "abc", "abc"),
        (None, " abc ", "abc"),
        ("Bearer abc", "other", "abc"),
        ("Basic %%%", "abc", "abc"),
        ("Digest abc", None, None),
        ("Bearer", None, None),
        ("abc", None, None),
        ("", "", None),
        (None, None, None),
    ],
)
def test_one_secret_goes_by_each_header(authorization: str | None, api_key: str | None, secret: str | None) -> None:
    assert parse_secret(authorization, api_key) == secret
