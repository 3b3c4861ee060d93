-- SPDX-License-Identifier: Apache-2.0
-- Who may read the log over HTTP, each by a secret of which only the SHA-256 is kept. A row stays when it is removed.
CREATE TABLE log_reader (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    removed_at INTEGER,
    used_day INTEGER
) STRICT, WITHOUT ROWID;

CREATE TRIGGER log_reader_stays BEFORE DELETE ON log_reader
BEGIN SELECT RAISE(ABORT, 'readers of the log are removed by a date, not deleted'); END;
CREATE TRIGGER log_reader_ends BEFORE UPDATE OF id, hash, name, created_at, expires_at ON log_reader
BEGIN SELECT RAISE(ABORT, 'a reader of the log does not change, it is removed'); END;
CREATE TRIGGER log_reader_is_removed_once BEFORE UPDATE OF removed_at ON log_reader WHEN OLD.removed_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a reader of the log that was removed stays so'); END;
