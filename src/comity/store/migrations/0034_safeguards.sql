-- SPDX-License-Identifier: Apache-2.0
-- That it is strictly necessary to give data of a special category, or of a minor: `words` of one object that people
-- decided on (a JSON list), who they were, and why. One that ended stays on record.
CREATE TABLE necessity (
    id INTEGER PRIMARY KEY,
    object TEXT NOT NULL,
    words TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    decided_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    ended_at INTEGER,
    ended_by TEXT,
    ended_why TEXT
) STRICT;
CREATE INDEX necessity_good ON necessity (object) WHERE ended_at IS NULL;
CREATE TRIGGER necessity_kept BEFORE UPDATE OF object, words, decided_at, decided_by, reason ON necessity
BEGIN SELECT RAISE(ABORT, 'what was decided is kept'); END;

-- Whether two objects are about one person, as a person decided; `one` sorts before `other`. The last decision counts.
CREATE TABLE same_person (
    id INTEGER PRIMARY KEY,
    one TEXT NOT NULL,
    other TEXT NOT NULL,
    same INTEGER NOT NULL,
    agreeing TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    decided_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    CHECK (one < other)
) STRICT;
CREATE INDEX same_person_one ON same_person (one);
CREATE INDEX same_person_other ON same_person (other);
CREATE TRIGGER same_person_kept BEFORE UPDATE ON same_person
BEGIN SELECT RAISE(ABORT, 'what was decided is kept; decide anew'); END;
