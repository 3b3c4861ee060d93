# SPDX-License-Identifier: Apache-2.0
r"""Pure: the organisations and groups that a node knows, by their names and aliases.

    known = parse_gazetteer(b'[[known]]\nid = "national:rimward-front"\\nname = "Rimward Front"\n…', rules=rules)
    known = parse_gazetteer(b'[[known]]\nid = "national:rimward-front"\nname = "Rimward Front"\n…', rules=rules)
An alias of good quality counts by itself. One of low quality ("the Front") counts only in an article that names the
same organisation by its name or a good alias too, and never alone. A religion or an ethnic group is no organisation: an
entry whose name is nothing but words for one, with places and small words beside, is refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from comity.agreement.drafting import parse_toml
from comity.canonical import Json
from comity.errors import MalformedRequest, MalformedTerms
from comity.ids import ObjectId, is_object_id
from comity.intake.article.rules import Rules
from comity.intake.article.words import Lexicon, Phrase, Sense, make_lexicon

__all__ = ["EMPTY", "Gazetteer", "Known", "make_gazetteer", "parse_gazetteer"]

_KINDS: Final = ("identity", "intrusion-set", "threat-actor")
_PLACES: Final = frozenset({"state", "adjective", "capital", "region"})
_GUARDED: Final = frozenset({"safeguard"})
_FIELDS: Final = {"id", "name", "kind", "object", "good", "low"}
_ID = re.compile(r"[a-z][a-z0-9-]{0,31}:[!-~]{1,255}", re.ASCII)
_MAX_KNOWN = 50_000
_MAX_ALIASES = 100
_MAX_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One organisation: `object` is its STIX object where the node holds one; otherwise a draft is made of `kind`."""

    id: str
    name: str
    kind: str = "identity"
    object: ObjectId | None = None
    good: tuple[str, ...] = ()
    low: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gazetteer:
    """What is known, by id, and the phrases to find it by."""

    known: Mapping[str, Known]
    lexicon: Lexicon


def parse_gazetteer(data: bytes, *, rules: Rules) -> Gazetteer:
    """The gazetteer that a TOML file of [[known]] tables is.

    Raises:
        MalformedRequest: not such a file, an id twice, or an entry that would select people by religion or ethnicity.
    """
    try:
        _, value = parse_toml(data)
    except MalformedTerms as error:
        raise MalformedRequest(f"gazetteer: {error.detail}", where=error.where) from error
    listed = value.get("known") if isinstance(value, dict) and value.keys() <= {"known"} else None
    if listed is None and value == {}:
        listed = []
    if not isinstance(listed, list):
        raise MalformedRequest("gazetteer: give a list of [[known]] tables and nothing beside", where="/known")
    return make_gazetteer([_read_known(item, f"/known/{index}") for index, item in enumerate(listed)], rules=rules)


def make_gazetteer(entries: list[Known], *, rules: Rules) -> Gazetteer:
    """The gazetteer of these entries, each held against the safeguards.

    Raises:
        MalformedRequest: an id twice, too many entries, or an entry that would select people by religion or ethnicity.
    """
    if len(entries) > _MAX_KNOWN:
        raise MalformedRequest(f"gazetteer: {len(entries)} entries where at most {_MAX_KNOWN} are read", where="/known")
    known = dict[str, Known]()
    for index, entry in enumerate(entries):
        if entry.id in known:
            raise MalformedRequest(
                f"gazetteer: {entry.id[:80]!r} is there twice; join the two", where=f"/known/{index}/id"
            )
        known[entry.id] = entry
        for name in (entry.name, *entry.good, *entry.low):
            _check_name(name, rules, f"/known/{index}")
    return Gazetteer(known=known, lexicon=make_lexicon(_list_phrases(known)))


