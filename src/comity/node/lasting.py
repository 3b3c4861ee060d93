# SPDX-License-Identifier: Apache-2.0
"""Shell: words that keep an object of this party back last: a later version without them has them all the same.

What a version says of itself, or its file says, or what is found in its fields, holds for that version. A special
category, a class of persons or a handling code that the next version does not say would be lost by whoever writes it,
without anybody having decided so. It is said of the object from there on as people's words are (`store.tags`), with
`EARLIER` in the place of a person, until people take it back (`node.classify`): a safeguard takes two.

Versions may come in any order. Words that only let an object go hold for their own version, as before. A subject lets
an object go, and keeps it back once it is in question: then it does so for all versions (`node.tagging`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from comity.ids import Instant, ObjectId, PartyId
from comity.node.tagging import find_plain, settle
from comity.stix.labels import Label
from comity.stix.objects import StixObject
from comity.stix.tags import Tags
from comity.stix.worded import find_said
from comity.store import Transaction, subjects, tags
from comity.store.objects import StoredObject
from comity.store.tags import StoredTag

__all__ = ["EARLIER", "KEEP_BACK", "keep_words_back"]

EARLIER: Final = "an earlier version"
"""Who says a word that an earlier version of the object said."""

KEEP_BACK: Final = ("special_categories", "person_classes", "handling")
"""Fields in which every word can only keep an object back: terms must admit all of them."""

_Word = tuple[str, str]
_Said = tuple[Instant, str, frozenset[_Word]]
"""A version: its time, its text, and the words in it that keep back."""


def keep_words_back(
    transaction: Transaction,
    added: Sequence[tuple[StixObject, Label]],
    held: Mapping[ObjectId, Sequence[StoredObject]],
    own: PartyId,
    *,
    now: Instant,
) -> None:
    """Say of each object what earlier versions say and the newest does not; labels follow.

    `added` are the versions of this party's own that came in by this act, each with its own label without what is said
    of it here besides; `held` are those that were there before, in the order of their times.
    """
    came: dict[ObjectId, list[tuple[StixObject, Label]]] = {}
    for item, label in added:
        came.setdefault(item.id, []).append((item, label))
    several = {name: versions for name, versions in came.items() if name in held or len(versions) > 1}
    lost = [*_find_lost(transaction, several, held, now=now)] if several else []
    if lost:
        tags.add_tags(transaction, lost)
    # Of versions that come together one can be about a subject in question, and another not say so.
    asks = several and subjects.read_questioned(transaction)
    if lost or asks:
        settle(transaction, several.keys() if asks else {tag.object for tag in lost}, own)


def _find_lost(
    transaction: Transaction,
    came: Mapping[ObjectId, Sequence[tuple[StixObject, Label]]],
    held: Mapping[ObjectId, Sequence[StoredObject]],
    *,
    now: Instant,
) -> Iterator[StoredTag]:
    newest = {name: held[name][-1] for name in came if name in held}
    plain = find_plain(transaction, newest.values())
    good = tags.read_good(transaction, came.keys())
    for name, versions in came.items():
        said = [(item.version_at, item.version, _choose(find_said(label))) for item, label in versions]
        if (before := newest.get(name)) is not None:
            said.append((before.version_at, before.version, _choose(plain[before.pk])))
        known = {(tag.field, tag.word) for tag in good.get(name, ()) if tag.rules is None}
        for (field, word), version in sorted(_list_lost(said).items()):
            if (field, word) not in known:
                yield _make_tag(name, field, word, version, now=now)


def _list_lost(said: Sequence[_Said]) -> dict[_Word, str]:
    """The words that earlier versions say and the newest does not, each with the last version that says it."""
    *earlier, newest = sorted(said, key=lambda one: one[0])
    return {word: version for _, version, words in earlier for word in words - newest[2]}


def _choose(said: Tags) -> frozenset[_Word]:
    return frozenset((field, word) for field in KEEP_BACK for word in getattr(said, field))


def _make_tag(name: ObjectId, field: str, word: str, version: str, *, now: Instant) -> StoredTag:
    return StoredTag(
        key=0,
        object=name,
        field=field,
        word=word,
        list=None,
        version=None,
        person=EARLIER,
        rules=None,
        said_at=now,
        reason=f"said of its version {version}, and not of the newest; take it back if it is wrong",
    )
