-- SPDX-License-Identifier: Apache-2.0
-- Versions that a partner gave and that were not kept, since they clash with what is held or was deleted: what it hears
-- when it recalls one is what it would hear of one that was. The first bytes of each version count, as no others would
-- have been kept. Of what clashed before nothing is known here.
CREATE TABLE clashed (
    id TEXT NOT NULL,
    version_at INTEGER NOT NULL,
    giver TEXT NOT NULL,
    terms TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (id, version_at, giver, terms)
) STRICT, WITHOUT ROWID;

-- 1: nothing is done about it, since what is held is not what its sender gave; only what its sender hears follows from
-- the letter.
ALTER TABLE recall_result ADD COLUMN spared INTEGER NOT NULL DEFAULT 0;
CREATE INDEX recall_spared ON recall_result (letter) WHERE spared;
CREATE INDEX recall_undecided ON recall_result (letter) WHERE settled_at IS NULL AND spared = 0;
