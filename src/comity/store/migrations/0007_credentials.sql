-- SPDX-License-Identifier: Apache-2.0
-- Credentials get a name to be listed and revoked by, an end, and the day they were last used on. Those that were made
-- before have no end: nobody was told of one. A row stays when its credential is revoked or has run out.
-- `hash` is as before: the SHA-256 of 256 random bits. `used_day` counts days since 1970-01-01.
ALTER TABLE credential RENAME TO credential_before;
CREATE TABLE credential (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    party TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    used_day INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO credential SELECT substr(hash, 1, 12), hash, party, created_at, NULL, NULL, NULL FROM credential_before;
DROP TABLE credential_before;
CREATE INDEX credential_by_party ON credential (party, created_at);

CREATE TRIGGER credential_stays BEFORE DELETE ON credential
BEGIN SELECT RAISE(ABORT, 'credentials are revoked, not deleted'); END;
CREATE TRIGGER credential_ends BEFORE UPDATE OF id, hash, party, created_at, expires_at ON credential
BEGIN SELECT RAISE(ABORT, 'a credential does not change, it is revoked'); END;
CREATE TRIGGER credential_is_revoked_once BEFORE UPDATE OF revoked_at ON credential WHEN OLD.revoked_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a credential that was revoked stays so'); END;
