-- SPDX-License-Identifier: Apache-2.0
-- What a source is: a collection of a TAXII 2.1 server, or a feed of MISP, whose events are files of their own. Of these
-- `source_event` says which were taken in, by the time of the event: a later one is taken in anew.
ALTER TABLE source ADD COLUMN kind TEXT NOT NULL DEFAULT 'taxii';
CREATE TABLE source_event (
    source TEXT NOT NULL,
    uuid TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (source, uuid)
) STRICT, WITHOUT ROWID;
