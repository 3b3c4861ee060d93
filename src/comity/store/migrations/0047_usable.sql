-- SPDX-License-Identifier: Apache-2.0
-- What this party's own programs read over TAXII. When each place in the order of commit was first offered to one of
-- them: all up to `seq`, and after those before, since `at`. Both only rise.
CREATE TABLE offered (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL UNIQUE
) STRICT;

-- How far each program ever got, by what it does. It stays when the program has ended: it may still hold what it got.
CREATE TABLE handed (
    program TEXT NOT NULL,
    actions TEXT NOT NULL,
    person TEXT NOT NULL,
    name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (program, actions)
) STRICT, WITHOUT ROWID;

-- The place in the order of commit at which a version came in that is deleted; NULL where no program can have it, as it
-- went before any could read.
ALTER TABLE tombstone ADD COLUMN place INTEGER;
