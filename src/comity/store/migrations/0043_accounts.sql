-- SPDX-License-Identifier: Apache-2.0
-- By which account at an OpenID provider a person signs in: what the provider's tokens call it, and nothing else of it.
CREATE TABLE account (
    person TEXT PRIMARY KEY REFERENCES person (id),
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    used_at INTEGER,
    UNIQUE (issuer, subject)
) STRICT, WITHOUT ROWID;
