-- SPDX-License-Identifier: Apache-2.0
-- Every way an object came: who gave it, under which terms, and when. `decided_at` is when it was last decided to keep
-- it, else when it came.
CREATE TABLE arrival (
    object INTEGER NOT NULL,
    terms TEXT NOT NULL,
    giver TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    decided_at INTEGER NOT NULL,
    PRIMARY KEY (object, terms, giver)
) STRICT, WITHOUT ROWID;
CREATE INDEX arrival_by_receipt ON arrival (terms, received_at, object);
CREATE INDEX arrival_by_decision ON arrival (terms, decided_at, object);
INSERT INTO arrival SELECT pk, received_under, originator, added_at, added_at FROM object
    WHERE received_under IS NOT NULL;

-- What was deleted, without what it said. A version that comes again keeps its row until it is deleted again.
CREATE TABLE tombstone (
    id TEXT NOT NULL,
    version_at INTEGER NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    originator TEXT NOT NULL,
    terms TEXT,
    clause TEXT,
    person TEXT,
    reason TEXT,
    deleted_at INTEGER NOT NULL,
    PRIMARY KEY (id, version_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstone_by_time ON tombstone (deleted_at);

-- When a person last reviewed an agreement; every review is in the log.
CREATE TABLE agreement_review (agreement TEXT PRIMARY KEY, reviewed_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
