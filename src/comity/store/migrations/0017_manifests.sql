-- SPDX-License-Identifier: Apache-2.0
-- A manifest from before the one that was pinned can be what a text names: what was remembered without it is no more.
CREATE TRIGGER manifest_comes AFTER INSERT ON manifest BEGIN UPDATE change_count SET value = value + 1; END;
