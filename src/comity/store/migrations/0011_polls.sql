-- SPDX-License-Identifier: Apache-2.0
-- Who may come in is remembered under the count of changes: a credential that is made or ends is one.
CREATE TRIGGER credential_known AFTER INSERT ON credential BEGIN UPDATE change_count SET value = value + 1; END;
CREATE TRIGGER credential_done AFTER UPDATE OF revoked_at, expires_at ON credential
BEGIN UPDATE change_count SET value = value + 1; END;

-- So is a version of terms, which comes before the first event on it.
CREATE TRIGGER terms_come AFTER INSERT ON terms BEGIN UPDATE change_count SET value = value + 1; END;

-- Objects asked for by what few have are found by it, however long the feed is.
CREATE INDEX object_by_type ON object (type);
CREATE INDEX object_by_version_at ON object (version_at);
CREATE INDEX object_by_spec_version ON object (spec_version) WHERE spec_version <> '2.1';
