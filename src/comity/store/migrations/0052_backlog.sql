-- SPDX-License-Identifier: Apache-2.0
-- Where a feed that catches up by parts began to: what stands up to that place in the order of commit is released at one
-- time, whatever stands between.
ALTER TABLE feed ADD COLUMN backlog INTEGER NOT NULL DEFAULT 0;
