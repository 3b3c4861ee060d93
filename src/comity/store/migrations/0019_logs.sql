-- SPDX-License-Identifier: Apache-2.0
-- A log for each relationship (an agreement and one recipient), beside the log of the house, which is number 0 and has no
-- row here. `token` is the end of its origin. `anchored` is its size in the last entry of the house's log that names its
-- head. A closed log has entries from before a recovery, and gets no more.
CREATE TABLE relationship_log (
    number INTEGER PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,
    agreement TEXT NOT NULL,
    recipient TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER,
    anchored INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX relationship_log_open ON relationship_log (agreement, recipient) WHERE closed_at IS NULL;
CREATE INDEX relationship_log_of ON relationship_log (recipient);
CREATE TRIGGER relationship_log_stays BEFORE DELETE ON relationship_log
BEGIN SELECT RAISE(ABORT, 'the log of a relationship stays'); END;
CREATE TRIGGER relationship_log_kept BEFORE UPDATE OF number, token, agreement, recipient, opened_at ON relationship_log
BEGIN SELECT RAISE(ABORT, 'the log of a relationship does not change'); END;

-- `position` counts the entries of all logs in the order of their commits; `place` those of its log. What was there before
-- is the log of the house.
DROP TRIGGER log_entry_kept;
ALTER TABLE log_entry ADD COLUMN log INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_entry ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
UPDATE log_entry SET place = position;
CREATE UNIQUE INDEX log_entry_by_place ON log_entry (log, place);
CREATE TRIGGER log_entry_kept BEFORE UPDATE ON log_entry BEGIN SELECT RAISE(ABORT, 'log entries are append-only'); END;

CREATE TABLE tile_before AS SELECT * FROM log_tile;
DROP TABLE log_tile;
CREATE TABLE log_tile (
    log INTEGER NOT NULL,
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (log, level, position)
) STRICT, WITHOUT ROWID;
INSERT INTO log_tile SELECT 0, level, position, hashes FROM tile_before;
DROP TABLE tile_before;

DROP TRIGGER log_head_kept;
DROP TRIGGER log_head_stays;
CREATE TABLE head_before AS SELECT * FROM log_head;
DROP TABLE log_head;
CREATE TABLE log_head (
    log INTEGER NOT NULL,
    size INTEGER NOT NULL,
    checkpoint BLOB NOT NULL,
    PRIMARY KEY (log, size)
) STRICT, WITHOUT ROWID;
INSERT INTO log_head SELECT 0, size, checkpoint FROM head_before;
DROP TABLE head_before;
CREATE TRIGGER log_head_kept BEFORE UPDATE ON log_head BEGIN SELECT RAISE(ABORT, 'log heads are append-only'); END;
CREATE TRIGGER log_head_stays BEFORE DELETE ON log_head BEGIN SELECT RAISE(ABORT, 'log heads are append-only'); END;

-- Partners hold receipts for disclosures in the log of the house. They are shown its tree as it was when it got its last
-- disclosure to any, and never what it grew to since.
INSERT INTO meta SELECT 'house-shown', CAST(MAX(size) AS TEXT) FROM log_head
    WHERE EXISTS (SELECT 1 FROM recipient_sequence) HAVING MAX(size) IS NOT NULL;

CREATE TABLE cosignature_before AS SELECT * FROM cosignature;
DROP TABLE cosignature;
CREATE TABLE cosignature (
    log INTEGER NOT NULL,
    size INTEGER NOT NULL,
    witness TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    line BLOB NOT NULL,
    PRIMARY KEY (log, size, witness)
) STRICT, WITHOUT ROWID;
INSERT INTO cosignature SELECT 0, size, witness, timestamp, line FROM cosignature_before;
DROP TABLE cosignature_before;
CREATE INDEX cosignature_by_witness ON cosignature (log, witness, size);

-- The largest checkpoint that was seen of each log of each partner, as it was signed; `agreement` is the one whose
-- disclosures its receipts are of, NULL where that is not known.
CREATE TABLE seen_before AS SELECT * FROM seen_checkpoint;
DROP TABLE seen_checkpoint;
CREATE TABLE seen_checkpoint (
    party TEXT NOT NULL,
    origin TEXT NOT NULL,
    agreement TEXT,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    checkpoint BLOB NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (party, origin)
) STRICT, WITHOUT ROWID;
INSERT INTO seen_checkpoint
    SELECT party, substr(CAST(checkpoint AS TEXT), 1, instr(CAST(checkpoint AS TEXT), char(10)) - 1), NULL, size, root,
        checkpoint, seen_at FROM seen_before;
DROP TABLE seen_before;

-- Logs of partners that a recovery ended, and with how many entries: nothing beyond them is believed.
CREATE TABLE ended_log (
    party TEXT NOT NULL,
    origin TEXT NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (party, origin)
) STRICT, WITHOUT ROWID;
