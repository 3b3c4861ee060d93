-- SPDX-License-Identifier: Apache-2.0
-- Backups that this node made, as far as it knows: what is purged here stays in them until they are destroyed.
CREATE TABLE backup (
    id TEXT PRIMARY KEY,
    made_at INTEGER NOT NULL,
    place TEXT NOT NULL,
    size INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    with_keys INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
