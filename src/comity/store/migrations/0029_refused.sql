-- SPDX-License-Identifier: Apache-2.0
-- Why an object was refused is not kept: it quotes what stood there. The status goes on to say that it was.
UPDATE write_status SET body = CAST(json_set(CAST(body AS TEXT), '$.failures', json((
    SELECT json_group_array(json_array(json_extract(value, '$[0]'), json_extract(value, '$[1]')))
        FROM json_each(CAST(write_status.body AS TEXT), '$.failures')
))) AS BLOB);
