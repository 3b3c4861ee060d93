-- SPDX-License-Identifier: Apache-2.0
-- Programs that may ask the console in a person's name: by a token, of which the SHA-256 is kept. `may` is words, with a
-- space between.
CREATE TABLE program (
    hash TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    person TEXT NOT NULL REFERENCES person (id),
    name TEXT NOT NULL,
    may TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX program_of ON program (person, made_at);
