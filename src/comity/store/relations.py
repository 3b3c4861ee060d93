# SPDX-License-Identifier: Apache-2.0
"""Shell: what must hold between the tables and no schema enforces, each as a query that finds what breaks it.

Nothing is mended here: each query only reads, and each is one view of its own, so that a store can be examined while it
is served. What the rows say is examined elsewhere (`node.soundness`, `node.journal`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from comity.ids import Digest, Instant, PartyId
from comity.store.names import FIND_ONE
from comity.store.objects import COLUMNS, StoredObject, build_object
from comity.store.transaction import Transaction

__all__ = [
    "RELATIONS",
    "Relation",
    "StoredEvent",
    "check_file",
    "count_bodies",
    "find_broken",
    "iterate_bodies",
    "iterate_events",
    "iterate_labels",
    "iterate_log_texts",
    "iterate_successions",
    "iterate_terms",
    "iterate_unheard",
]

_MOST_FAULTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """One thing that must hold; `finds` selects the name of each row that breaks it, in `table`."""

    table: str
    says: str
    finds: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One event as kept: what it is filed under, and the message as received."""

    digest: Digest
    agreement: str
    kind: str
    terms: str
    party: PartyId
    envelope: bytes
    recorded_at: Instant


def _lacks(table: str, column: str, target: str, key: str, *, name: str = "") -> Relation:
    """Every `column` of `table` that is not NULL stands in `key` of `target`."""
    return Relation(
        table=table,
        says=f"its {column} is not in {target}",
        finds=f"SELECT {name or f't.{column}'} FROM {table} AS t WHERE t.{column} IS NOT NULL"
        f" AND NOT EXISTS (SELECT 1 FROM {target} AS o WHERE o.{key} = t.{column})",
    )


_PAYLOAD = (
    "CASE WHEN json_valid(CAST({0}.envelope AS TEXT)) THEN json_extract(CAST({0}.envelope AS TEXT), '$.payload') END"
)
_PROOF = "CASE WHEN json_valid(CAST(data AS TEXT)) THEN json_extract(CAST(data AS TEXT), '$.proof') END"
_LEAF = "CASE WHEN json_valid(CAST(leaf AS TEXT)) THEN json_extract(CAST(leaf AS TEXT), '$.{}') END"
_GIVEN = (
    f"SELECT {_LEAF.format('recipient')} AS party, MAX({_LEAF.format('sequence')}) AS last FROM log_entry"
    " GROUP BY 1 HAVING party IS NOT NULL"
)
# A version is the text of its time, with up to nine digits after the second, of which six count.
_SAYS_TIME = (
    "(CAST(strftime('%s', substr(version, 1, 19)) AS INTEGER) * 1000000"
    " + CAST(substr(replace(substr(version, 21), 'Z', '') || '000000', 1, 6) AS INTEGER))"
)
_OF_ONE_ID = f"SELECT 1 FROM object AS n WHERE n.pk IN {FIND_ONE.format('o.id')} AND n.id = o.id"
_COUNTED = "SELECT label, type, originator, COUNT(*) FROM object WHERE current = 1 GROUP BY label, type, originator"

