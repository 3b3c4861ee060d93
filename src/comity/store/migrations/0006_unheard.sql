-- SPDX-License-Identifier: Apache-2.0
-- Messages on an agreement by who is no party of it as far as this node knows. They count for nothing, and are heard
-- once a version that names the sender has come from a party.
CREATE TABLE unheard (
    position INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    agreement TEXT NOT NULL,
    party TEXT NOT NULL,
    envelope BLOB NOT NULL,
    recorded_at INTEGER NOT NULL
) STRICT;
CREATE INDEX unheard_by_agreement ON unheard (agreement, party, position);
CREATE INDEX unheard_by_party ON unheard (party, agreement);
CREATE INDEX event_by_party ON event (party, agreement);

-- The event that a message in the outbox carries: whether it was sent is asked by its digest.
ALTER TABLE outbox ADD COLUMN event TEXT;
UPDATE outbox SET event = (SELECT digest FROM event WHERE event.envelope = outbox.envelope);
CREATE INDEX outbox_by_event ON outbox (event, party);
