-- SPDX-License-Identifier: Apache-2.0
-- The newest version of an object that its giver gave and that could not be kept, because the terms do not let it come:
-- what is older and comes after it goes to nobody. Of what it said nothing is kept.
CREATE TABLE overtaking (
    giver TEXT NOT NULL,
    id TEXT NOT NULL,
    version_at INTEGER NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (giver, id)
) STRICT, WITHOUT ROWID;
