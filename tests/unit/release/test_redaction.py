# SPDX-License-Identifier: Apache-2.0
"""What a redaction leaves: nothing outside the clause, everything else as it was."""

import json

from hypothesis import given
from hypothesis import strategies as st

from comity.release.redaction import redact

NAMES = st.sampled_from(["name", "description", "labels", "aliases", "x_note"])
values = st.dictionaries(NAMES, st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=3))


def test_the_property_and_the_markings_on_it_are_gone_and_the_others_stay() -> None:
    value = {
        "type": "report",
        "name": "Ünder the bridge",
        "description": "secret",
        "labels": ["a", "b"],
        "granular_markings": [
            {"marking_ref": "m1", "selectors": ["description", "name"]},
            {"marking_ref": "m2", "selectors": ["labels.[1]"]},
            {"marking_ref": "m3", "selectors": ["labels.[0]", "description"]},
        ],
    }
    left = json.loads(redact(json.dumps(value).encode(), frozenset({"description", "labels"})))
    assert left == {
        "type": "report",
        "name": "Ünder the bridge",
        "granular_markings": [{"marking_ref": "m1", "selectors": ["name"]}],
    }


def test_no_shape_of_what_was_removed_stays() -> None:
    value = {"description": "x", "granular_markings": [{"marking_ref": "m", "selectors": ["description"]}]}
    assert redact(json.dumps(value).encode(), frozenset({"description"})) == b"{}"


@given(values, st.frozensets(NAMES))
def test_twice_is_once_and_order_is_kept(value: dict[str, object], names: frozenset[str]) -> None:
    once = redact(json.dumps(value).encode(), names)
    assert redact(once, names) == once
    assert list(json.loads(once)) == [name for name in value if name not in names]
    assert all(json.loads(once)[name] == value[name] for name in json.loads(once))
