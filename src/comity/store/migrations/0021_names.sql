-- SPDX-License-Identifier: Apache-2.0
-- Objects are found by a short key of their ids and not by an index of the ids themselves, of which each new one had a
-- page to be written for itself (`store.names`). `name_key` is a function of this node's: 62 bits of the SHA-256.
-- That a version of an id is held once is checked before it is taken in, and by fsck.
CREATE TABLE object_named (
    pk INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    version TEXT NOT NULL,
    version_at INTEGER NOT NULL,
    type TEXT NOT NULL,
    spec_version TEXT NOT NULL,
    digest TEXT NOT NULL,
    originator TEXT NOT NULL,
    received_under TEXT,
    own_label INTEGER NOT NULL,
    label INTEGER NOT NULL,
    seq INTEGER NOT NULL UNIQUE,
    current INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    first_seq INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO object_named SELECT pk, id, version, version_at, type, spec_version, digest, originator, received_under,
    own_label, label, seq, current, added_at, first_seq FROM object ORDER BY pk;
DROP TABLE object;
ALTER TABLE object_named RENAME TO object;
CREATE INDEX object_by_label ON object (label, seq) WHERE current = 1;
CREATE INDEX object_by_count ON object (label, type, originator, first_seq, added_at) WHERE current = 1;
CREATE INDEX object_by_type ON object (type);
CREATE INDEX object_by_version_at ON object (version_at);
CREATE INDEX object_by_spec_version ON object (spec_version) WHERE spec_version <> '2.1';

CREATE TABLE name (key INTEGER NOT NULL, object INTEGER NOT NULL, PRIMARY KEY (key, object)) STRICT, WITHOUT ROWID;
CREATE TABLE name_recent (key INTEGER NOT NULL, object INTEGER NOT NULL, PRIMARY KEY (key, object))
    STRICT, WITHOUT ROWID;
INSERT INTO name SELECT name_key(id) AS key, pk FROM object ORDER BY key, pk;

-- What comes in is counted by whoever stores it, once for all of a label (`store.objects`): to enter a trigger for each
-- object cost as much as an index.
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
CREATE TRIGGER object_revised AFTER UPDATE OF label, current ON object
WHEN OLD.label <> NEW.label OR OLD.current <> NEW.current BEGIN
    UPDATE feed SET generation = generation + 1 WHERE id IN (SELECT feed FROM release WHERE object = NEW.pk);
END;
