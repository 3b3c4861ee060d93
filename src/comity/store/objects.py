# SPDX-License-Identifier: Apache-2.0
"""Shell: objects with their received bytes, their references, and interned labels."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from comity.canonical import OBJECT_LIMITS, parse_json, sha256_digest
from comity.errors import CorruptionError
from comity.ids import Digest, Instant, ObjectId, PartyId
from comity.release.clauses import find_groups
from comity.release.facets import find_facets
from comity.stix.definitions import is_statement
from comity.stix.labels import OVERFULL, Label, format_label, parse_label
from comity.stix.markings import STATEMENT
from comity.stix.objects import StixObject
from comity.store.names import NAMED, add_names, list_keys
from comity.store.transaction import Row, Transaction

__all__ = [
    "Holding",
    "LabelKeys",
    "NewObject",
    "StoredObject",
    "add_objects",
    "count_about",
    "count_objects",
    "find_about",
    "find_marked",
    "intern_label",
    "list_own",
    "read_body",
    "read_current",
    "read_current_after",
    "read_current_labels",
    "read_head_seq",
    "read_held",
    "read_label",
    "read_labels",
    "read_labels_after",
    "read_last_key",
    "read_objects",
    "read_other_definitions",
    "read_references",
    "read_referrers",
    "read_statement_definitions",
    "read_versions_of",
    "reserve_keys",
    "set_labels",
    "set_own_label",
    "supersede",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One version of a STIX object as held. `own_label` is its own, `label` the one that counts what it refers to.

    `seq` is the place of its label in the order of commit, `first_seq` the place at which it came in.
    """

    pk: int
    id: ObjectId
    version: str
    version_at: Instant
    type: str
    spec_version: str
    digest: Digest
    originator: PartyId
    received_under: Digest | None
    own_label: int
    label: int
    seq: int
    current: bool
    added_at: Instant
    first_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """How an object came to be held: from whom, under which terms (None: taken in by this node), when.

    `receipt` is the number of the giver's disclosure, where it gave a receipt for it.
    """

    originator: PartyId
    received_under: Digest | None
    added_at: Instant
    receipt: int | None = None


class NewObject(NamedTuple):
    """A version that is about to be stored: its key, its own label, and whether no version of it was held before."""

    pk: int
    id: ObjectId
    type: str
    version_at: Instant
    item: StixObject
    own_label: int
    current: bool
    first: bool


COLUMNS = (
    "o.pk, o.id, o.version, o.version_at, o.type, o.spec_version, o.digest, o.originator, o.received_under,"
    " o.own_label, o.label, o.seq, o.current, o.added_at, o.first_seq"
)


_IN_ORDER = attrgetter("id", "version_at")


def build_object(row: Row) -> StoredObject:
    """The object in a row of COLUMNS."""
    return StoredObject(
        pk=row[0],
        id=ObjectId(row[1]),
        version=row[2],
        version_at=Instant(row[3]),
        type=row[4],
        spec_version=row[5],
        digest=Digest(row[6]),
        originator=PartyId(row[7]),
        received_under=None if row[8] is None else Digest(row[8]),
        own_label=row[9],
        label=row[10],
        seq=row[11],
        current=bool(row[12]),
        added_at=Instant(row[13]),
        first_seq=row[14],
    )


def reserve_keys(transaction: Transaction, count: int) -> range:
    """The keys of the next `count` rows, for `NewObject`."""
    first = 1 + read_last_key(transaction)
    return range(first, first + count)


def add_objects(
    transaction: Transaction, added: Sequence[NewObject], labels: Mapping[int, int], *, holding: Holding
) -> None:
    """Keep `added`, each under its key with the label in `labels`; they take the next places in the order of commit."""
    if not added:
        return
    seq = _take_places(transaction, len(added))
    originator, received_under, added_at = holding.originator, holding.received_under, holding.added_at
    transaction.run_many(
        "INSERT INTO object (pk, id, version, version_at, type, spec_version, digest, originator, received_under,"
        " own_label, label, seq, current, added_at, first_seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                new.pk,
                new.item.id,
                new.item.version,
                new.version_at,
                new.item.type,
                new.item.spec_version,
                new.item.digest,
                originator,
                received_under,
                new.own_label,
                labels[new.pk],
                place,
                int(new.current),
                added_at,
                place,
            )
            for place, new in enumerate(added, start=seq)
        ],
    )
    _count(transaction, Counter((labels[new.pk], new.type, originator) for new in added if new.current))
    add_names(transaction, [new.item.id for new in added], range(added[0].pk, added[0].pk + len(added)))
    transaction.run_many("INSERT INTO body VALUES (?, ?)", [(new.pk, new.item.data) for new in added])
    transaction.run_many(
        "INSERT INTO reference VALUES (?, ?)",
        [(new.pk, target) for new in added if new.item.references for target in sorted(new.item.references)],
    )


