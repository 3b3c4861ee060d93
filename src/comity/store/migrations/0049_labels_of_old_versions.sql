-- SPDX-License-Identifier: Apache-2.0
-- Which versions that are no longer current have a label: with the indexes on the others, a label that no object has any
-- more is found without looking at every object.
CREATE INDEX object_by_label_before ON object (label) WHERE current = 0;
