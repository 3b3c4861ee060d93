-- SPDX-License-Identifier: Apache-2.0
-- Which objects are by themselves labelled so: what is about a subject is found without looking at every object.
CREATE INDEX object_by_own_label ON object (own_label);
