# SPDX-License-Identifier: Apache-2.0
"""A node that holds so many rows of everything that no page can show them all, written into its store at once.

What a hundred thousand acts would leave there: objects of many types and labels, released in a feed, disclosures in the
log, each with its place in the tiles and under a signed head, and threat assessments that end within days.
"""

import json

from comity.agreement.people import Person, Role
from comity.ids import AgreementId, PartyId
from comity.node.node import Node
from comity.release.disclosure import EntryType, parse_leaf
from comity.store import Transaction
from tests.e2e.browser.desks import assess_group
from tests.worlds import World, make_object

__all__ = ["ROWS", "fill_with_rows"]

ROWS = 100_000
_PATTERNS = 40
_DAY = 86_400_000_000
_AT_ONCE = 20_000
_KINDS = ("indicator", "report", "identity")
_COLUMNS = (
    "version, version_at, type, spec_version, digest, originator, received_under, own_label, label, {seq}, current,"
    " added_at, {first_seq}"
)


def fill_with_rows(world: World) -> Person:
    """`ROWS` objects, releases, disclosures and assessments of Aurelia, under one agreement.

    What comes back is somebody there who may see all of it.
    """
    vera = Person(id=world.register("aurelia", "vera", *Role).person, name="Vera", roles=frozenset(Role))
    node = world.nodes["aurelia"]
    agreement = AgreementId(world.sign_all(world.terms()))
    regions = [(f"{first}{second}",) for first in "ABCD" for second in "ABCDEFGHIJ"]
    for number in range(_PATTERNS):
        kind, place = _KINDS[number % len(_KINDS)], ("IQ",) if number % 2 else regions[number]
        world.add("aurelia", make_object(f"finding {number}", kind=kind, regions=place))
    assess_group(world, "What is expected of the group", days=1)
    world.tick()
    world.poll("borealia", limit=5)
    with node.store.write() as transaction:
        _copy_objects(transaction)
        _release_all(transaction)
        _assess_all(transaction)
    _disclose_again(node, agreement)
    node.remembered.clear()
    return vera


def _copy_objects(transaction: Transaction) -> None:
    """Each of the objects that are held, again and again under other ids."""
    held = transaction.rows("SELECT o.pk, o.id, b.data FROM object o JOIN body b ON b.object = o.pk ORDER BY o.pk")
    row = transaction.row("SELECT MAX(pk), MAX(seq) FROM object")
    assert row is not None
    last, seq = row
    columns = _COLUMNS.format(seq="seq", first_seq="first_seq")
    copied = _COLUMNS.format(seq="seq + ?4", first_seq="first_seq + ?4")
    for number in range(ROWS):
        pk, name, data = held[number % len(held)]
        other = f"{name.partition('--')[0]}--{number:08x}-0000-4000-8000-{pk:012x}"
        key = last + 1 + number
        transaction.run(
            f"INSERT INTO object (pk, id, {columns}) SELECT ?1, ?2, {copied} FROM object WHERE pk = ?3",
            (key, other, pk, seq + number * len(held)),
        )
        transaction.run("INSERT INTO body VALUES (?, ?)", (key, bytes(data).replace(name.encode(), other.encode())))
    transaction.run("INSERT INTO name SELECT name_key(id), pk FROM object WHERE pk > ?", (last,))
    transaction.run("DELETE FROM label_count")
    transaction.run(
        "INSERT INTO label_count SELECT label, type, originator, COUNT(*) FROM object WHERE current = 1"
        " GROUP BY label, type, originator"
    )
    transaction.run("UPDATE meta SET value = (SELECT MAX(seq) FROM object) WHERE name = 'seq'")


def _assess_all(transaction: Transaction) -> None:
    """All that is held ends as one does, a day after the copies of the one that was written and can be read."""
    transaction.run(
        "INSERT OR IGNORE INTO assessment SELECT o.pk, a.expires_at + (o.type <> 'note') * ?, 0"
        " FROM object o, assessment a WHERE o.current = 1",
        (_DAY,),
    )


def _release_all(transaction: Transaction) -> None:
    """Every object in the one feed that there is, a microsecond after the one before."""
    row = transaction.row("SELECT id, last_at FROM feed")
    assert row is not None
    transaction.run(
        "INSERT INTO release (feed, at, object) SELECT ?1, ?2 + pk, pk FROM object"
        " WHERE pk NOT IN (SELECT object FROM release WHERE feed = ?1)",
        (row[0], row[1]),
    )
    transaction.run("UPDATE feed SET last_at = (SELECT MAX(at) FROM release WHERE feed = ?1) WHERE id = ?1", (row[0],))


def _disclose_again(node: Node, agreement: AgreementId) -> None:
    """What was disclosed last, as many times again, each on record."""
    row = node.store.row(
        "SELECT e.leaf, o.content FROM log_entry e JOIN log_opening o USING (position)"
        ' WHERE CAST(e.leaf AS TEXT) LIKE \'%"type":"disclosure"}\' ORDER BY position DESC LIMIT 1'
    )
    assert row is not None
    leaf, content = parse_leaf(bytes(row[0])), bytes(row[1])
    assert isinstance(json.loads(content), dict)
    for _ in range(ROWS // _AT_ONCE):
        with node.act() as act:
            for _ in range(_AT_ONCE):
                act.record(
                    EntryType.DISCLOSURE,
                    content,
                    terms=leaf.terms,
                    recipient=PartyId("borealia"),
                    count=leaf.count,
                    agreement=agreement,
                )
