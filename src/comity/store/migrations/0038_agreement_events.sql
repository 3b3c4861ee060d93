-- SPDX-License-Identifier: Apache-2.0
-- The entries that record events of agreements, a few among very many disclosures: whoever looks at one agreement need
-- not wait until the whole log is looked through. `store.log.read_events` asks in these very words.
CREATE INDEX log_entry_of_events ON log_entry (position) WHERE CAST(leaf AS TEXT) LIKE '%"type":"agreement-event"}';
