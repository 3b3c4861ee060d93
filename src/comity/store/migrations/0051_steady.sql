-- SPDX-License-Identifier: Apache-2.0
-- Whether an object has been there whole, for whoever polled, ever since its time of release: then another label does not
-- move it in the feed. Of what was released before it is not known, and the next label moves it once more.
ALTER TABLE release ADD COLUMN steady INTEGER NOT NULL DEFAULT 0;

-- Up to which place in the order of commit it was looked for what left: as far as the end, also where a feed catches up by parts.
ALTER TABLE feed ADD COLUMN checked INTEGER NOT NULL DEFAULT 0;
