-- SPDX-License-Identifier: Apache-2.0
-- The hashes of the last leaves of a log, which fill no tile yet, follow from these leaves and are kept no more.
DELETE FROM log_tile WHERE level = 0 AND length(hashes) < 8192;
