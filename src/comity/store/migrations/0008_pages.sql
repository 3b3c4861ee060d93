-- SPDX-License-Identifier: Apache-2.0
-- The list of objects in the content of a disclosure, once for all disclosures of that very list. Such a content is
-- `content`, the list, and "]}".
CREATE TABLE log_listing (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, data BLOB NOT NULL) STRICT;
ALTER TABLE log_opening ADD COLUMN listing INTEGER;

-- What was read of a feed can be remembered under its generation: it rises when something that was released before is
-- released no longer, or not at that place, or by another label. What is added at the end leaves it.
ALTER TABLE feed ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER release_gone AFTER DELETE ON release BEGIN
    UPDATE feed SET generation = generation + 1 WHERE id = OLD.feed;
END;
CREATE TRIGGER object_revised AFTER UPDATE OF label, current ON object
WHEN OLD.label <> NEW.label OR OLD.current <> NEW.current BEGIN
    UPDATE feed SET generation = generation + 1 WHERE id IN (SELECT feed FROM release WHERE object = NEW.pk);
END;

-- What was computed from agreements, manifests and labels can be remembered under this count of their changes.
CREATE TABLE change_count (value INTEGER NOT NULL) STRICT;
INSERT INTO change_count VALUES (0);
CREATE TRIGGER event_changes AFTER INSERT ON event BEGIN UPDATE change_count SET value = value + 1; END;
CREATE TRIGGER party_changes AFTER INSERT ON party BEGIN UPDATE change_count SET value = value + 1; END;
CREATE TRIGGER party_follows AFTER UPDATE ON party BEGIN UPDATE change_count SET value = value + 1; END;
CREATE TRIGGER label_goes AFTER DELETE ON label BEGIN UPDATE change_count SET value = value + 1; END;