def supersede(transaction: Transaction, keys: Iterable[int]) -> None:
    """Of each of `keys` a newer version comes in, in the same transaction."""
    transaction.run_many("UPDATE object SET current = 0 WHERE pk = ?", [(pk,) for pk in keys])


def set_labels(transaction: Transaction, labels: Sequence[tuple[int, int]]) -> None:
    """Give objects new labels, as (key, label); they take new places in the order of commit: feeds see them again."""
    if labels:
        first = _take_places(transaction, len(labels))
        transaction.run_many(
            "UPDATE object SET label = ?, seq = ? WHERE pk = ?",
            [(label, place, pk) for place, (pk, label) in enumerate(labels, start=first)],
        )


def set_own_label(transaction: Transaction, pk: int, own_label: int) -> None:
    """Give the object itself a new label; the one that counts follows in the same transaction (`set_labels`)."""
    transaction.run("UPDATE object SET own_label = ? WHERE pk = ?", (own_label, pk))


def read_head_seq(transaction: Transaction) -> int:
    """The last place taken in the order of commit; 0 for an empty store. It never falls, whatever is deleted."""
    row = transaction.row("SELECT value FROM meta WHERE name = 'seq'")
    return int(row[0]) if row else 0


def count_objects(transaction: Transaction) -> int:
    """How many versions are held."""
    row = transaction.row("SELECT COUNT(*) FROM object")
    return int(row[0]) if row else 0


def read_last_key(transaction: Transaction) -> int:
    """The highest key that is held; 0 for an empty store. Keys rise in the order of commit."""
    row = transaction.row("SELECT MAX(pk) FROM object")
    return int(row[0]) if row and row[0] is not None else 0


def read_objects(transaction: Transaction, keys: Collection[int]) -> list[StoredObject]:
    """The versions that `keys` stand for."""
    rows = transaction.rows(
        f"SELECT {COLUMNS} FROM object o WHERE o.pk IN (SELECT value FROM json_each(?))", (json.dumps([*keys]),)
    )
    return [build_object(row) for row in rows]


def read_current_after(transaction: Transaction, pk: int, *, most: int) -> list[StoredObject]:
    """The next newest versions behind the key `pk`, by key."""
    rows = transaction.rows(
        f"SELECT {COLUMNS} FROM object o WHERE o.pk > ? AND o.current = 1 ORDER BY o.pk LIMIT ?", (pk, most)
    )
    return [build_object(row) for row in rows]


def find_about(transaction: Transaction, subjects: Collection[str]) -> frozenset[ObjectId]:
    """The objects of which a version is by itself said to be about one of `subjects`."""
    rows = transaction.rows(
        "SELECT DISTINCT id FROM object WHERE own_label IN (SELECT label FROM label_word WHERE clause = 'subjects'"
        " AND word IN (SELECT value FROM json_each(?)))",
        (json.dumps([*subjects]),),
    )
    return frozenset(ObjectId(row[0]) for row in rows)


def count_about(transaction: Transaction, subjects: Collection[str]) -> dict[str, int]:
    """How many objects `find_about` has for each of `subjects` alone; those that have none are left out."""
    rows = transaction.rows(
        # From the few labels to their objects, by the index: the other way round every object is looked at.
        "SELECT w.word, COUNT(DISTINCT o.id) FROM label_word w CROSS JOIN object o ON o.own_label = w.label"
        " WHERE w.clause = 'subjects' AND w.word IN (SELECT value FROM json_each(?)) GROUP BY w.word",
        (json.dumps([*subjects]),),
    )
    return {str(word): int(count) for word, count in rows}


def find_marked(transaction: Transaction, word: str) -> frozenset[ObjectId]:
    """The objects of which the newest version is by itself marked with that word."""
    # What an object is by itself is in its label too, but for one that had too many words: so the index of labels leads
    # to those that can be meant, and no other object is looked at.
    rows = transaction.rows(
        "SELECT id FROM object WHERE current = 1 AND label IN"
        " (SELECT label FROM label_word WHERE clause = 'markings' AND word IN (SELECT value FROM json_each(?)))"
        " AND own_label IN (SELECT label FROM label_word WHERE clause = 'markings' AND word = ?)",
        (json.dumps([word, *sorted(OVERFULL.markings)]), word),
    )
    return frozenset(ObjectId(row[0]) for row in rows)


