-- SPDX-License-Identifier: Apache-2.0
-- What this party has cosigned as a witness: the last head of each log, as its log signed it. It never goes back.
CREATE TABLE witnessed_head (
    origin TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    checkpoint BLOB NOT NULL,
    cosigned_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER witnessed_head_grows BEFORE UPDATE ON witnessed_head
WHEN new.size < old.size OR (new.size = old.size AND new.checkpoint <> old.checkpoint)
BEGIN SELECT RAISE(ABORT, 'a witness does not go back'); END;
CREATE TRIGGER witnessed_head_stays BEFORE DELETE ON witnessed_head
BEGIN SELECT RAISE(ABORT, 'a witness does not forget'); END;

-- Heads of a log that contradict one another, as evidence (comity-fork-evidence/1); `pair` is a digest over both texts.
CREATE TABLE fork_evidence (
    pair TEXT NOT NULL,
    proved INTEGER NOT NULL,
    origin TEXT NOT NULL,
    noted_at INTEGER NOT NULL,
    evidence BLOB NOT NULL,
    PRIMARY KEY (pair, proved)
) STRICT, WITHOUT ROWID;
CREATE INDEX fork_evidence_by_origin ON fork_evidence (origin);

-- What witnesses have said of the heads of this node's own log. The line of a signature is kept as it came.
CREATE TABLE cosignature (
    size INTEGER NOT NULL,
    witness TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    line BLOB NOT NULL,
    PRIMARY KEY (size, witness)
) STRICT, WITHOUT ROWID;
CREATE INDEX cosignature_by_witness ON cosignature (witness, size);

-- What happened when a witness was asked last; NULL: it cosigned.
CREATE TABLE witness_problem (witness TEXT PRIMARY KEY, at INTEGER NOT NULL, problem TEXT NOT NULL) STRICT, WITHOUT ROWID;
