-- SPDX-License-Identifier: Apache-2.0
-- What this party says of objects, beside what they say of themselves: which word, who or which rule set (`rules`, its
-- digest) said it, when and why, and since when it is said no more. It is said of every version of the object.
CREATE TABLE tag (
    id INTEGER PRIMARY KEY,
    object TEXT NOT NULL,
    field TEXT NOT NULL,
    word TEXT NOT NULL,
    list TEXT,
    version TEXT,
    person TEXT,
    rules TEXT,
    said_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    ended_at INTEGER,
    ended_by TEXT,
    ended_why TEXT,
    CHECK ((person IS NULL) <> (rules IS NULL))
) STRICT;
CREATE UNIQUE INDEX tag_good ON tag (object, field, word, coalesce(rules, '')) WHERE ended_at IS NULL;
CREATE INDEX tag_by_object ON tag (object);
CREATE INDEX tag_by_rules ON tag (rules) WHERE ended_at IS NULL;
CREATE INDEX tag_by_word ON tag (word) WHERE ended_at IS NULL AND field = 'subjects';
CREATE TRIGGER tag_kept BEFORE UPDATE OF object, field, word, list, version, person, rules, said_at, reason ON tag
BEGIN SELECT RAISE(ABORT, 'what was said is kept'); END;
CREATE TRIGGER tag_ends_once BEFORE UPDATE OF ended_at ON tag WHEN OLD.ended_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'what is said no more is not said again under the same row'); END;

-- Of versions with words of this party in their own label: what is said of them without those, by field.
CREATE TABLE said (object INTEGER PRIMARY KEY, tags TEXT NOT NULL) STRICT;

-- Rule sets, each under the digest of its text. `applied_at` is the last time; `ended_at` when it was taken back.
CREATE TABLE rule_set (
    digest TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    text BLOB NOT NULL,
    lists TEXT NOT NULL,
    applied_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT, WITHOUT ROWID;
-- What an application of one has yet to do, decided before it began; `ends` says that the word goes.
CREATE TABLE rule_step (
    rules TEXT NOT NULL,
    object TEXT NOT NULL,
    field TEXT NOT NULL,
    word TEXT NOT NULL,
    why TEXT NOT NULL,
    ends INTEGER NOT NULL,
    PRIMARY KEY (rules, object, field, word)
) STRICT, WITHOUT ROWID;

-- Versions of lists of subjects, in the order in which they were loaded.
CREATE TABLE subject_list (
    id INTEGER PRIMARY KEY,
    list TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    loaded_at INTEGER NOT NULL,
    loaded_by TEXT NOT NULL,
    changes TEXT NOT NULL,
    reviewed_at INTEGER,
    UNIQUE (list, version)
) STRICT;
CREATE TABLE list_entry (
    list INTEGER NOT NULL,
    subject TEXT NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (list, subject)
) STRICT, WITHOUT ROWID;
-- Subjects that left a list: what is about one goes to nobody while `decision` is not `keep`.
CREATE TABLE questioned_subject (
    subject TEXT PRIMARY KEY,
    list TEXT NOT NULL,
    version TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    decision TEXT,
    decided_by TEXT,
    decided_at INTEGER,
    reason TEXT
) STRICT, WITHOUT ROWID;

-- Versions of threat assessments, each good before `expires_at`; `lapsed` says that its label shows that it is past.
CREATE TABLE assessment (object INTEGER PRIMARY KEY, expires_at INTEGER NOT NULL, lapsed INTEGER NOT NULL) STRICT;
CREATE INDEX assessment_due ON assessment (expires_at) WHERE lapsed = 0;
