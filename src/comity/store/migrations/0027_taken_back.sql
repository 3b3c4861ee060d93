-- SPDX-License-Identifier: Apache-2.0
-- What partners took back over TAXII of what they had written: each request once, whether anything was held of it or not.
-- `asked` says which versions. `due_at` is when what nobody decides on is deleted; NULL where nothing waits.
CREATE TABLE retraction (
    position INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    giver TEXT NOT NULL,
    agreement TEXT NOT NULL,
    terms TEXT NOT NULL,
    channel TEXT NOT NULL,
    object TEXT NOT NULL,
    asked TEXT NOT NULL,
    due_at INTEGER
) STRICT;
CREATE INDEX retraction_by_giver ON retraction (giver, at);
CREATE INDEX retraction_by_object ON retraction (object);
CREATE INDEX retraction_waiting ON retraction (due_at) WHERE due_at IS NOT NULL;
CREATE TRIGGER retraction_kept
BEFORE UPDATE OF position, name, at, giver, agreement, terms, channel, object, asked ON retraction
BEGIN SELECT RAISE(ABORT, 'what a partner took back is kept as it asked for it'); END;
CREATE TRIGGER retraction_stays BEFORE DELETE ON retraction
BEGIN SELECT RAISE(ABORT, 'what a partner took back is kept'); END;

-- The versions that it took back by that, and what became of each; `stopped` until it is settled.
CREATE TABLE retraction_version (
    retraction TEXT NOT NULL,
    place INTEGER NOT NULL,
    version_at INTEGER NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT,
    settled_at INTEGER,
    PRIMARY KEY (retraction, place)
) STRICT, WITHOUT ROWID;

-- By which disclosure of its giver a version had come that was deleted, as with those that are held (`arrival`).
ALTER TABLE tombstone ADD COLUMN receipt INTEGER;

-- What can be the cause of a letter, and of a version that goes to nobody any more.
CREATE VIEW cause_on_record AS SELECT digest AS name FROM letter UNION ALL SELECT name FROM retraction;

-- How much each giver, a partner or a source (`source:NAME`), has given that was taken in on a day (UTC); and until when
-- a channel pauses because that was as much as it may.
CREATE TABLE pull_use (
    giver TEXT NOT NULL,
    day INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    objects INTEGER NOT NULL,
    PRIMARY KEY (giver, day)
) STRICT, WITHOUT ROWID;
ALTER TABLE following ADD COLUMN paused_until INTEGER;
