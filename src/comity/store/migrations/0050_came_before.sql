-- SPDX-License-Identifier: Apache-2.0
-- Every way a version had come from elsewhere that was deleted: whoever gave it can recall it still. Of what was deleted
-- before only one way is known.
CREATE TABLE came_before (
    id TEXT NOT NULL,
    version_at INTEGER NOT NULL,
    terms TEXT NOT NULL,
    giver TEXT NOT NULL,
    receipt INTEGER,
    PRIMARY KEY (id, version_at, terms, giver)
) STRICT, WITHOUT ROWID;
INSERT INTO came_before SELECT id, version_at, terms, originator, receipt FROM tombstone WHERE terms IS NOT NULL;
