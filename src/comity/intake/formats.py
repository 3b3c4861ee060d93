# SPDX-License-Identifier: Apache-2.0
r"""Pure: which format a file is in, told from how it begins; what could be two things, or none, is refused.

    recognise_format(b'{"type":"bundle","spec_version":"2.0","id":"bundle--…","objects":[…', "feed.json")
        is Format.STIX_20
    recognise_format(b"name;reference\nAshfall Column;QDe.901\n", "list.csv") is Format.CSV
    recognise_format(b"name;reference\nAshfall Column;QDe.901\n", "list") raises MalformedFile, where "--format"

What the name of a file ends in settles a doubt between formats that its content admits, and never overrules it. Whether
the rest of the file is as it begins, the reader of the format says.
"""

import codecs
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from comity.errors import MalformedFile, MalformedRequest

__all__ = ["HEAD_BYTES", "Format", "parse_format", "recognise_format"]

HEAD_BYTES: Final = 64 * 1024
"""Of the beginning of a file; more is not looked at."""


class Format(Enum):
    """What analysts hold; the value is the word of `--format`."""

    STIX_21 = "stix-2.1"
    """A bundle, a TAXII envelope, or one object."""
    STIX_20 = "stix-2.0"
    MISP_EVENT = "misp-event"
    """One event, or a collection of them."""
    MISP_MANIFEST = "misp-manifest"
    """The manifest of a MISP feed: which events it has, and none of them."""
    CSV = "csv"
    TSV = "tsv"
    UN_LIST = "un-list"
    """The consolidated list of the UN Security Council, as XML."""
    FOLLOW_THE_MONEY = "ftm"
    """Entities of FollowTheMoney, one JSON object to a line."""
    HTML = "html"
    PDF = "pdf"
    TEXT = "text"
    """An article as plain text."""


