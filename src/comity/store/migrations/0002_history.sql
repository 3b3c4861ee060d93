-- SPDX-License-Identifier: Apache-2.0
-- `first_seq` is the place at which an object came in, which no new label changes. `floor` is that place when the last
-- party signed: what came in before is history.
ALTER TABLE object ADD COLUMN first_seq INTEGER NOT NULL DEFAULT 0;
UPDATE object SET first_seq = seq;
ALTER TABLE feed ADD COLUMN floor INTEGER NOT NULL DEFAULT 0;
