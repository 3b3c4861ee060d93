-- SPDX-License-Identifier: Apache-2.0
-- Marks by which an old disclosure to a party is found in the log: that of the number `sequence` is at `position` or a
-- little before it, in the act that put it on record. A party gets its next mark when the log has grown by 1,024
-- entries since its last one, so that between two of them there is never more to look through.
CREATE TABLE disclosure_mark (
    party TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (party, sequence)
) STRICT, WITHOUT ROWID;
INSERT INTO disclosure_mark
    SELECT json_extract(CAST(leaf AS TEXT), '$.recipient'), json_extract(CAST(leaf AS TEXT), '$.sequence'), position
        FROM log_entry WHERE instr(leaf, CAST('"type":"disclosure"}' AS BLOB)) > 0;
CREATE TRIGGER disclosure_first AFTER INSERT ON recipient_sequence BEGIN
    INSERT INTO disclosure_mark SELECT NEW.party, NEW.last, COALESCE(MAX(position), 0) FROM log_entry;
END;
CREATE TRIGGER disclosure_later AFTER UPDATE OF last ON recipient_sequence
WHEN (SELECT MAX(position) FROM log_entry) - 1024
    >= (SELECT position FROM disclosure_mark WHERE party = NEW.party ORDER BY sequence DESC LIMIT 1)
BEGIN
    INSERT INTO disclosure_mark SELECT NEW.party, NEW.last, COALESCE(MAX(position), 0) FROM log_entry;
END;

-- Receipts that partners gave for what they disclosed to this party, each verified before it was kept, without the terms,
-- which this party holds. `arrived` is 0 where the page itself never came: the giver's log has it as disclosed.
CREATE TABLE receipt (
    giver TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    terms TEXT NOT NULL,
    at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    arrived INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (giver, sequence)
) STRICT;
CREATE TRIGGER receipt_kept BEFORE UPDATE OF giver, sequence, terms, at, data ON receipt
BEGIN SELECT RAISE(ABORT, 'receipts are kept as they came'); END;

-- The largest checkpoint that was seen of each partner's log, as it was signed.
CREATE TABLE seen_checkpoint (
    party TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    checkpoint BLOB NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- By which disclosure of its giver an object first came, where there was a receipt.
ALTER TABLE arrival ADD COLUMN receipt INTEGER;

-- What a partner sent and this node refused, with the bytes to show it by.
CREATE TABLE refused_page (
    position INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    giver TEXT NOT NULL,
    terms TEXT NOT NULL,
    channel TEXT NOT NULL,
    part TEXT NOT NULL,
    reason TEXT NOT NULL,
    page BLOB NOT NULL,
    receipt BLOB NOT NULL,
    proof BLOB NOT NULL
) STRICT;
CREATE INDEX refused_page_by_giver ON refused_page (giver, part, position);

-- The last acknowledgement to each partner (`sent` 1) and of each partner: up to which number disclosures are known.
-- `taken_at` is when the partner took it; NULL: it has to be sent again.
CREATE TABLE acknowledgement (
    party TEXT NOT NULL,
    sent INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    taken_at INTEGER,
    envelope BLOB NOT NULL,
    PRIMARY KEY (party, sent)
) STRICT, WITHOUT ROWID;