_ENDINGS: Final = {
    "csv": Format.CSV,
    "htm": Format.HTML,
    "html": Format.HTML,
    "pdf": Format.PDF,
    "tab": Format.TSV,
    "text": Format.TEXT,
    "tsv": Format.TSV,
    "txt": Format.TEXT,
}
_BOM: Final = b"\xef\xbb\xbf"
_PDF_WITHIN: Final = 1_024
_HTML: Final = re.compile(rb"<!doctype\s+html|<html[\s>]", re.IGNORECASE)
_ROOT: Final = re.compile(rb"<([A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?)[\s/>]")
_SKIPPED: Final = re.compile(rb"\s*(?:<\?.*?\?>|<!--.*?-->)", re.DOTALL)
_TOKEN: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"(\s*:)?|[\[\]{}]|-?[0-9][0-9.eE+-]*|true|false|null', re.DOTALL)
_QUOTED: Final = re.compile(r'"(?:[^"]|"")*"')
_STIX_ID: Final = re.compile(r"[a-z0-9-]+--[0-9a-fA-F-]{36}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MOST_TOKENS: Final = 20_000
_MOST_LINES: Final = 10
_MOST_DEPTH: Final = 3
_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of a JSON object near the top of a file: the keys that lead to it, and its text if it is text.

    A `*` stands for any element of an array.
    """

    path: tuple[str, ...]
    text: str | None


def parse_format(word: str) -> Format:
    """The format that the word names.

    Raises:
        MalformedRequest: it names none; `where` is "--format".
    """
    try:
        return Format(word)
    except ValueError:
        raise MalformedRequest(
            f"{word[:_SHOWN]!r} is not a format; use one of {', '.join(one.value for one in Format)}", where="--format"
        ) from None


def recognise_format(
    data_head: bytes, name: str, *, among: Collection[Format] = tuple(Format), encoding: str = "utf-8"
) -> Format:
    """The one format that a file can be in, by its first `HEAD_BYTES` and, where these leave a doubt, its name.

    `among` are those that are possible by what else is known: who gives a mapping has a table. `encoding` is that of
    its text, where it is one.

    Raises:
        MalformedFile: it could be in several formats, or in none; `where` is "--format", which settles it.
    """
    candidates = _find_candidates(data_head[:HEAD_BYTES], encoding)
    found = [one for one in Format if one in among and one in candidates]
    shown = name[-_SHOWN:]
    if not found:
        known = ", ".join(one.value for one in Format if one in among)
        so = _describe_head(data_head, encoding)
        raise MalformedFile(
            f"{shown!r} {so} in no format that is known here, by how it begins; known are"
            f" {known}: if it is in one of them all the same, say --format",
            where="--format",
        )
    if len(found) > 1:
        said = _ENDINGS.get(name.rpartition(".")[2].lower()) if "." in name else None
        if said not in found:
            ends = next((f", or name it so that it ends in .{one.value}" for one in found if one.value in _ENDINGS), "")
            raise MalformedFile(
                f"{shown!r} could be {' or '.join(one.value for one in found)}, by how it begins and what it is called;"
                f" say which by --format {found[0].value}{ends}",
                where="--format",
            )
        return said
    return found[0]


def _describe_head(head: bytes, encoding: str) -> str:
    """What a file that begins so is, besides in no known format."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "is written in UTF-16 (save it as UTF-8), and so"
    if not head.removeprefix(_BOM).strip():
        return "is empty, and so"
    if b"\0" not in head and _decode(head[:HEAD_BYTES], encoding) is None:
        return f"is not written in {encoding} (save it so, or say what it is written in, as `encoding`), and so"
    return "is"


def _find_candidates(head: bytes, encoding: str) -> frozenset[Format]:
    """Every format that a file which begins so could be in."""
    if b"%PDF-" in head[:_PDF_WITHIN]:
        return frozenset({Format.PDF})
    bare = head.removeprefix(_BOM).lstrip()
    if bare.startswith((b"{", b"[")):
        return _find_json(bare)
    if bare.startswith(b"<"):
        return _find_markup(bare)
    return _find_text(head, encoding)


# --- JSON ---------------------------------------------------------------------------------------------------------


def _find_json(head: bytes) -> frozenset[Format]:
    members = [*_walk(head.decode("utf-8", "replace"))]
    top = {member.path[0]: member.text for member in members if len(member.path) == 1}
    paths = {member.path for member in members}
    if "Event" in top or {("response", "*", "Event"), ("*", "Event"), ("response", "Event")} & paths:
        return frozenset({Format.MISP_EVENT})
    if top and all(_UUID.fullmatch(key) for key in top) and any(path[1:] == ("info",) for path in paths):
        return frozenset({Format.MISP_MANIFEST})
    if "schema" in top and "id" in top and "properties" in top:
        return frozenset({Format.FOLLOW_THE_MONEY})
    if top.get("type") == "bundle" or ("objects", "*", "type") in paths or top.keys() & {"objects"}:
        return _find_stix(members, inside=("objects", "*"), said=top.get("spec_version"))
    if "type" in top:
        # Whoever reads it as one object says what is wrong with it, and where.
        is_one = _STIX_ID.fullmatch(top.get("id") or "") is not None
        return _find_stix(members, inside=(), said=None) if is_one else frozenset({Format.STIX_21})
    return frozenset()


def _find_stix(members: Collection[_Member], *, inside: tuple[str, ...], said: str | None) -> frozenset[Format]:
    """Which STIX the objects at `inside` are: 2.0 had its version on the bundle, 2.1 has it on each object.

    One object of 2.1 makes the file one of 2.1, unless the bundle says otherwise: an older one in it is a bad object.
    """
    depth = len(inside)
    own = [member for member in members if len(member.path) == depth + 1 and member.path[:depth] == inside]
    versions = {member.text for member in own if member.path[-1] == "spec_version"}
    if "2.1" in versions or said == "2.1":
        return frozenset({Format.STIX_20, Format.STIX_21}) if said == "2.0" else frozenset({Format.STIX_21})
    # What has a version of its own, `created`, and names no version of STIX is as 2.0 wrote it.
    older = said == "2.0" or "2.0" in versions or any(member.path[-1] == "created" for member in own)
    return frozenset({Format.STIX_20 if older and _has_one(own) else Format.STIX_21})


def _has_one(own: Collection[_Member]) -> bool:
    """Whether an object is there at all; a bundle with none is refused by whoever reads it as STIX 2.1."""
    return any(member.path[-1] == "type" for member in own)


def _walk(text: str) -> Iterator[_Member]:
    """The members near the top, as far as the text goes; whether it is JSON the reader says."""
    path, opened = list[str](), list[str]()
    key: str | None = None
    for count, match in enumerate(_TOKEN.finditer(text)):
        sign = match[0]
        if count == _MOST_TOKENS or (sign in "]}" and len(opened) <= 1):
            return
        if sign in "]}":
            opened.pop()
            path.pop()
        elif match[2] is not None and opened[-1:] == ["{"]:
            key = match[1]
            continue
        else:
            if key is not None and len(path) < _MOST_DEPTH:
                yield _Member((*path, key), match[1])
            if sign in "[{":
                path += ["*" if key is None else key] if opened else []
                opened.append(sign)
        key = None


# --- markup and text ----------------------------------------------------------------------------------------------


def _find_markup(head: bytes) -> frozenset[Format]:
    if _HTML.match(head) is not None:
        return frozenset({Format.HTML})
    bare = head
    while (skipped := _SKIPPED.match(bare)) is not None:
        bare = bare[skipped.end() :]
    bare = bare.lstrip()
    if _HTML.match(bare) is not None:
        return frozenset({Format.HTML})
    root = _ROOT.match(bare)
    return frozenset({Format.UN_LIST}) if root is not None and root[1] == b"CONSOLIDATED_LIST" else frozenset()


def _find_text(head: bytes, encoding: str) -> frozenset[Format]:
    """Any text can be an article; a table is one in which most lines have as many separators."""
    text = _decode(head, encoding)
    if text is None or not text.strip():
        return frozenset()
    found = {Format.TEXT}
    lines = [line for line in text.splitlines() if line.strip()]
    # Of what was cut off the last line may not be whole.
    lines = (lines[:-1] if len(head) == HEAD_BYTES and len(lines) > 1 else lines)[:_MOST_LINES]
    if _has_columns(lines, "\t"):
        found.add(Format.TSV)
    if any(_has_columns(lines, separator) for separator in ",;|"):
        found.add(Format.CSV)
    return frozenset(found)


def _decode(head: bytes, encoding: str) -> str | None:
    """The text that the file begins with, or None; bytes that are cut off in a character lose that one."""
    for missing in range(4):
        try:
            text = head[: len(head) - missing].removeprefix(_BOM).decode(encoding)
        except UnicodeDecodeError:
            if len(head) < HEAD_BYTES:
                return None
        else:
            return None if "\0" in text else text
    return None


def _has_columns(lines: Sequence[str], separator: str) -> bool:
    """Whether the first line has separators, and most of the others as many; a ragged row makes a table no article."""
    counts = [_QUOTED.sub("", line).count(separator) for line in lines]
    return bool(counts) and counts[0] > 0 and 2 * counts.count(counts[0]) > len(counts)
