-- SPDX-License-Identifier: Apache-2.0
-- Persons of this party. A row stays when its person is removed: an id is never given to somebody else.
-- `secret` is the SHA-256 of a badge of 256 random bits; `roles` are words with a space between.
CREATE TABLE person (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    roles TEXT NOT NULL,
    secret TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    removed_at INTEGER
) STRICT, WITHOUT ROWID;
-- Approvals of acts that are not done yet. `matter` is the SHA-256 of `body`, which is all that the act will sign.
CREATE TABLE approval (
    matter TEXT NOT NULL,
    person TEXT NOT NULL REFERENCES person (id),
    role TEXT NOT NULL,
    reason TEXT,
    at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    agreement TEXT,
    body BLOB NOT NULL,
    PRIMARY KEY (matter, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX approval_by_person ON approval (person);

CREATE TRIGGER person_stays BEFORE DELETE ON person BEGIN SELECT RAISE(ABORT, 'persons are removed, not deleted'); END;