def _list_phrases(known: Mapping[str, Known]) -> Iterator[Phrase | None]:
    for entry in known.values():
        for name in (entry.name, *entry.good):
            yield Phrase.of(name, Sense("known", entry.id, "name" if name == entry.name else "good-alias"))
        for name in entry.low:
            yield Phrase.of(name, Sense("known", entry.id, "low-alias"))


def _check_name(name: str, rules: Rules, where: str) -> None:
    """Refuse what is no name of an organisation but words for people of a religion or an ethnic group."""
    phrase = Phrase.of(name, Sense("known", ""))
    if phrase is None:
        raise MalformedRequest(f"gazetteer: {name[:80]!r} holds no word", where=where)
    words, at, found = phrase.words, 0, set[str]()
    while at < len(words):
        place = _find_phrase(words, at, rules, kinds=_PLACES)
        guarded = _find_phrase(words, at, rules, kinds=_GUARDED)
        if guarded is not None and (place is None or len(guarded.words) >= len(place.words)):
            found.add(guarded.sense.value)
            at += len(guarded.words)
        elif place is not None:
            at += len(place.words)
        elif words[at] in rules.people or words[at].isdigit():
            at += 1
        else:
            return
    if found:
        raise MalformedRequest(
            f"gazetteer: {name[:80]!r} is no organisation: it names people by {' and '.join(sorted(found))}, and "
            "nobody is selected by that; give the name of the group that is listed, or leave the entry out",
            where=where,
        )


def _find_phrase(words: tuple[str, ...], at: int, rules: Rules, *, kinds: frozenset[str]) -> Phrase | None:
    """The longest phrase of these kinds that begins at a word."""
    entry = rules.lexicon.get(words[at])
    for phrase in entry.list_all() if entry is not None else ():
        if phrase.sense.kind in kinds and words[at:][: len(phrase.words)] == phrase.words:
            return phrase
    return None


def _read_known(value: Json, where: str) -> Known:
    if not isinstance(value, dict):
        raise MalformedRequest("gazetteer: an entry is a table of fields", where=where)
    if unknown := value.keys() - _FIELDS:
        raise MalformedRequest(
            f"gazetteer: an entry has no field {min(unknown)[:40]!r}; use {', '.join(sorted(_FIELDS))}", where=where
        )
    entry_id, name, kind = _text(value, "id", where), _text(value, "name", where), value.get("kind", "identity")
    if _ID.fullmatch(entry_id) is None:
        raise MalformedRequest(
            f'gazetteer: {entry_id[:80]!r} is no id; give scheme:id ("unsc:QDe.901")', where=f"{where}/id"
        )
    if kind not in _KINDS:
        raise MalformedRequest(f"gazetteer: kind is one of {', '.join(_KINDS)}", where=f"{where}/kind")
    named = value.get("object")
    if named is not None and not (isinstance(named, str) and is_object_id(named) and named.startswith(f"{kind}--")):
        raise MalformedRequest(f"gazetteer: object is not the STIX id of a {kind}", where=f"{where}/object")
    return Known(
        id=entry_id,
        name=name,
        kind=str(kind),
        object=None if named is None else ObjectId(str(named)),
        good=_texts(value, "good", where),
        low=_texts(value, "low", where),
    )


def _text(value: Mapping[str, Json], field: str, where: str) -> str:
    text = value.get(field)
    if not isinstance(text, str) or not 0 < len(text) <= _MAX_NAME:
        raise MalformedRequest(f"gazetteer: {field} is a text of 1 to {_MAX_NAME} characters", where=f"{where}/{field}")
    return text


def _texts(value: Mapping[str, Json], field: str, where: str) -> tuple[str, ...]:
    listed = value.get(field, [])
    if not isinstance(listed, list) or len(listed) > _MAX_ALIASES:
        raise MalformedRequest(
            f"gazetteer: {field} is a list of at most {_MAX_ALIASES} names", where=f"{where}/{field}"
        )
    return tuple(_text({field: one}, field, where) for one in listed)


EMPTY: Final = Gazetteer(known={}, lexicon={})
"""Of a node that knows no organisation."""
