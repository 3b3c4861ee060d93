-- SPDX-License-Identifier: Apache-2.0
-- Whether a rule set also says its words of what comes in later: two people applied it knowing that it does. Of sets
-- that were applied before there was such a thing nobody said so.
ALTER TABLE rule_set ADD COLUMN standing INTEGER NOT NULL DEFAULT 0;
CREATE INDEX rule_set_standing ON rule_set (standing) WHERE ended_at IS NULL AND standing = 1;
