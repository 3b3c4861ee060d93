-- SPDX-License-Identifier: Apache-2.0
-- What a preview reads instead of the objects: how many carry each label, and what each label says, clause by clause.

-- A facet is what a label says to one clause, or its granular markings; equal ones are stored once. `facets` of a label
-- holds the keys of its facets, with commas between; the first says of which clause table they are. A label stored
-- before has none and is read from its body.
CREATE TABLE facet (
    id INTEGER PRIMARY KEY,
    clause TEXT NOT NULL,
    said TEXT NOT NULL,
    UNIQUE (clause, said)
) STRICT;
ALTER TABLE label ADD COLUMN facets TEXT NOT NULL DEFAULT '';

-- How many newest versions carry each label, by their own type and originator. Triggers write it and nobody else.
CREATE TABLE label_count (
    label INTEGER NOT NULL,
    type TEXT NOT NULL,
    originator TEXT NOT NULL,
    objects INTEGER NOT NULL,
    PRIMARY KEY (label, type, originator)
) STRICT, WITHOUT ROWID;
INSERT INTO label_count
    SELECT label, type, originator, COUNT(*) FROM object WHERE current = 1 GROUP BY label, type, originator;
CREATE TRIGGER object_counted AFTER INSERT ON object WHEN NEW.current = 1 BEGIN
    INSERT INTO label_count VALUES (NEW.label, NEW.type, NEW.originator, 1)
        ON CONFLICT DO UPDATE SET objects = objects + 1;
END;
CREATE TRIGGER object_uncounted AFTER DELETE ON object WHEN OLD.current = 1 BEGIN
    UPDATE label_count SET objects = objects - 1
        WHERE label = OLD.label AND type = OLD.type AND originator = OLD.originator;
    DELETE FROM label_count
        WHERE label = OLD.label AND type = OLD.type AND originator = OLD.originator AND objects = 0;
END;
CREATE TRIGGER object_recounted AFTER UPDATE OF label, type, originator, current ON object
WHEN OLD.current = 1 OR NEW.current = 1 BEGIN
    UPDATE label_count SET objects = objects - 1
        WHERE OLD.current = 1 AND label = OLD.label AND type = OLD.type AND originator = OLD.originator;
    INSERT INTO label_count SELECT NEW.label, NEW.type, NEW.originator, 1 WHERE NEW.current = 1
        ON CONFLICT DO UPDATE SET objects = objects + 1;
    DELETE FROM label_count
        WHERE label = OLD.label AND type = OLD.type AND originator = OLD.originator AND objects = 0;
END;

-- Samples by label, type and originator, the last taken in first, and counts of what came in after a place or a time.
CREATE INDEX object_by_count ON object (label, type, originator, first_seq, added_at) WHERE current = 1;
