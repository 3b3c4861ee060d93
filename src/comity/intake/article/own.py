# SPDX-License-Identifier: Apache-2.0
"""Pure: a party's own rules for articles, laid over those that come with the program, and rules written out again.

    own = parse_own_rules(data, below=join_tables(read_tables()))
    own.tables                    the sections in force
    format_tables(own.tables)     the same as TOML, which `parse_tables` reads again

A file of own rules has sections as the files of the program have them: a key in one takes the place of the same key.
Under `add` are texts that come to a list; under `remove` those that are taken out of it, where a key with an empty list
is taken out whole. `remove.known` are ids of organisations that are not looked for.

Words for a religion or an ethnic group can be added and never taken out; and nobody is to be found by one, so that no
office may have it, and no place or body be called by it alone.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from comity.agreement.drafting import parse_toml
from comity.canonical import Json, sha256_digest
from comity.errors import MalformedRequest, MalformedTerms
from comity.ids import Digest
from comity.intake.article.rules import Tables, check_tables, join_tables
from comity.intake.article.words import fold, split_words

__all__ = ["OwnRules", "format_tables", "parse_own_rules"]

_GUARDS: Final = ("safeguards", "people")
_OFFICES: Final = ("offices", "departments")
_NAMED: Final = ("names", "aliases", "traps", "regions", "bodies")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_WIDTH: Final = 100
_MOST_KNOWN: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRules:
    """The rules in force under a file of own ones; `digest` is the SHA-256 of the file, `no_known` are ids."""

    digest: Digest
    tables: Tables
    no_known: frozenset[str]


def parse_own_rules(data: bytes, *, below: Tables) -> OwnRules:
    """The rules in force where that file lies over the rules `below`.

    Raises:
        MalformedRequest: not such a file, with the place; or one that would loosen what guards people, or find them by
            religion or ethnicity.
    """
    try:
        _, value = parse_toml(data)
    except MalformedTerms as error:
        raise MalformedRequest(f"own rules for articles: {error.detail}", where=error.where) from error
    if not isinstance(value, dict):  # a document of TOML is a table
        raise MalformedRequest("own rules for articles: not a table of sections")
    parts = {name: _take_table(value, name) for name in ("add", "remove")}
    no_known = _take_known(parts["remove"])
    for part in (value, *parts.values()):
        check_tables(part)
    for section in _GUARDS:
        if section in value or section in parts["remove"]:
            raise MalformedRequest(
                f"own rules for articles: words of {section!r} can be added, by [add.{section}], and never taken out:"
                " they guard people from being found by religion or ethnicity",
                where=f"/{section}",
            )
    guards = [*_iterate_texts(below.get("safeguards")), *_iterate_texts(parts["add"].get("safeguards"))]
    for part in (value, parts["add"]):
        _check_words(part, below, guards)
    tables = dict(join_tables([below, value]))
    _add(tables, parts["add"], "/add")
    _remove(tables, parts["remove"], "/remove")
    return OwnRules(digest=sha256_digest(data), tables=tables, no_known=no_known)


def _take_table(value: dict[str, Json], name: str) -> dict[str, Json]:
    found = value.pop(name, {})
    if not isinstance(found, dict):
        raise MalformedRequest(f"own rules for articles: {name!r} is a table of sections", where=f"/{name}")
    return found


def _take_known(remove: dict[str, Json]) -> frozenset[str]:
    listed = remove.pop("known", [])
    if not isinstance(listed, list) or len(listed) > _MOST_KNOWN or not all(isinstance(one, str) for one in listed):
        raise MalformedRequest(
            f"own rules for articles: known is a list of at most {_MOST_KNOWN} ids of organisations, as scheme:id",
            where="/remove/known",
        )
    return frozenset(map(str, listed))


# --- guarding ---------------------------------------------------------------------------------------------------------


def _check_words(part: Tables, below: Tables, guards: Sequence[str]) -> None:
    guarded = {" ".join(_split(text)) for text in guards}
    several = [phrase for phrase in guarded if " " in phrase]
    beside = {word for text in _iterate_texts(below.get("people")) for word in _split(text)}
    for section in (*_OFFICES, *_NAMED):
        for text in _iterate_texts(part.get(section), keys=section in _OFFICES or section == "bodies"):
            line = f" {' '.join(_split(text))} "
            found = [phrase for phrase in several if f" {phrase} " in line]
            for phrase in found:
                line = line.replace(f" {phrase} ", " ")
            words = line.split()
            found += [word for word in words if word in guarded]
            alone = all(word in guarded or word in beside for word in words)
            if found and (section in _OFFICES or alone):
                raise MalformedRequest(
                    f"own rules for articles: {text[:80]!r} in {section!r} would find people by {found[0]!r}, and"
                    " nobody is found by religion or ethnicity; leave it out",
                    where=f"/{section}",
                )


def _split(text: str) -> Sequence[str]:
    return split_words(text).values


def _iterate_texts(value: Json, *, keys: bool = False) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            yield from (one for one in value if isinstance(one, str))
        case dict():
            for key, item in value.items():
                yield from (key,) if keys else ()
                yield from _iterate_texts(item, keys=keys)
        case _:
            return


# --- laying over ------------------------------------------------------------------------------------------------------


def _add(below: dict[str, Json], above: Mapping[str, Json], where: str) -> None:
    for key, item in above.items():
        old, place = below.get(key), f"{where}/{key[:40]}"
        if old is None or not isinstance(item, dict | list):
            below[key] = item
        elif isinstance(item, list) and not isinstance(old, dict):
            kept = list[Json](old) if isinstance(old, list) else [old]
            below[key] = [*kept, *(one for one in item if one not in kept)]
        elif isinstance(item, dict) and isinstance(old, dict):
            inner = dict(old)
            below[key] = inner
            _add(inner, item, place)
        else:
            raise _refuse_shape(place)


def _remove(below: dict[str, Json], above: Mapping[str, Json], where: str) -> None:
    for key, item in above.items():
        old, place = below.get(key), f"{where}/{key[:40]}"
        if old is None:
            raise MalformedRequest(
                f"own rules for articles: {place} takes out what no rule has; `article rules` shows what there is",
                where=place,
            )
        if item == []:
            del below[key]
        elif isinstance(item, list) and isinstance(old, list):
            below[key] = _take_out(old, [str(one) for one in item], place)
        elif isinstance(item, dict) and isinstance(old, dict):
            inner = dict(old)
            below[key] = inner
            _remove(inner, item, place)
        else:
            raise _refuse_shape(place)


def _refuse_shape(place: str) -> MalformedRequest:
    return MalformedRequest(
        f"own rules for articles: {place} is not of the shape that the rules have there; `article rules` shows it",
        where=place,
    )


def _take_out(old: Sequence[Json], gone: Sequence[str], place: str) -> list[Json]:
    folded = {fold(str(one)) for one in old}
    for one in gone:
        if fold(one) not in folded:
            raise MalformedRequest(
                f"own rules for articles: {place} takes out {one[:80]!r}, which is not there; `article rules`"
                " shows what is",
                where=place,
            )
    wanted = set(map(fold, gone))
    return [one for one in old if fold(str(one)) not in wanted]


# --- writing out ------------------------------------------------------------------------------------------------------


def format_tables(tables: Tables) -> str:
    """The sections as TOML."""
    return "\n".join(_format_table(tables, ())).strip("\n") + "\n"


def _format_table(table: Mapping[str, Json], path: tuple[str, ...]) -> Iterator[str]:
    plain = {key: item for key, item in table.items() if not isinstance(item, dict)}
    if path and (plain or not table):
        yield f"\n[{'.'.join(map(_format_key, path))}]"
    for key, value in plain.items():
        yield f"{_format_key(key)} = {_format_value(value)}"
    for key, item in table.items():
        if isinstance(item, dict):
            yield from _format_table(item, (*path, key))


def _format_key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _format_text(key)


def _format_text(value: Json) -> str:
    """A string of JSON is one of TOML, but for one character that TOML wants to be escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _format_value(value: Json) -> str:
    if not isinstance(value, list):
        return _format_text(value)
    lines, line = list[str](), ""
    for item in value:
        one = _format_text(item)
        if line and len(line) + len(one) > _WIDTH:
            lines.append(line)
            line = ""
        line += f"{' ' if line else ''}{one},"
    if not lines:
        return f"[{line.removesuffix(',')}]"
    return "\n".join(["[", *(f"    {each}" for each in (*lines, line)), "]"])
