-- SPDX-License-Identifier: Apache-2.0
-- What the first person brought to an act that waits for a second one: the bytes of a draft or of legal bases, as they
-- came. The second person reads these and no file of his own. They go with the last approval of the act.
CREATE TABLE brought (
    matter TEXT NOT NULL PRIMARY KEY,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER brought_goes AFTER DELETE ON approval
WHEN NOT EXISTS (SELECT 1 FROM approval WHERE matter = OLD.matter)
BEGIN DELETE FROM brought WHERE matter = OLD.matter; END;
