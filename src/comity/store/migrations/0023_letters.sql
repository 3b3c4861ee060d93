-- SPDX-License-Identifier: Apache-2.0
-- Letters that this party sent (`sent` 1) and received, as signed. `because` is the letter received that made this party
-- send this one; NULL where its people did. `progress` says how far its answers, or what it asks for here, have come,
-- in the words of its kind.
CREATE TABLE letter (
    position INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    sent INTEGER NOT NULL,
    party TEXT NOT NULL,
    kind TEXT NOT NULL,
    agreement TEXT NOT NULL,
    terms TEXT NOT NULL,
    answers TEXT,
    because TEXT,
    state TEXT NOT NULL,
    progress TEXT,
    due_at INTEGER,
    answered_by TEXT,
    recorded_at INTEGER NOT NULL,
    envelope BLOB NOT NULL
) STRICT;
CREATE INDEX letter_by_party ON letter (party, sent);
CREATE INDEX letter_by_answered ON letter (answers) WHERE answers IS NOT NULL;
CREATE INDEX letter_by_cause ON letter (because) WHERE because IS NOT NULL;
CREATE INDEX letter_open ON letter (kind, sent, state);
CREATE TRIGGER letter_kept
BEFORE UPDATE OF digest, sent, party, kind, agreement, terms, answers, because, recorded_at ON letter
BEGIN SELECT RAISE(ABORT, 'letters are kept as they were sent and came'); END;
CREATE TRIGGER letter_stays BEFORE DELETE ON letter BEGIN SELECT RAISE(ABORT, 'letters are kept'); END;

-- What each letter is about: a version of an object, by the digest of its bytes as the receiver got them.
CREATE TABLE letter_object (
    letter INTEGER NOT NULL,
    place INTEGER NOT NULL,
    id TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (letter, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX letter_object_by_id ON letter_object (id, letter);

-- Versions of objects that this party gives to nobody any more, and does not take in again. `letter` is that of the
-- giver that asked for it; NULL where this party's own people did. `newer` is the version that corrects it.
CREATE TABLE recalled (
    id TEXT NOT NULL,
    version_at INTEGER NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    change TEXT NOT NULL,
    newer TEXT,
    reason TEXT NOT NULL,
    letter TEXT,
    recalled_at INTEGER NOT NULL,
    PRIMARY KEY (id, version_at)
) STRICT, WITHOUT ROWID;

-- What became here of each version that a letter of recall is about, in its order; `stopped` until it is settled.
CREATE TABLE recall_result (
    letter TEXT NOT NULL,
    place INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT,
    settled_at INTEGER,
    PRIMARY KEY (letter, place)
) STRICT, WITHOUT ROWID;

-- Objects that somebody decided to keep whatever is recalled, and why: they are given to nobody, and not deleted by a
-- recall.
CREATE TABLE recall_hold (
    id TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    person TEXT NOT NULL,
    held_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How far this party's own objects were looked through for revoked ones: what was there before is not told of by itself.
INSERT INTO meta SELECT 'recall-looked', value FROM meta WHERE name = 'seq';
