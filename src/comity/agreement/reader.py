# SPDX-License-Identifier: Apache-2.0
"""Pure: one way to read a JSON object field by field, so that no field is missed and each error names its place.

    fields = Reader(value, "", MalformedTerms).open()
    title = fields.text("title")
    fields.close()              # refuses what was not read: an unknown field

Text is what people will read before they sign: characters that show nothing, or turn the direction of what is beside
them, are refused (Unicode TR36 §2.5).
"""

import re
from collections.abc import Collection, Iterator
from typing import Self

from comity.agreement.duration import Duration, parse_duration
from comity.canonical import Json
from comity.errors import MalformedError, MalformedRequest
from comity.ids import Digest, Instant, PartyId, parse_digest, parse_instant, parse_party_id

__all__ = ["MAX_LIST", "MAX_TEXT", "Reader"]

MAX_TEXT = 4_000
MAX_LIST = 1_000
_SHOWN = 64
_INVISIBLE_BUT_NEEDED = "\u00a0\u202f\u200c\u200d"  # French spaces; the joiners of Persian and of Indic scripts
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9])?", re.ASCII)


class Reader:
    """A JSON value at a place (`where`, a JSON pointer); `error` is the class of what it raises."""

    def __init__(self, value: Json, where: str, error: type[MalformedError]) -> None:
        self._value = value
        self._where = where
        self._error = error
        self._fields: dict[str, Json] = {}
        self._read: set[str] = set()

    @property
    def value(self) -> Json:
        """What is read, as it stands."""
        return self._value

    @property
    def where(self) -> str:
        """Its JSON pointer."""
        return self._where

    def open(self) -> Self:
        """This reader, once its value is an object."""
        if not isinstance(self._value, dict):
            raise self._error("must be a table of fields", where=self._where or "/")
        self._fields = self._value
        return self

    def close(self) -> None:
        """Refuse what was not read: an unknown field."""
        unknown = sorted(self._fields.keys() - self._read)
        if unknown:
            known = ", ".join(sorted(self._read))
            raise self.refuse(unknown[0], f"is not a field this version knows here; known are {known}")

    def refuse(self, name: str, problem: str) -> MalformedError:
        """The error for the field `name`."""
        shown = name[:_SHOWN] if name.isprintable() else ascii(name[:_SHOWN])
        pointer = shown.replace("~", "~0").replace("/", "~1")
        return self._error(f"{shown}: {problem}", where=f"{self._where}/{pointer}")

    def has(self, name: str) -> bool:
        """Whether the field is there at all; it then counts as known."""
        self._read.add(name)
        return name in self._fields

    def text(self, name: str, *, most: int = MAX_TEXT) -> str:
        """One line of 1 to `most` characters that all show."""
        return self._line(name, self._get(name), most)

    def maybe_text(self, name: str) -> str | None:
        """A text, or None where the field is absent."""
        return self.text(name) if self.has(name) else None

    def maybe_prose(self, name: str) -> str | None:
        """A text that may run over several lines, or None where the field is absent."""
        return self._line(name, self._get(name), MAX_TEXT, besides="\n\t") if self.has(name) else None

    def label(self, name: str) -> str:
        """A short name that can stand in a clause's name."""
        value = self.text(name)
        if _LABEL.fullmatch(value) is None:
            raise self.refuse(name, "must be 1 to 32 lower-case letters, digits, '-' and '_'")
        return value

    def word(self, name: str, words: Collection[str]) -> str:
        """One of `words`."""
        value = self.text(name)
        if value not in words:
            raise self.refuse(name, f"{value[:_SHOWN]!r} is unknown; use one of {', '.join(sorted(words))}")
        return value

    def whole(self, name: str, *, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refuse(name, f"must be a whole number from {least} to {most}")
        return value

    def party(self, name: str, members: Collection[PartyId] | None = None) -> PartyId:
        """A party id; one of `members` where they are given."""
        return self._party(name, self.text(name), members)

    def parties(self, name: str, members: Collection[PartyId] | None, *, least: int = 0) -> frozenset[PartyId]:
        """A set of party ids."""
        return frozenset(self._party(name, text, members) for text in self.texts(name, least=least))

    def as_party(self, name: str, text: str) -> PartyId:
        """The party id that `text`, a part of the field, is."""
        return self._party(name, text, None)

    def duration(self, name: str) -> Duration:
        """A span of time (ISO 8601)."""
        try:
            return parse_duration(self.text(name))
        except MalformedRequest as error:
            raise self.refuse(name, error.detail) from error

    def flag(self, name: str) -> bool:
        """True or false; false where the field is absent."""
        value = self._get(name) if self.has(name) else False
        if not isinstance(value, bool):
            raise self.refuse(name, "must be true or false")
        return value

    def digest(self, name: str) -> Digest:
        """A SHA-256 in hexadecimal."""
        try:
            return parse_digest(self.text(name))
        except MalformedRequest as error:
            raise self.refuse(name, error.detail) from error

    def maybe_digest(self, name: str) -> Digest | None:
        """A SHA-256, or None where the field is absent."""
        return self.digest(name) if self.has(name) else None

    def instant(self, name: str) -> Instant:
        """A time."""
        try:
            return parse_instant(self.text(name))
        except MalformedRequest as error:
            raise self.refuse(name, error.detail) from error

    def maybe_instant(self, name: str) -> Instant | None:
        """A time, or None where the field is absent."""
        return self.instant(name) if self.has(name) else None

    def as_instant(self, name: str, text: Json) -> Instant:
        """The time that `text`, a part of the field, is."""
        try:
            return parse_instant(text if isinstance(text, str) else "")
        except MalformedRequest as error:
            raise self.refuse(name, error.detail) from error

    def texts(self, name: str, *, least: int = 0) -> frozenset[str]:
        """A set of texts, written as a list without repetition; empty where the field is absent and may be."""
        if not self.has(name) and least == 0:
            return frozenset()
        value = self._get(name)
        if not isinstance(value, list) or not least <= len(value) <= MAX_LIST:
            raise self.refuse(name, f"must be a list of {least} to {MAX_LIST} texts")
        texts = [self._line(name, text, MAX_TEXT) for text in value]
        if len(set(texts)) < len(texts):
            raise self.refuse(name, "must hold each text once")
        return frozenset(texts)

    def words(self, name: str, words: Collection[str], *, least: int = 0) -> frozenset[str]:
        """A set of words, all from `words`."""
        found = self.texts(name, least=least)
        if unknown := sorted(found - set(words)):
            shown = ", ".join(sorted(words)) if len(words) < MAX_LIST // 10 else "ISO 3166-1 alpha-2 codes, such as IQ"
            raise self.refuse(name, f"{unknown[0][:_SHOWN]!r} is unknown; use {shown}")
        return found

    def sequence(self, name: str, words: Collection[str], *, most: int) -> tuple[str, ...]:
        """A list of words, all from `words`, in the order they are written, repeated or not."""
        value = self._get(name)
        if not isinstance(value, list) or not 0 < len(value) <= most:
            raise self.refuse(name, f"must be a list of 1 to {most} words")
        found = tuple(word for word in value if isinstance(word, str) and word in words)
        if len(found) < len(value):
            raise self.refuse(name, f"holds something else than {', '.join(words)}")
        return found

    def matching(self, name: str, pattern: re.Pattern[str], *, what: str, least: int = 0) -> frozenset[str]:
        """A set of texts that all have one form."""
        found = self.texts(name, least=least)
        if wrong := sorted(text for text in found if pattern.fullmatch(text) is None):
            raise self.refuse(name, f"{wrong[0][:_SHOWN]!r} is not of the form wanted here: {what}")
        return found

    def items(self, name: str, *, least: int, most: int) -> Iterator["Reader"]:
        """A reader for each element of a list."""
        value = self._get(name)
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise self.refuse(name, f"must be a list of {least} to {most} tables")
        return (Reader(item, f"{self._where}/{name}/{index}", self._error) for index, item in enumerate(value))

    def entries(self, name: str, *, most: int) -> Iterator[tuple[str, "Reader"]]:
        """Each name in a table, with a reader for what stands under it; nothing where the field is absent."""
        value = self._get(name) if self.has(name) else {}
        if not isinstance(value, dict) or len(value) > most:
            raise self.refuse(name, f"must be a table of at most {most} names")
        for key, item in value.items():
            step = key.replace("~", "~0").replace("/", "~1")
            yield key, Reader(item, f"{self._where}/{name}/{step}", self._error)

    def item(self, name: str) -> "Reader":
        """A reader for the value of a field."""
        return Reader(self._get(name), f"{self._where}/{name}", self._error)

    def _get(self, name: str) -> Json:
        if not self.has(name):
            raise self.refuse(name, "is missing")
        return self._fields[name]

    def _line(self, name: str, value: Json, most: int, *, besides: str = "") -> str:
        if not isinstance(value, str) or not 0 < len(value) <= most:
            raise self.refuse(name, f"must be a text of 1 to {most} characters")
        fine = _INVISIBLE_BUT_NEEDED + besides
        hidden = (
            None if value.isprintable() else next((s for s in value if not s.isprintable() and s not in fine), None)
        )
        if hidden is not None:
            raise self.refuse(name, f"holds U+{ord(hidden):04X}, which does not show; take it out")
        return value

    def _party(self, name: str, text: str, members: Collection[PartyId] | None) -> PartyId:
        try:
            party = parse_party_id(text)
        except MalformedRequest as error:
            raise self.refuse(name, error.detail) from error
        if members is not None and party not in members:
            raise self.refuse(name, f"{party} is not one of the parties: {', '.join(sorted(members))}")
        return party