RELATIONS: tuple[Relation, ...] = (
    # Objects.
    _lacks("body", "object", "object", "pk"),
    _lacks("object", "pk", "body", "object", name="t.id || ' ' || t.version"),
    _lacks("reference", "object", "object", "pk", name="t.object || ' to ' || t.target"),
    _lacks("arrival", "object", "object", "pk", name="t.object || ' from ' || t.giver"),
    _lacks("arrival", "terms", "text_on_record", "hash", name="t.object || ' under ' || t.terms"),
    Relation(
        table="object",
        says="it is kept as received, and not how it came in when it did",
        # A marking that everybody has counts as the own: that it came from a partner, the partner can take back.
        finds="SELECT o.id || ' ' || o.version FROM object AS o WHERE o.received_under IS NOT NULL"
        " AND o.type <> 'marking-definition' AND NOT EXISTS (SELECT 1 FROM arrival AS a WHERE a.object = o.pk"
        " AND a.terms = o.received_under AND a.giver = o.originator AND a.received_at = o.added_at)",
    ),
    Relation(
        table="object",
        says="it is kept as this party's own, and had come from elsewhere when it came in",
        finds="SELECT DISTINCT o.id || ' ' || o.version FROM object AS o JOIN arrival AS a ON a.object = o.pk"
        " WHERE o.received_under IS NULL AND a.received_at <= o.added_at",
    ),
    _lacks("came_before", "terms", "text_on_record", "hash", name="t.id || ' from ' || t.giver"),
    Relation(
        table="came_before",
        says="it was not deleted in this version, or has not come by the disclosure that it names",
        finds="SELECT c.id || ' from ' || c.giver FROM came_before AS c"
        " WHERE NOT EXISTS (SELECT 1 FROM tombstone AS t WHERE t.id = c.id AND t.version_at = c.version_at)"
        " OR (c.receipt IS NOT NULL AND NOT EXISTS (SELECT 1 FROM receipt AS r"
        " WHERE r.giver = c.giver AND r.sequence = c.receipt AND r.terms = c.terms) AND NOT EXISTS"
        " (SELECT 1 FROM receipt_set_aside AS r WHERE r.giver = c.giver AND r.sequence = c.receipt))",
    ),
    _lacks("clashed", "terms", "text_on_record", "hash", name="t.id || ' from ' || t.giver"),
    _lacks("came_back", "object", "object", "pk", name="t.object || ' from ' || t.giver"),
    _lacks("came_back", "terms", "text_on_record", "hash", name="t.object || ' under ' || t.terms"),
    _lacks("said", "object", "object", "pk"),
    _lacks("assessment", "object", "object", "pk"),
    Relation(
        table="tag",
        says="words are said of an object, and what is said of it without them is not kept",
        finds="SELECT DISTINCT o.id || ' ' || o.version FROM tag AS t JOIN object AS o ON o.id = t.object"
        f" AND o.pk IN {FIND_ONE.format('t.object')} WHERE t.ended_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM said WHERE said.object = o.pk)",
    ),
    _lacks("from_file", "object", "object", "pk", name="t.object || ' of file ' || t.file"),
    _lacks("from_file", "file", "file", "number", name="t.object || ' of file ' || t.file"),
    _lacks("saying_of", "object", "object", "pk", name="t.object || ' of saying ' || t.saying"),
    _lacks("saying_of", "saying", "saying", "number", name="t.object || ' of saying ' || t.saying"),
    _lacks("saying", "number", "saying_of", "saying"),
    _lacks("source", "record", "source_record", "hash", name="t.name"),
    _lacks("release", "object", "object", "pk", name="'feed ' || t.feed || ' object ' || t.object"),
    _lacks("release", "feed", "feed", "id", name="'feed ' || t.feed || ' object ' || t.object"),
    Relation(
        table="object",
        says="a version is the current one though a newer one is held",
        finds=f"SELECT o.id || ' ' || o.version FROM object AS o WHERE o.current = 1 AND EXISTS ({_OF_ONE_ID}"
        " AND n.version_at > o.version_at)",
    ),
    Relation(
        table="object",
        says="another row holds the same version of it",
        finds=f"SELECT o.id || ' ' || o.version FROM object AS o WHERE EXISTS ({_OF_ONE_ID}"
        " AND n.version_at = o.version_at AND n.pk < o.pk)",
    ),
    Relation(
        table="object",
        says="it is not found by its id",
        finds=f"SELECT o.id || ' ' || o.version FROM object AS o WHERE o.pk NOT IN {FIND_ONE.format('o.id')}",
    ),
    *(
        Relation(
            table=table,
            says="it is kept under another time than its version says",
            finds=f"SELECT id || ' ' || version FROM {table} WHERE version_at IS NOT {_SAYS_TIME}",
        )
        for table in ("object", "tombstone")
    ),
    _lacks("name", "object", "object", "pk"),
    _lacks("name_recent", "object", "object", "pk"),
    Relation(
        table="object",
        says="none of its versions is the current one",
        finds=f"SELECT DISTINCT o.id FROM object AS o WHERE o.current = 0 AND NOT EXISTS ({_OF_ONE_ID}"
        " AND n.current = 1)",
    ),
    # Articles.
    _lacks("article_draft", "article", "article", "number", name="'draft ' || t.number || ' of article ' || t.article"),
    _lacks(
        "article_decision",
        "article",
        "article",
        "number",
        name="'decision ' || t.id || ' on draft ' || t.number || ' of article ' || t.article",
    ),
    # Labels and what is counted of them.
    _lacks("object", "label", "label", "id", name="t.id || ' ' || t.version"),
    _lacks("object", "own_label", "label", "id", name="t.id || ' ' || t.version"),
    _lacks("label_word", "label", "label", "id", name="t.label || ' ' || t.clause"),
    Relation(
        table="label",
        says="it has a facet that is not in facet",
        finds="SELECT DISTINCT l.id FROM label AS l, json_each('[' || l.facets || ']') AS f"
        " WHERE l.facets <> '' AND NOT EXISTS (SELECT 1 FROM facet WHERE facet.id = f.value)",
    ),
    Relation(
        table="label_count",
        says="it counts other objects than there are",
        finds=f"SELECT 'label ' || label || ' ' || type || ' of ' || originator FROM (SELECT * FROM ({_COUNTED} EXCEPT"
        f" SELECT * FROM label_count) UNION SELECT * FROM (SELECT * FROM label_count EXCEPT {_COUNTED}))",
    ),
    # Feeds.
    Relation(
        table="feed",
        says="something in it was released later than its last release",
        finds="SELECT f.agreement || ' ' || f.channel || ' to ' || f.recipient FROM feed AS f"
        " WHERE f.last_at < (SELECT MAX(r.at) FROM release AS r WHERE r.feed = f.id)",
    ),
    _lacks("feed", "agreement", "agreement", "id", name="t.agreement || ' ' || t.channel || ' to ' || t.recipient"),
    # Agreements.
    _lacks("terms", "agreement", "agreement", "id", name="t.hash"),
    _lacks("event", "agreement", "agreement", "id", name="t.digest"),
    _lacks("event", "terms", "terms", "hash", name="t.digest"),
    Relation(
        table="outbox",
        says="its event is not in event",
        # A manifest and a letter are told in the same way, under their own digests.
        finds="SELECT 'message ' || position || ' to ' || party FROM outbox WHERE event IS NOT NULL"
        " AND event NOT IN (SELECT digest FROM event) AND event NOT IN (SELECT digest FROM manifest)"
        " AND event NOT IN (SELECT digest FROM letter WHERE sent = 1)",
    ),
    Relation(
        table="outbox",
        says="its message is not the event it names",
        # What it says: it may be signed by another key by now.
        finds="SELECT 'message ' || o.position || ' to ' || o.party FROM outbox AS o"
        f" JOIN event AS e ON e.digest = o.event WHERE {_PAYLOAD.format('e')} IS NOT {_PAYLOAD.format('o')}",
    ),
    Relation(
        table="outbox",
        says="it goes to another party than its letter is to",
        finds="SELECT 'message ' || o.position || ' to ' || o.party FROM outbox AS o"
        " JOIN letter AS l ON l.digest = o.event WHERE l.party <> o.party",
    ),
    Relation(
        table="agreement",
        says="it counts another number of events than there are",
        finds="SELECT a.id FROM agreement AS a"
        " WHERE a.epoch <> (SELECT COUNT(*) FROM event AS e WHERE e.agreement = a.id)",
    ),
    Relation(
        table="event",
        says="there are more or fewer events than the log has entries of them",
        finds="SELECT recorded || ' events, ' || logged || ' entries' FROM (SELECT (SELECT COUNT(*) FROM event) AS"
        ' recorded, (SELECT COUNT(*) FROM log_entry WHERE CAST(leaf AS TEXT) LIKE \'%"type":"agreement-event"}\')'
        " AS logged) WHERE recorded <> logged",
    ),
    # Letters.
    _lacks("letter", "terms", "terms", "hash", name="t.digest"),
    _lacks("letter", "because", "cause_on_record", "name", name="t.digest"),
    _lacks("letter", "answered_by", "letter", "digest", name="t.digest"),
    _lacks("letter", "answers", "letter", "digest", name="t.digest"),
    _lacks("letter_object", "letter", "letter", "position", name="t.letter || ' on ' || t.id"),
    Relation(
        table="letter",
        says="it was sent and is not in the outbox",
        finds="SELECT digest FROM letter WHERE sent = 1"
        " AND digest NOT IN (SELECT event FROM outbox WHERE event IS NOT NULL)",
    ),
    Relation(
        table="letter",
        says="there are more or fewer letters than the log has entries of them",
        finds="SELECT recorded || ' letters, ' || logged || ' entries' FROM (SELECT (SELECT COUNT(*) FROM letter) AS"
        ' recorded, (SELECT COUNT(*) FROM log_entry WHERE CAST(leaf AS TEXT) LIKE \'%"type":"letter"}\')'
        " AS logged) WHERE recorded <> logged",
    ),
    _lacks("recall_result", "letter", "letter", "digest", name="t.letter"),
    _lacks("recalled", "letter", "cause_on_record", "name", name="t.id"),
    _lacks("retraction", "agreement", "agreement", "id", name="t.name"),
    _lacks("retraction", "terms", "terms", "hash", name="t.name"),
    _lacks("retraction_version", "retraction", "retraction", "name", name="t.retraction"),
    _lacks("consent_grant", "letter", "letter", "digest", name="t.letter"),
    _lacks("consent_grant", "request", "letter", "digest", name="t.letter"),
    # Parties.
    _lacks("party", "manifest", "manifest", "digest", name="t.id"),
    _lacks("credential", "party", "party", "id", name="t.id"),
    _lacks("pull_position", "party", "party", "id", name="t.party || ' ' || t.collection"),
    _lacks("succession", "party", "party", "id", name="t.origin"),
    _lacks("ended_log", "party", "party", "id", name="t.origin"),
    _lacks("lost_head", "party", "party", "id", name="t.origin"),
    Relation(
        table="receipt",
        says="the place that it is found by is not the one in its proof",
        finds="SELECT giver || ' ' || sequence FROM"
        f" (SELECT giver, sequence, origin, place, tree, {_PROOF} AS proof FROM receipt)"
        " WHERE proof IS NULL OR instr(proof, char(10) || 'index ' || place || char(10)) = 0"
        " OR instr(proof, char(10) || char(10) || origin || char(10) || tree || char(10)) = 0",
    ),
    Relation(
        table="seen_checkpoint",
        says="it has more entries than its log ended with",
        finds="SELECT s.origin FROM seen_checkpoint AS s JOIN ended_log AS e USING (party, origin)"
        " WHERE s.size > e.size",
    ),
    # The log, beside what `audit` proves of it.
    _lacks("log_opening", "position", "log_entry", "position", name="'entry ' || t.position"),
    _lacks("log_opening", "listing", "log_listing", "id", name="'entry ' || t.position"),
    Relation(
        table="log_listing",
        says="no entry names it",
        finds="SELECT 'listing ' || id FROM log_listing"
        " WHERE id NOT IN (SELECT listing FROM log_opening WHERE listing IS NOT NULL)",
    ),
    _lacks("log_opening", "grounds", "log_grounds", "id", name="'entry ' || t.position"),
    Relation(
        table="log_grounds",
        says="no entry names it",
        finds="SELECT 'grounds ' || id FROM log_grounds"
        " WHERE id NOT IN (SELECT grounds FROM log_opening WHERE grounds IS NOT NULL)",
    ),
    *(
        Relation(
            table=table,
            says="its log is neither that of the house nor in relationship_log",
            finds=f"SELECT DISTINCT 'log ' || log FROM {table}"
            " WHERE log <> 0 AND log NOT IN (SELECT number FROM relationship_log)",
        )
        for table in ("log_entry", "log_tile", "log_head", "cosignature")
    ),
    Relation(
        table="cosignature",
        says="there is no head of the size that it was given over: the log was cut short, or signed anew",
        finds="SELECT 'log ' || c.log || ' over ' || c.size || ' by ' || c.witness FROM cosignature AS c"
        " WHERE NOT EXISTS (SELECT 1 FROM log_head AS h WHERE h.log = c.log AND h.size = c.size)",
    ),
    _lacks("relationship_log", "agreement", "agreement", "id", name="'log ' || t.token"),
    Relation(
        table="log_tile",
        says="it lies beyond the last checkpoint",
        finds="SELECT t.log || ': ' || t.level || '/' || t.position FROM log_tile AS t"
        " WHERE (t.position << (8 * (t.level + 1))) >="
        " (SELECT COALESCE(MAX(h.size), 0) FROM log_head AS h WHERE h.log = t.log)",
    ),
    Relation(
        table="recipient_sequence",
        says="its number is not that of the last disclosure in the log",
        finds=f"SELECT party FROM (SELECT party, last FROM recipient_sequence EXCEPT {_GIVEN}) UNION"
        f" SELECT party FROM ({_GIVEN} EXCEPT SELECT party, last FROM recipient_sequence)",
    ),
    Relation(
        table="change_count",
        says="it has not one row",
        finds="SELECT n || ' rows' FROM (SELECT COUNT(*) AS n FROM change_count) WHERE n <> 1",
    ),
    Relation(
        table="meta",
        says="the key that cursors are signed with is missing",
        finds="SELECT 'cursor_key' WHERE NOT EXISTS (SELECT 1 FROM meta WHERE name = 'cursor_key')",
    ),
)


