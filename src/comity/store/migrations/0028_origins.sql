-- SPDX-License-Identifier: Apache-2.0
-- Where the leaf of a receipt is: in which log of its giver, at which place, in a tree of how many entries. What a giver
-- has lost with the end of its logs is found by that, however many receipts there are.
ALTER TABLE receipt ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE receipt ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
ALTER TABLE receipt ADD COLUMN tree INTEGER NOT NULL DEFAULT 0;
-- The proof is a text of lines: its name, "index N", hashes, an empty line; then the checkpoint: origin, size, root.
CREATE TABLE proof_before AS
    SELECT giver, sequence, json_extract(CAST(data AS TEXT), '$.proof') AS proof FROM receipt;
CREATE TABLE place_before AS
    SELECT giver, sequence, substr(proof, instr(proof, char(10) || 'index ') + 7) AS place,
        substr(proof, instr(proof, char(10) || char(10)) + 2) AS checkpoint FROM proof_before;
CREATE UNIQUE INDEX place_before_by_number ON place_before (giver, sequence);
UPDATE receipt SET (origin, place, tree) = (
    SELECT substr(b.checkpoint, 1, instr(b.checkpoint, char(10)) - 1), CAST(b.place AS INTEGER),
        CAST(substr(b.checkpoint, instr(b.checkpoint, char(10)) + 1) AS INTEGER)
        FROM place_before AS b WHERE b.giver = receipt.giver AND b.sequence = receipt.sequence);
DROP TABLE place_before;
DROP TABLE proof_before;
CREATE INDEX receipt_by_log ON receipt (giver, sequence, origin, place);
CREATE INDEX receipt_by_tree ON receipt (giver, origin, tree);

-- Of a log of a partner that ended: which agreement's disclosures it is for, and what the log is called that they are in
-- from there on, as far as that is known.
ALTER TABLE ended_log ADD COLUMN agreement TEXT;
ALTER TABLE ended_log ADD COLUMN next TEXT;

-- Heads of partners' logs, as they signed them, over more entries than they say to have left: evidence of what was lost.
CREATE TABLE lost_head (
    party TEXT NOT NULL,
    origin TEXT NOT NULL,
    size INTEGER NOT NULL,
    checkpoint BLOB NOT NULL,
    held INTEGER NOT NULL,
    noted_at INTEGER NOT NULL,
    PRIMARY KEY (party, origin, size)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER lost_head_stays BEFORE DELETE ON lost_head
BEGIN SELECT RAISE(ABORT, 'what a party signed is kept'); END;

-- Of what this party has cosigned as a witness, the last head of each day that a log grew on: against these a log is held
-- that lost its end and goes on under another name.
CREATE TABLE witnessed_earlier (
    origin TEXT NOT NULL,
    size INTEGER NOT NULL,
    checkpoint BLOB NOT NULL,
    cosigned_at INTEGER NOT NULL,
    PRIMARY KEY (origin, size)
) STRICT, WITHOUT ROWID;

-- Which log that was cosigned here goes on as which.
CREATE TABLE witnessed_name (
    origin TEXT PRIMARY KEY,
    previous TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;
CREATE TRIGGER witnessed_name_stays BEFORE DELETE ON witnessed_name
BEGIN SELECT RAISE(ABORT, 'a witness does not forget'); END;
