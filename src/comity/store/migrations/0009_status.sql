-- SPDX-License-Identifier: Apache-2.0
-- What became of each envelope that a partner wrote, as the partner may read it (TAXII 2.1 §4.3).
CREATE TABLE write_status (
    party TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (party, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX write_status_by_time ON write_status (at);

-- How much each partner has written on one day, counted in days since 1970-01-01 in UTC.
CREATE TABLE write_use (
    party TEXT NOT NULL,
    day INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    objects INTEGER NOT NULL,
    PRIMARY KEY (party, day)
) STRICT, WITHOUT ROWID;

-- What a partner wrote and this node did not keep, because it clashed with what was held. The partner is not told.
CREATE TABLE unkept (
    position INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    giver TEXT NOT NULL,
    terms TEXT NOT NULL,
    channel TEXT NOT NULL,
    id TEXT NOT NULL,
    version TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX unkept_by_time ON unkept (at);
