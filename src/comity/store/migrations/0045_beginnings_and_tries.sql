-- SPDX-License-Identifier: Apache-2.0
-- Objects by the beginning of their ids. Ids are random: in one index of all, each new one has a page to be written for
-- itself. So here they are in runs of 16,384 rows, each by id: what comes in together shares some pages, and who looks
-- takes one step into each run. `store.beginnings` asks in these very words.
CREATE INDEX object_by_id_in_runs ON object (pk >> 14, id) WHERE current = 1;

-- Tries to sign in, of the last hour: `name` is a digest of what was typed, under a key that lies outside the store where
-- there is one. Of all names together the time is kept at which all tries would be there again.
CREATE TABLE sign_in_try (
    kind TEXT NOT NULL,
    name BLOB NOT NULL,
    count INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_try_by_time ON sign_in_try (last_at);
CREATE TABLE sign_in_allowance (kind TEXT PRIMARY KEY, full_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Which threat assessments end first, whether their labels show it or not.
CREATE INDEX assessment_by_time ON assessment (expires_at, object);
