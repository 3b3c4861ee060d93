# SPDX-License-Identifier: Apache-2.0
"""Shell: objects of this party that its people made here, taken in with the act of whoever made them."""

from collections.abc import Mapping
from dataclasses import replace

from comity.classification.safeguards import Sensitive
from comity.node.audiences import NO_AUDIENCES, Audiences
from comity.node.ingest import Intake, join_intakes, take_part
from comity.node.node import Act
from comity.node.parts import Parts
from comity.node.reading import read_in_steps
from comity.node.steps import finish
from comity.release.receiving import make_unrestricted
from comity.stix.labels import Tags, make_tags
from comity.stix.objects import BundleReading
from comity.store.objects import Holding

__all__ = ["NO_TAGS", "take_own"]

NO_TAGS = make_tags()
"""Nothing is said of objects but what they say of themselves."""


def take_own(
    act: Act,
    data: bytes,
    *,
    tags: Tags = NO_TAGS,
    audiences: Audiences = NO_AUDIENCES,
    found: Mapping[int, frozenset[str]] | None = None,
) -> Intake:
    """One object of this party, or few, taken in with the act of whoever made it; `tags` are said of all of them.

    `found` are special categories that prose of an object may hold, by its place: they count as those of fields do.

    Raises:
        MalformedJson, MalformedObject: it cannot be read.
    """
    read = finish(read_in_steps(BundleReading(data), looks_at=act.now))
    read = replace(read, sensitive=_join_found(read.sensitive, found or {}))
    holding = Holding(originator=act.party, received_under=None, added_at=act.now)
    unrestricted = make_unrestricted(act.party)
    taken = take_part(
        act,
        Parts(read, most=None),
        holding=holding,
        tags=tags,
        restrictions=unrestricted,
        audiences=audiences,
    )
    return join_intakes([taken], read.checked.bad)


def _join_found(fields: Mapping[int, Sensitive], prose: Mapping[int, frozenset[str]]) -> dict[int, Sensitive]:
    nothing = Sensitive(special_categories=frozenset(), minor=False, places=())
    known = {place: fields.get(place, nothing) for place in prose}
    return {
        **fields,
        **{
            place: replace(said, special_categories=said.special_categories | prose[place])
            for place, said in known.items()
        },
    }
