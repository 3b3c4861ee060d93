-- SPDX-License-Identifier: Apache-2.0
-- What each disclosure was decided by, as far as it can change: labels, the feed's floor, this party's policy. Once for
-- all disclosures that were decided by the very same.
CREATE TABLE log_grounds (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, data BLOB NOT NULL) STRICT;
CREATE TABLE log_policy (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, data BLOB NOT NULL) STRICT;
ALTER TABLE log_opening ADD COLUMN grounds INTEGER;
