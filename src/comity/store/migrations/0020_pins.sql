-- SPDX-License-Identifier: Apache-2.0
-- Manifests of a party that were pinned before people pinned it anew, by a manifest that does not follow from them. The
-- chain in force is in `manifest`; `pin` counts from 0, and `entry` is the log entry that says why it ended.
CREATE TABLE manifest_before (
    party TEXT NOT NULL,
    pin INTEGER NOT NULL,
    version INTEGER NOT NULL,
    digest TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    entry INTEGER NOT NULL,
    PRIMARY KEY (party, pin, version)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER manifest_before_stays BEFORE DELETE ON manifest_before
BEGIN SELECT RAISE(ABORT, 'what was pinned before is kept'); END;

-- Disclosures of a giver, from number `first` through `through`, that people let stand without receipts: `entry` says why.
CREATE TABLE receipt_waiver (
    giver TEXT NOT NULL,
    through INTEGER NOT NULL,
    first INTEGER NOT NULL,
    at INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    PRIMARY KEY (giver, through)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER receipt_waiver_stays BEFORE DELETE ON receipt_waiver
BEGIN SELECT RAISE(ABORT, 'what people accepted is kept'); END;

-- Of a receipt its place in the giver's log can be kept alone, when people purge what it lists.
DROP TRIGGER receipt_kept;
CREATE TRIGGER receipt_kept BEFORE UPDATE OF giver, sequence, terms, at ON receipt
BEGIN SELECT RAISE(ABORT, 'receipts are kept as they came'); END;
CREATE TRIGGER receipt_shortened BEFORE UPDATE OF data ON receipt
WHEN instr(NEW.data, CAST('"format":"comity-receipt-place/1"' AS BLOB)) = 0 OR length(NEW.data) >= length(OLD.data)
BEGIN SELECT RAISE(ABORT, 'receipts are kept as they came'); END;
