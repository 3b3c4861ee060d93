-- SPDX-License-Identifier: Apache-2.0
-- Grants of consent that this party sent (`sent` 1) and received, each under the name of its letter; what each is about
-- stands with the letter (`letter_object`). `state` is `good`, or how it ended.
CREATE TABLE consent_grant (
    letter TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    sent INTEGER NOT NULL,
    party TEXT NOT NULL,
    agreement TEXT NOT NULL,
    recipient TEXT NOT NULL,
    purpose TEXT NOT NULL,
    actions TEXT NOT NULL,
    conditions TEXT,
    expires_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    ended_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX consent_grant_good ON consent_grant (expires_at) WHERE state = 'good';
CREATE INDEX consent_grant_by_request ON consent_grant (request);
CREATE TRIGGER consent_grant_kept
BEFORE UPDATE OF letter, request, sent, party, agreement, recipient, purpose, actions, conditions, expires_at
ON consent_grant BEGIN SELECT RAISE(ABORT, 'grants are kept as they were sent and came'); END;
CREATE TRIGGER consent_grant_ended BEFORE UPDATE OF state ON consent_grant
WHEN NEW.state = 'good' OR OLD.state = 'revoked'
BEGIN SELECT RAISE(ABORT, 'a grant that ended is not good again'); END;
CREATE TRIGGER consent_grant_stays BEFORE DELETE ON consent_grant
BEGIN SELECT RAISE(ABORT, 'grants are kept'); END;
