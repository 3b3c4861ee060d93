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
