-- SPDX-License-Identifier: Apache-2.0
-- Patterns of indicators that only a parser can tell the truth of, each once for all that one party gave with it.
-- `state`: 0 no parser has read it; 1 it was read, and not all indicators that hold it show so; 2 they do.
-- `text` is there in state 0; `problem` is NULL where it parses. `held` says that an indicator holds it.
CREATE TABLE pattern (
    id INTEGER PRIMARY KEY,
    giver TEXT NOT NULL,
    digest TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    state INTEGER NOT NULL,
    text TEXT,
    problem TEXT,
    held INTEGER NOT NULL,
    UNIQUE (giver, digest)
) STRICT;
CREATE INDEX pattern_due ON pattern (state, giver, id) WHERE state < 2;
CREATE INDEX pattern_forgettable ON pattern (added_at) WHERE held = 0 AND state = 2;
CREATE INDEX pattern_bad ON pattern (giver) WHERE held = 1 AND problem IS NOT NULL;

-- Which indicators hold one: all of them until it was read, then those that hold one that does not parse.
-- `shows` says that the label shows what the parser said.
CREATE TABLE indicator_pattern (object INTEGER PRIMARY KEY, pattern INTEGER NOT NULL, shows INTEGER NOT NULL) STRICT;
CREATE INDEX indicator_by_pattern ON indicator_pattern (pattern, shows);

-- Indicators that came before patterns were parsed: they are gone through once.
CREATE TABLE indicator_unread (object INTEGER PRIMARY KEY) STRICT;
INSERT INTO indicator_unread SELECT pk FROM object WHERE type = 'indicator';
