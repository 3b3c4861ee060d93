-- SPDX-License-Identifier: Apache-2.0
-- What MISP said of a thing that became objects, as JSON (`intake.misp_sayings`), by its digest, and of which versions it
-- is. It is for this party's own people: nothing here is ever given to anybody. It goes with the first of those objects.
CREATE TABLE saying (
    number INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    data BLOB NOT NULL
) STRICT;
CREATE TABLE saying_of (
    object INTEGER NOT NULL,
    saying INTEGER NOT NULL,
    PRIMARY KEY (object, saying)
) STRICT, WITHOUT ROWID;
CREATE INDEX saying_of_by_saying ON saying_of (saying);
