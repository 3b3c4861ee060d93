-- SPDX-License-Identifier: Apache-2.0
-- Backups that this node made, as far as it knows: what is purged here stays in them until they are destroyed.
CREATE TABLE backup (
    id TEXT PRIMARY KEY,
    made_at INTEGER NOT NULL,
    place TEXT NOT NULL,
    size INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    with_keys INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Statements that a log goes on under another name, this party's own and those of partners, as signed.
CREATE TABLE succession (
    origin TEXT PRIMARY KEY,
    party TEXT NOT NULL,
    envelope BLOB NOT NULL,
    recorded_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX succession_by_party ON succession (party, recorded_at);
CREATE TRIGGER succession_stays BEFORE DELETE ON succession
BEGIN SELECT RAISE(ABORT, 'what a party said of its log stays'); END;

-- Receipts for disclosures that their giver has lost with the end of its log: evidence, out of the way of the numbers
-- that it gives again under the name of its next log.
CREATE TABLE receipt_set_aside (
    giver TEXT NOT NULL,
    origin TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    terms TEXT NOT NULL,
    at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    arrived INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (giver, origin, sequence)
) STRICT;
