-- SPDX-License-Identifier: Apache-2.0
-- Files of this party's own that were taken in, or are being. `act` says what was asked of one, by a digest: the bytes,
-- the format, and what was said of all objects in it; the same again is the same row. `records` and `position` are how
-- many records, and bytes, were dealt with from the beginning: after a crash it goes on behind them. `facts` is JSON.
CREATE TABLE file (
    number INTEGER PRIMARY KEY,
    act TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL,
    name TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    format TEXT NOT NULL,
    taken_by TEXT,
    retrieved_at INTEGER NOT NULL,
    facts TEXT NOT NULL,
    records INTEGER NOT NULL,
    position INTEGER NOT NULL,
    added INTEGER NOT NULL,
    known INTEGER NOT NULL,
    unread INTEGER NOT NULL,
    done_at INTEGER
) STRICT;

-- Which file said a version of an object, and where in it; `added` where it came in by that.
CREATE TABLE from_file (
    object INTEGER NOT NULL,
    file INTEGER NOT NULL,
    place TEXT NOT NULL,
    added INTEGER NOT NULL,
    PRIMARY KEY (object, file)
) STRICT, WITHOUT ROWID;
CREATE INDEX from_file_by_file ON from_file (file);

-- What was not read of a file (and the id of its object, where that was legible), and what people have to know of what was; of each file the first thousand.
CREATE TABLE file_remark (
    file INTEGER NOT NULL,
    place TEXT NOT NULL,
    is_unread INTEGER NOT NULL,
    object TEXT,
    remark TEXT NOT NULL,
    UNIQUE (file, place, is_unread)
) STRICT;