def read_versions_of(transaction: Transaction, ids: Collection[ObjectId]) -> list[StoredObject]:
    """Every held version of each of `ids`, oldest first."""
    return sorted(_select(transaction, ids), key=_IN_ORDER)


def list_own(
    transaction: Transaction,
    party: PartyId,
    *,
    after: int,
    limit: int,
    types: Collection[str],
    file: int | None,
) -> list[tuple[int, ObjectId, bytes]]:
    """Newest versions that are this party's own and came from nobody else, behind the key `after`, with their bytes.

    No `types` are all; with `file`, those that this file said.
    """
    rows = transaction.rows(
        "SELECT o.pk, o.id, b.data FROM object o JOIN body b ON b.object = o.pk WHERE o.pk > ?1 AND o.current = 1"
        " AND o.received_under IS NULL AND o.originator = ?2"
        " AND NOT EXISTS (SELECT 1 FROM arrival a WHERE a.object = o.pk)"
        " AND (?3 = '[]' OR o.type IN (SELECT value FROM json_each(?3)))"
        " AND (?4 IS NULL OR EXISTS (SELECT 1 FROM from_file f WHERE f.object = o.pk AND f.file = ?4))"
        " ORDER BY o.pk LIMIT ?5",
        (after, party, json.dumps(sorted(types)), file, limit),
    )
    return [(row[0], ObjectId(row[1]), bytes(row[2])) for row in rows]


def read_held(transaction: Transaction, ids: Collection[ObjectId]) -> frozenset[ObjectId]:
    """Those of `ids` of which some version is held."""
    keys = list_keys(ids)
    rows = transaction.rows(f"SELECT id FROM object WHERE pk IN {NAMED}", (keys, keys))
    return frozenset({ObjectId(name) for (name,) in rows} & set(ids))


def read_current(transaction: Transaction, ids: Collection[ObjectId]) -> dict[ObjectId, StoredObject]:
    """The newest held version of each of `ids` that is held."""
    return {item.id: item for item in _select(transaction, ids) if item.current}


def read_current_labels(transaction: Transaction, ids: Collection[ObjectId]) -> dict[ObjectId, int]:
    """The label that counts of the newest held version of each of `ids` that is held."""
    keys = list_keys(ids)
    rows = transaction.rows(f"SELECT id, label FROM object WHERE current = 1 AND pk IN {NAMED}", (keys, keys))
    return {ObjectId(name): label for name, label in rows if name in ids}


def read_body(transaction: Transaction, pk: int) -> bytes:
    """The received bytes.

    Raises:
        CorruptionError: the store has lost them.
    """
    row = transaction.row("SELECT data FROM body WHERE object = ?", (pk,))
    if row is None:
        raise CorruptionError("the bytes of an object are missing from the store; restore a backup")
    return bytes(row[0])


def read_references(transaction: Transaction, keys: Collection[int]) -> dict[int, frozenset[ObjectId]]:
    """What each of `keys` refers to."""
    found: dict[int, set[ObjectId]] = {}
    for pk, target in transaction.rows(
        "SELECT object, target FROM reference WHERE object IN (SELECT value FROM json_each(?))", (json.dumps([*keys]),)
    ):
        found.setdefault(pk, set()).add(ObjectId(target))
    return {pk: frozenset(targets) for pk, targets in found.items()}


def read_referrers(transaction: Transaction, ids: Iterable[ObjectId]) -> frozenset[ObjectId]:
    """The objects any version of which refers to one of `ids`."""
    rows = transaction.rows(
        "SELECT DISTINCT o.id FROM reference r JOIN object o ON o.pk = r.object"
        " WHERE r.target IN (SELECT value FROM json_each(?))",
        (json.dumps([*ids]),),
    )
    return frozenset(ObjectId(row[0]) for row in rows)


def read_statement_definitions(
    transaction: Transaction, ids: Collection[ObjectId], *, giver: PartyId, own: bool
) -> Mapping[ObjectId, str]:
    """Those of `ids` that are marking definitions, held, and known to be statements (STIX 2.1 §7.2.1.3).

    Only what `giver` gave, or where it is this party's `own`, what came from nobody else first.
    """
    keys = list_keys(ids)
    rows = transaction.rows(
        f"SELECT o.id, b.data FROM object o JOIN body b ON b.object = o.pk WHERE o.pk IN {NAMED}"
        " AND o.type = 'marking-definition'"
        " AND ((o.originator = ?3 AND (o.received_under IS NULL) = ?4)"
        " OR (?4 = 0 AND EXISTS (SELECT 1 FROM arrival a WHERE a.object = o.pk AND a.giver = ?3)))",
        (keys, keys, giver, int(own)),
    )
    found = [(ObjectId(name), parse_json(bytes(data), limits=OBJECT_LIMITS)) for name, data in rows if name in ids]
    return {name: STATEMENT for name, value in found if isinstance(value, dict) and is_statement(value)}


