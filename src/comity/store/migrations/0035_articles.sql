-- SPDX-License-Identifier: Apache-2.0
-- Articles of this party's own people, known by the digest of what was received. `head` is JSON: the places of the parts
-- of `text`, what is known of the source, and the special categories that title and caption may hold. `made` is how the
-- report was made last (JSON), NULL before, and `made_through` the last decision that was made so.
CREATE TABLE article (
    number INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    format TEXT NOT NULL,
    received BLOB NOT NULL,
    text TEXT NOT NULL,
    head TEXT NOT NULL,
    added_by TEXT,
    added_at INTEGER NOT NULL,
    retrieved_at INTEGER NOT NULL,
    report TEXT,
    made TEXT,
    made_at INTEGER,
    made_by TEXT,
    made_through INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TRIGGER article_kept BEFORE UPDATE OF digest, format, received, text, head, added_at, retrieved_at ON article
BEGIN SELECT RAISE(ABORT, 'what was received is kept'); END;

-- What an article would become, by number in the order of the text; `draft` is JSON (docs/spec/article-drafts.md).
CREATE TABLE article_draft (
    article INTEGER NOT NULL,
    number INTEGER NOT NULL,
    draft TEXT NOT NULL,
    PRIMARY KEY (article, number)
) STRICT, WITHOUT ROWID;

-- What people decided of drafts, in the order in which they did; the last decision on a draft counts.
CREATE TABLE article_decision (
    id INTEGER PRIMARY KEY,
    article INTEGER NOT NULL,
    number INTEGER NOT NULL,
    step TEXT NOT NULL,
    field TEXT,
    value TEXT,
    reason TEXT,
    decided_at INTEGER NOT NULL,
    decided_by TEXT NOT NULL
) STRICT;
CREATE INDEX article_decision_of ON article_decision (article, number);
CREATE TRIGGER article_decision_kept BEFORE UPDATE ON article_decision
BEGIN SELECT RAISE(ABORT, 'what was decided is kept; decide anew'); END;
