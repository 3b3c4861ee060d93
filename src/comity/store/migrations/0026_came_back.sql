-- SPDX-License-Identifier: Apache-2.0
-- What this party gave and was then given: by whom, under which terms, when first. It is no further way that the object
-- came, and counts for nothing; people are shown it.
CREATE TABLE came_back (
    object INTEGER NOT NULL,
    terms TEXT NOT NULL,
    giver TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (object, terms, giver)
) STRICT, WITHOUT ROWID;

-- What was not kept of one object is shown with it.
CREATE INDEX unkept_by_id ON unkept (id, position);
