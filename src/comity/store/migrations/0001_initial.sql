-- SPDX-License-Identifier: Apache-2.0
-- Times are microseconds since 1970-01-01T00:00:00Z. Digests are 64 lower-case hexadecimal digits.

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Parties, and the chain of their manifests as received.
CREATE TABLE party (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    state TEXT,
    url TEXT,
    manifest TEXT NOT NULL,
    added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE manifest (
    digest TEXT PRIMARY KEY,
    party TEXT NOT NULL,
    version INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    UNIQUE (party, version)
) STRICT, WITHOUT ROWID;
-- Only the SHA-256 of a credential is kept: it is 256 random bits, so the hash cannot be searched.
CREATE TABLE credential (
    hash TEXT PRIMARY KEY,
    party TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Agreements: signed documents and signed events as received. The state is computed from them, never stored.
-- `epoch` counts the events, so that what was computed can be remembered.
CREATE TABLE agreement (id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, added_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE terms (
    hash TEXT PRIMARY KEY,
    agreement TEXT NOT NULL,
    version INTEGER NOT NULL,
    document BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX terms_by_agreement ON terms (agreement, version);
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    agreement TEXT NOT NULL,
    kind TEXT NOT NULL,
    terms TEXT NOT NULL,
    party TEXT NOT NULL,
    at INTEGER NOT NULL,
    clause TEXT,
    text TEXT,
    re TEXT,
    envelope BLOB NOT NULL,
    recorded_at INTEGER NOT NULL
) STRICT;
CREATE INDEX event_by_agreement ON event (agreement, position);
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY,
    party TEXT NOT NULL,
    envelope BLOB NOT NULL,
    added_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL,
    delivered_at INTEGER,
    problem TEXT
) STRICT;
CREATE INDEX outbox_due ON outbox (due_at) WHERE delivered_at IS NULL;

-- Objects: one row per version of a STIX object; `seq` is the order of commit of its present label.
CREATE TABLE object (
    pk INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    version TEXT NOT NULL,
    version_at INTEGER NOT NULL,
    type TEXT NOT NULL,
    spec_version TEXT NOT NULL,
    digest TEXT NOT NULL,
    originator TEXT NOT NULL,
    received_under TEXT,
    own_label INTEGER NOT NULL,
    label INTEGER NOT NULL,
    seq INTEGER NOT NULL UNIQUE,
    current INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    UNIQUE (id, version_at)
) STRICT;
CREATE INDEX object_by_label ON object (label, seq) WHERE current = 1;
CREATE TABLE body (object INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE reference (
    object INTEGER NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (object, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX reference_by_target ON reference (target);
-- Labels: equal ones are stored once. `label_word` is what the clause table's SQL reading tests.
CREATE TABLE label (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    partly_marked INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE label_word (
    label INTEGER NOT NULL,
    clause TEXT NOT NULL,
    grp INTEGER NOT NULL,
    word TEXT NOT NULL,
    PRIMARY KEY (label, clause, grp, word)
) STRICT, WITHOUT ROWID;

-- Feeds: what one party has been released under one channel, in release order. `at` is the TAXII date_added.
CREATE TABLE feed (
    id INTEGER PRIMARY KEY,
    agreement TEXT NOT NULL,
    channel TEXT NOT NULL,
    recipient TEXT NOT NULL,
    through INTEGER NOT NULL,
    under TEXT,
    last_at INTEGER NOT NULL,
    UNIQUE (agreement, channel, recipient)
) STRICT;
CREATE TABLE release (
    feed INTEGER NOT NULL,
    at INTEGER NOT NULL,
    object INTEGER NOT NULL,
    PRIMARY KEY (feed, at),
    UNIQUE (feed, object)
) STRICT, WITHOUT ROWID;
CREATE INDEX release_by_object ON release (object);

-- The disclosure log (C2SP tlog-tiles): entries and tiles only grow, heads are kept, openings can be purged.
CREATE TABLE log_entry (position INTEGER PRIMARY KEY, leaf BLOB NOT NULL) STRICT;
CREATE TABLE log_opening (position INTEGER PRIMARY KEY, salt BLOB NOT NULL, content BLOB NOT NULL) STRICT;
CREATE TABLE log_tile (
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (level, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE log_head (size INTEGER PRIMARY KEY, checkpoint BLOB NOT NULL) STRICT;
-- How many disclosures each recipient has had: the per-recipient sequence.
CREATE TABLE recipient_sequence (party TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TRIGGER log_entry_kept BEFORE UPDATE ON log_entry BEGIN SELECT RAISE(ABORT, 'log entries are append-only'); END;
CREATE TRIGGER log_entry_stays BEFORE DELETE ON log_entry BEGIN SELECT RAISE(ABORT, 'log entries are append-only'); END;
CREATE TRIGGER log_head_kept BEFORE UPDATE ON log_head BEGIN SELECT RAISE(ABORT, 'log heads are append-only'); END;
CREATE TRIGGER log_head_stays BEFORE DELETE ON log_head BEGIN SELECT RAISE(ABORT, 'log heads are append-only'); END;
CREATE TRIGGER event_kept BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'agreement events are append-only'); END;
CREATE TRIGGER event_stays BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'agreement events are append-only'); END;

-- Where this node stands in the feeds of its partners.
CREATE TABLE pull_position (
    party TEXT NOT NULL,
    collection TEXT NOT NULL,
    added_after INTEGER NOT NULL,
    PRIMARY KEY (party, collection)
) STRICT, WITHOUT ROWID;