def find_broken(transaction: Transaction, relation: Relation) -> Iterator[str]:
    """The name of each row that breaks `relation`."""
    return (str(row[0]) for row in transaction.iterate(relation.finds))


def check_file(transaction: Transaction) -> list[str]:
    """What SQLite finds wrong with the file itself, at most a hundred things; empty when nothing is."""
    found = [str(row[0]) for row in transaction.rows(f"PRAGMA integrity_check({_MOST_FAULTS})")]
    return [] if found == ["ok"] else found


def count_bodies(transaction: Transaction) -> int:
    """How many versions of objects are held."""
    row = transaction.row("SELECT COUNT(*) FROM object")
    return int(row[0]) if row else 0


def iterate_bodies(transaction: Transaction, after: int, limit: int) -> Iterator[tuple[StoredObject, bytes]]:
    """At most `limit` versions with keys over `after`, each with its bytes, one read at a time."""
    return (
        (build_object(row), bytes(row[-1]))
        for row in transaction.iterate(
            f"SELECT {COLUMNS}, b.data FROM object AS o JOIN body AS b ON b.object = o.pk"
            " WHERE o.pk > ? ORDER BY o.pk LIMIT ?",
            (after, limit),
        )
    )


def iterate_labels(transaction: Transaction) -> Iterator[tuple[int, str, bytes]]:
    """Key, digest and body of every label."""
    rows = transaction.iterate("SELECT id, digest, body FROM label ORDER BY id")
    return ((int(key), str(digest), bytes(body)) for key, digest, body in rows)


