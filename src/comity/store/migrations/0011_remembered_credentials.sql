-- SPDX-License-Identifier: Apache-2.0
-- Who may come in is remembered under the count of changes: a credential that is made or ends is one.
CREATE TRIGGER credential_known AFTER INSERT ON credential BEGIN UPDATE change_count SET value = value + 1; END;
CREATE TRIGGER credential_done AFTER UPDATE OF revoked_at, expires_at ON credential
BEGIN UPDATE change_count SET value = value + 1; END;
