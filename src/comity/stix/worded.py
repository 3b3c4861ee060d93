# SPDX-License-Identifier: Apache-2.0
"""Pure: a label with what people say of the object besides: words, safeguards, whom it may reach.

Of an object of this party such words can let it go; of what another party gave they can only keep it back.
"""

from collections.abc import Set as AbstractSet
from dataclasses import replace

from comity.ids import PartyId
from comity.stix.labels import OVERFULL, UNSPECIFIED, Label, intersect_audiences, is_overfull
from comity.stix.markings import TLP_ORDER, GranularMarking, tlp_rank
from comity.stix.tags import Tags, join_tags

__all__ = [
    "add_safeguarded",
    "classify_own",
    "classify_received",
    "find_said",
    "narrow_to",
    "tighten",
    "unite_granular",
]

_Groups = AbstractSet[frozenset[str]]


def narrow_to(label: Label, parties: frozenset[PartyId] | None) -> Label:
    """The label with an audience of nobody but `parties`; None narrows nothing."""
    if parties is None or label == OVERFULL:
        return label
    narrow = replace(label, audience=intersect_audiences(label.audience, parties))
    return OVERFULL if is_overfull(narrow) else narrow


def tighten(label: Label, stricter: Label) -> Label:
    """The label with every restriction of another one of the same version, and nothing that could let it go.

    One on which nothing is marked says nothing of how far the object may travel.
    """
    marked = tlp_rank(label.tlp) < tlp_rank(stricter.tlp) and stricter.tlp != TLP_ORDER[-1]
    made = replace(
        label,
        tlp=stricter.tlp if marked else label.tlp,
        markings=label.markings | stricter.markings,
        person_classes=label.person_classes | stricter.person_classes,
        special_categories=label.special_categories | stricter.special_categories,
        handling=label.handling | stricter.handling,
        audience=intersect_audiences(label.audience, stricter.audience),
        excluded_frameworks=label.excluded_frameworks | stricter.excluded_frameworks,
        granular=unite_granular(label, stricter),
    )
    return OVERFULL if label == OVERFULL or is_overfull(made) else made


def find_said(label: Label) -> Tags:
    """What is said of the one object whose own label this is, with no tags of this party beside it.

    Where several say something of it (`stix.labels.restate`), what each of them says: terms that admit this admit each.
    """
    return Tags(
        subjects=_find_common(label.subjects),
        regions=_find_common(label.regions),
        kinds=frozenset() if UNSPECIFIED in label.kinds else label.kinds,
        person_classes=label.person_classes,
        special_categories=label.special_categories,
        handling=label.handling,
    )


def classify_own(label: Label, said: Tags, tags: Tags) -> Label:
    """The label of an object of this party of which `said` is said, and `tags` by this party's people or rules.

    Of `label` all else stays: markings, TLP, audience.
    """
    both = join_tags(said, tags)
    return _with_words(label, both, {both.subjects}, {both.regions}, both.kinds or {UNSPECIFIED})


def classify_received(label: Label, said: Tags, tags: Tags) -> Label:
    """The label of an object of another party, of which its giver says `said` and this party `tags`.

    Held against terms, what this party says is another object's that this one refers to: terms must admit both. So
    nothing that is said here admits it anywhere it was not admitted (MONOTONE).
    """
    subjects = {said.subjects} | ({tags.subjects} if tags.subjects else set())
    regions = {said.regions} | ({tags.regions} if tags.regions else set())
    return _with_words(label, join_tags(said, tags), subjects, regions, (said.kinds or {UNSPECIFIED}) | tags.kinds)


def unite_granular(one: Label, other: Label) -> tuple[GranularMarking, ...]:
    """The marks on the properties of either label, of two on one property the stricter."""
    marks: dict[str, GranularMarking] = {}
    for mark in (*one.granular, *other.granular):
        known = marks.get(mark.property, mark)
        tlp = max(mark.tlp, known.tlp, key=tlp_rank)
        marks[mark.property] = GranularMarking(property=mark.property, tlp=tlp, repeats=mark.repeats and known.repeats)
    return tuple(sorted(marks.values()))


def add_safeguarded(label: Label, categories: frozenset[str], classes: frozenset[str]) -> Label:
    """The label with these special categories and person classes besides; they only ever keep an object back."""
    made = replace(
        label,
        special_categories=label.special_categories | categories,
        person_classes=label.person_classes | classes,
    )
    return OVERFULL if label == OVERFULL or is_overfull(made) else made


def _find_common(groups: _Groups) -> frozenset[str]:
    return frozenset[str].intersection(*groups) if groups else frozenset()


def _with_words(label: Label, tags: Tags, subjects: _Groups, regions: _Groups, kinds: AbstractSet[str]) -> Label:
    if label == OVERFULL:
        return label
    made = replace(
        label,
        subjects=frozenset(subjects),
        regions=frozenset(regions),
        kinds=frozenset(kinds),
        person_classes=tags.person_classes,
        special_categories=tags.special_categories,
        handling=tags.handling,
    )
    return OVERFULL if is_overfull(made) else made