def iterate_log_texts(transaction: Transaction) -> Iterator[tuple[str, bytes, bytes]]:
    """Table with key, digest and bytes of every listing, grounds and policy that entries of the log name."""
    rows = transaction.iterate(
        " UNION ALL ".join(
            f"SELECT '{table} ' || id, digest, data FROM {table}"
            for table in ("log_listing", "log_grounds", "log_policy")
        )
    )
    return ((str(name), bytes(digest), bytes(data)) for name, digest, data in rows)


def iterate_terms(transaction: Transaction) -> Iterator[tuple[str, bytes]]:
    """The document of every version, behind the hash it is kept under."""
    rows = transaction.iterate("SELECT hash, document FROM terms ORDER BY hash")
    return ((str(name), bytes(document)) for name, document in rows)


def iterate_events(transaction: Transaction) -> Iterator[StoredEvent]:
    """Every event on record, in the order it was recorded in."""
    return (
        StoredEvent(
            digest=Digest(digest),
            agreement=agreement,
            kind=kind,
            terms=terms,
            party=PartyId(party),
            envelope=bytes(envelope),
            recorded_at=Instant(recorded_at),
        )
        for digest, agreement, kind, terms, party, envelope, recorded_at in transaction.iterate(
            "SELECT digest, agreement, kind, terms, party, envelope, recorded_at FROM event ORDER BY position"
        )
    )


def iterate_successions(transaction: Transaction) -> Iterator[tuple[str, PartyId, bytes]]:
    """Every statement that a log goes on under another name: the name, whose it is, and the statement as signed."""
    rows = transaction.iterate("SELECT origin, party, envelope FROM succession ORDER BY origin")
    return ((str(origin), PartyId(party), bytes(envelope)) for origin, party, envelope in rows)


def iterate_unheard(transaction: Transaction) -> Iterator[tuple[str, bytes]]:
    """Every message that counts for nothing, behind the digest it is kept under."""
    rows = transaction.iterate("SELECT digest, envelope FROM unheard ORDER BY position")
    return ((str(digest), bytes(envelope)) for digest, envelope in rows)
