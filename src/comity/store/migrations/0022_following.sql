-- SPDX-License-Identifier: Apache-2.0
-- How it stands with each channel that this node follows. `taken_at` is when something of it came in last, `in_step_at`
-- when its giver last had nothing more in it. `problem` is why the last try failed, and stays until one succeeds;
-- `due_at` is the next try.
CREATE TABLE following (
    giver TEXT NOT NULL,
    collection TEXT NOT NULL,
    taken_at INTEGER,
    in_step_at INTEGER,
    failures INTEGER NOT NULL DEFAULT 0,
    failed_at INTEGER,
    problem TEXT,
    due_at INTEGER,
    PRIMARY KEY (giver, collection)
) STRICT, WITHOUT ROWID;

-- TAXII 2.1 servers that are no nodes. A record (the terms of receipt, canonical JSON) is kept for ever: objects were
-- taken in under it. `position` is the `date_added` up to which everything was taken in, `advanced_at` when it got there.
CREATE TABLE source_record (
    hash TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    document BLOB NOT NULL,
    recorded_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE source (
    name TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    collection TEXT NOT NULL,
    record TEXT NOT NULL,
    scheme TEXT,
    credential TEXT,
    position INTEGER,
    advanced_at INTEGER
) STRICT, WITHOUT ROWID;
-- What a source gave that its record does not let in: how often, and the last of it.
CREATE TABLE source_withheld (
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    last_id TEXT NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (source, reason)
) STRICT, WITHOUT ROWID;
CREATE VIEW text_on_record AS SELECT hash FROM terms UNION ALL SELECT hash FROM source_record;
