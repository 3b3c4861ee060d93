-- SPDX-License-Identifier: Apache-2.0
-- Who may enrol: the SHA-256 of a code of 256 random bits, good once and until `expires_at`.
CREATE TABLE invitation (
    person TEXT PRIMARY KEY REFERENCES person (id),
    hash TEXT NOT NULL UNIQUE,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a person signs in by with a password: the hash of it and the secret of the second factor, sealed under a key that
-- lies outside the store. `counter` is the last step of 30 seconds whose code was used.
CREATE TABLE password (
    person TEXT PRIMARY KEY REFERENCES person (id),
    sealed BLOB NOT NULL,
    counter INTEGER NOT NULL,
    set_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER password_code_counts_once BEFORE UPDATE OF counter ON password WHEN NEW.counter <= OLD.counter
BEGIN SELECT RAISE(ABORT, 'a code counts once'); END;

-- Passkeys (WebAuthn): `digest` is the SHA-256 of the public key, `counter` what the authenticator counted last.
CREATE TABLE passkey (
    credential BLOB PRIMARY KEY,
    person TEXT NOT NULL REFERENCES person (id),
    public_key BLOB NOT NULL,
    digest TEXT NOT NULL,
    name TEXT NOT NULL,
    counter INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX passkey_of ON passkey (person);

-- Who is signed in: `hash` is the SHA-256 of a token of 256 random bits, `id` what people call the session.
CREATE TABLE session (
    hash TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    person TEXT NOT NULL REFERENCES person (id),
    factor TEXT NOT NULL,
    began_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_of ON session (person, began_at);

-- What happened at the door, the newest of each kind. `person` is null where nobody of that name is on record: what was
-- typed instead is not kept.
CREATE TABLE sign_in (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    person TEXT,
    what TEXT NOT NULL,
    factor TEXT,
    failed INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_kind ON sign_in (failed, id);
CREATE INDEX sign_in_of ON sign_in (person, what, id);