def read_other_definitions(transaction: Transaction, ids: Collection[ObjectId]) -> frozenset[ObjectId]:
    """Those of `ids` of which a version is held that is no statement, whoever it came from."""
    keys = list_keys(ids)
    rows = transaction.rows(
        f"SELECT o.id, b.data FROM object o JOIN body b ON b.object = o.pk WHERE o.pk IN {NAMED}", (keys, keys)
    )
    found = [(ObjectId(name), parse_json(bytes(data), limits=OBJECT_LIMITS)) for name, data in rows if name in ids]
    return frozenset(name for name, value in found if not (isinstance(value, dict) and is_statement(value)))


class LabelKeys:
    """The keys of labels in one transaction, each asked of the store once."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        # A label is kept with its key: what is kept cannot give its place in memory to another.
        self._known: dict[int, tuple[Label, int]] = {}
        self._equal: dict[Label, int] = {}

    def find(self, label: Label) -> int:
        """`intern_label`."""
        found = self._known.get(id(label))
        if found is None:
            key = self._equal.get(label)
            if key is None:
                key = self._equal[label] = intern_label(self._transaction, label)
            found = self._known[id(label)] = label, key
        return found[1]


def intern_label(transaction: Transaction, label: Label) -> int:
    """The key of the one row that stands for `label`."""
    body = format_label(label)
    digest = sha256_digest(body)
    row = transaction.row("SELECT id FROM label WHERE digest = ?", (digest,))
    if row:
        return int(row[0])
    facets = ",".join(_intern_facet(transaction, clause, said) for clause, said in find_facets(label))
    key = transaction.insert(
        "INSERT INTO label (digest, partly_marked, body, facets) VALUES (?, ?, ?, ?)",
        (digest, int(bool(label.granular)), body, facets),
    )
    transaction.run_many("INSERT INTO label_word VALUES (?, ?, ?, ?)", [(key, *word) for word in find_groups(label)])
    return key


def read_label(transaction: Transaction, key: int) -> Label:
    """The label that `key` stands for."""
    return read_labels(transaction, [key])[key]


def read_labels(transaction: Transaction, keys: Collection[int]) -> dict[int, Label]:
    """The labels that `keys` stand for."""
    return {
        key: parse_label(bytes(body))
        for key, body in transaction.rows(
            "SELECT id, body FROM label WHERE id IN (SELECT value FROM json_each(?))", (json.dumps([*keys]),)
        )
    }


def read_labels_after(transaction: Transaction, key: int, *, most: int) -> dict[int, Label]:
    """The first labels whose key is greater, at most so many."""
    rows = transaction.rows("SELECT id, body FROM label WHERE id > ? ORDER BY id LIMIT ?", (key, most))
    return {found: parse_label(bytes(body)) for found, body in rows}


def _select(transaction: Transaction, ids: Collection[ObjectId]) -> list[StoredObject]:
    keys, asked = list_keys(ids), set(ids)
    rows = transaction.rows(f"SELECT {COLUMNS} FROM object o WHERE o.pk IN {NAMED}", (keys, keys))
    return [build_object(row) for row in rows if row[1] in asked]


def _intern_facet(transaction: Transaction, clause: str, said: str) -> str:
    """The key of the one row that stands for what a label says to a clause."""
    row = transaction.row("SELECT id FROM facet WHERE clause = ? AND said = ?", (clause, said))
    if row is None:
        return str(transaction.insert("INSERT INTO facet (clause, said) VALUES (?, ?)", (clause, said)))
    return str(row[0])


def _count(transaction: Transaction, places: Mapping[tuple[int, str, str], int]) -> None:
    """Count so many newest versions more, by label, type and originator; what leaves, or changes, triggers count."""
    transaction.run_many(
        "INSERT INTO label_count VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET objects = objects + excluded.objects",
        [(*place, count) for place, count in places.items()],
    )


def _take_places(transaction: Transaction, count: int) -> int:
    """The first of the next `count` places in the order of commit: one writer, so taken in that order."""
    row: Sequence[int] | None = transaction.row(
        "INSERT INTO meta VALUES ('seq', ?1) ON CONFLICT (name) DO UPDATE SET value = value + ?1 RETURNING value",
        (count,),
    )
    assert row is not None  # noqa: S101 (RETURNING always returns the row it wrote)
    return int(row[0]) - count + 1
